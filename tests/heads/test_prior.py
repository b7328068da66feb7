"""The automatic prior precision: it follows the scale, it never collapses, and it does not fall behind its default."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from alcli.heads import _prior
from alcli.heads._contract import Training
from alcli.heads.softmax import at_map, softmax
from alcli.numerics.folds import stratified_folds
from alcli.numerics.logistic import log_softmax

D = 24


def gathered(C, seed, noise=1.0, n=600):
    """Rows around the centres of C classes, with the frequencies of Zipf's law for odd seeds."""
    rng = np.random.default_rng(seed)
    centres_CD = rng.normal(size=(C, D))
    shares_C = 1.0 / np.arange(1, C + 1) if seed % 2 else np.ones(C)
    y = rng.choice(C, n, p=shares_C / shares_C.sum())
    return centres_CD[y] + noise * rng.normal(size=(n, D)), y


def training(X, y):
    classes, y_L = np.unique(y, return_inverse=True)
    return Training(X, y_L.astype(np.int64), np.ones(len(y)), len(classes)), classes


def default_of(data):
    return _prior.default_prior(data.X_LD, data.weights_L) * _prior.imbalance(data.y_L)


def held_out_losses(data, prior, scanned=400):
    """The losses of held-out rows whose class the other folds show, by fits of the head and a scan of temperatures."""
    folds_L = stratified_folds(data.y_L, min(5, data.n), seed=0)
    logits, y = [np.empty((0, data.n_classes))], []
    for k in range(min(5, data.n)):
        kept_L = folds_L != k
        judged_L = ~kept_L & np.isin(data.y_L, data.y_L[kept_L])
        if judged_L.any():
            logits.append(at_map(data.rows(kept_L), prior).logits(data.X_LD[judged_L]))
            y += list(data.y_L[judged_L])
    at = [-log_softmax(np.concatenate(logits) / t)[np.arange(len(y)), y] for t in np.geomspace(1.0, 100.0, scanned)]
    best = min(at, key=lambda losses_H: losses_H.sum())
    return (1 - _prior.TEMPERED) * at[0] + _prior.TEMPERED * best


@pytest.mark.parametrize(("C", "n", "noise", "scale"), [(2, 12, 1.0, 1.0), (3, 30, 4.0, 30.0), (5, 40, 2.0, 1.0)])
@pytest.mark.parametrize("step", [-2, 3])
def test_the_objective_is_that_of_fits_to_the_folds(C, n, noise, scale, step, monkeypatch):
    monkeypatch.setattr(_prior, "LOOSE", 1e-9)
    X, y = gathered(C, 1, noise)
    data, _ = training(scale * X[:n], y[:n])
    default = default_of(data)
    search = _prior._Search(data, stratified_folds(data.y_L, 5, seed=0), 5, default)
    stepped_H, default_H = (held_out_losses(data, prior, 3000) for prior in (default * 10 ** (step / 2), default))
    more_H = stepped_H - default_H
    interval = stats.t.interval(2 * _prior.LEVEL - 1, len(more_H) - 1, scale=stats.sem(more_H) * len(more_H))
    expected = more_H.sum() + interval[1] + 0.5 * (step / _prior.DEVIATION) ** 2
    assert search.rows == len(more_H)
    assert search.objective(step) == pytest.approx(expected, abs=0.003)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(4, 60), st.integers(0, 1000), st.sampled_from([1e-3, 1.0, 30.0]))
def test_few_labels_cannot_move_the_precision_farther_than_they_can_gain(C, n, seed, scale):
    X, y = gathered(C, seed)
    data, classes = training(scale * X[:n], y[:n])
    if len(classes) < 2:
        return
    prior, default = softmax(data).prior_precision, default_of(data)
    steps = 2 * abs(np.log10(prior / default))
    # A step costs (step / deviation)^2 / 2 nats, and no head gains more than the whole loss of the default.
    assert 0.5 * (steps / _prior.DEVIATION) ** 2 <= held_out_losses(data, default).sum() + 0.05


@pytest.mark.parametrize("C", [2, 5, 20, 44])
@pytest.mark.parametrize("noise", [0.5, 1.5])
def test_the_accuracy_is_not_below_that_of_the_default(C, noise):
    gains = []
    for seed in range(12):
        X, y = gathered(C, seed, noise, n=900)
        data, classes = training(X[: 3 * C // 2 + 4], y[: 3 * C // 2 + 4])
        if len(classes) < 2:
            continue
        known = np.isin(y[300:], classes)
        X_test, y_test = X[300:][known], np.searchsorted(classes, y[300:][known])
        auto, default = (
            (softmax(data, prior).logits(X_test).argmax(axis=1) == y_test).mean() for prior in (None, default_of(data))
        )
        assert auto > 0.5 * default
        gains.append(auto - default)
    assert np.mean(gains) > -0.01


def test_gains_of_confidence_do_not_cost_accuracy():
    # Five hard classes, 10 labels a class. The default is too confident, and counts differ by chance. Plain held-out
    # likelihood takes stronger priors here, which cost 2.1 points of accuracy.
    rng = np.random.default_rng(3)
    lengths_D = np.exp(0.7 * rng.normal(size=32))
    means_CD = 1.05 * rng.normal(size=(5, 32)) * lengths_D / 32**0.5
    y = rng.integers(5, size=3000)
    X = means_CD[y] + rng.normal(size=(3000, 32)) * lengths_D
    gains = []
    for labelled in np.arange(1000).reshape(20, 50):
        data, _ = training(X[labelled], y[labelled])
        auto, default = (
            (at_map(data, prior, tolerance=1e-4).logits(X[1000:]).argmax(axis=1) == y[1000:]).mean()
            for prior in (_prior.choose_prior(data), default_of(data))
        )
        gains.append(auto - default)
    assert np.mean(gains) > -0.012


def test_one_held_out_row_does_not_choose():
    # Two rows of the first class and one of the second: a single held-out row has its class in another fold at a time.
    data = Training(np.array([[0.0], [1.0], [5.0]]), np.array([0, 1, 2]), np.ones(3), 3)
    assert softmax(data).prior_precision == default_of(data)


def test_rows_that_are_alone_in_their_class_do_not_choose():
    # 30 classes of one row, and 15 of two: 60 rows, half of them alone.
    rng = np.random.default_rng(3)
    centres_CD = rng.normal(size=(45, D))
    y = np.concatenate([np.arange(45), np.arange(30, 45)])
    data = Training(centres_CD[y] + 0.6 * rng.normal(size=(60, D)), y, np.ones(60), 45)
    assert softmax(data).prior_precision <= 10 * default_of(data)
    y_test = rng.integers(45, size=2000)
    X_test = centres_CD[y_test] + 0.6 * rng.normal(size=(2000, D))
    auto, default = (
        (softmax(data, prior).logits(X_test).argmax(axis=1) == y_test).mean() for prior in (None, default_of(data))
    )
    assert auto > default - 0.01 > 0.8


def test_imbalance_is_one_for_equal_counts_and_grows_with_the_rarest():
    assert _prior.imbalance(np.array([0, 0, 1, 1, 4, 4])) == 1.0
    # 19 rows and 1 row: the mean count is 10, the mean of 1 / count is (1 + 1 / 19) / 2.
    assert _prior.imbalance(np.array([0] * 19 + [1])) == pytest.approx(10 * (1 + 1 / 19) / 2)
