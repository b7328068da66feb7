"""Variances of contrasts: noise that moves all logits together has no part in them, whatever the form."""

from dataclasses import replace

import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.numerics.last_layer.precision import Precision
from alcli.numerics.logistic import one_hot
from alcli.posteriors._contract import Evidence, contrasts, independent_contrasts
from alcli.posteriors.dropout import Dropout
from alcli.posteriors.ensemble import Ensemble
from alcli.posteriors.laplace_full import LaplaceFull
from alcli.posteriors.laplace_kron import LaplaceKron

C, D1 = 4, 3
W = np.random.default_rng(0).normal(size=(C, D1))
X = np.random.default_rng(1).normal(size=(7, D1 - 1))
ROOT = np.random.default_rng(2).normal(size=(D1, D1))


def fitted(form):
    rng = np.random.default_rng(3)
    data = Evidence(
        with_bias(rng.normal(size=(12, 2))), one_hot(rng.integers(C, size=12), C), rng.uniform(0.5, 2, 12), "softmax"
    )
    return form.fit(W, data, prior_precision=0.3, noise_variance=0.5)[1]


def full():
    """The weights of all classes moved by the same normal draw: covariance S + 11^T (x) A A^T."""
    before = fitted(LaplaceFull)
    common = np.kron(np.ones((C, C)), 100.0 * ROOT @ ROOT.T)
    state = Precision.of(np.asfortranarray(np.linalg.inv(before.state.covariance + common)))
    return before, replace(before, state=state)


def kron():
    """The vector of ones is an eigenvector of the class factor, since the factor is a sum of diag p - p p^T."""
    before = fitted(LaplaceKron)
    U, V, S = before.eigen
    ones = int(np.argmax(np.abs(U.sum(axis=0))))
    np.testing.assert_allclose(np.abs(U[:, ones]), 1 / np.sqrt(C), rtol=1e-6)
    after = replace(before)
    after.__dict__["eigen"] = U, V, np.where(np.arange(C)[:, None] == ones, S / 1000.0, S)
    return before, after


def ensemble():
    before = Ensemble(0.3 * np.random.default_rng(4).normal(size=(5, C, D1)), "bootstrap")
    common = 10.0 * np.random.default_rng(5).normal(size=(5, 1, D1))
    return before, replace(before, deviations_MCD1=before.deviations_MCD1 + common)


@pytest.mark.parametrize("pair", [full, kron, ensemble])
def test_noise_that_all_classes_share_changes_variances_but_no_contrast_and_no_prediction(pair):
    before, after = pair()
    phi = with_bias(X)
    assert (after.variance(W, phi) > 2.0 * before.variance(W, phi)).all()
    np.testing.assert_allclose(after.contrast_variance(W, phi), before.contrast_variance(W, phi), rtol=1e-6)
    one, other = (Model(LinearHead("softmax", W, 0.3), posterior) for posterior in (before, after))
    np.testing.assert_allclose(other.predictive(X), one.predictive(X), atol=1e-6)


def test_dropout_of_weights_that_all_classes_share_has_no_part():
    phi, common = with_bias(X), np.array([3.0, -2.0, 1.0])
    got = Dropout(0.25).contrast_variance(W + common, phi)
    np.testing.assert_allclose(got, Dropout(0.25).contrast_variance(W, phi), rtol=1e-9)


def test_of_two_classes_each_contrast_is_the_difference():
    A = np.array([[1.0, 5.0], [4.0, 3.0]])
    np.testing.assert_array_equal(contrasts(A), [[-3.0, 2.0], [3.0, -2.0]])
    np.testing.assert_array_equal(independent_contrasts(np.array([[2.0, 3.0]])), [[5.0, 5.0]])


def test_by_hand_of_three_classes_and_of_one():
    np.testing.assert_allclose(independent_contrasts(np.array([[4.0, 8.0, 0.0]])), [[6.0, 9.0, 3.0]])
    np.testing.assert_allclose(contrasts(np.array([[4.0], [8.0], [0.0]])), [[0.0], [6.0], [-6.0]])
    np.testing.assert_array_equal(contrasts(np.array([[4.0, 2.0]])), [[0.0, 0.0]])


def test_the_blocks_of_the_full_form_follow_its_state():
    posterior, phi = fitted(LaplaceFull), with_bias(X)
    first = posterior.contrast_variance(W, phi)
    narrower = replace(posterior, state=Precision.of(np.asfortranarray(2.0 * posterior.state.precision)))
    np.testing.assert_allclose(narrower.contrast_variance(W, phi), first / 2.0, rtol=1e-9)
