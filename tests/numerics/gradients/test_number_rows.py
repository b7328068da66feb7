"""Rows of a regression in closed form, against draws of the weights and of the labels."""

import numpy as np

from alcli.numerics.blocks import workers
from alcli.numerics.gradients.number_rows import (
    fisher_rows,
    loss_rows,
    loss_spread,
    step_rows,
    step_spread,
)

N, M, S, NOISE = 6, 3, 400_000, 0.7
RNG = np.random.default_rng(0)
H = RNG.standard_normal((N, M))
PHI = np.column_stack([H, np.ones(N)])
HALF = RNG.standard_normal((M + 1, M + 1)) * 0.5
COVARIANCE = HALF @ HALF.T
ROOT = PHI @ HALF
C = PHI @ COVARIANCE @ PHI.T
WEIGHTS = RNG.standard_normal((S, M + 1)) @ HALF.T  # deviations from the mean


def gram(rows):
    with workers() as spread:
        return rows.inner_with(rows, np.arange(rows.n), spread) * rows.scale**2


def test_the_root_is_that_of_the_covariances():
    assert np.allclose(ROOT @ ROOT.T, C)
    assert np.allclose(np.cov((WEIGHTS @ PHI.T).T), C, atol=0.02 * np.abs(C).max())


def test_expected_losses_have_the_covariances_of_draws():
    """E_y (y - f_w)^2 / (2 noise) is the square of the deviation of f_w, and a part that does not depend on w."""
    losses_SN = (WEIGHTS @ PHI.T) ** 2 / (2 * NOISE)
    want = np.cov(losses_SN.T)
    found = gram(loss_rows(ROOT, NOISE))
    assert np.allclose(found, C**2 / (2 * NOISE**2), rtol=1e-12)
    assert np.allclose(found, want, atol=0.03 * want.max())


def test_gradients_of_expected_losses_have_the_inner_products_of_draws():
    gradients_SN = (WEIGHTS @ PHI.T) / NOISE
    want = (gradients_SN.T @ gradients_SN / S) * (PHI @ PHI.T)
    found = gram(fisher_rows(ROOT, H, NOISE))
    assert np.allclose(found, C * (PHI @ PHI.T) / NOISE**2, rtol=1e-12)
    assert np.allclose(found, want, atol=0.02 * np.abs(want).max())


def test_spreads_are_mean_distances_over_drawn_labels():
    variance, errors = NOISE + np.diag(C), np.abs(RNG.standard_normal(S))
    step = np.mean(errors) * np.sqrt(variance / NOISE) * np.linalg.norm(PHI, axis=1)
    assert np.allclose(step_spread(variance, (H**2).sum(1), NOISE), step, rtol=5e-3)
    # A label moves the loss, as a function of the weights, by (y - f) (f_w - f) / noise.
    lengths = np.sqrt(np.mean((WEIGHTS @ PHI.T) ** 2, axis=0))
    moved = np.mean(errors) * np.sqrt(variance) * lengths
    assert np.allclose(loss_spread(ROOT, NOISE), moved / NOISE, rtol=1e-2)


def test_steps_are_gradients_at_one_standard_deviation():
    variance = NOISE + np.diag(C)
    G = np.sqrt(variance)[:, None] * PHI / np.sqrt(NOISE)
    assert np.allclose(gram(step_rows(variance, H, NOISE)), G @ G.T, rtol=1e-12)


def test_without_doubt_there_is_nothing_to_learn():
    zero = np.zeros((N, 2), np.float32)
    assert (gram(loss_rows(zero, NOISE)) == 0).all()
    assert (loss_spread(zero, NOISE) == 0).all()
    assert (gram(fisher_rows(zero, H.astype(np.float32), NOISE)) == 0).all()
