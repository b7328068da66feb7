import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as reference

from alcli.numerics import metrics
from alcli.numerics.logistic import log_softmax


@given(st.integers(0, 1000), st.integers(2, 6))
def test_class_metrics_equal_scikit_learn(seed, C):
    rng = np.random.default_rng(seed)
    y, log_probs = rng.integers(C, size=30), log_softmax(2 * rng.normal(size=(30, C)))
    got, predicted = metrics.classification(y, log_probs), log_probs.argmax(axis=1)
    assert got["accuracy"] == pytest.approx(reference.accuracy_score(y, predicted))
    recalls = reference.recall_score(y, predicted, labels=np.unique(y), average=None)
    assert got["balanced_accuracy"] == pytest.approx(recalls.mean())
    assert got["macro_f1"] == pytest.approx(reference.f1_score(y, predicted, average="macro"))
    iou = reference.jaccard_score(y, predicted, labels=np.union1d(y, predicted), average="macro")
    assert got["mean_iou"] == pytest.approx(iou)
    assert got["nll"] == pytest.approx(reference.log_loss(y, np.exp(log_probs), labels=np.arange(C)))
    assert got["brier"] == pytest.approx(((np.exp(log_probs) - np.eye(C)[y]) ** 2).sum() / 30)


@given(st.integers(0, 1000), st.integers(1, 40), st.integers(1, 9))
def test_average_precision_equals_scikit_learn_with_ties(seed, n, n_scores):
    rng = np.random.default_rng(seed)
    is_class, score = rng.integers(2, size=n).astype(bool), rng.integers(n_scores, size=n) / 7
    is_class[rng.integers(n)] = True
    got = metrics.average_precision(is_class, score)
    assert got == pytest.approx(reference.average_precision_score(is_class, score))


def test_average_precision_by_hand():
    # Rows of the class stand at places 1 and 3: precision 1 and 2/3.
    assert metrics.average_precision(np.array([True, False, True]), np.array([0.9, 0.5, 0.1])) == pytest.approx(5 / 6)
    assert metrics.average_precision(np.array([True, False]), np.zeros(2)) == 0.5, "one place for equal scores"


def test_mean_iou_by_hand():
    # Class 0: 1 of 2 rows; class 1: 1 of 3; class 3 is predicted alone: 0 of 1; class 2 does not occur.
    y, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 3])
    assert metrics.mean_iou(y, predicted) == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)


def test_counts_by_class_and_by_confidence():
    y, log_probs = (
        np.array([0, 0, 1, 2]),
        np.log([[0.9, 0.05, 0.05], [0.4, 0.6, 1e-9], [0.4, 0.5, 0.1], [1, 1e-9, 1e-9]]),
    )
    counts = metrics.class_counts(y, log_probs.argmax(axis=1), 4)
    assert [counts.rows_C.tolist(), counts.predicted_C.tolist(), counts.correct_C.tolist()] == [
        [2, 1, 1, 0],
        [2, 2, 0, 0],
        [1, 1, 0, 0],
    ]
    rows, correct = metrics.confidence_counts(y, log_probs, 2)
    assert (rows.tolist(), correct.tolist()) == ([1, 3], [1, 1]), "a confidence of one half is in the lower bin"


def test_the_binary_brier_score_is_twice_that_of_scikit_learn():
    y, p = np.array([0, 1, 1, 0]), np.array([0.1, 0.4, 0.9, 0.6])
    got = metrics.brier(y, np.log(np.column_stack([1 - p, p])))
    assert got == pytest.approx(2 * reference.brier_score_loss(y, p))


def test_calibration_error_by_hand():
    # Confidences .9 .9 (one right) and .6 (right): gaps |.5 - .9| on 2 rows and |1 - .6| on one.
    log_probs = np.log([[0.9, 0.1], [0.1, 0.9], [0.6, 0.4]])
    assert metrics.ece(np.array([0, 0, 0]), log_probs) == pytest.approx((2 * 0.4 + 0.4) / 3)


def test_calibration_error_equals_a_loop_over_bins():
    rng = np.random.default_rng(0)
    y, log_probs = rng.integers(4, size=500), log_softmax(3 * rng.normal(size=(500, 4)))
    confidence, hit = np.exp(log_probs.max(axis=1)), log_probs.argmax(axis=1) == y
    want = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            want += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    assert metrics.ece(y, log_probs) == pytest.approx(want)


def test_regression_metrics_equal_scikit_learn():
    y, mean = np.random.default_rng(0).normal(size=(2, 40))
    variance = np.random.default_rng(1).uniform(0.1, 3.0, 40)
    got = metrics.regression(y, mean, variance)
    assert got["mae"] == pytest.approx(reference.mean_absolute_error(y, mean))
    assert got["rmse"] == pytest.approx(np.sqrt(reference.mean_squared_error(y, mean)))
    assert got["r2"] == pytest.approx(reference.r2_score(y, mean))
    assert got["nlpd"] == pytest.approx(-norm.logpdf(y, mean, np.sqrt(variance)).mean())


@pytest.mark.parametrize(("mean", "want"), [([2.0, 2.0], 1.0), ([2.0, 3.0], 0.0)])
def test_targets_that_do_not_vary_have_a_finite_r2(mean, want):
    assert metrics.r2(np.array([2.0, 2.0]), np.array(mean)) == want


def test_float32_log_probabilities_are_summed_in_float64():
    log_probs = log_softmax(np.random.default_rng(0).normal(size=(1000, 3)))
    y = np.zeros(1000, np.int64)
    for name, value in metrics.classification(y, log_probs.astype(np.float32)).items():
        assert value == pytest.approx(metrics.classification(y, log_probs)[name], abs=1e-6)


@pytest.mark.parametrize("metric", metrics.METRICS.values(), ids=lambda one: one.name)
def test_the_direction_of_every_metric_is_that_of_better_predictions(metric):
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 60)
    if metric.task == "classification":
        good, bad = ((np.log(0.02 + 0.94 * np.eye(3)[given]),) for given in (y, (y + 1) % 3))
    else:
        good, bad = ((y + error * rng.standard_normal(60), np.full(60, 0.01)) for error in (0.1, 2.0))
    better, worse = metric(y, *good), metric(y, *bad)
    assert (better > worse) if metric.larger_is_better else (better < worse)
    assert not metric.is_share or 0 <= worse <= better <= 1
