"""The RMSE of an audit: plain samples, and simulated audits of errors that the head's variance tells."""

import numpy as np
import pytest

from alcli.numerics.audit.draw import chances
from alcli.numerics.audit.mean_square import MeanSquare
from alcli.numerics.audit.sample import sampled


def test_a_random_sample_with_equal_variances():
    errors_M = np.array([1.0, 4.0, 9.0, 2.0])
    found = MeanSquare(errors_M, np.full(4, 3.0), sampled(np.ones(4), 10**6), np.full(10, 3.0))
    assert found.root == pytest.approx(2.0)
    low, high = found.interval()
    assert low < 2.0 < high
    assert low * high == pytest.approx(4.0)


def test_an_audit_of_every_row_is_the_truth():
    rng = np.random.default_rng(0)
    errors_N, variance_N = rng.exponential(size=30), rng.uniform(1.0, 9.0, 30)
    found = MeanSquare(errors_N, variance_N, sampled(rng.uniform(0.5, 2.0, 30), 30), variance_N)
    assert found.root == pytest.approx(errors_N.mean() ** 0.5)
    assert found.interval() == pytest.approx((found.root, found.root))


def test_no_error_at_all():
    found = MeanSquare(np.zeros(12), np.ones(12), sampled(np.ones(12), 100), np.ones(100))
    assert (found.root, found.interval()) == (0.0, (0.0, 0.0))


def test_a_thousand_audits():
    rng, n, m = np.random.default_rng(1), 2000, 100
    variance_N = rng.lognormal(0.0, 1.0, n)
    errors_N = rng.normal(size=n) ** 2 * variance_N
    truth, q_N, found, random = errors_N.mean() ** 0.5, chances(variance_N), [], []
    for _ in range(1000):
        rows = np.argsort(rng.exponential(size=n) / q_N)[:m]
        one = MeanSquare(errors_N[rows], variance_N[rows], sampled(1.0 / (n * q_N[rows]), n), variance_N)
        found.append((one.root, *one.interval()))
        random.append(errors_N[rng.choice(n, m, replace=False)].mean() ** 0.5)
    value, low, high = np.array(found).T
    assert abs(value.mean() - truth) < 0.02 * truth
    assert value.std() < 0.8 * np.std(random)
    assert 0.93 <= ((low <= truth) & (truth <= high)).mean() <= 0.995


def test_the_row_that_nobody_saw_by_hand():
    """Of 6 rows the worst 5 are the tail: its index is the mean of log 2, 4 log 1."""
    errors_M = np.array([2.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    worst = 2.0 / (1.0 - np.log(2.0) / 5.0)
    spread = ((errors_M - errors_M.mean()) ** 2).sum() / 36 * 6 / 5
    relative = (spread + (worst / 6) ** 2) ** 0.5 / errors_M.mean()
    found = MeanSquare(errors_M, np.ones(6), sampled(np.ones(6), 10**9), np.ones(10))
    assert np.log(found.interval()[1] / found.root) == pytest.approx(0.5 * 1.959964 * relative, rel=1e-5)


@pytest.mark.parametrize("tail", ["light", "heavy"])
def test_intervals_hold_whatever_the_tail(tail):
    """With the tail of Student's t errors they are wider, and hold as often."""
    rng, n, m = np.random.default_rng(2), 3000, 100
    errors_N = (rng.normal(size=n) if tail == "light" else rng.standard_t(2.5, size=n)) ** 2
    truth, found = errors_N.mean() ** 0.5, []
    for _ in range(400):
        rows = rng.choice(n, m, replace=False)
        found.append(MeanSquare(errors_N[rows], np.ones(m), sampled(np.ones(m), n), np.ones(n)).interval())
    low, high = np.array(found).T
    assert ((low <= truth) & (truth <= high)).mean() >= 0.92
    assert np.median(np.log(high / low)) < 0.6 or tail == "heavy"
