"""The automatic prior precision: it follows the scale, it never collapses, and it does not fall behind its default."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.heads import _prior
from alcli.heads._contract import Training
from alcli.heads.softmax import softmax
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


def held_out_loss(data, prior):
    """The summed loss of held-out rows whose class the other folds show, by fits of the head."""
    folds_L = stratified_folds(data.y_L, min(5, data.n), seed=0)
    total = 0.0
    for k in range(min(5, data.n)):
        kept_L = folds_L != k
        judged_L = ~kept_L & np.isin(data.y_L, data.y_L[kept_L])
        if judged_L.any() and len(np.unique(data.y_L[kept_L])) > 1:
            log_probs = log_softmax(softmax(data.rows(kept_L), prior).logits(data.X_LD[judged_L]))
            total -= float(log_probs[np.arange(judged_L.sum()), data.y_L[judged_L]].sum())
    return total


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
    assert 0.5 * (steps / _prior.DEVIATION) ** 2 <= held_out_loss(data, default) + 0.05


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
