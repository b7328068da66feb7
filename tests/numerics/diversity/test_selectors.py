import numpy as np
import pytest

from alcli.numerics.diversity import selectors
from alcli.numerics.diversity.kmeans import central_rows
from alcli.numerics.diversity.selectors import SELECTORS
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows, feature_rows


def factored(n=150, seed=0):
    """(factored rows, the same written out)."""
    rng = np.random.default_rng(seed)
    A, H = rng.standard_normal((n, 3)), rng.standard_normal((n, 4))
    E = np.einsum("na,nd->nad", A, np.hstack([H, np.ones((n, 1))])).reshape(n, -1)
    return Rows(Factor(A), Factor(H, offset=1.0)), feature_rows(E)[0]


@pytest.mark.parametrize("name", sorted(SELECTORS))
def test_each_picks_k_distinct_rows_with_finite_scores_and_the_same_again(name):
    rows, _ = factored()
    for k in (1, 20, 150):
        picks, scores = SELECTORS[name](rows, k, np.random.default_rng(3))
        assert picks.dtype == np.int64
        assert scores.dtype == np.float64
        assert len(set(picks.tolist())) == len(picks) == len(scores) == k
        assert np.isfinite(scores).all()
        assert SELECTORS[name](rows, k, np.random.default_rng(3))[0].tolist() == picks.tolist()


@pytest.mark.parametrize("name", sorted(set(SELECTORS) - {"kmeans", "kdpp"}))
def test_factored_and_written_out_rows_give_the_same_picks(name):
    rows, written_out = factored(seed=1)
    k = 15  # their rank, beyond which maxdet cannot tell rows apart
    one = SELECTORS[name](rows, k, np.random.default_rng(0))
    other = SELECTORS[name](written_out, k, np.random.default_rng(0))
    assert one[0].tolist() == other[0].tolist()
    assert np.allclose(one[1], other[1])


def test_clusters_of_products_are_those_of_the_written_out_rows():
    rows, _ = factored(seed=2)
    blobs = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 30))
    rng = np.random.default_rng(1)
    A, H = rng.standard_normal((5, 3))[blobs], rng.standard_normal((5, 4))[blobs] + 0.01 * rng.standard_normal((150, 4))
    rows = Rows(Factor(A), Factor(H, offset=1.0))
    picks, sizes = SELECTORS["kmeans"](rows, 5, np.random.default_rng(0))
    assert sorted(blobs[picks]) == list(range(5))
    assert sizes.tolist() == [30] * 5


def test_plain_rows_are_clustered_as_they_are():
    X = np.random.default_rng(0).standard_normal((200, 6)).astype(np.float32)
    one = SELECTORS["kmeans"](feature_rows(X)[0], 7, np.random.default_rng(0))
    other = central_rows(X, 7, np.random.default_rng(0))
    assert one[0].tolist() == other[0].tolist()


def test_clusters_of_rows_of_larger_rank_than_coordinates(monkeypatch):
    monkeypatch.setattr(selectors, "_COORDINATES", 6)
    rows, _ = factored(seed=3)
    assert len(set(SELECTORS["kmeans"](rows, 4, np.random.default_rng(0))[0].tolist())) == 4


def test_topnorm_by_hand():
    X = np.array([[1.0], [-3.0], [2.0], [3.0]])
    picks, norms = SELECTORS["topnorm"](feature_rows(X)[0], 3, np.random.default_rng(0))
    assert picks.tolist() == [1, 3, 2]
    assert norms.tolist() == [3, 3, 2]
