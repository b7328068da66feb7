"""The concentration: effective dimensions by hand, the formula, and calibration against a known scale."""

import numpy as np
import pytest

from alcli.numerics.logistic import softmax
from alcli.numerics.mixture.concentration import calibrated, effective_dimensions, of_pool


@pytest.mark.parametrize(("n", "D"), [(40, 6), (6, 40)])
def test_effective_dimensions_are_one_over_the_mean_squared_cosine(n, D):
    U = np.random.default_rng(0).normal(size=(n, D))
    U[0] = 0.0
    U /= np.maximum(np.linalg.norm(U, axis=1, keepdims=True), 1e-9)
    squares = [float(U[i] @ U[j]) ** 2 for i in range(n) for j in range(n) if i != j]
    assert effective_dimensions(U) == pytest.approx(1.0 / np.mean(squares))


def test_effective_dimensions_of_uniform_directions_are_all_dimensions():
    U = np.random.default_rng(0).normal(size=(1000, 50))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    assert effective_dimensions(U) == pytest.approx(50.0, rel=0.05)


@pytest.mark.parametrize("U", [np.empty((0, 3)), np.ones((1, 3)), np.zeros((4, 3)), np.eye(3)])
def test_rows_without_pairs_that_differ_have_one_dimension(U):
    assert effective_dimensions(U) == 1.0


def test_the_formula_for_many_rows_and_its_limits():
    R, d = 0.6, 30.0
    assert of_pool(R, d, 1, 10**9, 1.0) == pytest.approx(R * (d - R * R) / (1 - R * R), rel=1e-6)
    assert of_pool(R, d, 5, 10, 0.5) < of_pool(R, d, 5, 1000, 0.5)
    for length in (0.0, 1.0):
        for n_classes, n in ((1, 0), (1, 1), (5, 3), (2, 10)):
            assert 0.0 < of_pool(length, d, n_classes, n, 0.5) < np.inf


@pytest.mark.parametrize("scale", [2.0, 20.0])
def test_the_calibrated_scale_is_the_one_that_labels_were_drawn_with(scale):
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-1, 1, size=(20_000, 4))
    probs = softmax(scale * cosines)
    y = (probs.cumsum(axis=1) < rng.uniform(size=(20_000, 1))).sum(axis=1)
    assert calibrated(cosines, y, 10.0, 1.5) == pytest.approx(scale, rel=0.05)


def test_without_rows_the_expectation_stands_and_with_one_it_gives_in_a_little():
    assert calibrated(np.empty((0, 3)), np.empty(0, np.int64), 7.0, 1.5) == 7.0
    right, wrong = (calibrated(np.array([[0.9, 0.1, -np.inf]]), np.array([y]), 7.0, 1.5) for y in (0, 1))
    assert 1.0 < wrong < 7.0 < right < 50.0
