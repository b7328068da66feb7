import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.numerics.last_layer import ridge
from alcli.numerics.last_layer.softmax_map import rotate


def problem(n, D=6, C=2):
    rng = np.random.default_rng(n)
    return with_bias(rng.normal(size=(n, D))), rng.normal(size=(n, C)), rng.uniform(0.5, 2, size=n)


def explicit(phi, Y, w, prior):
    return np.linalg.solve(prior * np.eye(phi.shape[1]) + (phi * w[:, None]).T @ phi, (phi * w[:, None]).T @ Y).T


@pytest.mark.parametrize("n", [4, 25])
@pytest.mark.parametrize("prior", [1e-3, 1.0, 100.0])
def test_solution_and_left_out_predictions_equal_explicit_solves(n, prior):
    phi, Y, w = problem(n)
    rows = rotate(phi, np.zeros(n, np.int64), w, 2)
    fit = ridge.solve(rows, Y, prior)
    np.testing.assert_allclose(fit.W_CR @ rows.V_D1R.T, explicit(phi, Y, w, prior), atol=1e-9)
    for i in range(n):
        keep = np.arange(n) != i
        np.testing.assert_allclose(fit.left_out_LC[i], explicit(phi[keep], Y[keep], w[keep], prior) @ phi[i], atol=1e-7)
    error = np.average(((Y - fit.left_out_LC) ** 2).mean(axis=1), weights=w)
    assert ridge.left_out_error(rows, Y, fit) == pytest.approx(error)


@pytest.mark.parametrize("n", [4, 25])
def test_log_evidence_is_that_of_a_gaussian_process_and_the_noise_variance_maximises_it(n):
    phi, Y, w = problem(n)
    rows = rotate(phi, np.zeros(n, np.int64), w, 2)
    fit = ridge.solve(rows, Y, 0.5)
    variance = ridge.noise_variance(rows, Y, fit)
    cov = variance * (np.diag(1 / w) + phi @ phi.T / 0.5)
    want = sum(-0.5 * y @ np.linalg.solve(cov, y) - 0.5 * np.linalg.slogdet(2 * np.pi * cov)[1] for y in Y.T)
    best = ridge.log_evidence(rows, Y, fit, variance)
    assert best == pytest.approx(want, rel=1e-10)
    assert all(ridge.log_evidence(rows, Y, fit, variance * f) < best for f in (0.9, 1.1))
