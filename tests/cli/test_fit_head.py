"""`alcli fit-head` on the command line: options reach the recipe, and the recipe the file."""

from __future__ import annotations

import json
from pathlib import Path

from alcli.data.head_file import load_head


def test_options_are_remembered(tiny, alcli):
    alcli(
        "fit-head",
        "pool.parquet",
        "-l",
        "labels.csv",
        "-o",
        "h.safetensors",
        "--head",
        "softmax",
        "--posterior",
        "none",
        "--prior-precision",
        "0.5",
        "--calibrate",
        "temperature",
        "--seed",
        7,
    ).done()
    recipe = load_head(Path("h.safetensors")).recipe
    assert recipe == {
        "head": "softmax",
        "posterior": "none",
        "covariance": "shared",
        "prior_precision": 0.5,
        "calibrate": "temperature",
        "seed": 7,
        "options": {},
        "preset": "none",
        "prior": "plain",
    }


def test_names_are_checked_before_data_is_read(folder, alcli):
    for option, value in (
        ("--head", "sofmax"),
        ("--posterior", "laplac"),
        ("--covariance", "x"),
        ("--task", "x"),
        ("--bad-rows", "x"),
        ("--calibrate", "x"),
        ("-p", "no-such=1"),
    ):
        alcli("fit-head", "missing.parquet", "-o", "h.safetensors", option, value).refused(2)
    alcli("fit-head", "missing.parquet", "-o", "h.safetensors").refused(66, "missing.parquet")


def test_json(tiny, alcli):
    report = json.loads(
        alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", "--json").done().out
    )
    assert {"n", "classes", "prior_precision", "train_accuracy", "train_nll", "train_ece", "log_evidence"} <= set(
        report
    )


def test_a_head_with_hidden_layers_goes_through_every_command(tiny, alcli):
    few = ("--head", "mlp", "-p", "widths=8,4", "-p", "epochs=30")
    report = json.loads(
        alcli(
            "fit-head",
            "pool.parquet",
            "-l",
            "labels.csv",
            "-o",
            "h.safetensors",
            *few,
            "-p",
            "learning-rate=0.02",
            "--seed",
            3,
            "--json",
        )
        .done()
        .out
    )
    assert (report["kind"], report["epochs"]) == ("mlp", 30)
    assert report["train_accuracy"] > 0.9
    head = load_head(Path("h.safetensors")).model.head
    assert [W.shape[0] for W, _ in head.layers] == [8, 4]
    for strategy in ("badge", "entropy", "coreset"):
        assert len(alcli("query", "pool.parquet", "-H", "h.safetensors", "-s", strategy, "-n", 3).done().lines) == 3
    for more in ((), ("--method", "refit")):
        alcli(
            "update", "h.safetensors", "-P", "pool.parquet", "-l", "more.csv", "-o", "new.safetensors", "--force", *more
        ).done()
    assert len(load_head(Path("new.safetensors")).absorbed.id_L) == 30
    alcli(
        "fit-head",
        "pool.parquet",
        "-l",
        "labels.csv",
        "-o",
        "again.safetensors",
        *few,
        "-p",
        "learning-rate=0.02",
        "--seed",
        3,
    ).done()
    assert Path("again.safetensors").read_bytes() == Path("h.safetensors").read_bytes()
    alcli(
        "fit-head", "pool.parquet", "-l", "labels.csv", "-o", "other.safetensors", "--head", "mlp", "-p", "widths=8,x"
    ).refused(2, "'widths'")


def test_aux_loss_trains_a_branch_that_strategies_and_refits_use(tiny, alcli):
    few = ("--head", "mlp", "-p", "widths=8", "-p", "epochs=5")
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "plain.safetensors", *few).done()
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", *few, "--aux-loss").done()
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "same.safetensors", *few, "-p", "aux-loss=true").done()
    assert Path("h.safetensors").read_bytes() == Path("same.safetensors").read_bytes()
    head = load_head(Path("h.safetensors")).model.head
    assert head.branch.units == 128
    for strategy in ("learning-loss", "lplgrad"):
        assert len(alcli("query", "pool.parquet", "-H", "h.safetensors", "-s", strategy, "-n", 3).done().lines) == 3
    alcli("query", "pool.parquet", "-H", "plain.safetensors", "-s", "learning-loss", "-n", 3).refused(
        2, "looks at the loss-prediction branch, the head plain.safetensors has none"
    )
    assert (
        "aux: inactive"
        in alcli("query", "pool.parquet", "-H", "plain.safetensors", "-s", "lplgrad", "-n", 3).done().err
    )
    norms = [
        alcli(
            "query",
            "pool.parquet",
            "-H",
            "h.safetensors",
            "-s",
            "lplgrad",
            "-n",
            3,
            "-p",
            f"feature-norm={n}",
            "--format",
            "csv",
        )
        .done()
        .out
        for n in ("none", "l2")
    ]
    assert norms[0] != norms[1]
    alcli(
        "update", "h.safetensors", "-P", "pool.parquet", "-l", "more.csv", "-o", "new.safetensors", "--method", "refit"
    ).done()
    assert load_head(Path("new.safetensors")).model.head.branch.units == 128


def test_aux_loss_on_a_linear_head_says_that_it_is_inactive(tiny, alcli):
    assert (
        "aux: inactive; a linear head"
        in alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", "--aux-loss").done().err
    )
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "other.safetensors").done()
    assert Path("h.safetensors").read_bytes() == Path("other.safetensors").read_bytes()
    alcli("fit-head", "pool.parquet", "-o", "x.safetensors", "--head", "mpl", "--aux-loss").refused(
        2, "did you mean 'mlp'"
    )
