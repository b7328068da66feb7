"""Who selects and who predicts, and where one model does both."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.errors import DataError
from alcli.heads._contract import Training
from alcli.heads._pair import Unlabelled, fit_pair
from alcli.workflows.recipe import Recipe
from tests.pools import gathered

X_ND, Y_N, NAMES_CD = gathered()
SPEC = Recipe(prior="pool").spec(regression=False)


def fitted(rows, y_L=None, names_CD=None, **how):
    data = Training(X_ND[rows], Y_N[rows] if y_L is None else np.array(y_L), np.ones(len(rows)), 6)
    return fit_pair(data, SPEC, Unlabelled(lambda: [np.delete(X_ND, rows, axis=0)], names_CD), **how)


def test_one_model_without_a_pool_and_with_names_two_without_names():
    rows = np.arange(12)
    plain = fit_pair(Training(X_ND[rows], Y_N[rows], np.ones(12), 6), SPEC)
    named, pooled = fitted(rows, names_CD=NAMES_CD), fitted(rows)
    assert (plain.is_one, named.is_one, pooled.is_one) == (True, True, False)
    assert plain.prior is None
    assert np.array_equal(pooled.selects.head.W_CD1, plain.selects.head.W_CD1)
    assert pooled.predicts.head.prior_mean_CD1 is not None


def test_the_model_that_predicts_takes_over_the_precision_of_the_plain_one():
    pooled, named = fitted(np.arange(60)), fitted(np.arange(60), names_CD=NAMES_CD)
    assert pooled.predicts.head.prior_precision == pooled.selects.head.prior_precision == pooled.prior.prior_precision
    assert pooled.prior.prior_precision != named.prior.prior_precision


def test_in_two_dimensions_the_pool_does_not_count_and_both_models_are_the_plain_one():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(200, 2)), rng.integers(3, size=200)
    data = Training(X[:30], y[:30], np.ones(30), 3)
    pair = fit_pair(data, SPEC, Unlabelled(lambda: [X[30:]]))
    assert pair.prior.trust == 0.0
    np.testing.assert_allclose(pair.predicts.head.W_CD1, pair.selects.head.W_CD1, rtol=0, atol=1e-6)
    np.testing.assert_allclose(pair.predicts.predictive(X), pair.selects.predictive(X), rtol=0, atol=1e-6)


def test_a_warm_start_ends_where_a_cold_one_does():
    for names_CD in (NAMES_CD, None):
        start = fitted(np.arange(12), names_CD=names_CD)
        cold, warm = (fitted(np.arange(30), names_CD=names_CD, start=one) for one in (None, start))
        for one, other in ((cold.selects, warm.selects), (cold.predicts, warm.predicts)):
            np.testing.assert_allclose(one.head.W_CD1, other.head.W_CD1, rtol=0, atol=1e-5)


def test_a_contradicted_name_and_labels_of_one_class_still_make_a_model():
    """A plain model would need two classes. The rows of a class are labelled as another."""
    rows = np.arange(0, 60, 6)
    pair = fitted(rows, np.full(10, 3), NAMES_CD)
    assert pair.prior.wrong_names.tolist() == [3]
    assert pair.is_one
    assert (pair.predicts.predictive(X_ND[rows]).argmax(axis=1) == 3).all()


def test_without_a_label_or_a_name_there_is_nothing_to_fit():
    for names_CD in (None, np.zeros_like(NAMES_CD)):
        with pytest.raises(DataError, match="a class with a label or a name"):
            fitted(np.arange(0), names_CD=names_CD)
