"""Items of no class: never a class, never asked for again, remembered by heads; what looks like them is left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.composition.alike import fitted_apart, leads
from alcli.data.head_file import load_head
from alcli.heads._prior import default_prior
from alcli.numerics.logistic import softmax
from alcli.selection.source import ArraySource
from tests.pools import CLASSES, group_names, names, write_labels, write_pool

RNG = np.random.default_rng(5)
CENTRES = 3.0 * RNG.standard_normal((4, 8))
Y = np.arange(160) % 4  # the fourth is junk
X = (CENTRES[Y] + RNG.standard_normal((160, 8))).astype(np.float32)
SAID = {f"r{i:03d}": "none" if Y[i] == 3 else CLASSES[Y[i]] for i in range(24)}
JUNK = {f"r{i:03d}" for i in range(160) if Y[i] == 3}
FIT = ("fit-head", "pool.parquet", "-l", "labels.csv", "--none-label", "none", "-o", "head.safetensors")
ASK = ("query", "pool.parquet", "-s", "margin", "-n", 30)


@pytest.fixture
def junk(folder):
    """pool.parquet with 160 rows, a fourth of them junk; labels.csv labels 24, 6 of them as none."""
    write_pool("pool.parquet", X)
    write_labels("labels.csv", SAID)
    return folder


def test_none_is_no_class_and_the_head_remembers_it(junk, alcli):
    said = alcli(*FIT, "--json").done()
    assert json.loads(said.out)["no_class"] == 6
    assert "6 items belong to no class (label 'none')" in said.err
    head = load_head(Path("head.safetensors"))
    assert head.classes == CLASSES
    assert len(head.absorbed) == 18
    plain = {id: label for id, label in SAID.items() if label != "none"}
    write_labels("plain.csv", plain)
    alcli("fit-head", "pool.parquet", "-l", "plain.csv", "-o", "plain.safetensors").done()
    np.testing.assert_array_equal(head.model.head.W_CD1, load_head(Path("plain.safetensors")).model.head.W_CD1)
    found = json.loads(alcli("inspect", "head.safetensors", "--json").done().out)["files"][0]
    assert found["items_of_no_class"] == 6


def test_junk_is_not_asked_for(junk, alcli):
    with_none = alcli(*ASK, "-l", "labels.csv", "--none-label", "none").done()
    write_labels("plain.csv", {id: label for id, label in SAID.items() if label != "none"})
    Path("seen.txt").write_text("id\n" + "\n".join(id for id in SAID if id in JUNK))
    without = alcli(*ASK, "-l", "plain.csv", "--exclude", "seen.txt").done()
    assert len(with_none.lines) == len(without.lines) == 30
    assert not set(with_none.lines) & set(SAID)
    assert len(set(without.lines) & JUNK) >= 8
    assert len(set(with_none.lines) & JUNK) <= 2
    assert "look like the 6 items that belong to no class and were left out" in with_none.err
    alcli(*FIT).done()
    assert alcli(*ASK, "-H", "head.safetensors").done().lines == with_none.lines


def test_as_many_as_were_asked_for(junk, alcli):
    everything = alcli(*ASK[:-1], 136, "-l", "labels.csv", "--none-label", "none").done()
    assert len(everything.lines) == 136
    assert "0 candidates look" in everything.err


def test_the_odds_against_a_fit_made_here():
    source = ArraySource(X, np.arange(160), block_rows=50)
    junk, classes = np.flatnonzero(Y == 3)[:6], np.flatnonzero(Y != 3)[:18]
    head = fitted_apart(source, classes, junk)
    weights = np.r_[np.full(18, 24 / 36), np.full(6, 2.0)]
    data, y = np.r_[X[classes], X[junk]], np.repeat([0, 1], [18, 6])
    assert head.prior_precision == default_prior(data, weights)
    phi = with_bias(data).astype(np.float64)
    residual = (softmax(phi @ head.W_CD1.T) - np.eye(2)[y]) * weights[:, None]
    gradient = residual.T @ phi
    gradient[:, :-1] += head.prior_precision * head.W_CD1[:, :-1]
    assert np.abs(gradient[:, :-1]).max() < 1e-3
    candidates = np.arange(30, 160)
    logits = with_bias(X[candidates]) @ head.W_CD1.T
    np.testing.assert_allclose(leads(source, candidates, head), logits[:, 1] - logits[:, 0], rtol=1e-6, atol=1e-9)
    assert ((leads(source, candidates, head) > 0) == (Y[candidates] == 3)).mean() > 0.9


def test_updates_and_corrections(junk, alcli):
    alcli(*FIT).done()
    update = ("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv")
    write_labels("more.csv", {"r031": "none", "r032": "cat"})
    assert "7 items belong to no class" in alcli(*update).done().err
    before = Path("head.safetensors").read_bytes()
    alcli(*update).done()
    assert Path("head.safetensors").read_bytes() == before
    # r000 was absorbed as cat.
    write_labels("more.csv", {"r000": "none"})
    alcli(*update).refused(65, "r000", "--corrections")
    alcli(*update, "--corrections").done()
    head = load_head(Path("head.safetensors"))
    assert (len(head.absorbed), len(head.no_class.ids)) == (18, 8)
    write_labels("more.csv", {"r003": "dog"})
    alcli(*update).done()
    head = load_head(Path("head.safetensors"))
    assert (len(head.absorbed), len(head.no_class.ids)) == (19, 7)


def test_a_stream(junk, alcli):
    alcli(*FIT).done()
    ask = (
        "query",
        "pool.parquet",
        "-H",
        "head.safetensors",
        "-s",
        "margin",
        "-n",
        2,
        "--stream",
        "-o",
        "head.safetensors",
    )
    first = json.loads(alcli(*ask, stdin=b"").done().lines[0])["id"]
    lines = [{"id": "r000", "label": "none"}, {"id": first, "label": "none"}]
    said = alcli(*ask, stdin="".join(json.dumps(line) + "\n" for line in lines).encode()).done()
    answers = [json.loads(line) for line in said.lines]
    assert "has a label" in answers[1]["error"]
    assert len(load_head(Path("head.safetensors")).no_class.ids) == 7
    assert first not in alcli(*ASK, "-H", "head.safetensors").done().lines


def test_numbers_groups_and_the_label_column(folder, alcli):
    labels = [("none" if Y[i] == 3 else CLASSES[Y[i]]) if i < 24 else None for i in range(160)]
    split = ["test" if i >= 100 else "train" for i in range(160)]
    write_pool("pool.parquet", X, label=[labels[i % 24] for i in range(160)], split=split)
    report = json.loads(alcli(*FIT[:2], *FIT[4:], "--json").done().out)
    assert report["no_class"] == sum(labels[i % 24] == "none" for i in range(100))
    assert report["n_test"] == sum(labels[i % 24] != "none" for i in range(100, 160))
    write_pool("groups.parquet", X, group=group_names(np.arange(160) // 4 * 4 + Y // 3))
    write_labels("groups.csv", {f"g{g:03d}": ("none" if g % 4 else CLASSES[g % 3]) for g in (0, 1, 4, 5, 8, 9)})
    asked = alcli("query", "groups.parquet", "-l", "groups.csv", "--none-label", "none", "-s", "margin", "-n", 9).done()
    assert all(int(id[1:]) % 4 == 0 for id in asked.lines)
    Path("numbers.csv").write_text(
        "id,label\n" + "".join(f"{id},{i}.5\n" for i, id in enumerate(names(9))) + "r010,none\n"
    )
    write_pool("numbers.parquet", X)
    fit = ("fit-head", "numbers.parquet", "-l", "numbers.csv", "--task", "regression", "-o", "n.safetensors")
    alcli(*fit).refused(65, "none", "not a finite number")
    assert json.loads(alcli(*fit, "--none-label", "none", "--json").done().out)["no_class"] == 1


def test_wrong_ways(junk, alcli):
    write_labels("two.csv", {"r000": "None", "r001": "cat", "r002": "none"})
    said = alcli("fit-head", "pool.parquet", "-l", "two.csv", "--none-label", "none", "-o", "h.safetensors").done()
    assert "the class 'None' looks like the label 'none' of --none-label" in said.err
    Path("twice.csv").write_text("id,label\nr000,none\nr000,cat\n")
    alcli(*FIT[:3], "twice.csv", *FIT[4:]).refused(65, "r000", "'none'")
    write_labels("only.csv", {"r000": "none", "r001": "none"})
    alcli(*FIT[:3], "only.csv", *FIT[4:]).refused(65, "no label")
    # Without a labelled item there is nothing that junk could differ from.
    asked = alcli("query", "pool.parquet", "-l", "only.csv", "--none-label", "none", "-s", "coreset", "-n", 3).done()
    assert not {"r000", "r001"} & set(asked.lines)
