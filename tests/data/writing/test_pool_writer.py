"""The layout on disk: types, row groups, checksums, metadata, and that equal input gives equal bytes."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.writing.pool_writer import PoolWriter, default_rows_per_file, row_group_rows
from tests.pools import write_embedded


class Kept(io.BytesIO):
    """A file in memory that survives being closed."""

    def close(self):
        self.data = self.getvalue()


def columns(n, **more):
    return pa.table({"id": pa.array([f"i{k}" for k in range(n)], pa.string()), **more})


def write(table, X, **metadata):
    file = Kept()
    write_embedded(file, table, X, metadata)
    return file.getvalue()


@given(st.integers(1, 70000), st.sampled_from([2, 4]))
def test_row_groups_are_a_power_of_two_of_at_most_16_mib(dim, itemsize):
    rows = row_group_rows(dim, itemsize)
    assert rows & (rows - 1) == 0
    assert 1024 <= rows <= 65536
    assert rows == 1024 or rows * dim * itemsize <= 16 << 20
    assert rows == 65536 or 2 * rows * dim * itemsize > 16 << 20
    assert default_rows_per_file(dim, itemsize) % rows == 0


def test_the_figure_of_the_specification():
    assert row_group_rows(384, 4) == 8192


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_values_types_and_encodings(dtype):
    X = np.random.default_rng(0).standard_normal((1500, 3000)).astype(dtype)
    labels = pa.array(["a", None, "b"] * 500)
    data = write(columns(1500, label=labels), X, model="m")
    file = pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True)
    table = file.read()
    assert table.schema.names == ["id", "features", "label"]
    field = table.schema.field("features")
    assert not field.nullable
    assert not field.type.value_field.nullable
    assert field.type.list_size == 3000
    np.testing.assert_array_equal(table["features"].combine_chunks().flatten().to_numpy().reshape(X.shape), X)
    assert table["label"].to_pylist() == labels.to_pylist()
    group = file.metadata.row_group(0)
    ids, features, label = (group.column(i) for i in range(3))
    assert (features.compression, ids.compression, label.compression) == ("UNCOMPRESSED", "ZSTD", "ZSTD")
    assert not any("DICTIONARY" in e for c in (features, ids) for e in c.encodings)
    assert ids.is_stats_set
    assert not features.is_stats_set
    assert not label.is_stats_set
    assert group.num_rows == min(1500, row_group_rows(3000, X.itemsize))


def test_metadata_stands_in_the_schema_and_the_footer():
    data = write(columns(2), np.ones((2, 3), np.float32), model="é", layer=None)
    file = pq.ParquetFile(io.BytesIO(data))
    about = json.loads(file.schema_arrow.metadata[b"alcli"])
    assert json.loads(file.metadata.metadata[b"alcli"]) == about
    assert (about["format"], about["dim"], about["dtype"], about["rows"], about["model"], about["layer"]) == (
        1,
        3,
        "float32",
        2,
        "é",
        None,
    )
    assert len(about["fingerprint"]) == 16


def test_a_flipped_bit_in_the_features_is_refused():
    data = bytearray(write(columns(50), np.ones((50, 40), np.float32)))
    offset = pq.ParquetFile(io.BytesIO(bytes(data))).metadata.row_group(0).column(1).data_page_offset
    data[offset + 2000] ^= 1
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(io.BytesIO(bytes(data)), page_checksum_verification=True).read()


@given(st.lists(st.integers(0, 900), min_size=1, max_size=6))
def test_bytes_do_not_depend_on_how_rows_arrive(pieces):
    n = sum(pieces)
    X = np.arange(n * 4, dtype=np.float32).reshape(n, 4)
    table, file = columns(n), Kept()
    writer = PoolWriter(file, table.schema, 4, "float32", {"rows": n})
    first = 0
    for size in pieces:
        writer.write(table.slice(first, size), X[first : first + size])
        first += size
    writer.close()
    whole = Kept()
    writer = PoolWriter(whole, table.schema, 4, "float32", {"rows": n})
    writer.write(table, X)
    writer.close()
    assert file.getvalue() == whole.getvalue()


def test_integer_ids_and_nested_columns_travel():
    table = pa.table({"id": pa.array([3, 1]), "extra": pa.array([{"a": [1]}, None])})
    read = pq.read_table(io.BytesIO(write(table, np.ones((2, 1), np.float32))))
    assert read.drop_columns(["features"]).to_pylist() == table.to_pylist()


def test_wrong_shapes_and_counts_are_bugs_that_show():
    with (
        pytest.raises(ValueError, match="expected float32"),
        PoolWriter(Kept(), columns(1).schema, 3, "float32", {"rows": 2}) as writer,
    ):
        writer.write(columns(1), np.ones((1, 4), np.float32))
    with (
        pytest.raises(ValueError, match="2 rows were announced, 1 written"),
        PoolWriter(Kept(), columns(1).schema, 3, "float32", {"rows": 2}) as writer,
    ):
        writer.write(columns(1), np.ones((1, 3), np.float32))
