import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.selection.order import TopK

tables = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=60)


@given(tables, st.integers(1, 70), st.lists(st.integers(0, 60), max_size=5), st.randoms())
def test_equals_a_full_sort_however_the_rows_are_cut_and_ordered(table, k, cuts, random):
    scores = np.array([s for s, _ in table], np.float32)
    keys = np.array([f"{key}-{i}" for i, (_, key) in enumerate(table)], object)
    expected = sorted(range(len(table)), key=lambda i: (-scores[i], keys[i]))[:k]
    order = list(range(len(table)))
    random.shuffle(order)
    best = TopK(k, lambda rows: keys[rows])
    for part in np.split(np.array(order, np.int64), sorted(c for c in cuts if c < len(order))):
        best.offer(part, scores[part])
    rows, kept = best.result()
    assert rows.tolist() == expected
    assert kept.tolist() == scores[expected].tolist()


def test_ties_at_the_border_go_to_the_smallest_keys():
    keys = np.array([5, 1, 9, 3])
    best = TopK(2, lambda rows: keys[rows])
    best.offer(np.arange(4), np.zeros(4, np.float32))
    assert best.result()[0].tolist() == [1, 3]


def test_a_later_block_wins_ties_by_its_keys():
    keys = np.array([5, 9, 1, 7])
    best = TopK(2, lambda rows: keys[rows])
    best.offer(np.array([0, 1]), np.zeros(2, np.float32))
    best.offer(np.array([2, 3]), np.zeros(2, np.float32))
    assert best.result()[0].tolist() == [2, 0]


def test_keys_are_asked_only_for_rows_that_can_win():
    asked = []
    best = TopK(3, lambda rows: (asked.extend(rows.tolist()), rows)[1])
    best.offer(np.arange(1000), np.arange(1000, dtype=np.float32))
    best.offer(np.arange(1000, 2000), np.zeros(1000, np.float32))
    best.result()
    assert sorted(asked) == [997, 998, 999]


@pytest.mark.parametrize("k", [1, 5])
def test_infinite_scores_keep_their_order(k):
    best = TopK(k, lambda rows: rows)
    best.offer(np.arange(3), np.array([-np.inf, np.inf, 0], np.float32))
    assert best.result()[0].tolist() == [1, 2, 0][:k]


def test_nothing_offered_gives_nothing():
    rows, scores = TopK(4, lambda rows: rows).result()
    assert rows.dtype == np.int64
    assert scores.dtype == np.float32
    assert len(rows) == 0


def test_what_is_kept_belongs_to_the_winners() -> None:
    rng = np.random.default_rng(0)
    scores_N, X_ND = rng.integers(50, size=200).astype(np.float32), rng.standard_normal((200, 3))
    best = TopK(17, lambda rows: rows)
    for first in range(0, 200, 23):
        block = slice(first, first + 23)
        best.offer(np.arange(200)[block], scores_N[block], X_ND[block])
    rows_K, _, kept = best.best()
    assert kept is not None
    np.testing.assert_array_equal(kept, X_ND[rows_K])


def test_nothing_is_kept_of_many_ties() -> None:
    best = TopK(2, lambda rows: -rows)
    for first in range(0, 9, 3):
        best.offer(np.arange(first, first + 3), np.zeros(3, np.float32), np.ones((3, 4)))
    assert len(best.open()[0]) == 9
    rows_K, _, kept = best.best()
    assert kept is None
    assert rows_K.tolist() == [8, 7]
