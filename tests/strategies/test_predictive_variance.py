import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.posteriors.laplace_block import LaplaceBlock
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import predictive_variance
from tests.committees import fitted
from tests.helpers import view_of
from tests.pools import tiny_features

STRATEGY = strategy_of(predictive_variance)


def test_a_variance_shared_by_all_classes_is_the_score_and_others_are_averaged():
    assert predictive_variance.predictive_variance(np.array([[2.0], [3.0]])).tolist() == [2, 3]
    assert predictive_variance.predictive_variance(np.array([[2.0, 4.0]])).tolist() == [3]


def test_is_phi_covariance_phi_of_the_posterior():
    model, view = fitted()
    chosen = select(STRATEGY, view, 10, seed=0, options={})
    covariance = np.cov(model.posterior.sample(model.head.W_CD1, 20_000, seed=0)[:, 0], rowvar=False)
    phi = with_bias(view.matrix("features"))
    scores = np.einsum("nd,de,ne->n", phi, covariance, phi) / model.temperature**2
    assert np.allclose(chosen.scores_K, scores[np.searchsorted(view.rows, chosen.rows_K)], rtol=0.05)
    assert np.allclose(
        chosen.scores_K, np.sort(model.logit_variance(view.matrix("features")).mean(axis=1))[::-1][:10], rtol=1e-6
    )


def test_a_regression_has_variances_too_and_labels_do_not_change_them():
    X_ND, _ = tiny_features(60)
    picks = []
    for seed in (0, 1):
        y_L = np.random.default_rng(seed).standard_normal(15)
        model = fit(
            Training(X_ND[:15].astype(np.float64), y_L, np.ones(15), None),
            FitSpec(ridge.head, LaplaceShared, prior_precision=1.0),
        )
        picks.append(
            select(STRATEGY, view_of(X_ND, labelled=np.arange(15), head=model), 10, seed=0, options={}).rows_K.tolist()
        )
    assert picks[0] == picks[1]


@pytest.mark.parametrize("form", [LaplaceShared, LaplaceBlock])
def test_what_was_labelled_is_better_known_than_a_row_twice_as_long(form):
    X_ND, y_N = tiny_features(60)
    model = fit(Training(X_ND, y_N, np.ones(60), 3), FitSpec(softmax.head, form))
    pair = np.stack([X_ND[0], 2 * X_ND[0]])
    assert select(STRATEGY, view_of(pair, head=model), 1, seed=0, options={}).rows_K.tolist() == [1]


def test_variances_too_large_to_store_are_cut():
    assert predictive_variance.predictive_variance(np.array([[1e60]]))[0] == np.finfo(np.float32).max
