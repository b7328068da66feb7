"""Sums of rows: against the sums of rows that are written out in float64."""

import numpy as np
import pytest

from alcli.numerics.blocks import workers
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.factors import Factor
from alcli.numerics.gradients import segment_rows as _segment_rows
from alcli.numerics.gradients.combined_rows import SumRows
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.numerics.gradients.segment_rows import GradientSums, Sums, summed
from alcli.numerics.gradients.softmax_jacobian import SoftmaxJacobian
from alcli.numerics.gradients.sparse.approximation import greedy, iht
from alcli.numerics.gradients.sparse.problem import pose
from alcli.numerics.logistic import log_softmax
from alcli.numerics.rows import Rows
from tests.dense_sparse import Dense, dense_greedy, dense_iht

SIZES = np.array([3, 1, 7, 2, 5, 1, 4, 9, 2, 6, 3, 3])
STARTS, R, N = np.cumsum(SIZES) - SIZES, int(SIZES.sum()), len(SIZES)
rng = np.random.default_rng(0)
X, LOGS = rng.standard_normal((R, 5)), log_softmax(3.0 * rng.standard_normal((R, 4)))


def jacobians(logs):
    p = np.exp(logs)
    return np.einsum("nc,ck->nck", p, np.eye(p.shape[1])) - p[:, :, None] * p[:, None]


def with_one(X):
    return np.hstack([X, np.ones((len(X), 1))])


def embeddings():
    """Rows and the same rows written out, [R, width]."""
    A = rng.standard_normal((R, 3))
    of_jacobians = np.einsum("nck,nd->nckd", jacobians(LOGS), X).reshape(R, -1)
    gradients = np.einsum("nk,nd->nkd", A, with_one(X)).reshape(R, -1)
    both = SumRows([Rows(Factor(X)), Rows(Factor(A), Factor(X, 1.0))], [2.0, 0.5])
    return {
        "features": (Rows(Factor(X)), X),
        "huge": (Rows(Factor(X * 1e12)), X * 1e12),
        "gradients": (Rows(Factor(A), Factor(X, offset=1.0)), gradients),
        "jacobians": (Rows(Factor(X), SoftmaxJacobian(LOGS)), of_jacobians),
        "direct sum": (both, np.hstack([np.sqrt(2.0) * X, np.sqrt(0.5) * gradients])),
    }


@pytest.mark.parametrize("width", [64, 5])
@pytest.mark.parametrize("kind", list(embeddings()))
def test_products_are_those_of_the_sums(kind, width, monkeypatch):
    monkeypatch.setattr(_segment_rows, "_WIDTH", width)
    monkeypatch.setattr(_segment_rows, "_TOGETHER", 8)
    rows, E = embeddings()[kind]
    E_sums = np.add.reduceat(E, STARTS)
    found = Sums(rows, STARTS)
    some = np.array([7, 0, 3, 7])
    with workers() as spread:
        inner = found.inner_with(found, some, spread) * found.scale**2
    peak = (E_sums**2).sum(1).max()
    assert np.allclose(inner, E_sums @ E_sums[some].T, rtol=1e-10, atol=1e-12 * peak)
    assert np.allclose(found.sq_norms * found.scale**2, (E_sums**2).sum(1), rtol=1e-10)
    assert np.allclose(found.lengths * found.scale, np.add.reduceat(np.linalg.norm(E, axis=1), STARTS))
    written = found.written_out(2, 9) * found.scale
    if kind == "jacobians":  # the features are the first factor
        E_sums = E_sums.reshape(N, 16, 5).transpose(0, 2, 1).reshape(N, -1)
    assert np.allclose(written, E_sums[2:9], rtol=1e-10)


@pytest.mark.parametrize("kind", ["features", "gradients", "direct sum"])
def test_an_item_of_many_rows_is_taken_in_blocks(kind, monkeypatch):
    monkeypatch.setattr(_segment_rows, "BLOCK_ROWS", 4)
    rows, E = embeddings()[kind]
    E_sums = np.add.reduceat(E, STARTS)
    found = Sums(rows, STARTS)
    assert np.allclose(found.sq_norms * found.scale**2, (E_sums**2).sum(1))
    assert np.allclose(found.written_out(0, N) * found.scale, E_sums)


def test_jacobians_of_large_items_are_written_out():
    starts = np.array([0, 20])
    rows, E = embeddings()["jacobians"]
    found, E_sums = summed(rows, starts), np.add.reduceat(E, starts)
    assert len(found.factors) == 1
    with workers() as spread:
        assert np.allclose(found.inner_with(found, [0, 1], spread), E_sums @ E_sums.T, rtol=1e-10)


def test_equal_items_have_no_distance():
    again = np.concatenate([X, X])
    logs = np.concatenate([LOGS, LOGS])
    starts = np.concatenate([STARTS, STARTS + R])
    rows = Rows(Factor(again.astype(np.float32)), SoftmaxJacobian(logs, np.float32))
    _, distances = k_center(Sums(rows, starts), 2 * N)
    assert (distances[N:] == 0.0).all()
    assert (distances[:N] > 0.0).all()


def test_items_of_one_row_are_the_rows():
    rows = Rows(Factor(X))
    assert summed(rows, np.arange(R)) is rows


def test_sums_are_written_out_where_that_is_shorter():
    A = rng.standard_normal((R, 8)).astype(np.float32)
    short, long = GradientRows(A[:, :1], X[:, :2].astype(np.float32)), GradientRows(A, np.tile(X, 3))
    assert not isinstance(summed(short, STARTS), Sums)
    assert isinstance(summed(short, STARTS), GradientRows)
    assert isinstance(summed(long, STARTS), GradientSums)
    assert not isinstance(summed(Rows(Factor(X)), STARTS), Sums)
    E = np.einsum("nk,nd->nkd", A[:, :1], with_one(X[:, :2])).reshape(R, -1)
    assert np.allclose(summed(short, STARTS).written_out(0, N), np.add.reduceat(E, STARTS), rtol=1e-5)


def gradient_sums(size=1.0, K=3, seed=1):
    """GradientSums, and the sums written out, [N, K D1]."""
    draws = np.random.default_rng(seed)
    A, F = draws.standard_normal((R, K)) * size + 0.3 * size, draws.standard_normal((R, 5))
    G = np.einsum("nk,nd->nkd", A, with_one(F))
    return GradientSums(GradientRows(A, F), STARTS), np.add.reduceat(G, STARTS)


@pytest.mark.parametrize("K", [3, 9])
def test_products_with_a_point_are_those_of_the_sums(K):
    rows, G = gradient_sums(K=K)
    point, weights, some = rng.standard_normal((K, 6)), rng.random(N), np.array([4, 0, 11])
    with workers() as spread:
        assert np.allclose(rows.correlate(point, spread), (G * point).sum((1, 2)))
        assert np.allclose(rows.combine(weights, spread), np.einsum("n,nkd->kd", weights, G))
    assert np.allclose(rows.correlate_at(point, some), (G[some] * point).sum((1, 2)))
    assert np.allclose(rows.point(some, weights[some]), np.einsum("n,nkd->kd", weights[some], G[some]))
    terms = rows.terms_at(some)
    assert np.allclose(terms.combine(np.array([0.0, 2.0, 0.0])), 2.0 * G[0])
    assert np.allclose(terms.gram(rows.terms_at(np.arange(N))), np.einsum("nkd,mkd->nm", G[some], G))


@pytest.mark.parametrize("form", ["residuals", "columns"])
@pytest.mark.parametrize("tau", [None, 1.0])
def test_greedy_of_sums_is_greedy_of_the_sums_written_out(form, tau):
    rows, G = gradient_sums()
    sigma, b = rng.random(N) / N, 6
    problem = pose(rows, sigma, b, alpha=0.5, beta=0.01)
    dense = Dense(G.reshape(N, -1), sigma, b, 0.5, 0.01)
    S, w, fs = dense_greedy(dense, b, tau)
    found = greedy(problem, b, tau=tau, form=form)
    assert found.picks_K.tolist() == S
    assert np.allclose(found.weights_K, w)
    assert np.allclose(found.objectives * problem.unit**2, fs)


def test_thresholding_of_sums_is_that_of_the_sums_written_out():
    rows, G = gradient_sums(seed=3)
    sigma = rng.random(N) / N
    found = iht(pose(rows, sigma, 5, alpha=0.5, beta=0.01), 5, iterations=20, tol=0.0)
    _, S, w = dense_iht(Dense(G.reshape(N, -1), sigma, 5, 0.5, 0.01), 5, 20)
    assert sorted(found.picks_K.tolist()) == sorted(S.tolist())
    assert np.allclose(np.sort(found.weights_K), np.sort(w), rtol=1e-6)
