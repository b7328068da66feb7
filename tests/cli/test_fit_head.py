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
