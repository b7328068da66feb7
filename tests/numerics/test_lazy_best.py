import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics import lazy_best as bounded
from alcli.numerics.lazy_best import best_rows


@given(
    st.lists(st.tuples(st.integers(-3, 5), st.integers(0, 4)), min_size=1, max_size=60),
    st.integers(1, 8),
    st.integers(1, 9),
)
def test_equals_scoring_every_row(pairs, k, together):
    scores = np.array([s for s, _ in pairs], np.float64)
    bounds = scores + [gap for _, gap in pairs]
    k, before = min(k, len(scores)), bounded.ROUND
    try:
        bounded.ROUND = together
        rows, values, scored = best_rows(bounds, k, lambda rows: scores[rows])
    finally:
        bounded.ROUND = before
    expected = np.lexsort((np.arange(len(scores)), -scores))[:k]
    assert rows.tolist() == expected.tolist()
    assert values.tolist() == scores[expected].tolist()
    left = np.setdiff1d(np.arange(len(scores)), scored)
    assert (bounds[left] < values[-1]).all()


def test_rows_that_cannot_win_are_not_scored():
    bounds, seen = np.arange(2000, 0, -1.0), []
    rows, _, scored = best_rows(bounds, 2, lambda rows: seen.extend(rows.tolist()) or bounds[rows])
    assert rows.tolist() == [0, 1]
    assert sorted(seen) == sorted(scored.tolist()) == list(range(bounded.ROUND))


def test_differences_that_float32_does_not_hold_are_ties():
    scores = np.array([1.0, 1.0 + 1e-12, 0.5])
    assert best_rows(np.full(3, 2.0), 2, lambda rows: scores[rows])[0].tolist() == [0, 1]
