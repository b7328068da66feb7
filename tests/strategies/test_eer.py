from dataclasses import replace

import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads._model import Model, evidence_of
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import eer
from alcli.workflows.recipe import Recipe
from tests.evidence import SOFTMAX_BIAS
from tests.helpers import random_head, view_of

STRATEGY = strategy_of(eer)


def fitted(n=40, labelled=12, D=5, C=4):
    """(features, labelled rows, their classes, a model whose posterior has the curvature that the strategy takes)."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((n, D)), np.arange(n) % C
    X[:, :C] += 1.5 * np.eye(C)[y]
    rows = np.arange(labelled)
    data = Training(X[rows], y[rows], np.ones(labelled), C)
    model = fit(data, replace(Recipe(prior_precision=0.5).checked().spec(regression=False), seed=0))
    rest = np.arange(labelled, n)
    probs = np.exp(model.log_probs(X[rest]))
    _, posterior = LaplaceShared.fit(
        model.head.W_CD1,
        evidence_of(model.head, data),
        prior_precision=model.head.prior_precision,
        curvature=float((probs * (1 - probs)).mean()),
    )
    return X, rows, y[rows], Model(model.head, posterior)


@pytest.mark.parametrize("loss", ["entropy", "error"])
def test_scores_are_what_updating_the_model_with_every_label_gives(loss):
    X, labelled, y, model = fitted()
    rest = np.arange(len(labelled), len(X))

    def risk(model):
        p = np.exp(model.log_probs(X[rest]))
        return float((-(p * np.log(p)).sum(1) if loss == "entropy" else 1 - p.max(1)).mean())

    chosen = select(
        STRATEGY, view_of(X, labelled=labelled, labels=y, head=model), 1000, seed=0, options={"loss": loss, "labels": 9}
    )
    for row, score in zip(chosen.rows_K, chosen.scores_K):
        p = np.exp(model.log_probs(X[[row]]))[0]
        futures = [risk(model.update(Training(X[[row]], np.array([c]), np.ones(1), len(p)))) for c in range(len(p))]
        assert np.isclose(score, risk(model) - p @ futures, rtol=1e-4, atol=1e-6)
    assert (np.diff(chosen.scores_K) <= 0).all()


def test_a_subset_is_drawn_and_said():
    X = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    chosen = select(STRATEGY, view_of(X, head=random_head(4, 3)), 5, seed=0, options={"candidates": 20})
    assert chosen.notes == ("looked at 20 random candidates, not at all of them (-p candidates)",)
    assert (
        len(select(STRATEGY, view_of(X, head=random_head(4, 3)), 30, seed=0, options={"candidates": 20}).rows_K) == 30
    )
    assert select(STRATEGY, view_of(X, head=random_head(4, 3)), 5, seed=0, options={}).notes == ()


@pytest.mark.parametrize("candidates", ["0", "-3", "some", "2.5", ""])
def test_candidates_are_all_or_a_number(candidates):
    X = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    with pytest.raises(UsageError, match="'candidates' must be all or a whole number of at least 1"):
        select(STRATEGY, view_of(X, head=random_head(4, 3)), 2, seed=0, options={"candidates": candidates})


def test_only_the_named_targets_are_looked_at():
    # Two groups of rows whose covariances are 0 by the prior precision 1 of the weights and that of the bias: a label
    # moves rows of its own group alone.
    away = SOFTMAX_BIAS**-0.5
    X = np.zeros((40, 3), np.float32)
    X[:20, 0], X[:20, 2] = np.linspace(0.5, 1.5, 20), away
    X[20:, 1], X[20:, 2] = np.linspace(0.5, 1.5, 20), -away
    chosen = select(STRATEGY, view_of(X, head=random_head(3, 3), targets=X[:20]), 40, seed=0, options={})
    far = chosen.rows_K >= 20
    assert np.allclose(chosen.scores_K[far], 0, atol=1e-9)
    assert (np.abs(chosen.scores_K[~far]) > 1e-6).all()
