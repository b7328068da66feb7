"""What `fit-head` reports is what the model does, and what it writes is what it reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from alcli.data.head_file import load_head
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool

X_ND, Y_N = tiny_features()


def report(outcome) -> dict[str, object]:
    return json.loads(outcome.done().out)


def test_figures_on_training_and_test_rows(tiny, alcli):
    write_pool("pool.parquet", X_ND, split=["test" if i >= 40 else None for i in range(60)], label=[CLASSES[c] if i < 20 or i >= 40 else None for i, c in enumerate(Y_N)])
    found = report(alcli("fit-head", "pool.parquet", "-o", "head.safetensors", "--json"))
    model = load_head(Path("head.safetensors")).model
    assert (found["n"], found["n_test"], found["classes"], found["dim"]) == (20, 20, 3, 5)
    for part, rows in (("train", slice(0, 20)), ("test", slice(40, 60))):
        log_probs = model.predictive(X_ND[rows])
        assert found[f"{part}_accuracy"] == pytest.approx((log_probs.argmax(axis=1) == Y_N[rows]).mean())
        assert found[f"{part}_nll"] == pytest.approx(-log_probs[np.arange(20), Y_N[rows]].mean())
    assert found["prior_precision"] == model.head.prior_precision


def test_test_rows_of_other_classes_are_noted(tiny, alcli):
    write_pool("pool.parquet", X_ND, split=["test" if i >= 40 else None for i in range(60)], label=["fox" if i >= 55 else CLASSES[c] for i, c in enumerate(Y_N)])
    done = alcli("fit-head", "pool.parquet", "-o", "head.safetensors", "--json").done()
    assert json.loads(done.out)["n_test"] == 15
    assert "5 test rows of classes that no label names" in done.err


def test_regression(tiny, alcli):
    y_N = X_ND.astype(np.float64) @ np.array([1.0, -2, 0.5, 0, 3]) + 4
    write_pool("pool.parquet", X_ND, label=y_N, split=["test" if i >= 40 else None for i in range(60)])
    found = report(alcli("fit-head", "pool.parquet", "-o", "head.safetensors", "--json"))
    assert found["kind"] == "ridge"
    assert found["test_r2"] > 0.99
    assert found["test_mae"] < 0.1
    assert "classes" not in found


def test_the_order_of_rows_and_labels_does_not_matter(head, alcli):
    before = load_head(head)
    order = np.random.default_rng(0).permutation(60)
    write_pool("pool.parquet", X_ND[order], [names(60)[i] for i in order], row_group_size=9)
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in reversed(range(20))})
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "b.safetensors", "--prior-precision", "1").done()
    assert head.read_bytes() == Path("b.safetensors").read_bytes()
    assert before.model.head.prior_precision == 1


def test_bad_rows(tiny, alcli):
    X_bad = X_ND.copy()
    X_bad[[3, 50], 1] = np.nan
    write_pool("pool.parquet", X_bad)
    done = alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--bad-rows", "skip", "--json").done()
    assert json.loads(done.out)["n"] == 19
    assert "1 labelled rows have no usable vector" in done.err


def test_a_report_for_people(tiny, alcli):
    done = alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    lines = dict(line.split("  ", 1) for line in done.err.splitlines() if "  " in line)
    assert lines["n"].strip() == "20"
    assert "prior precision" in lines
    assert done.out == b""
