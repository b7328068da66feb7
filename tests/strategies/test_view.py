import numpy as np
import pytest

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
