"""`-p cost-col`: items with prices and a budget."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli import plugins
from alcli.errors import UsageError
from alcli.strategies._contract import select
from alcli.workflows.costs import affordable, select_within
from tests.helpers import random_head, view_of

N, D, C = 60, 4, 3
X = np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)
COSTS = np.random.default_rng(1).uniform(1.0, 5.0, N)


def within(name, budget, costs=COSTS, **view):
    view = {"labelled": range(5), "labels": np.zeros(5, int), "head": random_head(D, C), **view}
    return select_within(plugins.strategy(name), name, view_of(X, **view), budget, costs, seed=0, options={})


def test_scores_are_divided_by_costs_and_items_taken_while_they_fit():
    chosen = within("margin", 30.0)
    scores = select(plugins.strategy("margin"), view_of(X, labelled=range(5), head=random_head(D, C)), N, seed=0, options={})
    ratio = dict(zip(scores.rows_K.tolist(), scores.scores_K / COSTS[scores.rows_K]))
    left, expected = 30.0, []
    for row in sorted(ratio, key=lambda row: -ratio[row]):
        if COSTS[row] <= left:
            expected.append(row)
            left -= COSTS[row]
    assert chosen.rows_K.tolist() == expected
    assert np.allclose(chosen.scores_K, [ratio[row] for row in expected], rtol=1e-6)
    assert np.isclose(chosen.record["cost"], COSTS[chosen.rows_K].sum())
    assert chosen.record["cost"] <= 30.0


@pytest.mark.parametrize("name", ["badge", "coreset", "kmeans", "margin:0.5,random:0.5", "random"])
@pytest.mark.parametrize("budget", [0.5, 1.5, 20.0, 1000.0])
def test_the_budget_is_kept_and_nothing_that_fits_is_left_unless_it_was_not_picked(name, budget):
    chosen = within(name, budget)
    assert COSTS[chosen.rows_K].sum() <= budget
    assert len(set(chosen.rows_K.tolist())) == len(chosen.rows_K)
    rest = np.setdiff1d(np.arange(5, N), chosen.rows_K)
    assert len(rest) == 0 or COSTS[rest].min() > budget - COSTS[chosen.rows_K].sum()


def test_equal_costs_are_a_count():
    chosen = within("coreset", 12.0, np.full(N, 2.0))
    assert chosen.rows_K.tolist() == select(plugins.strategy("coreset"), view_of(X, labelled=range(5)), 6, seed=0, options={}).rows_K.tolist()
    assert chosen.notes == ("6 items cost 12 of 12",)


def test_no_candidates_and_a_budget_of_tenths():
    assert len(within("coreset", 5.0, candidates=[]).rows_K) == 0
    assert affordable(np.full(10, 0.1), 1.0).sum() == 10
    assert affordable(np.array([3.0, 9.0, 1.0]), 4.0).tolist() == [True, False, True]


def test_scores_that_can_be_negative_are_refused():
    strategy = plugins.strategy("margin")
    negative = type(strategy)(lambda log_probs_BC: log_probs_BC.max(axis=1), strategy.needs, pointwise=True, random=False)
    with pytest.raises(UsageError, match="'x' can be negative"):
        select_within(negative, "x", view_of(X, head=random_head(D, C)), 5.0, COSTS, seed=0, options={})


def priced(values, type=None):
    table = pq.read_table("pool.parquet")
    pq.write_table(table.append_column("minutes", pa.array(values, type)), "priced.parquet")


def test_query_spends_n(tiny, alcli):
    priced([1.0 + i % 4 for i in range(60)])
    done = alcli("query", "priced.parquet", "-l", "labels.csv", "-s", "margin", "-n", 10, "-p", "cost-col=minutes", "--format", "csv").done()
    rows = list(csv.DictReader(io.StringIO(done.out.decode())))
    spent = sum(1.0 + int(row["id"][1:]) % 4 for row in rows)
    assert spent <= 10
    assert f"{len(rows)} items cost {spent:g} of 10" in done.err
    report = json.loads(alcli("query", "priced.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 10, "-p", "cost-col=minutes", "--json").done().out)
    assert report["cost"] <= 10


@pytest.mark.parametrize(
    ("values", "type", "what"),
    [
        ([1.0] * 59 + [0.0], None, "r059"), ([1.0] * 59 + [None], None, "has no value"), ([1.0] * 59 + [-2.0], None, "has -2"),
        ([float("inf")] + [1.0] * 59, None, "r000"), (["1"] * 60, None, "costs are numbers"),
    ],
)  # fmt: skip
def test_a_cost_is_a_positive_number(tiny, alcli, values, type, what):
    priced(values, type)
    alcli("query", "priced.parquet", "-s", "coreset", "-n", 5, "-p", "cost-col=minutes").refused(65, "'minutes'", what)


def test_what_does_not_go_with_it_is_said(tiny, alcli):
    alcli("query", "pool.parquet", "-s", "coreset", "-n", 5, "-p", "cost-col=minuts").refused(65, "no column 'minuts'")
    alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5, "-p", "cost-col=x", "-p", "impute=argmax").refused(2, "one item at a time")
    alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5, "-p", "cost-col=x", "--stream").refused(2, "one item at a time")


def test_a_group_costs_what_its_rows_cost(tiny, alcli):
    table = pq.read_table("pool.parquet")
    table = table.append_column("group", pa.array([f"g{i // 4}" for i in range(60)])).append_column("minutes", pa.array([1] * 60))
    pq.write_table(table, "grouped.parquet")
    done = alcli("query", "grouped.parquet", "-s", "coreset", "-n", 13, "-p", "cost-col=minutes").done()
    assert len(done.out.decode().split()) == 3
    assert "3 items cost 12 of 13" in done.err
