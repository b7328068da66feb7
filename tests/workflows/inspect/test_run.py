"""`alcli inspect`: kinds told by content, facts against counts made here, damaged and foreign files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pools import CLASSES, fixed, group_names, names, tiny_features, write_embedded, write_pool

X_ND, Y_N = tiny_features()
FIT = ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors")
ASK = ("query", "pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 4)


def facts(alcli, *files):
    found = json.loads(alcli("inspect", *files, "--json").done().out)["files"]
    return found[0] if len(found) == 1 else found


@pytest.fixture
def written(tiny, alcli):
    """One file of each kind."""
    alcli(*FIT).done()
    alcli(*ASK, "-o", "batch.csv", "--selections", "ledger.parquet").done()
    alcli(*ASK, "-o", "batch.parquet", "--seed", 3).done()
    alcli(*ASK, "-o", "batch.jsonl").done()
    alcli("predict", "pool.parquet", "-H", "head.safetensors", "-o", "p.csv").done()
    Path("ids.csv").write_text("id\nr001\nr002\nr001\n")
    return tiny


KINDS = {
    "head.safetensors": "head",
    "pool.parquet": "pool",
    "ledger.parquet": "ledger",
    "batch.csv": "selection",
    "batch.parquet": "selection",
    "batch.jsonl": "selection",
    "p.csv": "predictions",
    "labels.csv": "labels",
    "ids.csv": "ids",
}


def test_the_content_tells_the_kind_whatever_the_name(written, alcli):
    for i, (name, kind) in enumerate(KINDS.items()):
        shutil.copy(name, f"file-{i}")
        shutil.copy(name, f"wrong-{i}.safetensors")
        assert facts(alcli, f"file-{i}")["kind"] == facts(alcli, f"wrong-{i}.safetensors")["kind"] == kind, name


def test_a_head(written, alcli):
    found = facts(alcli, "head.safetensors")
    counts = {name: int((Y_N[:20] == c).sum()) for c, name in enumerate(CLASSES)}
    assert found["labels_of_class"] == counts
    assert (found["model"], found["dim"], found["labels_absorbed"], found["fitted_on"]) == ("softmax", 5, 20, 20)
    assert found["absorbed_after_the_fit"] == 0
    alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv").done()
    after = facts(alcli, "head.safetensors")
    assert (after["labels_absorbed"], after["absorbed_after_the_fit"]) == (30, 10)
    assert after["sha256"] != found["sha256"]
    alcli(*ASK, "--expect-sha256", after["sha256"]).done()


def test_a_head_for_numbers(folder, alcli):
    write_pool("pool.parquet", X_ND, label=X_ND[:, 0].astype(np.float64))
    alcli("fit-head", "pool.parquet", "-o", "head.safetensors").done()
    found = facts(alcli, "head.safetensors")
    assert found["predicts"] == "numbers"
    assert found["label_min"] == pytest.approx(X_ND[:, 0].min())
    assert found["label_max"] == pytest.approx(X_ND[:, 0].max())


def test_the_vectors_of_a_pool(folder, alcli):
    X = X_ND.astype(np.float32).copy()
    X[7] = X[3]
    X[8] = X[3]
    X[11] = X[10]
    X[20] = 0.0
    X[21] = -0.0
    X[30, 2] = np.nan
    X[31, 2] = np.inf
    column = pa.array([None if i == 32 else row for i, row in enumerate(X)], pa.list_(pa.float32(), 5))
    split = ["test" if i in (11, 50) else "train" for i in range(60)]
    labels = [CLASSES[c] if i not in (40, 7) else None for i, c in enumerate(Y_N)]
    write_pool("pool.parquet", column, label=labels, split=split)
    found = facts(alcli, "pool.parquet")
    assert (found["null_vectors"], found["vectors_not_finite"], found["vectors_of_another_length"]) == (1, 2, 0)
    assert (found["zero_vectors"], found["rows"], found["test_rows"]) == (2, 60, 2)
    # 3 = 7 = 8, 10 = 11, and the two vectors of zeros.
    assert (found["duplicate_rows"], found["duplicated_vectors"]) == (4, 3)
    assert found["vectors_in_test_and_other_rows"] == 1
    pairs = [(3, 8), (10, 11), (20, 21)]
    assert found["vectors_with_different_labels"] == sum(Y_N[a] != Y_N[b] for a, b in pairs)
    assert found["labelled_rows"] == 58
    used = np.linalg.norm(np.delete(X, [20, 21, 30, 31, 32], axis=0).astype(np.float64), axis=1)
    assert found["norm_min"] == pytest.approx(used.min(), rel=1e-6)
    assert found["norm_median"] == pytest.approx(np.median(used), rel=1e-6)
    assert found["norm_max"] == pytest.approx(used.max(), rel=1e-6)


def test_vectors_of_another_length_and_groups_and_several_files(folder, alcli):
    Path("pool").mkdir()
    vectors = [row[: 4 if i == 5 else 5].tolist() for i, row in enumerate(X_ND[:30])]
    ids = names(60)
    groups = group_names(np.arange(60) // 3)
    first = pa.table({"id": ids[:30], "features": pa.array(vectors, pa.list_(pa.float32())), "group": groups[:30]})
    pq.write_table(first, "pool/a.parquet")
    write_pool("pool/b.parquet", X_ND[30:], ids=ids[30:], group=groups[30:])
    found = facts(alcli, "pool")
    assert (found["files"], found["groups"], found["vectors_of_another_length"]) == (2, 20, 1)
    assert facts(alcli, "pool/*.parquet")["rows"] == 60


def test_a_pool_without_rows_and_unit_norms(folder, alcli):
    write_pool("empty.parquet", np.zeros((0, 3), np.float32))
    assert facts(alcli, "empty.parquet")["duplicate_rows"] == 0
    write_pool("unit.parquet", X_ND / np.linalg.norm(X_ND, axis=1, keepdims=True))
    assert facts(alcli, "unit.parquet")["unit_norms"] is True


def test_features_that_were_changed_after_embed(folder, alcli):
    about = {"model": "m", "source": "s", "layer": None, "normalized": False}
    with open("pool.parquet", "wb") as file:
        write_embedded(file, pa.table({"id": names(60)}), X_ND, about)
    assert facts(alcli, "pool.parquet")["fingerprint_is_that_of_embed"] is True
    table = pq.read_table("pool.parquet")
    other = table.set_column(1, "features", fixed(X_ND + np.float32(1e-3)))
    pq.write_table(other.replace_schema_metadata(table.schema.metadata), "pool.parquet")
    assert facts(alcli, "pool.parquet")["fingerprint_is_that_of_embed"] is False


def test_a_ledger_and_a_selection(written, alcli):
    alcli(*ASK, "--selections", "ledger.parquet").done()
    ledger = facts(alcli, "ledger.parquet")
    assert (ledger["rows"], ledger["batches"], ledger["rows_of_strategy"]) == (8, 2, {"margin": 8})
    batch = facts(alcli, "batch.parquet")
    assert (batch["rows"], batch["seed"], batch["columns"][:2]) == (4, 3, ["id", "rank"])
    assert sum(batch["rows_of_predicted_class"].values()) == 4
    assert facts(alcli, "batch.csv")["score_max"] == pytest.approx(batch["score_max"])


def test_labels(folder, alcli):
    Path("l.csv").write_text("id,label,weight\na,x,1\nb,,1\na,y,2\nc,x,\n")
    found = facts(alcli, "l.csv")
    assert (found["rows"], found["different_ids"], found["rows_without_a_label"]) == (4, 3, 1)
    assert (found["rows_of_class"], found["ids_with_different_labels"]) == ({"x": 2, "y": 1}, 1)
    assert (found["for_example"], found["weight_max"]) == (["a"], 2)
    Path("n.jsonl").write_text('{"id": 1, "label": 2.5}\n{"id": 2, "label": 3}\n')
    assert facts(alcli, "n.jsonl")["label_max"] == 3
    Path("g.csv").write_text("group,label\ng1,x\n")
    assert facts(alcli, "g.csv")["kind"] == "labels"
    Path("one.csv").write_text("id,label\n")
    assert facts(alcli, "one.csv")["rows"] == 0


def test_a_simulation_done_and_half_done(folder, alcli):
    X, y = tiny_features(120)
    write_pool("pool.parquet", X, label=[CLASSES[c] for c in y])
    run = ("simulate", "pool.parquet", "-s", "margin", "-n", 5, "--rounds", 2, "--seeds", 2, "-o", "sim")
    said = json.loads(alcli(*run, "--json").done().out)
    found = facts(alcli, "sim")
    assert (found["runs"], found["runs_done"], found["finished"], found["rounds_done"]) == (4, 4, True, 2)
    assert found["verdicts"] == said["verdicts"]
    assert "margin: " in alcli("inspect", "sim").done().out.decode()
    next(iter(Path("sim/runs").glob("margin*.json"))).unlink()
    half = facts(alcli, "sim")
    assert (half["runs_done"], half["finished"]) == (3, False)
    assert "goes on" in half["verdicts"]
    Path("sim/config.json").write_text('{"format": 1}')
    alcli("inspect", "sim").refused(65, "config.json", "damaged")
    Path("sim/config.json").write_text('{"format": 99}')
    alcli("inspect", "sim").refused(78, "format 99")


def test_damaged_files_and_files_of_no_known_kind(written, alcli):
    for name in ("head.safetensors", "pool.parquet", "batch.parquet"):
        data = Path(name).read_bytes()
        Path("bad").write_bytes(data[: len(data) // 2])
        alcli("inspect", "bad").refused(65, "bad")
    Path("bad").write_bytes(b"")
    alcli("inspect", "bad").refused(65, "bad", "expected a pool, a head")
    Path("bad").write_bytes(b"\x89PNG\r\n\x1a\n\0\xff")
    alcli("inspect", "bad").refused(65, "bad", "expected a pool, a head")
    Path("bad").write_text("name,size\na,1\n")
    alcli("inspect", "bad").refused(65, "'name', 'size'", "expected a pool, a head")
    Path("bad").write_bytes(b"PK\x03\x04rest")
    alcli("inspect", "bad").refused(65, "zip archive", "expected a pool, a head")
    Path("bad").write_text('{"a": 1')
    alcli("inspect", "bad").refused(65, "bad", "JSON", "expected a pool, a head")
    alcli("inspect", "missing").refused(66, "missing")
    alcli("inspect", "-").refused(2, "standard input")
    alcli("inspect").refused(2, "inspect needs FILE")
    Path("none").mkdir()
    alcli("inspect", "none").refused(66, "none")


def test_a_table_of_a_simulation_names_its_folder(folder, alcli):
    table = pa.table({"id": ["a"], "score": [1.0]}).replace_schema_metadata({"alcli": '{"kind": "selections"}'})
    pq.write_table(table, "selections.parquet")
    alcli("inspect", "selections.parquet").refused(65, "inspect the folder")


def test_words(written, alcli):
    said = alcli("inspect", "head.safetensors", "labels.csv").done().out.decode()
    assert said.startswith("head.safetensors: a head\n")
    assert "\n\nlabels.csv: labels\n" in said
    assert "labels absorbed" in said
    assert "cat: 7" in said


def test_a_head_that_an_audit_has_measured(written, alcli):
    assert "audits" not in facts(alcli, "head.safetensors")
    alcli("query", "pool.parquet", "-s", "audit", "-n", 20, "-H", "head.safetensors", "-o", "audit.csv").done()
    rows = pq.read_table("pool.parquet", columns=["id"])["id"].to_pylist()
    lines = Path("audit.csv").read_text().splitlines()
    header, ids = lines[0], [line.split(",")[0] for line in lines[1:]]
    label = dict(zip(rows, (CLASSES[y] for y in Y_N)))
    answers = [f"{line},{label[id]}" for line, id in zip(lines[1:], ids)]
    Path("answers.csv").write_text("\n".join([f"{header},label", *answers]) + "\n")
    done = alcli(*FIT[:-1], "audited.safetensors", "--audit", "answers.csv", "--json").done()
    (found,) = facts(alcli, "audited.safetensors")["audits"]
    said = json.loads(done.out)
    assert found["audit"] == 20
    assert found["accuracy"] == pytest.approx(said["audit_accuracy"])
    assert 0 <= found["low"] <= found["accuracy"] <= found["high"] <= 1
    assert "audits" in alcli("inspect", "audited.safetensors").done().out.decode()
