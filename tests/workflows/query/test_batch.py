"""What a query leaves out, what it fits by itself, and what it tells."""

from __future__ import annotations

import csv
import json
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from alcli.heads._contract import Training
from alcli.numerics.logistic import softmax
from alcli.simulation.plan import Cell, initial_rng, selection_seed
from alcli.simulation.splits import initial_rows
from alcli.workflows.query import fitting as query_fitting
from alcli.workflows.query.candidates import drawn_seed
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool

X_ND, Y_N = tiny_features()


def rows(outcome) -> list[dict[str, object]]:
    return [json.loads(line) for line in outcome.done().lines]


def test_margin_against_a_sort(head, alcli):
    found = rows(alcli("query", "pool.parquet", "-H", head, "-s", "margin", "-n", 7, "--format", "jsonl"))
    model = load_head(head).model
    probs = np.sort(np.exp(model.log_probs(X_ND[20:])), axis=1)
    scores = (1 - (probs[:, -1] - probs[:, -2])).astype(np.float32)
    order = np.lexsort((np.arange(40), -scores))[:7]
    assert [r["id"] for r in found] == [f"r{20 + i:03d}" for i in order]
    assert [r["rank"] for r in found] == list(range(7))
    assert [np.float32(r["score"]) for r in found] == scores[order].tolist()
    predictive = np.exp(model.predictive(X_ND[20:][order]))
    assert [r["predicted"] for r in found] == [CLASSES[c] for c in predictive.argmax(axis=1)]
    assert [r["confidence"] for r in found] == pytest.approx(predictive.max(axis=1), rel=1e-6)
    assert np.allclose(softmax(model.logits(X_ND)), np.exp(model.log_probs(X_ND)))


def test_a_head_and_the_labels_it_was_fitted_on_answer_alike(tiny, alcli):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    by_head = alcli(
        "query", "pool.parquet", "-H", "head.safetensors", "-s", "entropy", "-n", 9, "--format", "csv"
    ).done()
    by_labels = alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "entropy", "-n", 9, "--format", "csv").done()
    assert by_head.out == by_labels.out
    assert "fitted a softmax head on 20 labels" in by_labels.err


def test_a_head_and_labels_add_up(head, alcli):
    left = alcli("query", "pool.parquet", "-H", head, "-l", "more.csv", "-s", "margin", "-n", 60).done().lines
    assert sorted(left) == names(60)[30:]
    write_labels("new-class.csv", {"r040": "fox"})
    assert (
        "r040"
        not in alcli("query", "pool.parquet", "-H", head, "-l", "new-class.csv", "-s", "margin", "-n", 60).done().lines
    )


@pytest.fixture
def unfitted(tiny, monkeypatch) -> Path:
    """Every row is labelled, in all.csv, and a head that is fitted all the same fails the test."""
    write_labels("all.csv", {id: CLASSES[y] for id, y in zip(names(60), Y_N)})

    def fit(*_: object) -> None:
        pytest.fail("a head was fitted, with nothing to ask it")

    monkeypatch.setattr(query_fitting, "fit_labelled", fit)
    return tiny


NAMES = "id,rank,score,strategy"
PREDICTED = f"{NAMES},predicted,confidence"


@pytest.mark.parametrize(
    ("more", "columns"),
    [
        ((), PREDICTED),
        (("-s", "badge"), PREDICTED),
        (("-s", "bait"), PREDICTED),
        (("-s", "auto"), PREDICTED),
        (("-s", "batchbald", "-p", "samples=5"), PREDICTED),
        (("-p", "impute=argmax"), f"{PREDICTED},imputed"),
        (("-p", "balance=predicted"), PREDICTED),
        (("--candidates", 9), PREDICTED),
        (("-s", "coreset"), NAMES),
    ],
)
def test_nothing_is_fitted_where_nothing_is_left_and_the_columns_are_there(unfitted, alcli, more, columns):
    done = alcli("query", "pool.parquet", "-l", "all.csv", "-s", "margin", "-n", 5, "--format", "csv", *more).done()
    assert done.out.decode() == f"{columns}\n"
    assert "nothing is left to select" in done.err
    assert "fitted" not in done.err


def test_what_was_given_out_before_counts_as_gone(unfitted, alcli):
    """A cron job that has asked for everything costs no fit a night."""
    Path("rest.txt").write_text("".join(f"{id}\n" for id in names(60)[20:]))
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5)
    assert "nothing is left" in alcli(*ask, "--exclude", "rest.txt").done().err
    alcli(
        "query", "pool.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 40, "--selections", "ledger.parquet"
    ).done()
    report = json.loads(alcli(*ask, "--selections", "ledger.parquet", "--json").done().out)
    assert (report["candidates"], report["selected"], report["selection"]) == (0, 0, [])


def test_what_speaks_against_a_fit_is_said_all_the_same(unfitted, alcli):
    write_labels("one.csv", dict.fromkeys(names(60), "cat"))
    alcli("query", "pool.parquet", "-l", "one.csv", "-s", "margin", "-n", 3).refused(65, "2 classes", "coreset")
    Path("everything.txt").write_text("".join(f"{id}\n" for id in names(60)))
    alcli("query", "pool.parquet", "-s", "margin", "-n", 3, "--exclude", "everything.txt").refused(
        65, "needs a head or labels"
    )
    alcli("query", "pool.parquet", "-l", "all.csv", "-s", "margin", "-n", 5, "--strict").refused(
        65, "nothing is left", "--strict"
    )
    alcli("query", "pool.parquet", "-l", "all.csv", "-s", "coreset", "-n", 5, "-p", "impute=argmax").refused(
        2, "there is no head"
    )
    write_pool("pool.parquet", X_ND, label=X_ND[:, 0].astype(float).tolist())
    alcli("query", "pool.parquet", "-s", "margin", "-n", 3).refused(2, "margin", "numbers")
    ask = ("query", "pool.parquet", "-s", "predictive-variance", "-n", 5, "--format", "csv")
    alcli(*ask, "-p", "impute=argmax").refused(2, "the head is a regression")
    assert alcli(*ask).done().out.decode() == f"{NAMES},predicted,sd\n"


@pytest.mark.parametrize("strategy", ["margin", "badge"])
def test_with_costs_nothing_is_fitted_either(unfitted, alcli, strategy):
    write_pool("pool.parquet", X_ND, price=[1.0 + i for i in range(60)])
    done = alcli(
        "query", "pool.parquet", "-l", "all.csv", "-s", strategy, "-n", 5, "-p", "cost-col=price", "--format", "csv"
    ).done()
    assert done.out.decode() == f"{PREDICTED}\n"
    assert "spent 0 of 5; items bought: 0" in done.err


def test_a_given_head_says_what_is_gone_and_columns_are_those_of_a_fitted_one(tiny, alcli):
    write_labels("all.csv", {id: CLASSES[y] for id, y in zip(names(60), Y_N)})
    alcli("fit-head", "pool.parquet", "-l", "all.csv", "-o", "head.safetensors", "--prior-precision", "1").done()
    for form in ("csv", "jsonl", "ids"):
        by_head, by_labels = (
            alcli("query", "pool.parquet", *given, "-s", "margin", "-n", 5, "--format", form).done()
            for given in (("-H", "head.safetensors"), ("-l", "all.csv"))
        )
        assert by_head.out == by_labels.out
        assert "nothing is left to select" in by_head.err


def test_what_is_left_out(tiny, alcli):
    write_pool("pool.parquet", X_ND, split=["test" if i >= 50 else None for i in range(60)])
    Path("done.txt").write_text("r020\nr021\nelsewhere\n")
    pq.write_table(pq.read_table("pool.parquet", columns=["id"]).slice(22, 3), "done.parquet")
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 60)
    found = alcli(
        *ask, "--exclude", "done.txt", "--exclude", "done.parquet", "--exclude", "-", stdin=b"id,rank\nr025,0\n"
    ).done()
    assert sorted(found.lines) == names(60)[26:50]
    assert "1 id to leave out is not in the pool" in found.err


@pytest.mark.parametrize("form", ["txt", "csv", "jsonl", "parquet"])
def test_a_selection_is_what_to_leave_out_next_time(tiny, alcli, form):
    ask = ("query", "pool.parquet", "-s", "coreset", "-n", 25)
    first = alcli(*ask).done().lines
    assert alcli(*ask, "-o", f"picked.{form}").done().out == b""
    second = alcli(*ask, "--exclude", f"picked.{form}").done().lines
    assert not set(first) & set(second)


@pytest.mark.parametrize("out", ["ledger.parquet", "./sub/../ledger.parquet"])
def test_the_ledger_is_not_the_output_before_it_is_there_either(out, tiny, alcli):
    Path("sub").mkdir()
    alcli("query", "pool.parquet", "-s", "random", "-n", 2, "--selections", "ledger.parquet", "-o", out).refused(
        2, "is read and cannot be the output too"
    )
    assert not Path("ledger.parquet").exists()


def test_the_ledger_is_left_out_and_grows(tiny, alcli):
    ask = ("query", "pool.parquet", "-s", "random", "-n", 25, "--selections", "ledger.parquet")
    batches = [alcli(*ask).done().lines for _ in range(4)]
    assert [len(b) for b in batches] == [25, 25, 10, 0]
    ledger = pq.read_table("ledger.parquet").to_pylist()
    assert [row["id"] for row in ledger] == [*chain(*batches)]
    assert [row["rank"] for row in ledger] == [*range(25), *range(25), *range(10)]
    assert {row["strategy"] for row in ledger} == {"random"}


def test_a_ledger_that_cannot_be_written_gives_nothing_out(tiny, alcli, monkeypatch):
    """The batch has its name only once the ledger has the batch."""
    import alcli.data.ledger.owed as module

    def fail(*a: object, **k: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_ledger", fail)
    alcli("query", "pool.parquet", "-s", "random", "-n", 3, "--selections", "ledger.parquet", "-o", "out.csv").refused(
        74
    )
    assert not [p.name for p in tiny.iterdir() if "out.csv" in p.name]


def test_a_regression_head(tiny, alcli):
    write_pool("pool.parquet", X_ND, label=[float(x) + 0.5 if i < 20 else None for i, x in enumerate(X_ND[:, 0])])
    alcli("fit-head", "pool.parquet", "-o", "head.safetensors").done()
    alcli("query", "pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 3).refused(
        2, "margin", "class probabilities", "head.safetensors", "coreset"
    )
    alcli("query", "pool.parquet", "-s", "margin", "-n", 3).refused(2, "margin", "numbers")
    found = rows(
        alcli("query", "pool.parquet", "-H", "head.safetensors", "-s", "coreset", "-n", 3, "--format", "jsonl")
    )
    assert not {r["id"] for r in found} & set(names(20))
    _are_numbers_of(load_head(Path("head.safetensors")).model, found)


def _are_numbers_of(model, found):
    """Each prediction is the mean of the label, and sd holds the posterior variance of the mean and the noise."""
    phi_KD1 = np.column_stack([X_ND[[int(r["id"][1:]) for r in found]].astype(float), np.ones(len(found))])
    assert [r["predicted"] for r in found] == pytest.approx(phi_KD1 @ model.head.W_CD1[0], rel=1e-6)
    covariance = model.posterior.state.covariance
    noise = model.head.noise_variance
    sd_K = np.sqrt(noise * np.einsum("kd,de,ke->k", phi_KD1, covariance, phi_KD1) + noise)
    assert [r["sd"] for r in found] == pytest.approx(sd_K, rel=1e-6)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_batch_of_numbers_has_the_same_columns_in_every_format(tiny, alcli, form):
    write_pool("pool.parquet", X_ND, label=[float(x) + 0.5 if i < 20 else None for i, x in enumerate(X_ND[:, 0])])
    ask = ("query", "pool.parquet", "-s", "predictive-variance", "-n", 3)
    expected = rows(alcli(*ask, "--format", "jsonl"))
    alcli(*ask, "-o", f"out.{form}").done()
    if form == "parquet":
        table = pq.read_table("out.parquet")
        assert [str(table.schema.field(name).type) for name in ("predicted", "sd")] == ["float", "float"]
        found = table.to_pylist()
    else:
        found = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    for name in ("predicted", "sd"):
        assert [np.float32(r[name]) for r in found] == [np.float32(r[name]) for r in expected]


def test_a_stream_of_numbers_predicts_them(tiny, alcli):
    write_pool("pool.parquet", X_ND, label=[float(x) + 0.5 if i < 20 else None for i, x in enumerate(X_ND[:, 0])])
    alcli("fit-head", "pool.parquet", "-o", "head.safetensors").done()
    ask = ("query", "pool.parquet", "-H", "head.safetensors", "-s", "predictive-variance")
    first = rows(alcli(*ask, "-n", 1, "--format", "jsonl"))
    model = load_head(Path("head.safetensors")).model
    said = rows(
        alcli(*ask, "-n", 2, "--stream", stdin=json.dumps({"id": first[0]["id"], "label": 9.0}).encode() + b"\n")
    )
    assert said[0] == {name: first[0][name] for name in said[0]}
    _are_numbers_of(model, said[:1])
    X_1D = X_ND[[int(said[0]["id"][1:])]]
    after = model.update(Training(X_1D, np.array([9.0]), np.ones(1), None))
    assert after.mean(X_1D)[0] != pytest.approx(said[0]["predicted"], rel=1e-3)
    _are_numbers_of(after, said[1:])


def test_json_holds_the_selection(tiny, alcli):
    report = json.loads(alcli("query", "pool.parquet", "-s", "random", "-n", 3, "--json", "-o", "out.csv").done().out)
    assert [r["rank"] for r in report["selection"]] == [0, 1, 2]
    assert report["candidates"] == 60
    assert len(Path("out.csv").read_text().splitlines()) == 4


def test_only_a_strategy_that_asks_what_calibration_changes_is_given_a_calibrated_head(tiny, alcli):
    def confidences(strategy):
        found = rows(alcli("query", "pool.parquet", "-l", "labels.csv", "-s", strategy, "-n", 40, "--format", "jsonl"))
        return {row["id"]: row["confidence"] for row in found}

    plain = confidences("margin")
    assert confidences("alfa-mix") == plain
    assert confidences("sparse-greedy") != plain


def test_every_batch_of_a_ledger_draws_other_candidates(tiny, alcli):
    """Six nights with the same seed: no random part of the pool is looked at alone. A repetition draws the same."""

    def nights(ledger):
        ask = ("-s", "discriminative", "-n", 3, "-p", "candidates=8", "--selections", ledger, "--format", "ids")
        return [alcli("query", "pool.parquet", "-l", "labels.csv", *ask).done().lines for _ in range(6)]

    picks = nights("a.parquet")
    assert picks == nights("b.parquet")
    first = alcli(
        "query", "pool.parquet", "-l", "labels.csv", "-s", "discriminative", "-n", 8, "-p", "candidates=8"
    ).done()
    looked_at = set(first.lines)
    assert set(picks[0]) <= looked_at
    assert sum(id not in looked_at for batch in picks[1:3] for id in batch) >= 3


def test_without_a_ledger_the_seed_is_the_seed():
    assert drawn_seed(7, 0) == 7
    seeds = {drawn_seed(seed, n) for seed in (0, 7) for n in range(1, 50)}
    assert len(seeds) == 98
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("strategy", ["margin", "sparse-greedy", "bald", "badge", "alfa-mix"])
def test_a_simulation_chooses_as_a_query_with_the_same_labels(folder, alcli, strategy):
    """The same head, also its curvature and temperature, from the same labels; and the same draws."""
    X, y = tiny_features(90)
    ids = names(90)
    split = ["test" if i >= 60 else None for i in range(90)]
    write_pool("pool.parquet", X, ids, split=split, label=[CLASSES[c] for c in y])
    run = ("-s", strategy, "-n", 6, "--rounds", 1, "--seeds", 1, "--initial", 25, "-o", "out")
    alcli("simulate", "pool.parquet", *run).done()
    picks = pq.read_table("out/selections.parquet").to_pylist()
    chosen = [row["id"] for row in picks if row["strategy"] == strategy and row["round"] == 1]
    assert len(chosen) == 6
    labelled = initial_rows(y, np.arange(60), 25, initial_rng(0), classes=True, stratified=False)
    write_labels("labels.csv", {ids[i]: CLASSES[y[i]] for i in labelled})
    write_pool("plain.parquet", X, ids, split=split)
    seed = selection_seed(Cell(strategy, 0), 0)
    ask = ("-l", "labels.csv", "-s", strategy, "-n", 6, "--seed", seed, "--format", "ids")
    assert alcli("query", "plain.parquet", *ask).done().lines == chosen


def test_imputed_batches_are_those_of_a_query(folder, alcli):
    """With the labels of the first round; the labels that the model made up are not those it learns."""
    X, y = tiny_features(90)
    ids, split = names(90), ["test" if i >= 60 else None for i in range(90)]
    write_pool("pool.parquet", X, ids, split=split, label=[CLASSES[c] for c in y])
    run = ("-s", "margin,guess=margin", "-p", "guess.impute=argmax", "-n", 6, "--rounds", 1, "--seeds", 1)
    alcli("simulate", "pool.parquet", *run, "--initial", 25, "-o", "out").done()
    picks = pq.read_table("out/selections.parquet").to_pylist()
    plain, guessed = ([p["id"] for p in picks if p["strategy"] == who] for who in ("margin", "guess=margin"))
    labelled = initial_rows(y, np.arange(60), 25, initial_rng(0), classes=True, stratified=False)
    write_labels("labels.csv", {ids[i]: CLASSES[y[i]] for i in labelled})
    write_pool("plain.parquet", X, ids, split=split)
    ask = ("-l", "labels.csv", "-s", "margin", "-n", 6, "-p", "impute=argmax", "--format", "ids")
    assert alcli("query", "plain.parquet", *ask).done().lines == guessed
    assert guessed != plain
    alcli("simulate", "pool.parquet", *run, "--posterior", "none", "-o", "none").refused(2, "--posterior none")


def test_the_pool_of_targets_is_not_the_output(tiny, alcli):
    Path("targets.parquet").write_bytes(Path("pool.parquet").read_bytes())
    before = Path("targets.parquet").read_bytes()
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "epig", "-p", "targets=targets.parquet", "-n", 2)
    alcli(*ask, "-o", "targets.parquet").refused(2, "targets.parquet: is read and cannot be the output too")
    assert Path("targets.parquet").read_bytes() == before


@pytest.mark.parametrize("option", ["-o", "--selections"])
def test_an_output_that_would_become_a_part_of_the_pool_is_refused(option, tiny, alcli):
    Path("parts").mkdir()
    Path("pool.parquet").rename("parts/a.parquet")
    ask = ("query", "parts", "-s", "random", "-n", 2)
    for bad in ("parts/picked.parquet", "parts/day=1/picked.parquet", "parts/../parts/picked.pq"):
        if "day=1" in bad:
            Path("parts/day=1").mkdir()
        alcli(*ask, option, bad, *(["-o", "out.csv"] if option != "-o" else [])).refused(2, "part of the pool parts")
    if option == "-o":
        alcli(*ask, option, "parts/picked.csv").done()
    alcli(*ask, option, "parts/_picked.parquet", *(["-o", "out.csv"] if option != "-o" else [])).done()
    alcli(*ask).done()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-s", "auto"], ["uherding"]),
        (["--mix", "margin:0.5,random:0.5"], ["margin", "random"]),
        (["--mix", "margin:0.5,auto:0.5"], ["margin", "uherding"]),
        (["-s", "auto", "-p", "balance=predicted"], ["uherding"]),
        (["-s", "auto", "-p", "impute=argmax"], ["uherding"]),
        (["-s", "margin"], ["margin"]),
    ],
    ids=" ".join,
)
def test_batch_and_ledger_name_the_strategy_that_picked_each_item(tiny, alcli, options, expected):
    """Where `auto` or a mix leaves the choice to others, they are named."""
    options = [*options, "-l", "labels.csv", "-n", 6, "--selections", "ledger.parquet", "--format", "jsonl"]
    rows = [json.loads(line) for line in alcli("query", "pool.parquet", *options).done().lines]
    assert sorted({row["strategy"] for row in rows}) == expected
    entries = pq.read_table("ledger.parquet").to_pylist()
    assert [(row["id"], row["strategy"]) for row in rows] == [(one["id"], one["strategy"]) for one in entries]


def test_a_stream_enters_the_strategy_that_picked_the_item(tiny, alcli):
    ask = ("-l", "labels.csv", "-s", "auto", "-n", 1, "--stream", "--selections", "ledger.parquet")
    alcli("query", "pool.parquet", *ask, stdin=b"").done()
    assert pq.read_table("ledger.parquet")["strategy"].to_pylist() == ["uherding"]
