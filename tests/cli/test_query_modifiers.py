"""`alcli query` and `alcli simulate` with strategies made of others: pairs, mixes, prefilter, balance, auto."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.pools import CLASSES, tiny_features, write_labels, write_pool


def chosen(alcli, *more, n=6):
    """The rows of a query on the tiny pool."""
    out = alcli("query", "pool.parquet", "-n", n, "--format", "csv", *more).done().out.decode()
    return list(csv.DictReader(io.StringIO(out)))


def test_a_mix_has_each_strategy_choose_its_share(tiny, alcli):
    mixed = chosen(alcli, "-l", "labels.csv", "--mix", "margin:0.5,coreset:0.5")
    margin = chosen(alcli, "-l", "labels.csv", "-s", "margin", n=3)
    assert [row["id"] for row in mixed[:3]] == [row["id"] for row in margin]
    assert [row["strategy"] for row in mixed] == ["margin"] * 3 + ["coreset"] * 3
    assert mixed == chosen(alcli, "-l", "labels.csv", "-s", "margin:0.5,coreset:0.5")
    assert len({row["id"] for row in mixed}) == 6


def test_mix_and_strategy_are_two_ways_to_say_it(tiny, alcli):
    alcli("query", "pool.parquet", "-s", "margin", "--mix", "margin:1", "-n", 1).refused(2, "use one of the two")
    alcli("query", "pool.parquet", "--mix", "margin:0.4,random:0.4", "-n", 1).refused(2, "sum to 1")
    alcli("query", "pool.parquet", "--mix", "margin", "-n", 1).refused(2, "--mix takes NAME:SHARE,..., got 'margin'")
    alcli("query", "pool.parquet", "--mix", "", "-n", 1).refused(2, "--mix takes NAME:SHARE,..., got ''")


def test_prefilter_and_balance_go_with_any_strategy(tiny, alcli):
    uncertain = {row["id"] for row in chosen(alcli, "-l", "labels.csv", "-s", "margin", n=12)}
    kept = chosen(alcli, "-l", "labels.csv", "-s", "random", "-p", "prefilter=0.3")
    assert {row["id"] for row in kept} <= uncertain
    even = chosen(alcli, "-l", "labels.csv", "-s", "coreset", "-p", "balance=predicted")
    assert sorted(row["predicted"] for row in even) == sorted(CLASSES * 2)
    alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "coreset", "-p", "prefilter=0", "-n", 1).refused(
        2, "'prefilter' must be above 0"
    )
    alcli("query", "pool.parquet", "-s", "coreset", "-p", "prefilter=0.5", "-n", 1).refused(
        65, "needs a head or labels", "give -H or -l, or leave it out"
    )
    alcli("query", "pool.parquet", "-s", "margin", "-n", 1).refused(
        65, "needs a head or labels", "give -H or -l; -s auto begins without labels; strategies that need no head"
    )
    said = (
        alcli("query", "pool.parquet", "-s", "margin", "-p", "prefilter=0.5", "-n", 1)
        .refused(65, "give -H or -l; strategies that need no head")
        .err
    )
    assert "auto" not in said, "under prefilter auto asks a head too"
    write_labels("one.csv", {"r000": CLASSES[0]})
    alcli("query", "pool.parquet", "-l", "one.csv", "-s", "auto", "-p", "prefilter=0.5", "-n", 1).refused(
        65, "-p prefilter needs a head, and a head needs 2 classes", "leave it out"
    )


def test_a_refusal_names_the_option_where_it_alone_looks_at_predictions(tiny, alcli):
    alcli("query", "pool.parquet", "-s", "coreset", "-p", "prefilter=0.5", "-n", 1).refused(
        65, "-p prefilter needs a head or labels", "leave it out"
    )
    write_labels("one.csv", {"r000": CLASSES[0]})
    modified = ["-s", "lcmd", "-p", "prefilter=0.5", "-p", "balance=predicted"]
    alcli("query", "pool.parquet", "-l", "one.csv", *modified, "-n", 1).refused(
        65, "-p prefilter with -p balance needs a head", "the label shows one"
    )
    write_pool("numbers.parquet", tiny_features()[0], label=[i + 0.5 if i < 20 else None for i in range(60)])
    alcli("query", "numbers.parquet", *modified, "-n", 1).refused(
        2, "-p prefilter with -p balance needs class probabilities", "leave them out"
    )
    alcli("query", "pool.parquet", "-l", "one.csv", "-s", "margin", "-p", "prefilter=0.5", "-n", 1).refused(
        65, "strategy 'margin' needs a head"
    )


def test_underscores_and_misspellings_of_options_of_every_strategy(tiny, alcli):
    alcli("query", "pool.parquet", "-s", "coreset", "-p", "imput=argmax", "-n", 1).refused(
        2, "no parameter 'imput'; did you mean 'impute'?"
    )
    alcli("query", "pool.parquet", "-s", "coreset", "-p", "cost-coll=c", "-n", 1).refused(
        2, "no parameter 'cost-coll'; did you mean 'cost-col'?"
    )
    alcli("query", "pool.parquet", "-s", "coreset", "-p", "cost_col=c", "-n", 1).refused(
        65, "no column 'c' to read costs from"
    )
    simulate = ("simulate", "pool.parquet", "-s", "coreset", "-n", 5, "--rounds", 1, "-o", "out")
    alcli(*simulate, "-p", "cost-coll=c").refused(2, "has a parameter 'cost-coll'; did you mean 'cost-col'?")
    alcli(*simulate, "-p", "cost_col=c").refused(2, "with -p cost-col -n is a budget")


def test_auto_begins_without_labels_and_goes_on_with_them(tiny, alcli):
    cold = alcli("query", "pool.parquet", "-s", "auto", "-n", 4).done()
    assert "auto takes maxherding: there is no head" in cold.err
    write_labels("one.csv", {"r000": CLASSES[0]})
    assert (
        "1 label shows one class" in alcli("query", "pool.parquet", "-l", "one.csv", "-s", "auto", "-n", 4).done().err
    )
    assert (
        "auto takes uherding: 20 labels of 3 classes are at most 10 a class"
        in alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "auto", "-n", 4).done().err
    )


@pytest.mark.parametrize(
    "ask",
    [
        ["-s", "margin", "-p", "prefilter=0.5"],
        ["-s", "grad/kcenter"],
        ["--mix", "margin:0.5,random:0.5"],
        ["-s", "bait"],
        ["-s", "badge", "-p", "balance=predicted"],
        ["-s", "auto"],
    ],
)
def test_they_stream_and_impute(tiny, alcli, ask):
    chosen(alcli, "-l", "labels.csv", *ask, "-p", "impute=argmax", n=3)
    lines = (
        alcli("query", "pool.parquet", "-l", "labels.csv", *ask, "-n", 2, "--stream", stdin=b"")
        .done()
        .out.decode()
        .splitlines()
    )
    assert json.loads(lines[0])["rank"] == 0


def test_simulate_takes_pairs_mixes_and_modifiers(tiny, alcli):
    write_labels("all.csv", {f"r{i:03d}": CLASSES[i % 3] for i in range(60)})
    pool = Path("labelled.parquet")
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table("pool.parquet")
    pq.write_table(table.append_column("label", pa.array([CLASSES[i % 3] for i in range(60)])), pool)
    done = alcli(
        "simulate",
        pool,
        "-s",
        "grad/kmeanspp,near=margin",
        "--mix",
        "margin:0.5,random:0.5",
        "-p",
        "near.prefilter=0.5",
        "-n",
        5,
        "--rounds",
        2,
        "--seeds",
        1,
        "-o",
        "out",
        "--prior-precision",
        "1",
    ).done()
    assert "chose among the" in done.err
    assert "by margin" in done.err
    names = [row["strategy"] for row in csv.DictReader(io.StringIO(Path("out/summary.csv").read_text()))]
    assert sorted(names) == sorted(["random", "grad/kmeanspp", "near=margin", "margin:0.5,random:0.5"])


def test_the_baseline_of_a_simulation_is_not_modified(tiny, alcli):
    alcli(
        "simulate", "pool.parquet", "-s", "margin", "-p", "random.prefilter=0.5", "-n", 5, "--rounds", 1, "-o", "out"
    ).refused(2, "'random' has no parameter 'prefilter'")
