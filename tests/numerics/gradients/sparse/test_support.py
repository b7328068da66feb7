import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.blocks import thread_limit, workers
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.numerics.gradients.sparse.problem import pose
from alcli.numerics.gradients.sparse.support import MOST_COLUMN_BYTES, ColumnSupport, ResidualSupport, cheaper_form
from tests.dense_sparse import instance

FORMS = [ResidualSupport, ColumnSupport]


def dense(problem, G, b):
    """(Phi, v) in units of |v|."""
    v = G.mean(0)
    return G.T / b / np.linalg.norm(v), v / np.linalg.norm(v)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("N", "K", "D"), [(9, 3, 4), (12, 4, 1), (10, 2, 0)])
def test_everything_is_as_in_the_dense_problem(form, N, K, D):
    rows, sigma, G = instance(N, K, D)
    problem = pose(rows, sigma, 5, alpha=0.1, beta=0.2)
    Phi, v = dense(problem, G, 5)
    slope = lambda w: Phi.T @ (Phi @ w - v) + problem.beta * (w - 1)  # noqa: E731
    w, S = np.zeros(N), [6, 1, 8]
    with workers() as spread:
        support = form(problem, 5, spread)
        for step, j in enumerate(S):
            support.add(np.array([j]))
            along = np.zeros(step + 1)
            along[-1] = 1.0
            support.descend(along, float(slope(w)[j]))
            # By hand: the exact step along the coordinate, not below 0.
            w[j] = max(0.0, -slope(w)[j] / ((Phi[:, j] ** 2).sum() + problem.beta))
            u = slope(w)[S[: step + 1]].copy()
            support.de_bias()
            before = w.copy()
            u[(w[S[: step + 1]] <= 1e-12) & (u > 0)] = 0
            full = np.zeros(N)
            full[S[: step + 1]] = u
            mu = slope(w) @ full / (((Phi @ full) ** 2).sum() + problem.beta * u @ u) if u.any() else 0.0
            if (u > 0).any():
                mu = min(mu, (before[S[: step + 1]][u > 0] / u[u > 0]).min())
            w = np.maximum(w - mu * full, 0)
            assert np.allclose(support.w, w[S[: step + 1]], rtol=0, atol=1e-12)
            assert np.allclose(support.slope(), slope(w)[S[: step + 1]], rtol=0, atol=1e-11)
            assert np.isclose(support.distance_sq(), ((v - Phi @ w) ** 2).sum(), rtol=0, atol=1e-11)
            assert np.allclose(support.fit_at(np.arange(N)), Phi.T @ (Phi @ w - v), rtol=0, atol=1e-11)
            fits, error = support.fit_all()
            exact = Phi.T @ (Phi @ w - v)
            assert (np.abs(fits - exact) <= error * np.linalg.norm(Phi, axis=0) + 1e-13).all()


@pytest.mark.parametrize("form", FORMS)
def test_the_error_of_all_fits_stays_within_its_bound(form):
    rng = np.random.default_rng(0)
    A, F = rng.standard_normal((2500, 6)).astype(np.float32) + 0.2, rng.standard_normal((2500, 40)).astype(np.float32)
    rows = GradientRows(A, F.astype(np.float32))
    problem = pose(rows, rng.random(2500) / 2500, 40)
    with workers() as spread:
        support = form(problem, 40, spread)
        for j in range(40):
            support.add(np.array([60 * j]))
            along = np.zeros(j + 1)
            along[-1] = 1.0
            support.descend(along, float(support.slope()[-1]))
            support.de_bias()
            fits, error = support.fit_all()
            wrong = np.abs(fits - support.fit_at(np.arange(2500)))
            assert (wrong < error * support.lengths_N).all()


@pytest.mark.parametrize("form", FORMS)
@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1e-3, 1.0, 100.0]))
def test_de_bias_never_raises_the_objective_and_keeps_weights_positive(form, seed, beta):
    rows, sigma, _ = instance(10, 2, 2, seed)
    problem = pose(rows, sigma, 6, alpha=0.0, beta=beta)
    with workers() as spread:
        support = form(problem, 6, spread)
        support.add(np.arange(6))
        for _ in range(12):
            before = support.f()
            support.de_bias()
            assert support.f() <= before + 1e-12 * (1 + problem.beta)
            assert (support.w >= 0).all()


def test_columns_are_the_same_at_any_number_of_threads():
    rng = np.random.default_rng(0)
    rows = GradientRows(
        rng.standard_normal((5000, 4)).astype(np.float32), rng.standard_normal((5000, 9)).astype(np.float32)
    )
    problem, answers = pose(rows, np.ones(5000), 3), []
    for threads in (1, 2):
        with thread_limit(threads), workers() as spread:
            support = ColumnSupport(problem, 3, spread)
            for j in (7, 4000, 2047):
                support.add(np.array([j]))
                support.de_bias()
            answers.append(support.fit_all()[0].tobytes())
    assert answers[0] == answers[1]


def test_columns_are_for_many_classes_and_small_batches_within_their_memory():
    assert cheaper_form(50_000, 77, 385, 100) == "columns"
    assert cheaper_form(50_000, 2, 513, 1000) == "residuals"
    assert cheaper_form(MOST_COLUMN_BYTES // 4, 1000, 1000, 2) == "residuals"
