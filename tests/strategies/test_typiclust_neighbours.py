import numpy as np
import pytest

from alcli.strategies import typiclust as neighbours
from alcli.strategies.typiclust import TypicalRows


def by_definition(X, left, most):
    """The row with the smallest mean squared distance to its k nearest others among `left`, and its typicality."""
    k = min(most, len(left) // 2)
    sq = ((X[left][:, None] - X[left][None]) ** 2).sum(-1)
    np.fill_diagonal(sq, np.inf)
    typicality = (1 / (np.sort(sq, 1)[:, :k].sum(1) / max(k, 1) + 1e-5)).astype(np.float32)
    return left[typicality.argmax()], typicality.max()


@pytest.mark.parametrize("n", [1, 2, 3, 10, 45, 130])
@pytest.mark.parametrize("most", [1, 5, 20])
def test_takes_rows_as_if_everything_were_computed_anew_each_time(n, most, monkeypatch):
    monkeypatch.setattr(neighbours, "_CELLS", 300)
    X = np.random.default_rng(n).standard_normal((n, 3))
    typical, left = TypicalRows(X, most), np.arange(n)
    for size in range(n, 0, -1):
        assert len(typical) == size
        row, value = typical.pop()
        expected, expected_value = by_definition(X, left, most)
        assert row == expected
        assert np.isclose(value, expected_value, rtol=1e-5)
        left = left[left != row]


def test_by_hand():
    typical = TypicalRows(np.array([[0.0], [1.0], [3.0], [10.0]]), 20)
    # k = 2: squared distances 1, 9 | 1, 4 | 4, 9 | 49, 81; the second row has the smallest mean, 2.5.
    assert typical.pop() == (1, pytest.approx(1 / (2.5 + 1e-5)))
    # k = 1: 9 | 9 | 49; the first of equals.
    assert typical.pop() == (0, pytest.approx(1 / (9 + 1e-5)))


def test_copies_are_taken_in_order():
    typical = TypicalRows(np.full((30, 4), 0.1), 20)
    assert [typical.pop()[0] for _ in range(30)] == list(range(30))
