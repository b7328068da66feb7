"""`query --candidates knn:K`: the choice among the nearest neighbours of labelled items."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import alcli as python
from alcli.errors import UsageError
from alcli.workflows.query import neighbours
from tests.pools import names, tiny_features, write_labels, write_pool

QUERY = ("query", "pool.parquet", "-l", "labels.csv")


def near(k, labelled=range(20), n=60):
    """The ids of the unlabelled rows of the tiny pool that are among the k nearest of any labelled row."""
    X_ND, open_ = tiny_features(n)[0].astype(np.float64), np.setdiff1d(np.arange(n), list(labelled))
    sq = ((X_ND[list(labelled)][:, None] - X_ND[open_]) ** 2).sum(-1)
    return {names(n)[open_[i]] for i in np.unique(np.argsort(sq, axis=1, kind="stable")[:, :k])}


def asked(alcli, *options):
    """(the ids that a query for all candidates returns, what it says)."""
    done = alcli(*QUERY, "-n", len(near(3)), "--format", "ids", *options).done()
    return set(done.lines), done.err


@pytest.mark.parametrize("strategy", ["random", "margin", "coreset", "badge", "margin:0.5,coreset:0.5"])
def test_only_neighbours_of_labelled_rows_are_chosen(tiny, alcli, strategy):
    how = ("--mix",) if ":" in strategy else ("-s",)
    ids, said = asked(alcli, *how, strategy, "--candidates", "knn:3")
    assert ids == near(3) != near(40)
    assert f"chose among {len(ids)} candidates of 40, the 3 nearest of each of 20 labelled items" in said


def test_an_index_finds_the_same_where_many_are_labelled(tiny, alcli, monkeypatch):
    monkeypatch.setattr(neighbours, "_by_passes", lambda n: 0)
    ids, said = asked(alcli, "-s", "random", "--candidates", "knn:3")
    assert ids == near(3)  # an index of 40 rows has one list, so that it finds all
    assert "looked up neighbours by an index of 1 MiB, which may miss some" in said
    monkeypatch.setitem(sys.modules, "faiss", None)
    alcli(*QUERY, "-s", "random", "-n", 3, "--candidates", "knn:3").refused(69, "'faiss' is not installed; pip install")


def test_few_labelled_rows_need_no_index(tiny, alcli, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    write_labels("labels.csv", {"r000": "cat", "r001": "dog", "r002": "eel"})
    done = alcli(*QUERY, "-s", "margin", "-n", 3, "--candidates", "knn:1", "--json", "-o", "out.csv").done()
    report = json.loads(done.out)
    assert report["candidates"] == len(near(1, range(3))) == 3
    assert "the nearest of each of 3 labelled items" in done.err


def test_too_few_neighbours_are_doubled_until_there_are_enough(tiny, alcli):
    write_labels("labels.csv", {"r000": "cat", "r001": "dog", "r002": "eel"})
    k = next(k for k in (1, 2, 4, 8, 16, 32) if len(near(k, range(3))) >= 10)
    done = alcli(*QUERY, "-s", "random", "-n", 10, "--candidates", "knn:1", "--format", "ids").done()
    assert k > 1
    assert set(done.lines) <= near(k, range(3))
    assert len(done.lines) == 10
    assert f"the 1 nearest of each labelled item are too few candidates for -n 10, so {k} were taken" in done.err
    assert len(alcli(*QUERY, "-s", "random", "-n", 99, "--candidates", "knn:1").done().lines) == 57


def test_rows_in_another_order_and_in_small_blocks_give_the_same(tiny, alcli):
    ids, _ = asked(alcli, "-s", "random", "--candidates", "knn:3")
    order = np.random.default_rng(0).permutation(60)
    write_pool("pool.parquet", tiny_features()[0][order], [names(60)[i] for i in order], row_group_size=7)
    assert asked(alcli, "-s", "random", "--candidates", "knn:3")[0] == ids


def test_groups_are_neighbours_by_their_means(tiny, alcli):
    table = pq.read_table("pool.parquet").append_column("group", pa.array([f"g{i // 2:02d}" for i in range(60)]))
    pq.write_table(table, "pool.parquet")
    means = tiny_features()[0].reshape(30, 2, 5).mean(axis=1)
    write_labels("labels.csv", {f"r{i:03d}": "cat" for i in range(6)})
    sq = ((means[:3, None] - means[None, 3:]) ** 2).sum(-1)
    true = {f"g{i + 3:02d}" for i in np.unique(np.argsort(sq, axis=1)[:, :4])}
    done = alcli(*QUERY, "-s", "random", "-n", len(true), "--candidates", "knn:4", "--group-col", "group").done()
    assert set(done.lines) == true


def test_a_stream_looks_up_neighbours_at_its_start(tiny, alcli):
    line = json.dumps({"id": "r030", "label": "cat"}).encode() + b"\n"
    done = alcli(*QUERY, "-s", "margin", "-n", 4, "--candidates", "knn:2", "--stream", stdin=line).done()
    shown = [json.loads(row)["id"] for row in done.lines]
    assert shown
    assert set(shown) <= near(2)


def test_a_budget_leaves_k_as_it_is(tiny, alcli):
    pq.write_table(pq.read_table("pool.parquet").append_column("cost", pa.array([1.0] * 60)), "pool.parquet")
    done = alcli(*QUERY, "-s", "random", "-n", 500, "-p", "cost-col=cost", "--candidates", "knn:1").done()
    assert set(done.lines) == near(1)


def test_without_a_labelled_row_there_are_no_neighbours(tiny, alcli):
    ask = ("-s", "random", "-n", 3, "--candidates", "knn:5")
    words = "--candidates knn:5 looks at the neighbours of labelled items, and no item of the pool is labelled"
    alcli("query", "pool.parquet", *ask).refused(2, words, "give labels with -l")
    Path("labels.csv").write_text("id,label\n")
    alcli(*QUERY, *ask).refused(65, words, "label some items first")


@pytest.mark.parametrize("text", ["knn:0", "knn:-1", "knn:", "knn:x", "knn:1.5"])
def test_k_is_a_count(tiny, alcli, text):
    alcli(*QUERY, "-s", "random", "-n", 3, "--candidates", text).refused(2, "K of at least 1", f"'{text}'")
    with pytest.raises(UsageError, match="K of at least 1"):
        python.select("pool.parquet", 3, labels="labels.csv", candidates=text)


def test_what_it_does_not_go_with(tiny, alcli):
    alcli(*QUERY, "-s", "suspect", "-n", 3, "--candidates", "knn:3").refused(2, "--candidates knn:3 does not go with")
    alcli(*QUERY, "-s", "audit", "-n", 3, "--candidates", "knn:3").refused(2, "--candidates chooses among them")
    alcli(*QUERY, "-s", "random", "-n", 3, "--candidates", "near").refused(2, "a whole number or knn:K, got 'near'")
    alcli(
        "simulate", "pool.parquet", "-s", "margin", "-n", 3, "--rounds", 2, "--candidates", "knn:3", "-o", "out"
    ).refused(2, "--candidates takes a whole number, got 'knn:3'")


def test_python_has_the_option(tiny):
    said = []
    batch = python.select(
        "pool.parquet", 3, labels="labels.csv", strategy="coreset", candidates="knn:2", note=said.append
    )
    assert set(batch.ids) <= near(2)
    assert any("the 2 nearest of each of 20 labelled items" in text for text in said)
