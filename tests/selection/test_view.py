import numpy as np
import pytest

from alcli.errors import DataError
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead
from tests.helpers import random_head, view_of

X = np.random.default_rng(0).standard_normal((30, 3)).astype(np.float32)
IDS = np.random.default_rng(1).permutation(30)


def test_matrix_is_in_the_order_of_the_ids():
    view = view_of(X, ids=IDS, labelled=[4, 5])
    assert (np.diff(IDS[view.rows]) > 0).all()
    assert np.array_equal(view.matrix("features"), X[view.rows])
    assert not {4, 5} & set(view.rows.tolist())


@pytest.mark.parametrize("need", ["logits", "log_probs"])
@pytest.mark.parametrize("block_rows", [1, 8, 100])
def test_blocks_and_matrix_agree(need, block_rows):
    view = view_of(X, ids=IDS, labelled=[0, 7], head=random_head(3, 4), block_rows=block_rows)
    rows, values = zip(*view.blocks(need), strict=True)
    rows, values = np.concatenate(rows), np.concatenate(values)
    place = np.argsort(IDS[rows])
    assert rows[place].tolist() == view.rows.tolist()
    assert np.allclose(values[place], view.matrix(need), rtol=1e-6)


def test_labelled_rows_come_in_the_order_of_their_ids():
    view = view_of(X, ids=IDS, labelled=[9, 2, 20])
    assert np.array_equal(view.labelled(), X[sorted([9, 2, 20], key=lambda r: IDS[r])])


@pytest.mark.parametrize("labelled", [[], [9, 2, 20]])
def test_with_labelled_joins_both_in_the_order_of_the_ids(labelled):
    rows, features, is_labelled = view_of(X, ids=IDS, labelled=labelled).with_labelled()
    assert rows.tolist() == np.argsort(IDS).tolist()
    assert np.array_equal(features, X[rows])
    assert sorted(rows[is_labelled]) == sorted(labelled)


def test_row_keys_need_no_pass_over_the_features():
    view = view_of(X, ids=IDS)
    view._source.blocks = None
    rows, keys = next(iter(view.blocks("row_key")))
    assert len(rows) == len(keys) == 30


@pytest.mark.parametrize("need", ["trained_log_probs", "predictive", "logit_variance", "sample_log_probs"])
@pytest.mark.parametrize("block_rows", [1, 8, 100])
def test_reduced_gives_what_a_function_says_of_every_row_in_the_order_of_the_ids(need, block_rows):
    head = random_head(3, 4)
    view = view_of(X, ids=IDS, labelled=[0, 7], head=head, block_rows=block_rows).sampling(5, seed=3)
    whole = view.evaluate(need, X[view.rows])
    assert np.allclose(view.reduced(lambda block: block[:, 0] * 2, need), whole[:, 0] * 2, rtol=1e-12)


def test_draws_are_the_same_for_every_row_and_follow_from_the_seed(monkeypatch):
    view = view_of(X, head=random_head(3, 4)).sampling(6, seed=1)
    once = view.evaluate("sample_log_probs", X)
    assert once.shape == (30, 6, 4)
    assert np.allclose(np.exp(once).sum(axis=2), 1)
    monkeypatch.setattr("alcli.selection.needs.MOST_SAMPLED", 1)
    again = view_of(X, head=random_head(3, 4)).sampling(6, seed=1)
    assert [len(rows) for rows, _ in again.blocks("sample_log_probs")] == [1] * 30
    assert np.allclose(again.evaluate("sample_log_probs", X), once, rtol=1e-12)
    assert not np.allclose(view.sampling(6, seed=2).evaluate("sample_log_probs", X), once)
    assert np.allclose(view.sampling(9, seed=1).evaluate("sample_log_probs", X)[:, :6], once, rtol=1e-12)


@pytest.mark.parametrize("labelled", [[9, 2, 20], []])
def test_targets_of_the_labelled_rows_come_in_the_order_of_their_ids(labelled):
    order = sorted(range(len(labelled)), key=lambda i: IDS[labelled[i]])
    classes, numbers = np.array([2, 0, 3][: len(labelled)], np.int64), np.array([0.5, -1.0, 7.0][: len(labelled)])
    view = view_of(X, ids=IDS, labelled=labelled, labels=classes, head=random_head(3, 4))
    assert np.array_equal(view.labelled_targets(), np.eye(4)[classes[order]])
    view = view_of(X, ids=IDS, labelled=labelled, labels=numbers, head=random_head(3, 1))
    assert np.array_equal(view.labelled_targets(), numbers[order][:, None])


def test_labels_that_are_not_known_are_missed_only_where_rows_are_labelled():
    with pytest.raises(DataError, match="give them with -l"):
        view_of(X, labelled=[1], head=random_head(3, 4)).labelled_targets()
    assert view_of(X, head=random_head(3, 4)).labelled_targets().shape == (0, 4)
    with pytest.raises(LookupError, match="without one"):
        view_of(X).labelled_targets()


def test_features_of_some_candidates_are_those_of_the_matrix():
    view = view_of(X, ids=IDS, labelled=[4, 5])
    assert np.array_equal(view.features_at(np.array([7, 0, 3])), view.matrix("features")[[7, 0, 3]])


def test_targets_are_candidates_unless_rows_were_named():
    drawn = view_of(X, ids=IDS, labelled=[4, 5]).targets(10, np.random.default_rng(0))
    numbers = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in drawn]
    assert len(set(numbers)) == 10
    assert not {4, 5} & set(numbers)
    assert (np.diff(IDS[numbers]) > 0).all()
    named = view_of(X, targets=X[:6])
    assert np.array_equal(named.targets(100, np.random.default_rng(0)), X[:6])
    assert len(named.targets(4, np.random.default_rng(0))) == 4


def test_a_view_of_nothing_reduces_to_nothing():
    view = view_of(X, head=random_head(3, 4), candidates=np.empty(0, np.int64))
    assert len(view.reduced(lambda block: block, "logits")) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block_rows", [1, 8, 100])
def test_hidden_features_are_what_the_last_layer_sees_in_the_type_of_the_features(dtype, block_rows):
    rng = np.random.default_rng(2)
    network = NetworkHead(
        ((rng.standard_normal((5, 3)), rng.standard_normal(5)),),
        "relu",
        LinearHead("mlp", rng.standard_normal((2, 6)), 1.0),
    )
    view = view_of(X.astype(dtype), ids=IDS, labelled=[0, 7], head=Model(network), block_rows=block_rows)
    hidden = view.matrix("hidden")
    assert hidden.dtype == dtype
    np.testing.assert_array_equal(hidden, network.hidden(X[view.rows].astype(dtype)).astype(dtype))
    np.testing.assert_allclose(view.matrix("hidden_sq_norm"), (hidden.astype(np.float64) ** 2).sum(axis=1), rtol=1e-12)
    assert view.network() is network
    rows, blocks, norms = (
        np.concatenate(parts) for parts in zip(*view.blocks("hidden", "hidden_sq_norm"), strict=True)
    )
    place = np.argsort(IDS[rows])
    np.testing.assert_allclose(blocks[place], hidden, rtol=1e-6)
    np.testing.assert_allclose(norms[place], view.matrix("hidden_sq_norm"), rtol=1e-6)


def test_hidden_features_of_a_linear_head_are_the_features_and_not_a_copy():
    view = view_of(X, head=Model(LinearHead("softmax", np.zeros((2, 4)), 1.0)))
    assert view.matrix("hidden") is view.matrix("features")
    assert all(np.shares_memory(hidden, features) for _, hidden, features in view.blocks("hidden", "features"))
    with pytest.raises(LookupError, match="without"):
        view_of(X).matrix("hidden")


def test_fewer_candidates_are_what_a_view_of_them_sees():
    X, head = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32), random_head(3, 4)
    view = view_of(X, labelled=[2, 5], head=head, ids=np.arange(40)[::-1]).sampling(4, 0)
    few = np.array([30, 7, 8, 1])
    for read_before in (False, True):
        if read_before:
            for need in ("features", "log_probs", "labelled_distance", "sample_log_probs"):
                view.matrix(need)
        part, fresh = (
            view.among(few),
            view_of(X, labelled=[2, 5], head=head, ids=np.arange(40)[::-1], candidates=few).sampling(4, 0),
        )
        assert part.n == 4
        assert part.rows.tolist() == fresh.rows.tolist() == [30, 8, 7, 1]
        for need in ("features", "log_probs", "labelled_distance", "sample_log_probs"):
            assert np.array_equal(part.matrix(need), fresh.matrix(need))
        assert sorted(np.concatenate([rows for rows, _ in part.blocks("features")]).tolist()) == [1, 7, 8, 30]
        assert view.n == 38
