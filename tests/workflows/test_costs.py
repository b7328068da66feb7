"""`-p cost-col`: items with prices and a budget."""

from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def priced(values, type=None):
    table = pq.read_table("pool.parquet")
    pq.write_table(table.append_column("minutes", pa.array(values, type)), "priced.parquet")


def test_query_spends_n(tiny, alcli):
    priced([1.0 + i % 4 for i in range(60)])
    done = alcli(
        "query",
        "priced.parquet",
        "-l",
        "labels.csv",
        "-s",
        "margin",
        "-n",
        10,
        "-p",
        "cost-col=minutes",
        "--format",
        "csv",
    ).done()
    rows = list(csv.DictReader(io.StringIO(done.out.decode())))
    spent = sum(1.0 + int(row["id"][1:]) % 4 for row in rows)
    assert spent <= 10
    assert f"spent {spent:g} of 10; items bought: {len(rows)}" in done.err
    report = json.loads(
        alcli(
            "query", "priced.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 10, "-p", "cost-col=minutes", "--json"
        )
        .done()
        .out
    )
    assert report["cost"] <= 10


@pytest.mark.parametrize(
    ("values", "type", "what"),
    [
        ([1.0] * 59 + [0.0], None, "r059"),
        ([1.0] * 59 + [None], None, "has no value"),
        ([1.0] * 59 + [-2.0], None, "has -2"),
        ([float("inf")] + [1.0] * 59, None, "r000"),
        (["1"] * 60, None, "costs are numbers"),
    ],
)
def test_a_cost_is_a_positive_number(tiny, alcli, values, type, what):
    priced(values, type)
    alcli("query", "priced.parquet", "-s", "coreset", "-n", 5, "-p", "cost-col=minutes").refused(65, "'minutes'", what)


def test_what_does_not_go_with_it_is_said(tiny, alcli):
    alcli("query", "pool.parquet", "-s", "coreset", "-n", 5, "-p", "cost-col=minuts").refused(65, "no column 'minuts'")
    alcli(
        "query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5, "-p", "cost-col=x", "-p", "impute=argmax"
    ).refused(2, "one item at a time")
    alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5, "-p", "cost-col=x", "--stream").refused(
        2, "one item at a time"
    )


def test_a_group_costs_what_its_rows_cost(tiny, alcli):
    table = pq.read_table("pool.parquet")
    table = table.append_column("group", pa.array([f"g{i // 4}" for i in range(60)])).append_column(
        "minutes", pa.array([1] * 60)
    )
    pq.write_table(table, "grouped.parquet")
    done = alcli("query", "grouped.parquet", "-s", "coreset", "-n", 13, "-p", "cost-col=minutes").done()
    assert len(done.out.decode().split()) == 3
    assert "spent 12 of 13; items bought: 3" in done.err
