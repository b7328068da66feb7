"""The dual form against explicit updates, and the best of all batches against a search over them."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.source import ArraySource
from alcli.simulation.optimal_look_ahead import optimal_look_ahead, proposals, score_batches
from alcli.simulation.oracle import Oracle
from alcli.simulation.round import RoundState

C, D, N = 4, 5, 60


def round_state(head=softmax, *, gamma=0.7, curvature=0.5, calibrate="none"):
    rng = np.random.default_rng(2)
    y = np.arange(N) % C
    X = rng.standard_normal((N, D)) + 1.5 * np.eye(C, D)[y]
    first, judges = np.arange(12), np.arange(40, N)
    spec = FitSpec(head.head, LaplaceShared, prior_precision=0.3, curvature=curvature, calibrate=calibrate)
    model = replace(fit(Training(X[first], y[first], np.ones(12), C), spec, tune_update=False), gamma=gamma)
    oracle = Oracle(y, np.arange(N))
    oracle.ask(first)
    return RoundState(ArraySource(X, np.arange(N)), oracle, model, C, judges)


def explicit(s, rows, score):
    X, y = s.source.take(s.judges), s.oracle.truth(s.judges)
    model = s.model.update(Training(s.source.take(rows), s.oracle.truth(rows), np.ones(len(rows)), C))
    log_probs = model.log_probs(X)
    return (log_probs.argmax(axis=1) == y).mean() if score == "accuracy" else log_probs[np.arange(len(y)), y].mean()


@pytest.mark.parametrize("score", ["accuracy", "cross-entropy"])
@pytest.mark.parametrize(
    "made",
    [
        {},
        {"gamma": 10.0, "curvature": 1.0},
        {"gamma": None},
        {"head": ridge, "gamma": 1.0, "curvature": 1.0},
        {"calibrate": "temperature"},
    ],
    ids=["softmax", "gamma 10", "implicit", "ridge", "temperature"],
)
def test_the_dual_form_scores_as_the_updated_model_does(made, score):
    s = round_state(**made)
    rows, batches = np.arange(12, 40), np.random.default_rng(0).permuted(np.tile(np.arange(28), (9, 1)), axis=1)[:, :4]
    expected = [explicit(s, rows[batch], score) for batch in batches]
    assert np.abs(score_batches(s, rows, batches, score, np.float64) - expected).max() < 1e-10
    assert len(set(np.round(expected, 6))) > 1, "batches that all score alike would prove nothing"
    assert np.abs(score_batches(s, rows, batches, score) - expected).max() < 1e-4


@pytest.mark.parametrize("score", ["accuracy", "cross-entropy"])
def test_where_all_batches_can_be_tried_the_best_of_all_is_taken(score):
    s = round_state()
    s.oracle.ask(np.arange(20, 40))
    chosen = optimal_look_ahead(s, 3, rng=np.random.default_rng(0), batches=56, score=score)
    scores = {rows: explicit(s, np.array(rows), score) for rows in combinations(range(12, 20), 3)}
    assert len(scores) == 56
    assert scores[tuple(chosen.rows_K)] == pytest.approx(max(scores.values()), abs=1e-6)
    assert chosen.scores_K == pytest.approx(max(scores.values()), abs=1e-6)


@pytest.mark.parametrize("proposal", ["random", "mixed"])
def test_proposals_are_batches_of_different_open_rows(proposal):
    s = round_state()
    rows = np.arange(12, 40)
    batches = proposals(s, rows, 5, 300, proposal, np.random.default_rng(0))
    assert batches.shape == (300, 5)
    assert all(len(set(batch)) == 5 for batch in batches.tolist())
    assert 0 <= batches.min() <= batches.max() < 28


def test_the_mixed_proposal_has_uncertain_rows_and_one_row_of_each_cluster():
    from alcli.numerics.diversity.kmeans import k_means
    from alcli.strategies.margin import margin

    s = round_state()
    rows = np.arange(12, 40)
    batches = proposals(s, rows, 5, 300, "mixed", np.random.default_rng(0))
    uncertainty = margin(s.model.log_probs(s.source.take(rows)))
    assert (uncertainty[batches[200:]] > uncertainty.mean()).all()
    labels = k_means(s.source.take(rows), 5, np.random.default_rng(0)).labels_N
    assert all(sorted(labels[batch]) == [0, 1, 2, 3, 4] for batch in batches[100:200])


def test_judges_are_never_asked_for_while_there_are_others():
    s = round_state()
    picked = optimal_look_ahead(s, 28, rng=np.random.default_rng(0)).rows_K
    assert sorted(picked) == list(range(12, 40))
    assert len(optimal_look_ahead(s, 40, rng=np.random.default_rng(0)).rows_K) == 40
