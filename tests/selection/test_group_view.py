"""Groups of rows as the rows of a view: against brute force, and with groups of one row against the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest

from alcli import parsing, plugins
from alcli.errors import DataError, UsageError
from alcli.selection import group_source as _grouping
from alcli.selection.group_source import Grouping, GroupSource
from alcli.selection.group_view import GroupedView
from alcli.selection.needs import OF_IDS
from alcli.selection.select import select
from alcli.selection.source import ArraySource, as_ids, hash_ids
from alcli.selection.strategy import strategy_of
from tests.helpers import random_head, view_of

NAMES = plugins.names("strategies")
POINTWISE = [name for name in NAMES if strategy_of(plugins.load("strategies", name)).pointwise]
N, D, C = 120, 4, 3
rng = np.random.default_rng(0)
X = (rng.integers(0, 4, (N, 1)) + 0.4 * rng.standard_normal((N, D))).astype(np.float32)
GROUPS = rng.integers(0, 25, N)  # ragged and scattered
GROUPS[:25] = np.arange(25)
LABELLED = np.flatnonzero(np.isin(GROUPS, [3, 11]))[:-1]
HEAD = random_head(D, C)


def grouping_of(groups_N, left_out=()):
    """Groups named by strings whose order is that of their numbers."""
    group_N = np.array(groups_N)
    group_N[list(left_out)] = -1
    ids_G = as_ids(np.array([f"g{g:03d}" for g in range(max(groups_N) + 1)], object))
    return Grouping(group_N, ids_G, hash_ids(ids_G))


def grouped(
    groups_N=GROUPS,
    *,
    X_ND=X,
    ids=None,
    labelled=LABELLED,
    head=HEAD,
    block_rows=50,
    labels=None,
    left_out=(),
    targets=None,
):
    ids = np.arange(len(X_ND)) if ids is None else ids
    grouping = grouping_of(groups_N, left_out)
    present = grouping.of_rows(np.arange(len(X_ND)))
    candidates = np.setdiff1d(present, grouping.of_rows(np.asarray(labelled, int)))
    source = GroupSource(ArraySource(X_ND, ids, block_rows=block_rows), grouping)
    return GroupedView(source, candidates, np.asarray(labelled, int), head, labels=labels, targets=targets)


def load(name):
    return strategy_of(plugins.load("strategies", name))


def labels_for(labelled):
    return np.arange(len(labelled)) % C


def same(one, other):
    return one.rows_K.tolist() == other.rows_K.tolist() and one.scores_K.tobytes() == other.scores_K.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_groups_of_one_row_are_rows(name):
    ids = np.array([f"g{i:03d}" for i in range(N)], object)
    labelled = np.arange(0, N, 13)
    rows = view_of(X, ids=ids, labelled=labelled, head=HEAD)
    rows._labels = labels_for(labelled)
    groups = grouped(np.arange(N), ids=ids, labelled=labelled, labels=labels_for(labelled))
    one, other = (select(load(name), view, 12, seed=3, options={}) for view in (rows, groups))
    assert one.rows_K.tolist() == other.rows_K.tolist()
    assert np.allclose(one.scores_K, other.scores_K, rtol=1e-5, atol=1e-7)
    assert one.notes == other.notes


@pytest.mark.parametrize("how", ["mean", "max", "sum"])
@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise_scores_are_aggregates_of_the_rows_scores(name, how):
    strategy = load(name)
    if OF_IDS.issuperset(strategy.needs):
        assert "aggregate" not in parsing.options_of(*strategy.declared)
        return
    grouping = grouping_of(GROUPS)
    rows = view_of(X, candidates=np.arange(N), labelled=LABELLED, head=HEAD).sampling(strategy.samples, 5)
    keyed = {"row_key": lambda rows_B: grouping.keys_G[GROUPS[rows_B]]}
    block = [keyed[need](rows.rows) if need in keyed else rows.evaluate(need, X) for need in strategy.needs]
    scores_N = strategy.run(*block, **({"seed": 5} if strategy.random else {}))
    left = [g for g in range(25) if g not in (3, 11)]
    values = np.array([getattr(scores_N[g == GROUPS], how)() for g in left])
    chosen = select(strategy, grouped(), 9, seed=5, options={"aggregate": how})
    best = np.lexsort((left, -values.astype(np.float32)))[:9]
    assert np.allclose(chosen.scores_K, values[best], rtol=1e-6)
    assert np.allclose(values[np.searchsorted(left, chosen.rows_K)], values[best], rtol=1e-6)


def test_random_draws_groups_whatever_their_size():
    sizes = np.array([1] * 10 + [30] * 10)
    groups = np.repeat(np.arange(20), sizes)
    drawn = [
        select(
            load("random"), grouped(groups, X_ND=np.zeros((310, 1), np.float32), labelled=[]), 5, seed=s, options={}
        ).rows_K
        for s in range(400)
    ]
    small = np.mean(np.concatenate(drawn) < 10)
    assert abs(small - 0.5) < 4 * np.sqrt(0.25 / 2000)


@pytest.mark.parametrize("name", NAMES)
def test_neither_the_order_of_rows_nor_the_size_of_blocks_nor_what_is_read_together_matters(name, monkeypatch):
    strategy, ids = load(name), np.random.default_rng(1).permutation(N) * 7
    whole = select(strategy, grouped(ids=ids, labels=labels_for(LABELLED)), 10, seed=1, options={})
    for order, block_rows, chunk in (
        (np.arange(N), 7, 1 << 28),
        (np.random.default_rng(2).permutation(N), 50, 1 << 28),
        (np.argsort(GROUPS), 50, 300),
    ):
        monkeypatch.setattr(_grouping, "_CHUNK_BYTES", chunk)
        place = np.argsort(order)
        view = grouped(
            GROUPS[order],
            X_ND=X[order],
            ids=ids[order],
            labelled=place[LABELLED],
            block_rows=block_rows,
            labels=labels_for(LABELLED),
        )
        assert same(whole, select(strategy, view, 10, seed=1, options={}))


@pytest.mark.parametrize("need", ["log_probs", "trained_log_probs", "predictive", "sample_log_probs"])
def test_probabilities_are_averaged_as_probabilities(need, monkeypatch):
    rows = view_of(X, labelled=[], head=HEAD).sampling(6, 2)
    expected = [np.exp(rows.evaluate(need, X[g == GROUPS])).mean(axis=0) for g in range(25)]
    for most in (1 << 19, 40):  # the second takes a large group in parts
        monkeypatch.setattr("alcli.selection.needs.MOST_SAMPLED", most)
        view = grouped(labelled=[]).sampling(6, 2)
        assert np.allclose(np.exp(view.matrix(need)), expected, rtol=1e-5)
        assert np.allclose(np.exp(view.at(need, np.array([4, 2]))), np.array(expected)[[4, 2]], rtol=1e-12)
        assert np.allclose(np.exp(view.reduced(lambda block: block, need)), expected, rtol=1e-12)


@pytest.mark.parametrize("need", ["logits", "logit_variance"])
def test_what_is_no_probability_is_averaged_as_it_is(need):
    rows = view_of(X, head=HEAD)
    expected = [rows.evaluate(need, X[g == GROUPS]).mean(axis=0) for g in range(25)]
    assert np.allclose(grouped(labelled=[]).matrix(need), expected, rtol=1e-6)


def test_features_are_averaged_and_what_is_computed_of_them_follows():
    view = grouped()
    means = np.array([X[g == GROUPS].astype(np.float64).mean(axis=0) for g in range(25)]).astype(np.float32)
    left = np.setdiff1d(np.arange(25), [3, 11])
    assert view.rows.tolist() == left.tolist()
    assert view.matrix("features").tobytes() == means[left].tobytes()
    assert view.labelled().tobytes() == means[[3, 11]].tobytes()
    assert view.n_labelled == 2
    rows, features, is_labelled = view.with_labelled()
    assert rows.tolist() == list(range(25))
    assert features.tobytes() == means.tobytes()
    assert np.flatnonzero(is_labelled).tolist() == [3, 11]
    groups, norms, features = next(view.blocks("sq_norm", "features"))
    assert np.allclose(norms, (means[groups].astype(np.float64) ** 2).sum(axis=1))
    assert features.tobytes() == means[groups].tobytes()
    assert np.concatenate([block for _, block in view._source.blocks()]).tobytes() == means.tobytes()


def test_labelled_targets_are_means_over_the_labelled_rows():
    labels = labels_for(LABELLED)
    view = grouped(labels=labels)
    expected = [np.eye(C)[labels[GROUPS[LABELLED] == g]].mean(axis=0) for g in (3, 11)]
    assert np.allclose(view.labelled_targets(), expected)


def test_targets_are_rows_of_the_candidates_unless_named():
    drawn = grouped().targets(30, np.random.default_rng(0))
    numbers = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in drawn]
    assert len(set(numbers)) == 30
    assert not {3, 11} & set(GROUPS[numbers].tolist())
    assert np.array_equal(grouped(targets=X[:3]).targets(9, np.random.default_rng(0)), X[:3])


@pytest.mark.parametrize("name", ["coreset", "typiclust", "kmeans"])
def test_concat_is_the_plain_strategy_on_longer_features(name):
    rows, ids = (
        np.random.default_rng(4).standard_normal((60, D)).astype(np.float32),
        np.random.default_rng(5).permutation(60),
    )
    groups = np.random.default_rng(6).permutation(np.repeat(np.arange(20), 3))
    side_by_side = np.stack(
        [rows[sorted(np.flatnonzero(groups == g), key=lambda r: ids[r])].ravel() for g in range(20)]
    )
    expected = select(load(name), view_of(side_by_side, labelled=[2]), 6, seed=0, options={})
    view = grouped(groups, X_ND=rows, ids=ids, labelled=np.flatnonzero(groups == 2)[:1])
    assert same(expected, select(load(name), view, 6, seed=0, options={"embed": "concat"}))


def test_concat_wants_groups_of_one_size():
    with pytest.raises(DataError, match=r"group 'g\d+' has \d+ rows, group 'g\d+' \d+; embed=concat.*embed=mean"):
        select(load("coreset"), grouped(), 3, seed=0, options={"embed": "concat"})
    with pytest.raises(
        UsageError, match=r"embed=concat puts .* side by side, and the head takes the features of one row"
    ):
        parsing.parse_options(load("badge").declared, {"embed": "concat"}, "badge")
    assert parsing.parse_options(load("badge").declared, {"embed": "mean"}, "badge") == {"embed": "mean"}


@pytest.mark.parametrize("name", ["margin", "coreset", "badge", "batchbald", "random"])
def test_rows_that_are_left_out_count_for_nothing(name):
    out = [r for r in range(N) if r % 3 == 0 or GROUPS[r] == 7]
    left = np.setdiff1d(np.arange(N), out)
    part = grouped(GROUPS[left], X_ND=X[left], ids=left, labelled=[])
    whole = grouped(labelled=[], left_out=out)
    assert 7 not in whole.rows
    assert same(*(select(load(name), view, 8, seed=0, options={}) for view in (part, whole)))


def test_a_score_that_is_not_finite_names_a_row():
    class Broken(type(HEAD)):
        def log_probs(self, X_BD):
            return np.where(X_BD[:, :1] == X[30, 0], np.nan, super().log_probs(X_BD))

    with pytest.raises(DataError, match=r"row 30 \(id '30'\): the score is not a finite number"):
        select(load("margin"), grouped(labelled=[], head=Broken(HEAD.W_CD)), 3, seed=0, options={})
    assert grouped().describe(int(GROUPS[30])).endswith(f"group 'g{GROUPS[30]:03d}'")


def test_a_view_of_rows_knows_no_groups():
    with pytest.raises(LookupError, match="aggregate was asked of a view whose rows make no groups"):
        select(load("margin"), view_of(X, head=HEAD), 3, seed=0, options={"aggregate": "max"})


def test_parts_read_groups_that_lie_together_in_chunks_and_scattered_ones_at_once(monkeypatch):
    monkeypatch.setattr(_grouping, "_CHUNK_BYTES", 8 * D * 10)
    for groups, several in ((np.sort(GROUPS), True), (np.arange(N) % 25, False)):
        source = GroupSource(ArraySource(X, np.arange(N)), grouping_of(groups))
        assert (len(source._chunks(np.arange(25))) > 1) == several
        seen = np.concatenate([places for places, _, _ in source.parts(np.arange(25), 12)])
        assert sorted(seen.tolist()) == list(range(25))
