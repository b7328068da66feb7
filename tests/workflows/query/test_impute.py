"""A batch built under made-up labels: it is what a stream would choose that got these labels, and it says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.helpers import names_for_linear_heads
from tests.pools import CLASSES


def ask(alcli, strategy="margin", how="argmax", n=6, *more):
    done = alcli(
        "query",
        "pool.parquet",
        "-H",
        "head.safetensors",
        "-s",
        strategy,
        "-n",
        n,
        "-p",
        f"impute={how}",
        "--format",
        "jsonl",
        *more,
    ).done()
    return [json.loads(line) for line in done.lines], done.err


@pytest.mark.parametrize("how", ["argmax", "sample"])
def test_the_batch_is_that_of_a_stream_that_is_told_the_imputed_labels(head, alcli, how):
    before = head.read_bytes()
    batch, said = ask(alcli, how=how)
    assert f"impute={how}" in said
    assert "nobody gave them" in said
    replies = "".join(json.dumps({"id": row["id"], "label": row["imputed"]}) + "\n" for row in batch)
    streamed = alcli(
        "query", "pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 6, "--stream", stdin=replies.encode()
    ).done()
    items = [json.loads(line) for line in streamed.lines]
    assert [(i["id"], i["score"]) for i in items] == [(row["id"], row["score"]) for row in batch]
    assert head.read_bytes() == before
    if how == "argmax":
        assert [i["predicted"] for i in items] == [row["imputed"] for row in batch]


@pytest.mark.parametrize("strategy", names_for_linear_heads())
def test_every_strategy_takes_it(head, alcli, strategy):
    batch, _ = ask(alcli, strategy)
    assert len({row["id"] for row in batch}) == 6
    assert {row["imputed"] for row in batch} <= set(CLASSES)


def test_draws_follow_the_predictive_distribution_and_the_seed(head, alcli):
    first = {seed: ask(alcli, "margin", "sample", 1, "--seed", seed)[0][0] for seed in range(40)}
    assert len({row["id"] for row in first.values()}) == 1
    share = np.mean([row["imputed"] == row["predicted"] for row in first.values()])
    confidence = first[0]["confidence"]
    assert abs(share - confidence) < 4 * (confidence * (1 - confidence) / 40) ** 0.5
    assert ask(alcli, "margin", "sample", 6) == ask(alcli, "margin", "sample", 6)


def test_it_needs_a_classification_head_and_a_known_way(tiny, alcli):
    alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 2, "-p", "impute=argmax").refused(
        2, "there is no head", "-H"
    )
    alcli("query", "none.parquet", "-s", "margin", "-n", 2, "-p", "impute=argmx").refused(2, "did you mean 'argmax'")


def test_without_it_there_is_no_such_column(head, alcli):
    done = alcli("query", "pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 1, "--format", "jsonl").done()
    assert "imputed" not in json.loads(done.lines[0])
