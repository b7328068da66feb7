"""`--test-labels`: a test set given as labels is never asked for, never learned from, and measures the head."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from alcli.data.head_file import load_head
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool

X_ND, Y_N = tiny_features()
TEST = ("--test-labels", "test.csv")


@pytest.fixture
def tested(tiny):
    write_labels("test.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(15, 50)})
    return tiny


def report(outcome) -> dict:
    return json.loads(outcome.done().out)


def test_they_measure_the_head_and_are_kept_out_of_the_fit(tested, alcli):
    found = report(alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", *TEST, "--json"))
    right = load_head(Path("h.safetensors")).model.predictive(X_ND[15:50]).argmax(axis=1) == Y_N[15:50]
    assert (found["n"], found["n_test"]) == (15, 35)
    assert found["test_accuracy"] == pytest.approx(right.mean())
    low, high = found["test_accuracy_interval"]
    assert low < found["test_accuracy"] < high or found["test_accuracy"] == pytest.approx(high)


def test_they_are_never_asked_for(tested, alcli):
    asked = alcli("query", "pool.parquet", "-s", "random", "-n", 60, "-l", "labels.csv", *TEST).done().lines
    assert set(asked) == set(names(60)[50:])


def test_an_update_learns_none_of_them_and_is_measured_by_them(tested, alcli):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", *TEST).done()
    found = report(alcli("update", "h.safetensors", "-P", "pool.parquet", "-l", "more.csv", *TEST, "--json"))
    assert (found["new_labels"], "test_accuracy" in found) == (0, False)
    write_labels("more.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(45, 60)})
    found = report(alcli("update", "h.safetensors", "-P", "pool.parquet", "-l", "more.csv", *TEST, "--json"))
    assert (found["new_labels"], found["n_test"]) == (10, 35)


def test_they_join_the_test_rows_of_the_pool(tested, alcli):
    label = [CLASSES[c] for c in Y_N]
    write_pool("pool.parquet", X_ND, label=label, split=["test" if i >= 55 else None for i in range(60)])
    found = report(alcli("fit-head", "pool.parquet", "-o", "h.safetensors", *TEST, "--json"))
    assert (found["n"], found["n_test"]) == (20, 40)


def test_a_regression_takes_numbers(tested, alcli):
    y_N = X_ND.astype(np.float64) @ np.array([1.0, -2, 0.5, 0, 3])
    write_pool("pool.parquet", X_ND, label=[float(y) if i < 30 else None for i, y in enumerate(y_N)])
    write_labels("test.csv", {f"r{i:03d}": float(y_N[i]) for i in range(25, 60)})
    found = report(alcli("fit-head", "pool.parquet", "-o", "h.safetensors", *TEST, "--json"))
    assert (found["n"], found["n_test"]) == (25, 35)
    assert found["test_r2"] > 0.99


def test_unknown_ids_and_standard_input_are_refused(tested, alcli):
    fit = ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors")
    write_labels("test.csv", {"z": "cat"})
    alcli(*fit, *TEST).refused(65, "test.csv: line 2: the id 'z' is not in the pool", "--ignore-unknown")
    assert "n_test" not in report(alcli(*fit, *TEST, "--ignore-unknown", "--json"))
    alcli(*fit, "--force", "--test-labels", "-").refused(2, "--test-labels reads its file twice")


def test_all_commands_count_a_row_of_an_unknown_class_as_wrong(tested, alcli):
    """fit-head and update give the same accuracy for the same head, and the share of such rows."""
    write_labels("test.csv", {f"r{i:03d}": "fox" if i < 30 else CLASSES[Y_N[i]] for i in range(20, 60)})
    fit = ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", "--prior-precision", "1")
    found = report(alcli(*fit, *TEST, "--json"))
    update = ("update", "h.safetensors", "-P", "pool.parquet", "--method", "refit", *TEST, "--json")
    later = report(alcli(*update))
    assert found["test_unknown_share"] == later["test_unknown_share"] == 0.25
    assert found["test_accuracy"] == pytest.approx(later["test_accuracy_before"])
    assert found["test_accuracy"] <= 0.75


def test_rows_of_unknown_classes_alone_are_all_wrong(tested, alcli):
    write_labels("test.csv", {f"r{i:03d}": "fox" for i in range(40, 60)})
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", *TEST).done()
    done = alcli("update", "h.safetensors", "-P", "pool.parquet", "-l", "more.csv", *TEST).done()
    assert "test accuracy 0 -> 0" in done.err
