"""--normalize-labels and --conflicts in every command that reads labels, and the head that remembers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from alcli.data.pool import open_pool
from alcli.workflows.simulate.truth import truth_of
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool
from tests.shell import Here

X, Y = tiny_features()
NAMES = names(len(X))
# Every third label of a class is written otherwise.
SPELT = {id: CLASSES[y] if i % 5 else CLASSES[y].upper() + " " for i, (id, y) in enumerate(zip(NAMES, Y))}
TEST = ["test"] * 20 + ["train"] * 40


@pytest.fixture
def alcli(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    write_pool("pool.parquet", X)
    write_pool("tested.parquet", X, label=[SPELT[id] for id in NAMES], split=TEST)
    write_labels("labels.csv", {id: SPELT[id] for id in NAMES[20:50]})
    return Here(capfd, monkeypatch)


def classes(path="h.safetensors"):
    return load_head(Path(path)).classes


def test_fit_head_merges_and_without_the_flag_says_what_it_could(alcli):
    said = alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors").done().err
    assert "'CAT ' and 'cat'" in said
    assert len(classes()) == 6
    said = alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", "--force", "--normalize-labels")
    assert "6 labels are taken as a class that looks alike: 'CAT ' (2) as 'cat'" in said.done().err
    assert classes() == CLASSES


def test_test_rows_are_spelt_as_the_head_spells(alcli):
    plain = ["fit-head", "tested.parquet", "-l", "labels.csv", "-o", "h.safetensors", "--json"]
    report = json.loads(alcli(*plain, "--normalize-labels").done().out)
    assert report["classes"] == 3
    assert report["n_test"] == 20
    assert "test_unknown_share" not in report
    write_labels("known.csv", {id: CLASSES[y] for id, y in zip(NAMES[20:50], Y[20:50])})
    write_labels("test.csv", {id: SPELT[id] for id in NAMES[:20]})
    plain = ["fit-head", "pool.parquet", "-l", "known.csv", "--test-labels", "test.csv", "--json", "-o"]
    done = alcli(*plain, "a.safetensors").done()
    assert "the test rows have classes that look like those of the head: 'CAT ' like 'cat'" in done.err
    assert json.loads(done.out)["test_unknown_share"] == pytest.approx(0.2)
    again = json.loads(alcli(*plain, "b.safetensors", "--normalize-labels").done().out)
    assert again["test_accuracy"] == report["test_accuracy"]


def test_a_head_that_normalizes_takes_twins_for_ever(alcli):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", "--normalize-labels").done()
    write_labels("more.csv", {NAMES[0]: "CAT", NAMES[1]: "Dog", NAMES[2]: "EEL", NAMES[3]: "CAT"})
    done = alcli("update", "h.safetensors", "-P", "pool.parquet", "-l", "more.csv").done()
    assert "4 labels are taken as a class that looks alike: 'CAT' (2) as 'cat'" in done.err
    assert classes() == CLASSES
    # The same label in another spelling is known, and no contradiction.
    write_labels("more.csv", {NAMES[0]: "cat "})
    again = alcli("update", "h.safetensors", "-P", "pool.parquet", "-l", "more.csv").done()
    assert "0 new labels absorbed, 1 already known" in again.err
    assert "twins of classes" in alcli("inspect", "h.safetensors").done().out.decode()


def test_update_names_twins_and_its_flag_merges_them(alcli):
    write_labels("known.csv", {id: CLASSES[y] for id, y in zip(NAMES[20:50], Y[20:50])})
    alcli("fit-head", "pool.parquet", "-l", "known.csv", "-o", "h.safetensors").done()
    write_labels("more.csv", {NAMES[0]: "Cat"})
    plain = ["update", "h.safetensors", "-P", "pool.parquet", "-l", "more.csv"]
    alcli(*plain).refused(65, "no class 'Cat'", "it has 'cat', which looks alike; --normalize-labels takes it so")
    said = alcli(*plain, "--allow-new-classes", "--out", "wide.safetensors").done().err
    assert "the classes 'Cat' and 'cat' differ only by capitals" in said
    alcli(*plain, "--normalize-labels").done()
    assert load_head(Path("h.safetensors")).normalizes
    assert classes() == CLASSES


def test_query_and_its_stream(alcli):
    head = ["--normalize-labels", "-o", "h.safetensors"]
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", *head).done()
    write_labels("more.csv", {NAMES[0]: "CAT"})
    said = alcli("query", "pool.parquet", "-H", "h.safetensors", "-l", "more.csv", "-s", "margin", "-n", "2").done().err
    assert "1 label is taken as a class that looks alike: 'CAT' (1) as 'cat'" in said
    said = (
        alcli("query", "pool.parquet", "-l", "labels.csv", "-n", "2", "-s", "margin", "--normalize-labels").done().err
    )
    assert "6 labels are taken" in said
    line = json.dumps({"id": NAMES[0], "label": "Cat"}).encode() + b"\n"
    streamed = ["query", "pool.parquet", "-H", "h.safetensors", "-s", "margin", "-n", "1", "--stream"]
    assert b"error" not in alcli(*streamed, stdin=line).done().out
    write_labels("known.csv", {id: CLASSES[y] for id, y in zip(NAMES[20:50], Y[20:50])})
    alcli("fit-head", "pool.parquet", "-l", "known.csv", "-o", "k.safetensors").done()
    streamed[3] = "k.safetensors"
    assert b"the head has no class 'Cat'" in alcli(*streamed, stdin=line).done().out
    assert b"error" not in alcli(*streamed, "--normalize-labels", stdin=line).done().out
    alcli(*streamed, "--conflicts", "c.csv").refused(2, "--conflicts is for batches")


def test_simulate(alcli):
    write_pool("all.parquet", X, label=[SPELT[id] for id in NAMES])
    notes: list[str] = []
    assert len(truth_of(open_pool("all.parquet"), None, note=notes.append).classes) == 6
    assert "'CAT ' and 'cat'" in notes[0]
    plain = ["simulate", "all.parquet", "-s", "random", "-n", "5", "--rounds", "1", "--seeds", "1", "--initial", "9"]
    assert "12 labels are taken" in alcli(*plain, "-o", "b", "--normalize-labels").done().err
    with open("b/classes.csv") as file:
        assert {row["class"] for row in csv.DictReader(file)} == set(CLASSES)


def test_names_of_classes_come_first(alcli):
    write_pool("names.parquet", X[:3], ids=["CAT", "Dog", "eel"])
    plain = ["fit-head", "pool.parquet", "-l", "labels.csv", "--class-names", "names.parquet", "--normalize-labels"]
    alcli(*plain, "-o", "h.safetensors").done()
    assert classes() == ("CAT", "Dog", "eel")


def test_conflicts_are_written_by_every_command(alcli):
    write_labels("other.csv", {NAMES[20]: "cat", NAMES[21]: CLASSES[Y[21]]})
    files = ["-l", "labels.csv", "-l", "other.csv"]
    fit = ["fit-head", "pool.parquet", *files, "--normalize-labels", "-o", "h.safetensors", "--conflicts"]
    assert "1 item has another label than in the files before it" in alcli(*fit, "a.csv").done().err
    with open("a.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["label"], row["files"], row["taken"]) for row in rows] == [
        (NAMES[20], "cat", "other.csv", "cat"),
        (NAMES[20], "eel", "labels.csv", "cat"),
    ]
    alcli(*fit, "labels.csv", "--force").refused(2, "is read and cannot be the output")
    alcli(*fit, "h.safetensors", "--force").refused(2, "no table has the extension '.safetensors'")
    alcli(*fit, "b.csv").refused(73, "h.safetensors: already exists")
    alcli("query", "pool.parquet", *files, "-n", "2", "--conflicts", "q.csv", "--normalize-labels").done()
    alcli("query", "pool.parquet", *files, "-n", "2", "--conflicts", "q.csv").done()
    update = ["update", "h.safetensors", "-P", "pool.parquet", *files, "--corrections", "--conflicts", "u.parquet"]
    alcli(*update).done()
    alcli(*update).refused(73, "u.parquet: already exists")
    with open("q.csv") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["EEL ", "cat"], "written anew, as a batch is"
    assert len(pq.read_table("u.parquet")) == 2


def test_an_audit_is_spelt_as_the_head_spells(alcli):
    write_labels("known.csv", {id: CLASSES[y] for id, y in zip(NAMES[:20], Y[:20])})
    rows = [["id", "label", "weight"], *([id, SPELT[id], "1"] for id in NAMES[20:50])]
    with open("audit.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    plain = ["fit-head", "pool.parquet", "-l", "known.csv", "--audit", "audit.csv", "--json", "-o"]
    done = alcli(*plain, "a.safetensors").done()
    assert "the rows of the audit have classes that look like those of the head: 'CAT ' like 'cat'" in done.err
    again = alcli(*plain, "b.safetensors", "--normalize-labels").done()
    assert "6 labels are taken as a class that looks alike" in again.err
    plain, merged = json.loads(done.out), json.loads(again.out)
    assert plain["audit_unknown_share"] > merged["audit_unknown_share"] == 0
    assert merged["audit_accuracy"] > plain["audit_accuracy"] > 0
