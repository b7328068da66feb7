"""The edges of learning (table 3.6): one class, many classes, nothing left, and the same bytes every time."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from alcli.data.head_file import load_head
from tests.helpers import brief_options, names_for_linear_heads
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool
from tests.shell import process, untouched

X_ND, Y_N = tiny_features()


def test_a_single_class(tiny, alcli):
    write_labels("one.csv", {"r000": "cat", "r003": "cat"})
    with untouched(tiny):
        alcli("fit-head", "pool.parquet", "-l", "one.csv", "-o", "new.safetensors").refused(
            65, "2 classes", "'cat'", "2 labels"
        )
        alcli("query", "pool.parquet", "-l", "one.csv", "-s", "margin", "-n", 3).refused(
            65, "2 classes", "coreset", "random"
        )
        alcli("query", "pool.parquet", "-s", "margin", "-n", 3).refused(
            65, "margin", "needs a head or labels", "-H", "-l", "coreset"
        )
    assert len(alcli("query", "pool.parquet", "-l", "one.csv", "-s", "coreset", "-n", 3).done().lines) == 3


def test_one_process_refuses_too(tiny):
    process("query", "pool.parquet", "-s", "margin", "-n", 3).refused(65, "margin", "needs a head or labels")


def test_a_thousand_classes_of_one_row(folder, alcli):
    X_ND = np.random.default_rng(0).standard_normal((1200, 16)).astype(np.float32)
    write_pool("pool.parquet", X_ND, [f"r{i:04d}" for i in range(1200)])
    write_labels("labels.csv", {f"r{i:04d}": f"class {i}" for i in range(1000)})
    report = json.loads(
        alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", "--prior-precision", "1", "--json")
        .done()
        .out
    )
    assert report["classes"] == 1000
    assert all(math.isfinite(v) for v in report.values() if isinstance(v, float))
    lines = (
        alcli("query", "pool.parquet", "-H", "h.safetensors", "-s", "margin", "-n", 200, "--format", "jsonl")
        .done()
        .lines
    )
    assert all(0 < json.loads(line)["confidence"] <= 1 for line in lines)
    assert len(lines) == 200


@pytest.mark.parametrize("prior", ["auto", "1e-6"])
def test_separable_classes(folder, alcli, prior):
    X_ND = np.concatenate([np.full((20, 3), -5.0), np.full((20, 3), 5.0)]).astype(np.float32)
    write_pool("pool.parquet", X_ND, label=[CLASSES[i // 20] for i in range(40)])
    report = json.loads(
        alcli("fit-head", "pool.parquet", "-o", "h.safetensors", "--prior-precision", prior, "--json").done().out
    )
    assert report["train_accuracy"] == 1
    assert all(math.isfinite(v) for v in report.values() if isinstance(v, float))


def test_a_batch_larger_than_what_is_left(tiny, alcli):
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 41)
    done = alcli(*ask).done()
    assert sorted(done.lines) == names(60)[20:]
    assert "only 40 of 41 items are left" in done.err
    with untouched(tiny):
        alcli(*ask, "--strict", "-o", "out.csv", "--selections", "ledger.parquet").refused(
            65, "only 40 of 41", "--strict"
        )


@pytest.mark.parametrize("form", ["ids", "csv", "jsonl", "parquet"])
def test_everything_labelled(tiny, alcli, form):
    write_labels("all.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(60)})
    done = alcli("query", "pool.parquet", "-l", "all.csv", "-s", "margin", "-n", 5, "-o", f"out.{form}").done()
    assert "nothing is left to select" in done.err
    if form == "parquet":
        import pyarrow.parquet as pq

        schema = pq.read_schema("out.parquet")
        assert schema.field("id").type == pa.string()
        assert schema.field("score").type == pa.float32()
    else:
        assert (tiny / f"out.{form}").read_text() == (
            "id,rank,score,strategy,predicted,confidence\n" if form == "csv" else ""
        )


@pytest.mark.parametrize("strategy", names_for_linear_heads())
def test_the_same_bytes_whatever_the_layout(tiny, alcli, strategy):
    """Another order of rows and files, another row-group size, and twice: the same selection."""
    ask = ("-l", "labels.csv", "-s", strategy, *brief_options(strategy), "-n", 7, "--seed", 3, "--format", "csv")
    expected = alcli("query", "pool.parquet", *ask).done().out
    assert alcli("query", "pool.parquet", *ask).done().out == expected
    order = np.random.default_rng(1).permutation(60)
    (tiny / "shards").mkdir()
    for i, part in enumerate(np.array_split(order, 3)):
        write_pool(f"shards/{i}.parquet", X_ND[part], [names(60)[r] for r in part], row_group_size=7)
    assert alcli("query", "shards", *ask).done().out == expected


def test_the_same_bytes_in_other_environments(tiny):
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "badge", "-n", 7, "--format", "jsonl")
    environments = [
        {"PYTHONHASHSEED": "1", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "2", "COLUMNS": "1", "TERM": "dumb"},
        {"HOME": "/nonexistent", "OPENBLAS_NUM_THREADS": "2", "TZ": "Asia/Tokyo"},
    ]
    assert len({process(*ask, **environment).done().out for environment in environments}) == 1


def test_a_head_has_the_same_bytes_where_the_user_gives_blas_more_threads(tmp_path, monkeypatch):
    """Of this size BLAS would share a product out, and round it otherwise."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y_N = rng.integers(0, 3, 200)
    X_ND = rng.normal(size=(200, 600)).astype(np.float32)
    X_ND[:, :3] += 3 * np.eye(3, dtype=np.float32)[y_N]
    write_pool("pool.parquet", X_ND)
    write_labels("labels.csv", {names(200)[i]: f"c{y}" for i, y in enumerate(y_N)})
    for threads in "12":
        ask = ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", f"{threads}.safetensors", "-q")
        process(*ask, OPENBLAS_NUM_THREADS=threads, OMP_NUM_THREADS=threads).done()
    assert Path("1.safetensors").read_bytes() == Path("2.safetensors").read_bytes()


def test_the_seed_is_told(tiny, alcli):
    ask = ("query", "pool.parquet", "-s", "random", "-n", 20)
    assert "seed 0" in alcli(*ask, "-v").done().err
    assert alcli(*ask).done().out == alcli(*ask, "--seed", 0).done().out
    assert alcli(*ask).done().out != alcli(*ask, "--seed", 1).done().out
    assert alcli(*ask, "--seed", 2**63 - 1).done().lines
    alcli(*ask, "--seed", 2**63).refused(2, "--seed")


def test_candidates(tiny, alcli):
    done = alcli("query", "pool.parquet", "-s", "coreset", "-n", 60, "--candidates", 11).done()
    assert len(done.lines) == 11
    assert "11 random candidates of 60" in done.err
    assert len(alcli("query", "pool.parquet", "-s", "coreset", "-n", 60, "--candidates", 99).done().lines) == 60


def test_a_class_without_rows_is_kept(tiny, alcli):
    """Its labels were all given back: the head keeps the class, predicts with finite numbers, and learns it again."""
    Y_N = tiny_features()[1]
    gone = [f"r{i:03d}" for i in range(20) if CLASSES[Y_N[i]] == CLASSES[0]]
    Path("gone.txt").write_text("".join(f"{id}\n" for id in gone))
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors", "--prior-precision", "1").done()
    alcli("update", "h.safetensors", "-P", "pool.parquet", "--remove", "gone.txt", "--method", "refit").done()
    head = load_head(Path("h.safetensors"))
    assert set(head.classes) == set(CLASSES)
    assert 0 not in head.absorbed.label_L
    assert len(alcli("query", "pool.parquet", "-H", "h.safetensors", "-s", "entropy", "-n", 5).done().lines) == 5
    alcli("update", "h.safetensors", "-P", "pool.parquet", "-l", "labels.csv").done()
    assert 0 in load_head(Path("h.safetensors")).absorbed.label_L
