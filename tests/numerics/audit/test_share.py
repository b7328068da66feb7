"""The share of rows with a property: against Wilson's interval, an optimiser, all draws, and simulated audits."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from alcli.numerics.audit.draw import chances
from alcli.numerics.audit.sample import sampled
from alcli.numerics.audit.share import OF_ANYTHING, OF_CORRECTNESS, Z95, Binned, Share, log_odds
from alcli.numerics.audit.share import _fitted_slopes as fitted_slopes
from tests.numerics.audit.test_sample import every_draw

NOTHING_2 = np.zeros((1, 2))


def plain(right, n=10**9):
    """The share of a random sample without predictors."""
    right = np.asarray(right)
    return Share(right, np.zeros((len(right), 2)), sampled(np.ones(len(right)), n), NOTHING_2, OF_CORRECTNESS)


@pytest.mark.parametrize("hits", [0, 1, 30, 59, 60])
def test_without_predictors_it_is_wilsons_interval(hits):
    m, share = 60, plain([1] * hits + [0] * (60 - hits))
    z2 = Z95**2 * (m + 3) / (m - 3)  # three numbers were fitted
    middle, spread = hits / m + z2 / (2 * m), np.sqrt(z2 * (hits / m * (1 - hits / m) + z2 / (4 * m)) / m)
    low, high = (middle - spread) / (1 + z2 / m), (middle + spread) / (1 + z2 / m)
    assert share.value == pytest.approx(hits / m, abs=1e-6)
    assert share.interval() == pytest.approx((low, high), abs=1e-5)


def test_the_deviation_from_the_ends_of_the_interval_is_z():
    share = plain([1] * 40 + [0] * 10)
    low, high = share.interval(1.5)
    assert share.deviation(low) == pytest.approx(1.5, abs=1e-4)
    assert share.deviation(high) == pytest.approx(-1.5, abs=1e-4)
    assert share.deviation(share.value) == pytest.approx(0.0, abs=1e-4)
    assert share.error == pytest.approx(np.diff(share.interval(1.0))[0] / 2)


def test_the_slopes_are_at_the_optimum():
    rng = np.random.default_rng(0)
    x_MF, weights_M = rng.normal(size=(50, 2)), rng.uniform(0.5, 2.0, 50)
    has_M = (rng.random(50) < expit(1.0 + x_MF @ [2.0, -1.0])).astype(float)

    def loss(at):
        logits = at[0] + x_MF @ at[1:]
        prior = at[0] ** 2 / 25 + ((at[1] - 0.6) / 2.0) ** 2 + ((at[2] - 4.5) / 8.0) ** 2
        return prior / 2 + weights_M @ (np.logaddexp(0, logits) - has_M * logits)

    best = minimize(loss, np.zeros(3), tol=1e-12).x
    np.testing.assert_allclose(fitted_slopes(has_M, x_MF, weights_M, OF_CORRECTNESS), best[1:], atol=1e-4)


def test_an_audit_of_every_row_is_the_truth():
    rng = np.random.default_rng(1)
    x_N2, right_N = rng.normal(size=(40, 2)), rng.random(40) < 0.7
    share = Share(right_N, x_N2, sampled(rng.uniform(0.5, 2.0, 40), 40), x_N2, OF_CORRECTNESS)
    assert share.value == pytest.approx(right_N.mean(), abs=1e-6)
    assert share.interval() == pytest.approx((share.value, share.value), abs=1e-6)


def test_over_all_draws_of_a_small_pool_the_estimate_is_the_truth():
    c_N = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
    right_N, x_N2 = np.array([0, 1, 0, 1, 1, 1, 1]), np.column_stack([log_odds(c_N), np.ones(7)])
    q_N, mean = chances(np.sqrt(c_N * (1 - c_N))), 0.0
    for rows, probability in every_draw(q_N, 4):
        sample = sampled(1.0 / (7 * q_N[rows]), 7)
        mean += probability * Share(right_N[rows], x_N2[rows], sample, x_N2, OF_CORRECTNESS).value
    assert mean == pytest.approx(right_N.mean(), abs=0.03)


@pytest.mark.parametrize(("accuracy", "slope"), [(0.7, 1.0), (0.97, 0.5)])
def test_a_thousand_audits(accuracy, slope):
    """Unbiased, more exact than a random sample, and covered; the confidence is right, or far too low."""
    rng, n, m = np.random.default_rng(2), 1000, 80
    logits_N = rng.normal(0.0, 2.0, n)
    heights = np.linspace(-5, 10, 400)
    logits_N += heights[np.argmin([abs(expit(logits_N + t).mean() - accuracy) for t in heights])]
    right_N, c_N = rng.random(n) < expit(logits_N), np.maximum(expit(slope * logits_N), 0.01)
    truth, x_N2 = right_N.mean(), np.column_stack([log_odds(c_N), np.zeros(n)])
    q_N, found = chances(np.sqrt(c_N * (1 - c_N))), []
    for _ in range(1000):
        rows = np.argsort(rng.exponential(size=n) / q_N)[:m]
        share = Share(right_N[rows], x_N2[rows], sampled(1.0 / (n * q_N[rows]), n), x_N2, OF_CORRECTNESS)
        found.append((share.value, *share.interval()))
    value, low, high = np.array(found).T
    random = np.sqrt(truth * (1 - truth) / m * (1 - m / n))
    assert abs(value.mean() - truth) < 0.1 * random
    assert value.std() < 0.85 * random
    assert 0.93 <= ((low <= truth) & (truth <= high)).mean() <= 0.99
    assert (low > truth).mean() <= 0.04


def test_bins_keep_the_mean_of_a_curve():
    x_N = np.random.default_rng(3).normal(0.0, 3.0, 5000)
    bins = Binned.of(x_N)
    assert bins.shares_B.sum() == pytest.approx(1.0)
    assert bins.shares_B @ expit(bins.means_B + 1.0) == pytest.approx(expit(x_N + 1.0).mean(), abs=1e-4)
    assert len(Binned.of(x_N[:3]).means_B) == 3


def test_a_property_that_no_row_shows_has_an_upper_end():
    share = Share(np.zeros(50), np.zeros((50, 2)), sampled(np.ones(50), 1000), NOTHING_2, OF_ANYTHING)
    assert share.value == 0.0
    low, high = share.interval()
    assert low == 0.0
    assert 0.02 < high < 0.15
