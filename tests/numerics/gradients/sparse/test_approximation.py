import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.blocks import thread_limit
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.numerics.gradients.sparse.approximation import decrease, greedy, iht, largest, momentum, prox_priority
from alcli.numerics.gradients.sparse.problem import pose
from tests.dense_sparse import Dense, dense_greedy, dense_iht, instance


def both(N=12, K=4, D=3, seed=0, b=5, alpha=None, beta=None, **relative):
    rows, sigma, G = instance(N, K, D, seed)
    problem = pose(rows, sigma, b, alpha=alpha, beta=beta, **relative)
    return problem, Dense(G, sigma, b, problem.alpha, problem.raw_beta)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tau", [None, 1.0, 0.3])
def test_greedy_is_algorithm_1_written_out(seed, tau):
    problem, p = both(40, 3, 4, seed, b=15)
    S, w, f = dense_greedy(p, 15, tau)
    for form in ("residuals", "columns"):
        found = greedy(problem, 15, tau=tau, form=form)
        assert found.picks_K.tolist() == S
        assert np.allclose(found.weights_K, w, rtol=0, atol=1e-10)
        assert np.allclose(found.objectives * problem.unit**2, f, rtol=1e-9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("prox_scaled", [False, True])
def test_iht_is_algorithm_2_written_out(seed, prox_scaled):
    problem, p = both(40, 3, 4, seed, b=10, alpha_rel=0.1)
    f, S, w = dense_iht(p, 10, 25, prox_scaled)
    found = iht(problem, 10, iterations=25, tol=0.0, prox_scaled=prox_scaled)
    assert found.picks_K.tolist() == S.tolist()
    assert np.allclose(found.weights_K, w, rtol=0, atol=1e-8)
    assert np.isclose(found.objectives.min() * problem.unit**2, f, rtol=1e-8)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.01, 1.0, 50.0]), st.sampled_from([0.0, 1.0]))
def test_both_forms_give_the_same_batch(seed, beta_rel, alpha_rel):
    problem, _ = both(30, 3, 5, seed, b=12, alpha_rel=alpha_rel, beta_rel=beta_rel)
    one, other = greedy(problem, 12, form="residuals"), greedy(problem, 12, form="columns")
    assert one.picks_K.tolist() == other.picks_K.tolist()
    assert np.allclose(one.weights_K, other.weights_K, rtol=0, atol=1e-10)


def test_forms_and_float32_features_agree_on_a_larger_pool_at_any_number_of_threads():
    rng = np.random.default_rng(3)
    A, F = (
        (rng.standard_normal((6000, 5)) * 0.1 + 0.02).astype(np.float32),
        rng.standard_normal((6000, 20)).astype(np.float32),
    )
    problem, answers = pose(GradientRows(A, F), rng.random(6000) / 6000, 60), []
    for form, threads in itertools.product(("residuals", "columns"), (1, 2)):
        with thread_limit(threads):
            answers.append(greedy(problem, 60, form=form))
    for other in answers[1:]:
        assert other.picks_K.tolist() == answers[0].picks_K.tolist()
        assert np.allclose(other.weights_K, answers[0].weights_K, rtol=0, atol=1e-10)
    assert answers[0].weights_K.tobytes() == answers[1].weights_K.tobytes()
    exact = greedy(pose(GradientRows(A.astype(np.float64), F.astype(np.float64)), problem_sigma(problem), 60), 60)
    assert exact.picks_K.tolist() == answers[0].picks_K.tolist()


def problem_sigma(problem):
    return np.sqrt(problem.sigma_sq_N) * problem.unit


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 11), st.floats(0.0, 2.0))
def test_a_coordinate_decreases_the_objective_by_the_score(seed, j, beta_rel):
    problem, p = both(12, 3, 2, seed, beta_rel=beta_rel, alpha=0.0)
    best = min(p.f1(t * np.eye(12)[j]) for t in [0.0, max(0.0, -p.gradient(np.zeros(12))[j] / (2 * p.norms[j]))])
    fit = problem.gain * problem.rows.correlate_at(-problem.v_KD1, np.array([j]))
    assert np.isclose(
        decrease(problem, fit, np.array([j]))[0] * problem.unit**2, p.f1(np.zeros(12)) - best, rtol=1e-9, atol=1e-14
    )
    curve = [p.f1(t * np.eye(12)[j]) for t in np.linspace(0, 3, 50)]
    assert best <= min(curve) + 1e-12


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.01, 1.0]), st.sampled_from([0.0, 1.0, 10.0]))
def test_greedy_never_raises_the_objective(seed, beta_rel, alpha_rel):
    problem, _ = both(25, 2, 3, seed, b=20, alpha_rel=alpha_rel, beta_rel=beta_rel)
    found = greedy(problem, 20)
    start = problem.f(1.0, np.empty(0), np.empty(0, int))
    assert (np.diff(found.objectives, prepend=start) <= 1e-9 * (1 + abs(start))).all()
    assert (found.weights_K >= 0).all()
    assert len(set(found.picks_K.tolist())) == 20


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 3.0))
def test_momentum_is_an_exact_line_search(seed, beta):
    problem, p = both(10, 2, 3, seed, beta=beta)
    rng = np.random.default_rng(seed)
    w, before = np.maximum(rng.standard_normal((2, 10)), 0)
    residuals = [(p.Phi @ x - p.v).reshape(problem.v_KD1.shape) / problem.unit for x in (w, before)]
    z, z_residual = momentum(problem, w, before, *residuals)
    assert p.f1(z) <= p.f1(w) * (1 + 1e-12)
    assert abs(p.gradient(z) @ (w - before)) < 1e-9 * (1 + p.f1(w))
    assert np.allclose(z_residual.ravel() * problem.unit, p.Phi @ z - p.v, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_iht_returns_its_best_iterate(seed):
    problem, p = both(60, 3, 4, seed, b=10)
    found = iht(problem, 10, iterations=40, tol=0.0)
    assert len(found.objectives) == 40
    w = np.zeros(60)
    w[found.picks_K] = found.weights_K
    assert np.isclose(p.f(w, found.picks_K), found.objectives.min() * problem.unit**2, rtol=1e-9)
    assert (np.diff(found.scores_K) <= 0).all()


def test_iht_stops_when_nothing_changes():
    problem, _ = both(60, 3, 4, 0, b=10, beta_rel=1.0)
    assert len(iht(problem, 10, iterations=500, tol=1e-4).objectives) < 500


@pytest.mark.parametrize("seed", range(40))
def test_the_proximal_rule_is_the_minimum_over_all_supports(seed):
    rng = np.random.default_rng(seed)
    s, bonus = rng.standard_normal(7), rng.random(7) * rng.choice([0.1, 1.0])

    def value(S):  # min over w >= 0 supported on S of |w - s|^2 / 2 - sum of the bonus
        w = np.zeros(7)
        w[list(S)] = np.maximum(s[list(S)], 0)
        return 0.5 * ((w - s) ** 2).sum() - bonus[list(S)].sum()

    best = min(value(S) for S in itertools.combinations(range(7), 3))
    assert np.isclose(value(largest(prox_priority(s, bonus), 3)), best, rtol=1e-12)


def test_the_printed_rule_is_not_the_minimum():
    # Three positive entries tie under it, and the first two are kept; leaving out the 5 costs 12.5.
    s = np.array([1.0, 2.0, 5.0])
    printed = np.argsort(0.5 * np.maximum(-s, 0) ** 2, kind="stable")[:2]
    assert printed.tolist() == [0, 1]
    assert largest(prox_priority(s, np.zeros(3)), 2).tolist() == [2, 1]


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=3, max_size=12))
def test_without_bonus_it_is_hard_thresholding(values):
    s = np.array(values)
    assert (
        largest(prox_priority(s, np.zeros(len(s))), 2).tolist() == np.argsort(-(0.5 * s**2), kind="stable")[:2].tolist()
    )


@pytest.mark.parametrize("solve", [greedy, iht])
def test_a_large_alpha_takes_the_largest_variances(solve):
    problem, p = both(30, 3, 4, 2, b=8, alpha=1e12)
    assert sorted(solve(problem, 8).picks_K.tolist()) == sorted(np.argsort(-p.sigma)[:8].tolist())


@pytest.mark.parametrize("solve", [greedy, iht])
def test_a_large_beta_pulls_all_weights_to_one(solve):
    problem, _ = both(30, 3, 4, 2, b=8, alpha=0.0, beta=1e12)
    assert np.allclose(solve(problem, 8).weights_K, 1.0, atol=1e-6)


@pytest.mark.parametrize(("solve", "left"), [(greedy, 1e-2), (lambda p, b: iht(p, b, iterations=3000, tol=0), 1e-3)])
def test_the_whole_pool_can_match_its_mean(solve, left):
    rng = np.random.default_rng(0)
    rows = GradientRows(1.0 + 0.3 * rng.random((6, 2)), 0.5 * rng.random((6, 1)))
    problem = pose(rows, np.ones(6), 6, alpha=0.0, beta=0.0)
    found = solve(problem, 6)
    assert sorted(found.picks_K.tolist()) == list(range(6))
    assert found.objectives.min() < left
    assert np.isclose(problem.f(0.0, np.ones(6), np.arange(6)), 0.0)  # w = b / N leaves nothing


@pytest.mark.parametrize("solve", [greedy, iht])
def test_permuting_the_pool_permutes_the_batch(solve):
    rng = np.random.default_rng(4)
    A, F, sigma = rng.standard_normal((50, 3)) + 0.3, rng.standard_normal((50, 4)), rng.random(50) / 50
    order = rng.permutation(50)
    one = solve(pose(GradientRows(A, F), sigma, 10), 10)
    other = solve(pose(GradientRows(A[order], F[order]), sigma[order], 10), 10)
    assert order[other.picks_K].tolist() == one.picks_K.tolist()
    assert np.allclose(other.weights_K, one.weights_K, rtol=0, atol=1e-8)


@pytest.mark.parametrize("seed", range(10))
def test_a_copy_waits_for_distinct_rows_of_larger_decrease(seed):
    rng = np.random.default_rng(seed)
    A, F = rng.standard_normal((8, 3)) + 0.3, rng.standard_normal((8, 4))
    A, F = np.repeat(A, 2, axis=0), np.repeat(F, 2, axis=0)
    problem = pose(GradientRows(A, F), np.zeros(16), 6, alpha=0.0, beta=0.0)
    found, G = greedy(problem, 6), np.einsum("nk,nd->nkd", A, np.hstack([F, np.ones((16, 1))])).reshape(16, -1)
    p = Dense(G, np.zeros(16), 6, 0.0, 0.0)
    S, _, _ = dense_greedy(p, 6)
    assert [j // 2 for j in found.picks_K] == [j // 2 for j in S]
    first = found.picks_K[0]
    assert found.picks_K[1] // 2 != first // 2  # its copy's decrease is 0 after an exact step


@pytest.mark.parametrize("solve", [greedy, iht])
@pytest.mark.parametrize("N", [1, 2])
def test_tiny_pools(solve, N):
    problem, _ = both(N, 2, 2, 0, b=N)
    found = solve(problem, N)
    assert sorted(found.picks_K.tolist()) == list(range(N))
    assert np.isfinite(found.scores_K).all()


@pytest.mark.parametrize("form", ["residuals", "columns"])
def test_rows_without_gradient_are_taken_in_order_when_nothing_else_is_left(form):
    A = np.zeros((9, 2))
    A[[4, 6]] = [[1.0, -1.0], [0.5, -0.5]]
    problem = pose(GradientRows(A, np.arange(18.0).reshape(9, 2)), np.zeros(9), 5)
    found = greedy(problem, 5, form=form)
    assert set(found.picks_K[:2].tolist()) | {4, 6} >= {4, 6}
    assert [j for j in found.picks_K if j not in (4, 6)] == [0, 1, 2, 3, 5, 7, 8][
        : 5 - len({4, 6} & set(found.picks_K.tolist()))
    ]
