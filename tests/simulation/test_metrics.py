"""The metrics of a simulation: the one that is taken by itself, and those of one class."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from alcli.errors import DataError, UsageError
from alcli.numerics.logistic import log_softmax
from alcli.simulation.metrics import class_of, default_metric, effective_classes, evaluate, metric_named


@pytest.mark.parametrize(
    ("counts", "metric"),
    [
        ([50, 50], "accuracy"),
        ([65, 35], "accuracy"),
        ([80, 20], "balanced_accuracy"),
        ([99, 1], "balanced_accuracy"),
        ([10] * 77, "accuracy"),
        ([100, 50, 25, 12, 6, 3], "balanced_accuracy"),
        ([40, 40, 0], "balanced_accuracy"),
        (None, "rmse"),
    ],
)
def test_the_metric_follows_the_balance_of_the_classes(counts, metric):
    assert default_metric(None if counts is None else np.array(counts)).name == metric


def test_sampling_noise_does_not_make_classes_uneven():
    """Ten test rows a class on average, in 77 classes, vary by far more than a factor of two."""
    counts = np.random.default_rng(0).multinomial(770, np.full(77, 1 / 77))
    assert counts.max() > 3 * counts.min()
    assert default_metric(counts).name == "accuracy"


def test_effective_classes_are_the_classes_where_all_are_equal():
    assert effective_classes(np.array([7, 7, 7])) == pytest.approx(3)
    assert effective_classes(np.array([9, 0, 0])) == 1
    shares = np.array([0.5, 0.25, 0.25])
    assert effective_classes(4 * shares) == pytest.approx(2 ** -(shares * np.log2(shares)).sum())


def test_a_metric_of_one_class_looks_at_that_class_alone():
    rng = np.random.default_rng(0)
    y, log_probs = rng.integers(3, size=60), log_softmax(rng.normal(size=(60, 3)))
    metric = metric_named("average-precision:b")
    assert metric.name == "average_precision:b"
    positive = class_of(metric, ["a", "b", "c"], "pool")
    got = evaluate(y, (log_probs,), metric, positive)[metric.name]
    assert got == pytest.approx(average_precision_score(y == 1, log_probs[:, 1]))


def test_a_class_without_a_test_row_is_named():
    metric = metric_named("average_precision:b")
    with pytest.raises(DataError, match="no test row is of class 'b', so average_precision:b has no value"):
        evaluate(np.array([0, 2]), (np.log(np.full((2, 3), 1 / 3)),), metric, 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("average-precision", "is about one class; name the class: average_precision:CLASS"),
        ("average-precision:", "is about one class"),
        ("acuracy", "did you mean 'accuracy'"),
        ("accuracy:b", "no metric is named 'accuracy:b'"),
    ],
)
def test_a_name_of_no_metric_is_refused(name, words):
    with pytest.raises(UsageError, match=words):
        metric_named(name)


def test_a_class_that_the_labels_do_not_have_is_refused_with_the_nearest():
    with pytest.raises(
        UsageError, match="have no class 'sevn', which average_precision:sevn is about; did you mean 'seven'"
    ):
        class_of(metric_named("average-precision:sevn"), ["six", "seven"], "pool")
    with pytest.raises(UsageError, match="for labels that are classes, the labels of pool are numbers"):
        class_of(metric_named("average-precision:a"), None, "pool")


@pytest.mark.parametrize("name", ["balanced-accuracy", "balanced_accuracy"])
def test_hyphens_stand_for_underscores(name):
    assert metric_named(name).name == "balanced_accuracy"
