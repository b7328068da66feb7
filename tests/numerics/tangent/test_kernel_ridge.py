"""Both forms against dense solves; covariances that absorb rows against those of the enlarged labelled set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics.blocks import thread_limit
from alcli.numerics.last_layer.ridge import GRID
from alcli.numerics.network import Network
from alcli.numerics.tangent.covariance_sums import held
from alcli.numerics.tangent.kernel_ridge import FLOOR, dual, fit, left_out, primal
from alcli.numerics.tangent.kernels import gaussian_rows, linear, tangent_rows

ALL = slice(None)


def problem(seed=0, n=7, N=9, D=4, K=3):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, D)), rng.standard_normal((n, K)), rng.standard_normal((N, D))


def phi(X):
    return np.column_stack([X, np.ones(len(X))])


@given(st.integers(0, 1000), st.integers(1, 12), st.floats(1e-3, 10))
def test_primal_and_dual_are_the_regression_and_the_covariance_of_the_text_book(seed, n, prior):
    X_L, Y, X = problem(seed, n=n)
    A = phi(X_L).T @ phi(X_L) + prior * np.eye(5)
    W = np.linalg.solve(A, phi(X_L).T @ Y).T
    C = prior * phi(X) @ np.linalg.solve(A, phi(X).T)
    for fitted in (primal(linear(X_L), Y, prior), dual(linear(X_L), Y, prior)):
        assert fitted.predict(linear(X)) == pytest.approx(phi(X) @ W.T, rel=1e-9, abs=1e-10)
        covariance = (
            fitted.covariance(linear(X), np.float64) if hasattr(fitted, "W_KD1") else fitted.covariance(linear(X))
        )
        assert covariance.block(ALL, ALL) * covariance.scale**2 == pytest.approx(C, rel=1e-9, abs=1e-10)
        assert covariance.variance_N * covariance.scale**2 == pytest.approx(np.diag(C), rel=1e-9, abs=1e-10)


def test_float32_factors_are_exact_to_the_deviations_of_the_rows():
    X_L, Y, X = problem(n=60, N=200, D=20)
    fitted = primal(linear(X_L * 30), Y, 1e-3)  # c is a millionth of k
    exact, short = (fitted.covariance(linear(X * 30), dtype) for dtype in (np.float64, np.float32))
    deviation = np.sqrt(exact.variance_N)
    assert short.G_NR.dtype == np.float32
    assert np.abs(short.block(ALL, ALL) - exact.block(ALL, ALL)).max() <= 1e-6 * np.outer(deviation, deviation).max()
    assert (np.abs(short.block(ALL, ALL) - exact.block(ALL, ALL)) <= 1e-6 * np.outer(deviation, deviation)).all()


def test_the_form_follows_the_sizes():
    few, Y, _ = problem(n=5, D=4100)
    many, Y8, _ = problem(n=8, D=7)
    assert type(fit(linear(few), Y, 1.0)).__name__ == "Dual"
    assert type(fit(linear(few[:, :4000]), Y, 1.0)).__name__ == "Primal"
    assert type(fit(linear(many), Y8, 1.0)).__name__ == "Primal"
    assert type(fit(gaussian_rows(many), Y8, 1.0)).__name__ == "Dual"


def rows_and_outputs(kind):
    X_L, Y, X = problem(n=6)
    if kind == "linear":
        return linear(X_L), Y, linear(X)
    rng = np.random.default_rng(5)
    network = Network(((rng.standard_normal((5, 4)), rng.standard_normal(5)),), "tanh", rng.standard_normal((3, 6)))
    return tangent_rows(X_L, network, "sum-of-logits"), Y, tangent_rows(X, network, "sum-of-logits")


@pytest.mark.parametrize("form", ["factored", "difference", "held", "difference of a network"])
def test_absorbing_rows_in_any_order_is_the_covariance_of_the_enlarged_labelled_set(form):
    rows_L, Y, rows = rows_and_outputs("network" if "network" in form else "linear")
    prior = 0.3
    fitted = primal(rows_L, Y, prior) if form == "factored" else dual(rows_L, Y, prior)
    for order in ([2, 5, 7], [7, 2, 5]):
        covariance = fitted.covariance(rows, np.float64) if form == "factored" else fitted.covariance(rows)
        covariance = held(covariance, rows.n) if form == "held" else covariance
        for j in order:
            covariance = covariance.absorbed(j, prior / covariance.scale**2)
        larger = dual(rows_L.joined(rows.at(order)), np.zeros((9, 1)), prior).covariance(rows)
        assert covariance.block(ALL, ALL) * covariance.scale**2 == pytest.approx(larger.block(ALL, ALL), abs=1e-12)
        assert covariance.variance_N * covariance.scale**2 == pytest.approx(larger.variance_N, abs=1e-12)
        assert covariance.block([1, 4], slice(2, 6)) == pytest.approx(
            covariance.block(ALL, ALL)[[1, 4], 2:6], abs=1e-14
        )


def test_a_row_without_variance_is_absorbed_without_a_change():
    fitted = primal(linear(np.zeros((1, 2))), np.zeros((1, 1)), 1.0)
    covariance = fitted.covariance(linear(np.eye(2)), np.float64)
    covariance.G_NR[1] = 0.0
    assert np.array_equal(covariance.absorbed(1, 1.0).G_NR, covariance.G_NR)


@pytest.mark.parametrize("kind", ["linear", "network"])
@pytest.mark.parametrize("n", [4, 12])
def test_leave_one_out_is_what_leaving_out_says(kind, n):
    X_L, Y, _ = problem(n=n)
    rng = np.random.default_rng(5)
    network = Network(
        ((rng.standard_normal((5, 4)), rng.standard_normal(5)),) if kind == "network" else (),
        "tanh",
        rng.standard_normal((3, 6)),
    )
    rows = tangent_rows(X_L, network, "first-logit")

    def explicit(prior):
        kept = [np.delete(np.arange(n), i) for i in range(n)]
        return np.mean([(dual(rows.at(k), Y[k], prior).predict(rows.at([i])) - Y[i]) ** 2 for i, k in enumerate(kept)])

    priors = GRID * rows.diagonal().mean()
    prior, error = left_out(rows, Y)
    assert error == pytest.approx(min(explicit(p) for p in priors), rel=1e-6)
    assert prior == pytest.approx(priors[np.argmin([explicit(p) for p in priors])])
    assert left_out(rows, Y, 0.7) == (0.7, pytest.approx(explicit(0.7), rel=1e-8))


def test_the_prior_has_a_floor():
    X_L = np.random.default_rng(0).standard_normal((60, 3))
    for asked in (None, 1e-300):
        prior, error = left_out(linear(X_L), phi(X_L) @ np.ones((4, 1)), asked)
        assert prior == pytest.approx(FLOOR * (phi(X_L) ** 2).sum(axis=1).mean())
        assert error < 1e-8


def test_without_labelled_rows_nothing_is_known():
    assert left_out(linear(np.empty((0, 3))), np.empty((0, 2))) == (1.0, 1.0)
    X = np.random.default_rng(0).standard_normal((5, 3))
    for fitted in (primal(linear(X[:0]), np.empty((0, 2)), 2.0), dual(linear(X[:0]), np.empty((0, 2)), 2.0)):
        assert np.array_equal(fitted.predict(linear(X)), np.zeros((5, 2)))
        covariance = fitted.covariance(linear(X))
        assert covariance.block(ALL, ALL) * covariance.scale**2 == pytest.approx(phi(X) @ phi(X).T, rel=1e-6)


def test_the_number_of_threads_does_not_matter():
    X_L, Y, X = problem(N=5000)
    answers = []
    for threads in (1, 2):
        with thread_limit(threads):
            answers.append(
                [
                    fit(rows, Y, 0.1).covariance(others).block(ALL, slice(0, 9)).tobytes()
                    for rows, others in ((linear(X_L), linear(X)), (gaussian_rows(X_L), gaussian_rows(X)))
                ]
            )
    assert answers[0] == answers[1]
