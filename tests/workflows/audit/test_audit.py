"""An audit from the draw to the figures: what is drawn, what is read, what is measured, and what is learned from."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from alcli.data.pool import open_pool
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool

N = 240
X_ND, Y_N = tiny_features(N)
AUDIT = ("query", "pool.parquet", "-s", "audit", "-H", "head.safetensors")
FIT = ("fit-head", "pool.parquet", "-l", "labels.csv", "--prior-precision", "1", "--force", "-o")


@pytest.fixture
def pool(folder, alcli):
    """240 rows of three classes, 20 of them labelled, and a head fitted to these."""
    write_pool("pool.parquet", X_ND)
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(20)})
    alcli(*FIT, "head.safetensors").done()
    return folder


def answered(path: str, out: str, n: int | None = None, labels: dict[str, str] | None = None) -> list[str]:
    """Write the true labels of the first n drawn rows to a file; return their ids."""
    with open(path) as file:
        ids = [row["id"] for row in csv.DictReader(file)][:n]
    write_labels(out, {id: CLASSES[Y_N[int(id[1:])]] for id in ids} | (labels or {}))
    return ids


@pytest.fixture
def audit(pool, alcli):
    """audit.csv, 60 drawn rows with their weights, and answers.csv, their labels."""
    alcli(*AUDIT, "-n", 60, "-o", "audit.csv").done()
    answered("audit.csv", "answers.csv")
    return pool


GIVEN = ("--audit", "answers.csv", "--audit", "audit.csv")


def report(outcome) -> dict:
    return json.loads(outcome.done().out)


# -- the draw ---------------------------------------------------------------------------------------------------------


def test_labelled_rows_take_part_and_weights_are_those_of_the_chances(pool, alcli):
    alcli(*FIT, "head.safetensors", "--calibrate", "temperature").done()
    found = report(alcli(*AUDIT, "-n", N, "--json"))["selection"]
    assert sorted(row["id"] for row in found) == names(N)
    weights = np.array([row["weight"] for row in found])
    assert (weights > 0).all()
    assert (weights <= 2).all()
    assert (1.0 / weights).mean() == pytest.approx(1.0, rel=1e-5), "the mean of N q over all rows"
    assert {row["population"] for row in found} == {N}
    unsure = max(found, key=lambda row: row["confidence"] * (1 - row["confidence"]))
    assert unsure["weight"] == weights.min()


def test_a_larger_audit_begins_with_a_smaller_one(pool, alcli):
    small = alcli(*AUDIT, "-n", 20).done().lines
    assert alcli(*AUDIT, "-n", 50).done().lines[:20] == small
    assert alcli(*AUDIT, "-n", 20, "--seed", 1).done().lines != small


def test_with_a_ledger_the_draw_goes_on_where_it_ended(pool, alcli):
    ledger = ("--selections", "ledger.parquet")
    alcli("query", "pool.parquet", "-s", "random", "-n", 30, *ledger).done()
    first, second = (alcli(*AUDIT, "-n", n, *ledger).done().lines for n in (20, 10))
    assert alcli(*AUDIT, "-n", 30).done().lines == first + second
    purposes = pq.read_table("ledger.parquet")["purpose"].to_pylist()
    assert purposes == ["label"] * 30 + ["audit"] * 30
    later = alcli("query", "pool.parquet", "-s", "random", "-n", N, *ledger).done().lines
    assert not set(later) & set(first + second), "what is drawn for an audit is never asked for"


def test_a_pool_with_test_rows_draws_none_of_them(folder, alcli):
    write_pool("pool.parquet", X_ND, split=["test" if i < 100 else None for i in range(N)])
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(100, 120)})
    alcli(*FIT, "head.safetensors").done()
    found = report(alcli(*AUDIT, "-n", N, "--json"))["selection"]
    assert sorted(row["id"] for row in found) == names(N)[100:]


@pytest.mark.parametrize(
    "options",
    [
        ["--exclude", "labels.csv"],
        ["--candidates", "9"],
        ["--stream"],
        ["-p", "prefilter=0.5"],
        ["-p", "impute=argmax"],
    ],
    ids=" ".join,
)
def test_what_would_choose_among_the_rows_is_refused(pool, alcli, options):
    alcli(*AUDIT, "-n", 5, *options).refused(2, "an audit is drawn from all items that can be asked for", "leave one")


def test_a_mix_and_a_simulation_refuse_it(pool, alcli):
    mixed = ("query", "pool.parquet", "-H", "head.safetensors", "--mix", "audit:0.5,random:0.5", "-n", 4)
    alcli(*mixed).refused(2, "a mix")
    simulated = ("simulate", "pool.parquet", "-s", "audit", "-n", 5, "--rounds", 1, "-o", "out")
    write_pool("pool.parquet", X_ND, label=[CLASSES[c] for c in Y_N])
    alcli(*simulated).refused(2, "'audit' draws rows to measure a head by")


# -- the figures ------------------------------------------------------------------------------------------------------


def test_an_audit_of_every_row_says_what_is_true(pool, alcli):
    alcli(*AUDIT, "-n", N, "-o", "audit.csv").done()
    answered("audit.csv", "answers.csv")
    alcli("update", "head.safetensors", "-P", "pool.parquet", *GIVEN, "-o", "new.safetensors").done()
    found = report(alcli("update", "head.safetensors", "-P", "pool.parquet", *GIVEN, "--json"))
    best = load_head(Path("head.safetensors")).model.predictive(X_ND).argmax(axis=1)
    rest, right = np.arange(20, N), best == Y_N
    assert found["audit_labels"] == N - 20
    assert found["audit_accuracy"] == pytest.approx(right[rest].mean(), abs=1e-3)
    assert found["audit_accuracy_interval"] == pytest.approx([found["audit_accuracy"]] * 2)
    recalls = [right[rest][Y_N[rest] == c].mean() for c in range(3)]
    assert found["audit_balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert found["audit_unknown_share"] == 0.0


def test_audited_rows_are_not_learned_from_now_and_later(audit, alcli):
    both = {id for id in names(20)} & set(answered("audit.csv", "answers.csv"))
    assert both, "the audit holds labelled rows too"
    done = alcli(*FIT, "new.safetensors", *GIVEN, "--json").done()
    assert f"{len(both)} labelled row" in done.err
    assert "not learned from" in done.err
    assert json.loads(done.out)["n"] == 20 - len(both)
    found = report(alcli("update", "new.safetensors", "-P", "pool.parquet", "-l", "answers.csv", "--json"))
    assert (found["new_labels"], found["absorbed"]) == (0, 20 - len(both))
    left = ("query", "pool.parquet", "-H", "new.safetensors", "-s", "random", "-n", N)
    asked = alcli(*left).done().lines
    assert not set(asked) & set(answered("audit.csv", "answers.csv"))
    again = report(alcli(*FIT, "last.safetensors", "--after", "new.safetensors", "--json"))
    assert again["n"] == 20 - len(both)


def test_the_interval_holds_the_truth_and_the_audit_serves_a_later_head(audit, alcli):
    found = report(alcli(*FIT, "head.safetensors", *GIVEN, "--json"))
    write_labels("more.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(20, 60)})
    later = report(alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv", *GIVEN, "--json"))
    head = load_head(Path("head.safetensors"))
    right = head.model.predictive(X_ND).argmax(axis=1) == Y_N
    rest = ~np.isin(open_pool("pool.parquet").ids.hashes(), head.absorbed.id_L)
    low, high = later["audit_accuracy_interval"]
    assert low <= right[rest].mean() <= high
    assert later["audit_labels"] == found["audit_labels"] == 60
    assert [one.labels for one in head.audited.rounds] == [found["n"], later["absorbed"]]
    assert later["audit_labels_to_halve_interval"] == 180


def test_rows_of_unknown_classes_are_wrong_and_counted(audit, alcli):
    ids = answered("audit.csv", "answers.csv")
    write_labels("answers.csv", {id: "fox" if i < 12 else CLASSES[Y_N[int(id[1:])]] for i, id in enumerate(ids)})
    found = report(alcli(*FIT, "new.safetensors", *GIVEN, "--json"))
    low, high = found["audit_unknown_share_interval"]
    assert 0.05 < low < found["audit_unknown_share"] < high < 0.5
    assert found["audit_accuracy"] < 1 - found["audit_unknown_share"] + 0.02


def test_rows_of_no_class_are_a_share_of_their_own(pool, alcli):
    """Of every row: the accuracy is that of the rows that have a class, whatever the head says of the others."""
    alcli(*AUDIT, "-n", N, "-o", "audit.csv").done()
    junk = {i for i in range(20, N) if i % 7 == 0}
    answered("audit.csv", "answers.csv", labels={f"r{i:03d}": "none" for i in junk})
    fit = (*FIT, "new.safetensors", "--none-label", "none")
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(20)} | {"r021": "none"})
    alcli(*fit).done()
    found = report(alcli("update", "new.safetensors", "-P", "pool.parquet", *GIVEN, "--json"))
    best = load_head(Path("new.safetensors")).model.predictive(X_ND).argmax(axis=1)
    rest = [i for i in range(20, N) if i not in junk]
    assert found["audit_accuracy"] == pytest.approx((best == Y_N)[rest].mean(), abs=1e-3)
    assert found["audit_none_share"] == pytest.approx(len(junk) / (N - 20), abs=1e-3)
    assert found["audit_unknown_share"] == 0.0
    write_labels("answers.csv", {f"r{i:03d}": "none" for i in range(20, N)})
    alcli("update", "new.safetensors", "-P", "pool.parquet", *GIVEN).refused(65, "its rows belong to no class")


def test_some_rows_of_no_class_leave_the_interval_right(audit, alcli):
    ids = answered("audit.csv", "answers.csv")
    write_labels("answers.csv", {id: CLASSES[Y_N[int(id[1:])]] for id in ids} | {id: "junk" for id in ids[:9]})
    found = report(alcli(*FIT, "new.safetensors", *GIVEN, "--none-label", "junk", "--json"))
    without = [id for id in ids if id not in ids[:9]]
    write_labels("answers.csv", {id: CLASSES[Y_N[int(id[1:])]] for id in without})
    other = report(alcli(*FIT, "new.safetensors", *GIVEN, "--json"))
    assert found["audit_accuracy"] == pytest.approx(other["audit_accuracy"], abs=0.02)
    assert found["audit_none_share_interval"][0] < 9 / 60 < found["audit_none_share_interval"][1]


def test_a_class_that_is_hit_too_seldom_gives_no_balanced_accuracy(audit, alcli):
    ids = answered("audit.csv", "answers.csv")
    cats = [id for id in ids if int(id[1:]) % 3 == 0][3:]
    write_labels("answers.csv", {id: CLASSES[Y_N[int(id[1:])]] for id in ids if id not in cats})
    done = alcli(*FIT, "new.safetensors", *GIVEN, "--json").done()
    assert "audit_balanced_accuracy" not in json.loads(done.out)
    assert "the audit gives no balanced accuracy: 1 class has fewer than 5 audit labels" in done.err
    assert f"{len(cats)} drawn rows have no label" in done.err


def test_a_regression_has_an_rmse(folder, alcli):
    y_N = X_ND.astype(float) @ np.array([1.0, -2, 0.5, 0, 3]) + np.random.default_rng(0).normal(size=N)
    write_pool("pool.parquet", X_ND, label=[float(y) if i < 40 else None for i, y in enumerate(y_N)])
    fit = ("fit-head", "pool.parquet", "-o", "head.safetensors", "--force", "--json")
    alcli(*fit).done()
    alcli(*AUDIT, "-n", 80, "-o", "audit.csv").done()
    with open("audit.csv") as file:
        write_labels("answers.csv", {row["id"]: float(y_N[int(row["id"][1:])]) for row in csv.DictReader(file)})
    found = report(alcli(*fit, *GIVEN))
    assert found["audit_rmse_interval"][0] < 1.0 < found["audit_rmse_interval"][1]
    alcli(*fit, *GIVEN, "--stop-at", "0.9").refused(2, "the head predicts numbers")


# -- stopping ---------------------------------------------------------------------------------------------------------


def test_a_target_is_reached_or_not_or_open(audit, alcli):
    low, high = report(alcli(*FIT, "x.safetensors", *GIVEN, "--json"))["audit_accuracy_interval"]
    verdicts = [
        report(alcli(*FIT, "x.safetensors", *GIVEN, "--stop-at", target, "--json"))
        for target in (low - 0.01, (low + high) / 2, high + 0.01)
    ]
    assert [one["audit_reached"] for one in verdicts] == [True, False, False]
    assert verdicts[0]["audit_verdict"].startswith("reached with 95% confidence: ")
    assert verdicts[1]["audit_verdict"].startswith("not shown: ")
    assert verdicts[2]["audit_verdict"].startswith("not reached, with 95% confidence: ")


def test_looks_count_and_the_same_look_counts_once(audit, alcli):
    alcli(*FIT, "head.safetensors", *GIVEN).done()
    update = ("update", "head.safetensors", "-P", "pool.parquet", *GIVEN, "--stop-at", "0.9", "--json")
    assert report(alcli(*update))["audit_looks"] == 1
    for look in (2, 3, 4):
        write_labels("more.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(40 * look, 40 * look + 20)})
        found = report(alcli(*update, "-l", "more.csv"))
        assert found["audit_looks"] == look
        if not found["audit_reached"]:
            assert found["audit_projection"].startswith("none: ") == (look < 4)
    again = report(alcli(*FIT, "new.safetensors", *GIVEN, "--after", "head.safetensors", "--stop-at", "0.9", "--json"))
    assert again["audit_looks"] == 5


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_labels_without_weights(audit, alcli):
    alcli(*FIT, "x.safetensors", "--audit", "answers.csv").refused(
        65, "answers.csv: line 2", "has a label and no weight"
    )


def test_a_label_of_a_row_that_was_not_drawn(audit, alcli):
    drawn = answered("audit.csv", "answers.csv")
    other = next(id for id in names(N) if id not in drawn)
    answered("audit.csv", "answers.csv", labels={other: "cat"})
    alcli(*FIT, "x.safetensors", *GIVEN).refused(65, f"'{other}' has a label and no weight, so it was not drawn")


def test_an_audit_of_another_pool(audit, alcli):
    answered("audit.csv", "answers.csv", labels={"z": "cat"})
    alcli(*FIT, "x.safetensors", *GIVEN).refused(65, "the id 'z' is not in the pool", "the audit is of another pool")


def test_an_audit_of_a_smaller_pool_is_remarked_on(audit, alcli):
    write_pool("pool.parquet", np.concatenate([X_ND, X_ND[:10]]))
    done = alcli(*FIT, "x.safetensors", *GIVEN).done()
    assert "the audit was drawn from 240 rows, and 250 can be drawn now" in done.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,label\n", ["no row has a label"]),
        ("id,weight\nr001,3\n", ["line 2: the weight 3 is not that of an audit"]),
        ("id,weight\nr001,-1\n", ["line 2", "not a positive number"]),
        ("id,label,weight\nr001,cat,1\nr001,dog,1\n", ["line 3: the id 'r001' is labelled 'dog', but 'cat'"]),
        ("id,label,weight,population\nr001,cat,1,many\n", ["line 2: the population 'many' is not a number of rows"]),
        ("id,label,weight\nr001,cat,1\n", ["1 audit label, an audit needs at least 10"]),
    ],
)
def test_files_that_are_no_audit(pool, alcli, text, words):
    Path("bad.csv").write_text(text)
    alcli(*FIT, "x.safetensors", "--audit", "bad.csv").refused(65, "bad.csv", *words)
    assert not Path("x.safetensors").exists()


@pytest.mark.parametrize("target", ["0", "1", "90", "nan"])
def test_a_target_that_is_no_share(audit, alcli, target):
    alcli(*FIT, "x.safetensors", *GIVEN, "--stop-at", target).refused(2, "--stop-at takes a share between 0 and 1")


def test_a_target_without_an_audit(pool, alcli):
    alcli(*FIT, "x.safetensors", "--stop-at", "0.9").refused(2, "--stop-at needs an audit")


def test_a_head_that_has_learned_from_the_audit_is_not_measured_by_it(audit, alcli):
    both = [f"r{i:03d}" for i in range(20)]
    write_labels("answers.csv", {id: CLASSES[Y_N[int(id[1:])]] for id in both})
    Path("weights.csv").write_text("id,weight\n" + "".join(f"{id},1\n" for id in both))
    given = ("--audit", "answers.csv", "--audit", "weights.csv")
    update = ("update", "head.safetensors", "-P", "pool.parquet", *given)
    alcli(*update).refused(65, "the head has learned from the rows of the audit")


def test_a_pool_that_lacks_labels_of_the_head_is_drawn_by_the_confidence_as_it_is(pool, alcli):
    write_pool("pool.parquet", X_ND[5:], ids=names(N)[5:])
    done = alcli(*AUDIT, "-n", 5).done()
    assert "lacks labelled items of the head, so the audit follows a confidence that is not calibrated" in done.err
