"""The laws of a simulated run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from alcli.composition.budget import select_within
from alcli.errors import DataError
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.numerics import metrics
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.simulation import cell as rounds
from alcli.simulation import round as round_module
from alcli.simulation.bench import Bench
from alcli.simulation.cell import run_cell
from alcli.simulation.plan import FULL_DATA, Cell, Plan, initial_rng, selection_seed
from alcli.strategies import margin as margin_module
from alcli.workflows.recipe import Recipe

STRATEGIES = ("random", "margin", "coreset", "badge")


def bench(*, test=True, regression=False, strategies=STRATEGIES, **changes):
    rng = np.random.default_rng(1)
    y = np.arange(90) % 3
    X = rng.standard_normal((90, 5)).astype(np.float32) + 2 * np.eye(3, 5, dtype=np.float32)[y]
    ids = np.array([f"item-{i:03d}" for i in rng.permutation(90)])
    order = np.argsort(ids)
    plan = Plan(strategies, 2, 6, 4, 5, Recipe(prior_precision=1.0).spec(regression=regression), **changes)
    targets = X @ np.arange(5.0) if regression else y
    mask = np.arange(90) % 4 == 0
    return Bench(
        ArraySource(X, ids), targets, order, order[mask[order]] if test else None, None if regression else 3, plan
    )


@pytest.mark.parametrize("test", [True, False], ids=["test split", "held out"])
def test_a_seed_gives_every_strategy_the_same_test_rows_and_first_labels(test, monkeypatch):
    seen = {}
    original = rounds._fit

    def spy(bench, cell, oracle, start):
        if start is None:
            seen[cell] = (bench.split(cell.seed)[0].tolist(), oracle.labelled.tolist())
        return original(bench, cell, oracle, start)

    monkeypatch.setattr(rounds, "_fit", spy)
    b = bench(test=test)
    firsts = [[run_cell(b, Cell(s, seed)).points[0] for s in STRATEGIES] for seed in (0, 1)]
    for seed in (0, 1):
        assert all(seen[Cell(s, seed)] == seen[Cell("random", seed)] for s in STRATEGIES)
        assert all(point.metrics == firsts[seed][0].metrics for point in firsts[seed])
    assert seen[Cell("random", 0)] != seen[Cell("random", 1)]


@pytest.mark.parametrize("test", [True, False], ids=["test split", "held out"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rows_are_picked_once_and_never_from_the_test_rows(strategy, test):
    b = bench(test=test)
    result = run_cell(b, Cell(strategy, 0))
    rows = [pick.row for pick in result.picks]
    test_rows, askable = b.split(0)
    assert len(set(rows)) == len(rows) == 4 * 6
    assert not set(rows) & set(test_rows.tolist())
    assert not set(rows) & set(b.initial(0, askable).tolist())
    assert [p.n_labels for p in result.points] == [5, 11, 17, 23, 29]
    assert [(p.round, p.rank) for p in result.picks] == [(r, k) for r in (1, 2, 3, 4) for k in range(6)]


def test_labels_that_were_not_asked_for_have_no_influence():
    """The oracle counts: the labels of rows that are neither picked, nor initial, nor for testing can be anything."""
    b = bench()
    before = run_cell(b, Cell("margin", 0))
    test_rows, askable = b.split(0)
    known = {*test_rows.tolist(), *b.initial(0, askable).tolist(), *(p.row for p in before.picks)}
    y = b.y_N.copy()
    unknown = [row for row in range(90) if row not in known]
    y[unknown] = (y[unknown] + 1) % 3
    after = run_cell(dataclasses.replace(b, y_N=y), Cell("margin", 0))
    assert len(unknown) > 20
    assert after.picks == before.picks
    assert [p.metrics for p in after.points] == [p.metrics for p in before.points]


def test_a_round_is_one_query():
    """The picks of round 1 are what `select`, which `alcli query` calls, returns for the same head, candidates and
    seed.
    """
    b = bench()
    picks = [p.row for p in run_cell(b, Cell("margin", 1)).picks][:6]
    _, askable = b.split(1)
    first = b.initial(1, askable)
    model = fit(Training(b.source.take(first), b.y_N[first], np.ones(5), 3), b.plan.spec, tune_update=False)
    view = View(b.source, np.setdiff1d(askable, first), first, model)
    chosen = select(strategy_of(margin_module), view, 6, seed=selection_seed(Cell("margin", 1), 0), options={})
    assert picks == chosen.rows_K.tolist()


def test_the_metrics_are_those_of_the_test_rows():
    b = bench()
    point = run_cell(b, Cell("random", 0)).points[0]
    test_rows, askable = b.split(0)
    first = b.source.sorted_by_id(b.initial(0, askable))
    model = fit(Training(b.source.take(first), b.y_N[first], np.ones(5), 3), b.plan.spec, tune_update=False)
    expected = metrics.classification(b.y_N[test_rows], model.predictive(b.source.take(test_rows)))
    assert point.metrics == expected
    assert list(expected) == [one.name for one in metrics.of_task("classification")]


def test_results_do_not_depend_on_where_the_rows_stand():
    b = bench(test=False)
    moved = np.random.default_rng(7).permutation(90)  # the new row i is the old row moved[i]
    source = ArraySource(b.source.take(moved), b.source.sort_keys(moved))
    place = np.argsort(moved)
    other = dataclasses.replace(b, source=source, y_N=b.y_N[moved], usable=place[b.usable])
    for strategy in STRATEGIES:
        one, two = run_cell(b, Cell(strategy, 0)), run_cell(other, Cell(strategy, 0))
        assert [p.row for p in one.picks] == [int(moved[p.row]) for p in two.picks]
        assert [p.metrics for p in one.points] == [p.metrics for p in two.points]


def test_a_pool_that_runs_out_ends_early_with_every_label_used():
    b = dataclasses.replace(bench(), plan=dataclasses.replace(bench().plan, batch=40, rounds=9))
    result = run_cell(b, Cell("margin", 0))
    askable = len(b.split(0)[1])
    assert [p.n_labels for p in result.points] == [5, 45, askable]
    assert len(result.picks) == askable - 5


@pytest.mark.parametrize("strategy", ["coreset", "badge", "egl", "badge+update"])
def test_a_regression_reports_its_own_metrics_and_learns(strategy):
    result = run_cell(bench(regression=True, strategies=("random", strategy)), Cell(strategy, 0))
    assert list(result.points[0].metrics) == [one.name for one in metrics.of_task("regression")]
    assert result.points[-1].metrics["rmse"] < result.points[0].metrics["rmse"]


def test_an_error_in_a_round_says_where_it_happened(monkeypatch):
    def broken(*args, **kwargs):
        raise DataError("the score is not a finite number", hint="look")

    monkeypatch.setattr(round_module, "select", broken)
    with pytest.raises(DataError, match=r"^strategy margin, seed 1, round 1: the score is not a finite number; look$"):
        run_cell(bench(), Cell("margin", 1))


def test_a_whole_batch_at_a_time_is_the_round_without_update():
    """The head that is measured is the same exact fit: only what was selected can tell the two apart."""
    b = bench(strategies=("margin", "margin+update"), options={"margin+update": {"update_every": 6}})
    alone, whole = (run_cell(b, Cell(name, 0)) for name in ("margin", "margin+update"))
    assert alone.picks == whole.picks
    assert [p.metrics for p in alone.points] == [p.metrics for p in whole.points]
    each = run_cell(dataclasses.replace(b, plan=dataclasses.replace(b.plan, options={})), Cell("margin+update", 0))
    assert [p.n_labels for p in each.points] == [5, 11, 17, 23, 29]
    assert each.points[0].metrics == alone.points[0].metrics
    assert each.picks != alone.picks


def test_an_oracle_judges_by_rows_that_are_neither_tested_nor_asked_for():
    b = bench(strategies=("optimal-look-ahead",))
    test_rows, askable = b.split(0)
    judges, initial = b.judges(0, askable), b.initial(0, askable)
    assert len(judges) == (len(askable) - 5) // 3
    assert not set(judges) & {*test_rows, *initial}
    picks = {p.row for p in run_cell(b, Cell("optimal-look-ahead", 0)).picks}
    assert len(picks) == 24
    assert not picks & {*judges, *test_rows}


def test_test_labels_have_no_influence_on_what_an_oracle_picks():
    b = bench(strategies=("optimal-look-ahead",))
    y = b.y_N.copy()
    y[b.test] = (y[b.test] + 1) % 3
    assert (
        run_cell(b, Cell("optimal-look-ahead", 0)).picks
        == run_cell(dataclasses.replace(b, y_N=y), Cell("optimal-look-ahead", 0)).picks
    )


@pytest.mark.parametrize("test", [True, False], ids=["test split", "held out"])
def test_every_label_is_one_exact_fit_to_what_could_be_asked_for(test):
    b = bench(test=test)
    test_rows, askable = b.split(1)
    result = run_cell(b, Cell(FULL_DATA, 1))
    model = fit(
        Training(b.source.take(askable), b.y_N[askable], np.ones(len(askable)), 3),
        dataclasses.replace(b.plan.spec, seed=1),
        tune_update=False,
    )
    (point,) = result.points
    assert point.metrics == metrics.classification(b.y_N[test_rows], model.predictive(b.source.take(test_rows)))
    assert (point.n_labels, point.round, result.picks) == (len(askable), 0, ())


def test_every_label_is_where_a_run_that_uses_up_the_pool_ends():
    b = dataclasses.replace(bench(), plan=dataclasses.replace(bench().plan, batch=40, rounds=9))
    last, every = run_cell(b, Cell("margin", 0)).points[-1], run_cell(b, Cell(FULL_DATA, 0)).points[0]
    assert every.metrics == pytest.approx(last.metrics, rel=1e-6)


COSTS = np.random.default_rng(8).uniform(1.0, 4.0, 90)


def priced(budget=12, costs=COSTS, **changes):
    plain = bench(**changes)
    return dataclasses.replace(plain, plan=dataclasses.replace(plain.plan, batch=budget), costs_N=costs)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_round_spends_the_budget_and_the_first_labels_are_paid_for(strategy):
    b = priced()
    result = run_cell(b, Cell(strategy, 0))
    _, askable = b.split(0)
    cost, open_rows = COSTS[b.initial(0, askable)].sum(), set(askable) - set(b.initial(0, askable))
    assert result.points[0].cost == pytest.approx(cost)
    for point in result.points[1:]:
        rows = [pick.row for pick in result.picks if pick.round == point.round]
        spent = COSTS[rows].sum()
        open_rows -= set(rows)
        assert spent <= 12
        assert spent + min(COSTS[list(open_rows)]) > 12, "nothing else could be bought"
        cost += spent
        assert point.cost == pytest.approx(cost)
        assert point.row()["cost"] == point.cost
    assert len({point.n_labels for point in result.points}) == 5


def test_a_round_with_a_budget_is_one_query_with_a_budget():
    b = priced()
    picks = [(p.row, p.score) for p in run_cell(b, Cell("margin", 1)).picks if p.round == 1]
    _, askable = b.split(1)
    first = b.initial(1, askable)
    model = fit(Training(b.source.take(first), b.y_N[first], np.ones(5), 3), b.plan.spec, tune_update=False)
    view = View(b.source, np.setdiff1d(askable, first), first, model)
    chosen = select_within(
        strategy_of(margin_module), "margin", view, 12, COSTS, seed=selection_seed(Cell("margin", 1), 0), options={}
    )
    assert picks == list(zip(chosen.rows_K.tolist(), chosen.scores_K.tolist()))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_equal_costs_are_the_run_without_costs(strategy):
    b = bench()
    plain, twice = (
        run_cell(b, Cell(strategy, 0)),
        run_cell(priced(2 * b.plan.batch, np.full(90, 2.0)), Cell(strategy, 0)),
    )
    if strategy != "margin":  # whose scores are per cost
        assert plain.picks == twice.picks
    assert [p.row for p in plain.picks] == [p.row for p in twice.picks]
    assert [p.metrics for p in plain.points] == [p.metrics for p in twice.points]
    assert [p.cost for p in twice.points] == [2.0 * p.n_labels for p in plain.points]
    assert "cost" not in plain.points[0].row()


def test_a_budget_that_finds_nothing_to_buy():
    with pytest.raises(DataError, match=r"^-n 1 buys nothing: the cheapest item costs 2; raise -n$"):
        run_cell(priced(1, np.full(90, 2.0)), Cell("margin", 0))
    costs = np.where(np.arange(90) % 3 == 0, 100.0, 2.0)
    result = run_cell(priced(60, costs), Cell("margin", 0))
    assert len(result.points) < 5, "the cheap rows are bought in two rounds, and no other can be"
    assert 100.0 not in costs[[pick.row for pick in result.picks]]


@pytest.mark.parametrize("stratified", [False, True])
def test_the_baseline_tells_of_a_first_item_that_was_exchanged(stratified):
    """In the seeds whose random items are of one class, and in no other seed; a regression has no such seeds."""
    rare = bench(test=False, stratified=stratified)
    y_N = np.zeros(len(rare.y_N), np.int64)
    y_N[::9] = 1
    rare = dataclasses.replace(rare, y_N=y_N)
    told, expected = [], []
    for seed in range(12):
        _, askable = rare.split(seed)
        drawn = y_N[initial_rng(seed).permutation(askable)[: rare.plan.initial]]
        expected.append(not stratified and len(set(drawn)) == 1)
        assert len(set(y_N[rare.initial(seed, askable)])) == 2
        notes = [run_cell(rare, Cell(strategy, seed)).notes for strategy in ("random", "margin")]
        assert not any("one class" in text for _, text in notes[1])
        told.append(any(number == 0 and "all of one class" in text for number, text in notes[0]))
    assert told == expected
    assert any(expected) is not stratified
    assert not bench(regression=True).was_exchanged(0, np.arange(20))
