"""`alcli fit-head` on the command line: options reach the recipe, and the recipe the file."""

from __future__ import annotations

import json
from pathlib import Path

from alcli.data.head_file import load_head


def test_options_are_remembered(tiny, alcli):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", "--head", "softmax", "--posterior", "none", "--prior-precision", "0.5", "--calibrate", "temperature", "--seed", 7).done()
    recipe = load_head(Path("h.safetensors")).recipe
    assert recipe == {"head": "softmax", "posterior": "none", "covariance": "shared", "prior_precision": 0.5, "calibrate": "temperature", "seed": 7, "options": {}, "preset": "none"}


def test_names_are_checked_before_data_is_read(folder, alcli):
    for option, value in (("--head", "sofmax"), ("--posterior", "laplac"), ("--covariance", "x"), ("--task", "x"), ("--bad-rows", "x"), ("--calibrate", "x"), ("-p", "no-such=1")):
        alcli("fit-head", "missing.parquet", "-o", "h.safetensors", option, value).refused(2)
    alcli("fit-head", "missing.parquet", "-o", "h.safetensors").refused(66, "missing.parquet")


def test_json(tiny, alcli):
    report = json.loads(alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", "--json").done().out)
    assert {"n", "classes", "prior_precision", "train_accuracy", "train_nll", "train_ece", "log_evidence"} <= set(report)


def test_a_head_with_hidden_layers_goes_through_every_command(tiny, alcli):
    few = ("--head", "mlp", "-p", "widths=8,4", "-p", "epochs=30")
    report = json.loads(alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", *few, "-p", "learning-rate=0.02", "--seed", 3, "--json").done().out)
    assert (report["kind"], report["epochs"]) == ("mlp", 30)
    assert report["train_accuracy"] > 0.9
    head = load_head(Path("h.safetensors")).model.head
    assert [W.shape[0] for W, _ in head.layers] == [8, 4]
    for strategy in ("badge", "entropy", "coreset"):
        assert len(alcli("query", "pool.parquet", "-H", "h.safetensors", "-s", strategy, "-n", 3).done().lines) == 3
    for more in ((), ("--method", "refit")):
        alcli("update", "h.safetensors", "-P", "pool.parquet", "-l", "more.csv", "-o", "new.safetensors", "--force", *more).done()
    assert len(load_head(Path("new.safetensors")).absorbed.id_L) == 30
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "again.safetensors", *few, "-p", "learning-rate=0.02", "--seed", 3).done()
    assert Path("again.safetensors").read_bytes() == Path("h.safetensors").read_bytes()
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "other.safetensors", "--head", "mlp", "-p", "widths=8,x").refused(2, "'widths'")
