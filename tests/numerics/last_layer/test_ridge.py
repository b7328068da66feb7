import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.numerics.last_layer import ridge
from alcli.numerics.last_layer.rotated import rotate_centred
from tests.evidence import prior_of


def problem(n, D=6, C=2):
    rng = np.random.default_rng(n)
    return with_bias(rng.normal(size=(n, D))), rng.normal(size=(n, C)), rng.uniform(0.5, 2, size=n)


def explicit(phi, Y, w, prior):
    prior_D1 = prior_of(prior, phi.shape[1], "identity")
    return np.linalg.solve(np.diag(prior_D1) + (phi * w[:, None]).T @ phi, (phi * w[:, None]).T @ Y).T


@pytest.mark.parametrize("n", [4, 25])
@pytest.mark.parametrize("prior", [1e-3, 1.0, 100.0])
def test_solution_and_left_out_predictions_equal_explicit_solves(n, prior):
    phi, Y, w = problem(n)
    rows = rotate_centred(phi, np.zeros(n, np.int64), w, 2)
    fit = ridge.solve(rows, Y, prior)
    np.testing.assert_allclose(rows.outside(fit.W_CR), explicit(phi, Y, w, prior), atol=1e-9)
    for i in range(n):
        keep = np.arange(n) != i
        np.testing.assert_allclose(fit.left_out_LC[i], explicit(phi[keep], Y[keep], w[keep], prior) @ phi[i], atol=1e-7)
    error = np.average(((Y - fit.left_out_LC) ** 2).mean(axis=1), weights=w)
    assert ridge.left_out_error(rows, Y, fit) == pytest.approx(error)


@pytest.mark.parametrize("n", [4, 25])
def test_log_evidence_is_that_of_a_gaussian_process_with_a_free_mean_and_the_noise_variance_maximises_it(n):
    phi, Y, w = problem(n)
    rows = rotate_centred(phi, np.zeros(n, np.int64), w, 2)
    fit = ridge.solve(rows, Y, 0.5)
    variance = ridge.noise_variance(rows, Y, fit)
    # The mean has the prior N(0, wide), and its density at 0 is divided out. The limit of wide without end is meant.
    wide = 1e8
    cov = variance * (np.diag(1 / w) + phi[:, :-1] @ phi[:, :-1].T / 0.5) + wide
    want = sum(-0.5 * y @ np.linalg.solve(cov, y) - 0.5 * np.linalg.slogdet(2 * np.pi * cov)[1] for y in Y.T)
    want += Y.shape[1] * 0.5 * np.log(2 * np.pi * wide)
    best = ridge.log_evidence(rows, Y, fit, variance)
    assert best == pytest.approx(want, rel=1e-6)
    assert all(ridge.log_evidence(rows, Y, fit, variance * f) < best for f in (0.9, 1.1))
