"""The comparison with scikit-activeml compares like with like: same candidates, same head, same draws, and where
nothing is left to differ, same picks.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("skactiveml", reason="scikit-activeml is not installed")

from alcli.selection.source import ArraySource
from alcli.simulation.bench import Bench
from alcli.simulation.cell import run_cell
from alcli.simulation.plan import Cell, Plan
from alcli.workflows.recipe import Recipe
from benchmarks import study_skactiveml as study
from benchmarks.skactiveml_peers import PAIRS, Pair

BATCH, ROUNDS = 6, 2


def bench() -> Bench:
    """90 rows of 3 overlapping classes, whose ids are not in the order of the rows; a quarter are test rows."""
    rng = np.random.default_rng(1)
    y_N = np.arange(90) % 3
    X_ND = rng.standard_normal((90, 5)).astype(np.float32) + 2 * np.eye(3, 5, dtype=np.float32)[y_N]
    ids = np.array([f"item-{i:03d}" for i in rng.permutation(90)])
    order = np.argsort(ids)
    plan = Plan(("margin",), 1, BATCH, ROUNDS, 9, Recipe(prior_precision=0.1).spec(regression=False))
    return Bench(ArraySource(X_ND, ids), y_N, order, order[(np.arange(90) % 4 == 0)[order]], 3, plan)


def played(pair: Pair, side: str) -> study.Run:
    b = bench()
    return study.play_side(b, pair, side, 0, study.Fits(b, 0))


@pytest.mark.filterwarnings("ignore::UserWarning")  # of purity, in scikit-activeml
@pytest.mark.parametrize("pair", PAIRS, ids=[pair.name for pair in PAIRS])
def test_a_peer_picks_as_many_rows_each_once_and_the_same_ones_where_the_methods_are_the_same(pair):
    ours, theirs = played(pair, "ours"), played(pair, "theirs")
    b = bench()
    _, askable = b.split(0)
    start = b.initial(0, askable)
    for run in (ours, theirs):
        rows = np.concatenate(run.rows)
        assert [len(rows_K) for rows_K in run.rows] == [BATCH] * ROUNDS
        assert len(np.unique(rows)) == BATCH * ROUNDS
        assert np.isin(rows, askable).all()
        assert not np.isin(rows, start).any()
    assert ours.accuracy_P[0] == theirs.accuracy_P[0]
    if pair.same:
        assert ours.rows == theirs.rows
        assert ours.accuracy_P == theirs.accuracy_P


@pytest.mark.parametrize("name", ["margin", "bald"])
def test_a_peer_is_shown_the_candidates_the_labels_that_are_known_and_the_head_of_ours(name):
    """What the peer is asked, against what ours is asked through the view."""
    asked = []
    pair = next(pair for pair in PAIRS if pair.name == name)
    spy = dataclasses.replace(pair, ask=lambda question: asked.append(question) or pair.ask(question))
    b = bench()
    theirs = study.play_side(b, spy, "theirs", 0, study.Fits(b, 0))
    _, askable = b.split(0)
    labelled = b.initial(0, askable)
    for question, picked in zip(asked, theirs.rows):
        known_M = ~np.isnan(question.y_M)
        assert sorted(question.rows_M) == sorted(askable)
        assert set(question.rows_M[known_M]) == set(labelled)
        assert np.array_equal(question.y_M[known_M], b.y_N[question.rows_M[known_M]])
        assert np.array_equal(question.X_MD, b.source.take(question.rows_M))
        assert np.array_equal(question.rows_M[~known_M], question.view.rows)
        shown = question.head.predict_proba(question.X_MD[~known_M])
        assert np.array_equal(shown, np.exp(question.view.at("log_probs", np.arange(question.view.n))))
        if pair.samples:
            draws = question.head.sample_proba(question.X_MD[~known_M])
            assert draws.shape == (pair.samples, question.view.n, 3)
            assert np.allclose(draws.sum(axis=2), 1.0)
        labelled = np.append(labelled, picked)


def test_a_curve_of_ours_is_that_of_alcli_simulate():
    run = played(next(pair for pair in PAIRS if pair.name == "margin"), "ours")
    cell = run_cell(bench(), Cell("margin", 0))
    assert np.concatenate(run.rows).tolist() == [pick.row for pick in cell.picks]
    assert run.accuracy_P == [point.metrics["accuracy"] for point in cell.points]


def test_the_area_is_the_mean_height_by_the_trapezoid_rule():
    assert study.Run([0.0, 1.0, 0.5], [], 0.0).area == (0.5 + 0.75) / 2


def test_holm_multiplies_the_smallest_p_most_and_never_reorders():
    assert study.holm([0.04, 0.01, 0.9]) == pytest.approx([0.08, 0.03, 0.9])
    assert study.holm([0.02, 0.021, 0.022]) == pytest.approx([0.06, 0.06, 0.06])


def test_no_difference_is_no_evidence_and_a_clear_one_is_named():
    assert study.p_value(np.zeros(5)) == 1.0
    p = study.p_value(np.array([-1.0, -1.1, -0.9, -1.05, -0.95]))
    assert p < 1e-4
    assert [study.verdict(-1.0, p), study.verdict(1.0, p), study.verdict(-1.0, 0.2)] == ["worse", "better", "level"]


def test_shared_picks_count_over_all_rounds():
    assert study.shared(study.Run([], [[1, 2], [3, 4]], 0.0), study.Run([], [[3, 9], [1, 8]], 0.0)) == 0.5
