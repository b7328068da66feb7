"""Pools as other programs write them: types of ids and labels, shards that differ, columns that nobody needs."""

from __future__ import annotations

import datetime
import re
import uuid
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool

X_ND, Y_N = tiny_features()
FIT = ("fit-head", "pool.parquet", "-o", "head.safetensors", "--force")
UUIDS = [uuid.UUID(int=(i * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128) for i in range(60)]
DECIMAL = pa.decimal128(38, 0)


def shards(*tables: pa.Table) -> None:
    Path("pool").mkdir()
    for i, table in enumerate(tables):
        pq.write_table(table, f"pool/{i}.parquet")


def table(**labels: object) -> pa.Table:
    """The first rows of the pool with columns as given."""
    write_pool("whole.parquet", X_ND, **labels)
    return pq.read_table("whole.parquet")


def chosen(alcli, *more: object, pool: str = "pool.parquet") -> list[str]:
    return alcli("query", pool, "-s", "coreset", "-n", 3, *more).done().lines


@pytest.mark.parametrize("form", ["extension", "logical"])
def test_uuids_are_their_text(folder, alcli, form):
    stored = pa.array([u.bytes for u in UUIDS], pa.uuid())
    write_pool("text.parquet", X_ND, [str(u) for u in UUIDS])
    write_pool("pool.parquet", X_ND, stored)
    if form == "logical":
        # Without pyarrow's own schema, as DuckDB writes it.
        pq.write_table(pq.read_table("pool.parquet"), "pool.parquet", store_schema=False)
    expected = chosen(alcli, pool="text.parquet")
    assert chosen(alcli) == expected
    write_labels("l.csv", {str(u): CLASSES[y] for u, y in zip(UUIDS[:12], Y_N)})
    alcli(*FIT, "-l", "l.csv").done()
    pq.write_table(pa.table({"id": stored[:12], "label": [CLASSES[y] for y in Y_N[:12]]}), "l.parquet")
    alcli(*FIT, "-l", "l.parquet").done()


def test_null_uuids_are_refused_by_their_row(folder, alcli):
    write_pool("pool.parquet", X_ND, pa.array([None if i == 7 else u.bytes for i, u in enumerate(UUIDS)], pa.uuid()))
    alcli("query", "pool.parquet", "-s", "random", "-n", 1).refused(65, "row 7", "null")


def test_a_slice_of_uuids_is_read_from_its_place(folder):
    from alcli.data.reading.uuids import uuid_text

    stored = pa.array([None if i % 5 == 3 else u.bytes for i, u in enumerate(UUIDS)], pa.uuid())
    expected = [None if i % 5 == 3 else str(u) for i, u in enumerate(UUIDS)]
    assert uuid_text(stored).to_pylist() == expected
    assert uuid_text(stored.slice(11, 20)).to_pylist() == expected[11:31]
    assert uuid_text(stored.slice(0, 0)).to_pylist() == []


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_bytes_that_are_text_are_ids(folder, alcli, kind):
    write_pool("text.parquet", X_ND)
    write_pool("pool.parquet", X_ND, pa.array([n.encode() for n in names(60)], kind))
    assert chosen(alcli) == chosen(alcli, pool="text.parquet")
    write_pool("pool.parquet", X_ND, pa.array([bytes([255, i]) for i in range(60)], kind))
    alcli("query", "pool.parquet", "-s", "random", "-n", 1).refused(65, "UTF8", "hexadecimal")


def test_decimals_without_places_are_integers(folder, alcli):
    write_pool("ints.parquet", X_ND, pa.array(range(60)), label=Y_N)
    decimals = pa.array([Decimal(i) for i in range(60)], DECIMAL)
    write_pool("pool.parquet", X_ND, decimals, label=pa.array([Decimal(int(y)) for y in Y_N], DECIMAL))
    assert re.search("^kind +softmax$", alcli(*FIT).done().err, re.MULTILINE)
    write_pool("pool.parquet", X_ND, decimals)
    write_pool("ints.parquet", X_ND, pa.array(range(60)))
    assert chosen(alcli) == chosen(alcli, pool="ints.parquet")
    labels = pa.table({"id": decimals[:12], "label": pa.array([Decimal(int(y)) for y in Y_N[:12]], DECIMAL)})
    pq.write_table(labels, "l.parquet")
    alcli(*FIT, "-l", "l.parquet").done()


@pytest.mark.parametrize(
    "odd",
    [
        pa.array([[1]] * 60),
        pa.array([datetime.date(2024, 1, 1)] * 60),
        pa.array([{"a": 1}] * 60),
        pa.array([b"0123"] * 60, pa.binary(4)),
    ],
)
def test_a_label_column_that_nobody_needs_does_not_stop_a_command(folder, alcli, odd):
    write_pool("pool.parquet", X_ND, label=odd, split=["test" if i > 50 else "train" for i in range(60)])
    write_labels("l.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(12)})
    assert len(chosen(alcli, "-l", "l.csv")) == 3
    assert len(alcli("query", "pool.parquet", "-s", "margin", "-n", 3, "-l", "l.csv", "--isolate").done().lines) == 3
    alcli(*FIT, "-l", "l.csv").done()
    alcli(*FIT).refused(65, "column 'label' is of type", "-l FILE", "--label-col")


def test_shards_without_rows_need_no_types(folder, alcli):
    full = table(label=[CLASSES[y] for y in Y_N])
    empty = pa.table({"id": pa.nulls(0), "features": pa.nulls(0), "label": pa.nulls(0)})
    shards(full.slice(0, 30), empty, full.slice(30), pa.table({}), pa.table({"index": pa.nulls(0)}))
    assert chosen(alcli, pool="pool") == chosen(alcli, pool="whole.parquet")
    alcli("fit-head", "pool", "-o", "head.safetensors").done()


def test_a_pool_of_shards_without_types_is_refused(folder, alcli):
    shards(pa.table({"features": pa.nulls(0)}), pa.table({}))
    alcli("query", "pool", "-s", "random", "-n", 1).refused(65, "pool", "no file has rows")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pa.array(Y_N[:30], pa.int32()), pa.array(Y_N[30:], pa.int64())),
        (pa.array(Y_N[:30], pa.int64()), pa.array([None, *Y_N[31:].astype(float)])),
        (pa.array(Y_N[:30], pa.uint8()), pa.array([Decimal(int(y)) for y in Y_N[30:]], DECIMAL)),
        (pa.array(Y_N[:30].astype(str)), pa.array(Y_N[30:].astype(str)).cast(pa.binary())),
    ],
)
def test_labels_of_different_types_in_shards(folder, alcli, first, second):
    whole = table(label=Y_N)
    at = whole.schema.get_field_index("label")
    shards(*(whole.slice(30 * i, 30).set_column(at, "label", part) for i, part in enumerate((first, second))))
    done = alcli("fit-head", "pool", "-o", "head.safetensors", "--json").done()
    assert b'"classes": 3' in done.out


def test_whole_floats_are_told(folder, alcli):
    write_pool("pool.parquet", X_ND, label=[float(y) if i < 30 else None for i, y in enumerate(Y_N)])
    assert "--task classification" in alcli(*FIT).done().err
    assert "--task" not in alcli(*FIT, "--task", "regression").done().err
    write_pool("pool.parquet", X_ND, label=np.arange(60.0))
    assert "--task" not in alcli(*FIT).done().err


def test_near_names_and_values_of_columns_are_told(folder, alcli):
    write_pool("pool.parquet", X_ND, label=[CLASSES[y] for y in Y_N], Split=["test"] * 60)
    assert "column 'Split' is not read as 'split'" in alcli(*FIT).done().err
    write_pool("pool.parquet", X_ND, label=[CLASSES[y] for y in Y_N], split=["eval", "train"] * 30)
    assert "the split has 'eval'" in alcli(*FIT).done().err
    write_pool("pool.parquet", X_ND, label=[CLASSES[y] for y in Y_N], split=["Test", "train", "train"] * 20)
    assert b'"n": 40' in alcli(*FIT, "--json").done().out


@pytest.mark.parametrize(
    "content",
    ["id\tlabel\n{}", "ID;label\n{}", "sep=|\nid|label\n{}"],
)
def test_tables_of_ids_are_excluded(folder, alcli, content):
    write_pool("pool.parquet", X_ND)
    delimiter = next(d for d in "\t;|" if d in content)
    Path("asked.txt").write_text(content.format("".join(f"r{i:03d}{delimiter}a\n" for i in range(58))))
    found = alcli("query", "pool.parquet", "-s", "random", "-n", 2, "--exclude", "asked.txt").done().lines
    assert sorted(found) == ["r058", "r059"]


def test_lines_of_a_table_without_ids_are_no_ids(folder, alcli):
    ids = [f"r{i},x" for i in range(60)]
    write_pool("pool.parquet", X_ND, ids)
    query = ("query", "pool.parquet", "-s", "random", "-n", 3, "--exclude", "asked.txt")
    Path("asked.txt").write_text("r1\ta\nr2\tb\n")
    alcli(*query).refused(65, "asked.txt: line 1", "taken for an id", "a column 'id'")
    Path("asked.txt").write_text("elsewhere\n")
    assert "1 id to leave out is not in the pool" in alcli(*query).done().err
    Path("asked.txt").write_text("\n".join(ids[3:]))
    assert sorted(alcli(*query).done().lines) == ids[:3]


def test_vectors_under_another_name_are_named(folder, alcli):
    write_pool("pool.parquet", X_ND)
    whole = pq.read_table("pool.parquet")
    odd = pa.table({"id": names(60), "features": ["x"] * 60, "nums": [[1]] * 60, "embedding": whole["features"]})
    pq.write_table(odd, "odd.parquet")
    alcli("query", "odd.parquet", "-s", "random", "-n", 1).refused(65, "type string", "--features-col embedding")
    pq.write_table(odd.drop_columns(["features", "embedding"]), "odd.parquet")
    alcli("query", "odd.parquet", "-s", "random", "-n", 1).refused(65, "no column 'features'", "alcli embed")
