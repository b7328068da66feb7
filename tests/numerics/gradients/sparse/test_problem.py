import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.numerics.gradients.sparse.problem import line_search, longest_step, pose
from tests.dense_sparse import instance


def test_the_target_and_the_columns_are_in_units_of_the_target():
    rows, sigma, G = instance(size=7.0)
    problem = pose(rows, sigma, 4)
    v = G.mean(0)
    assert np.isclose(problem.unit, np.linalg.norm(v), rtol=1e-12)
    assert np.allclose(problem.v_KD1.ravel(), v / np.linalg.norm(v), rtol=0, atol=1e-12)
    assert np.allclose(problem.sq_norms_N, (G**2).sum(1) / 16 / (v @ v), rtol=1e-12)
    assert np.allclose(problem.sigma_sq_N, sigma**2 / (v @ v), rtol=1e-12)


def test_the_defaults_are_relative_and_what_is_reported_gives_them_back():
    rows, sigma, G = instance(size=0.01)
    problem = pose(rows, sigma, 4, alpha_rel=3.0, beta_rel=0.5)
    v_sq = (G.mean(0) ** 2).sum()
    assert np.isclose(problem.alpha, 3.0 * v_sq / np.sort(sigma**2)[-4:].sum(), rtol=1e-12)
    assert np.isclose(problem.raw_beta, 0.5 * v_sq / 4, rtol=1e-12)
    again = pose(rows, sigma, 4, alpha=problem.alpha, beta=problem.raw_beta)
    assert np.isclose(again.alpha, problem.alpha)
    assert np.isclose(again.beta, problem.beta)


def test_f_is_the_published_objective():
    rows, sigma, G = instance()
    b, alpha, beta = 4, 0.3, 0.2
    problem = pose(rows, sigma, b, alpha=alpha, beta=beta)
    S, w_S = np.array([7, 1, 3]), np.array([0.5, 2.0, 0.0])
    w = np.zeros(9)
    w[S] = w_S
    distance_sq = ((G.mean(0) - w @ G / b) ** 2).sum()
    published = distance_sq + beta * ((w - 1) ** 2).sum() - alpha * (sigma[S] ** 2).sum()
    assert np.isclose(problem.f(distance_sq / problem.unit**2, w_S, S) * problem.unit**2, published, rtol=1e-12)


@pytest.mark.parametrize("A", [np.zeros((5, 3)), np.array([[1.0, -1, 0], [-1, 1, 0]])])
def test_there_is_no_problem_where_the_mean_is_zero(A):
    assert pose(GradientRows(A, np.ones((len(A), 2))), np.ones(len(A)), 2) is None


def test_no_variance_means_no_bonus():
    rows, _, _ = instance()
    assert pose(rows, np.zeros(9), 3).alpha == 0


@settings(derandomize=True, max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 10))
def test_line_search_ends_where_the_derivative_is_zero(seed, beta):
    rng = np.random.default_rng(seed)
    Phi, v, w, u = rng.standard_normal((6, 9)), rng.standard_normal(6), rng.random(9), rng.standard_normal(9)
    f1 = lambda w: ((v - Phi @ w) ** 2).sum() + beta * ((w - 1) ** 2).sum()  # noqa: E731
    slope = lambda w: Phi.T @ (Phi @ w - v) + beta * (w - 1)  # noqa: E731
    mu = line_search(float(slope(w) @ u), float(((Phi @ u) ** 2).sum()), float(u @ u), beta)
    assert abs(slope(w - mu * u) @ u) < 1e-9
    assert f1(w - mu * u) <= f1(w) + 1e-12


def test_line_search_stays_where_nothing_changes():
    assert line_search(0.0, 0.0, 0.0, 0.0) == 0


def test_longest_step_stops_at_the_first_zero():
    assert longest_step(np.array([1.0, 2.0, 3.0]), np.array([0.5, 2.0, -1.0])) == 1.0
    assert longest_step(np.array([1.0]), np.array([-1.0])) == np.inf
