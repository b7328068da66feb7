"""Headers of pages: their sizes add up to what the footer says of a chunk that pyarrow wrote, however it is written;
nonsense is refused.
"""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.reading.data_file import DataFile
from alcli.data.reading.pages import _CRC, _chunks, _header, _headers, check_pages, has_checksums
from alcli.errors import DataError, MemoryLimitError
from tests.data.reading.test_thrift import i32, varint
from tests.pools import fixed, tiny_features, write_pool

X_ND = tiny_features(300)[0]
FILE = DataFile("pool.parquet")


def columns(n: int) -> dict[str, pa.Array]:
    """Strings with long ones among them, integers, decimals, lists with nulls, vectors: statistics and encodings of
    all kinds.
    """
    return {
        "id": pa.array([f"{i % 7}{'é' * (i % 400)}" for i in range(n)]),
        "label": pa.array([None if i % 3 else i for i in range(n)], pa.int64()),
        "features": fixed(X_ND[np.arange(n) % len(X_ND)]) if n else pa.array([], pa.list_(pa.float32(), 5)),
        "more": pa.array(
            [None if i % 5 == 0 else [bool(j % 2) for j in range(i % 4)] for i in range(n)], pa.list_(pa.bool_())
        ),
        "cost": pa.array([float(i) for i in range(n)]),
    }


WRITERS = st.fixed_dictionaries(
    {
        "compression": st.sampled_from(["none", "snappy", "gzip", "zstd", "lz4", "brotli"]),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "data_page_size": st.sampled_from([1, 200, 1 << 20]),
        "use_dictionary": st.booleans(),
        "write_statistics": st.booleans(),
        "write_page_checksum": st.booleans(),
        "row_group_size": st.sampled_from([1, 50, 1000]),
        "write_page_index": st.booleans(),
    }
)


@given(n=st.sampled_from([0, 1, 77, 1000]), how=WRITERS)
def test_the_sizes_of_pages_add_up(folder, n, how):
    pq.write_table(pa.table(columns(n)), "pool.parquet", write_batch_size=16, **how)
    with FILE.open() as source, pq.ParquetFile("pool.parquet") as parquet:
        for name in columns(n):
            leaf = [parquet.schema.column(i).path.split(".")[0] for i in range(len(parquet.schema))].index(name)
            theirs = [
                c
                for g in range(parquet.metadata.num_row_groups)
                if (c := parquet.metadata.row_group(g).column(leaf)).num_values
            ]
            for chunk, said in zip(
                _chunks(source, parquet, name, range(parquet.metadata.num_row_groups)), theirs, strict=True
            ):
                stored = becomes = 0
                at = said.dictionary_page_offset or said.data_page_offset
                for header in _headers(source, FILE, chunk):
                    length = _header(source, FILE, at + stored)[1]
                    stored += length + header[3, 5]
                    becomes += length + header[2, 5]
                    assert (_CRC in header) == how["write_page_checksum"]
                assert (stored, becomes) == (said.total_compressed_size, said.total_uncompressed_size)
            assert has_checksums(FILE, parquet, name) == (how["write_page_checksum"] or n == 0)
            check_pages(FILE, parquet, name, None, None)


def test_a_page_beyond_the_limit(folder):
    X = np.zeros((3000, 2000), np.float32)
    pq.write_table(
        pa.table({"id": np.arange(3000), "features": fixed(X)}),
        "pool.parquet",
        compression="zstd",
        use_dictionary=False,
        data_page_size=1 << 30,
        write_batch_size=X.size,
    )
    with pq.ParquetFile("pool.parquet") as parquet:
        check_pages(FILE, parquet, "id", None, 1)
        check_pages(FILE, parquet, "features", None, 25 << 20)
        with pytest.raises(
            MemoryLimitError,
            match=r"pool\.parquet: column 'features' has a page that becomes 22 MiB, more than the 20 MiB",
        ):
            check_pages(FILE, parquet, "features", None, 20 << 20)
        with pytest.raises(MemoryLimitError, match="the 16 MiB of"):
            check_pages(FILE, parquet, "features", [0], 1)
        check_pages(FILE, parquet, "features", [], 1)


def test_columns_with_dots(folder):
    write_pool(
        "pool.parquet",
        X_ND,
        **{"a.b": pa.array([1] * 300), "a": pa.array([{"b": 1, "c": {"d": 2}}] * 300), "ab": pa.array([3] * 300)},
    )
    path = (3, 9)
    with FILE.open() as source, pq.ParquetFile("pool.parquet") as parquet:
        assert sorted(c[path] for c in _chunks(source, parquet, "a", [0])) == [
            [b"a", b"b"],
            [b"a", b"c", b"d"],
            [b"a.b"],
        ]
        assert [c[path] for c in _chunks(source, parquet, "ab", [0])] == [[b"ab"]]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x15",
        b"\0",
        b"\x1b\0\0",
        b"\x15" + b"\xff" * 12,
        b"\x1c" * 100,
        b"\x19\xf9" * 100,
        i32(2, -1) + i32(1, 1) + b"\0",
        i32(2, 1) + i32(1, -1) + b"\0",
        i32(2, 1 << 31) + i32(1, 1) + b"\0",
        i32(2, 5) + b"\0",
        b"\x18\xff\xff\xff\xff\x0f" + bytes(50),
        b"\x19\xf8\xff\xff\xff\xff\x0f" + bytes(99),
    ],
)
def test_what_is_no_header(bad):
    with pytest.raises(DataError, match=r"pool\.parquet: not readable as Parquet: no header of a page at byte 0"):
        _header(io.BytesIO(bad), FILE, 0)


@given(data=st.binary(max_size=80))
def test_any_bytes_end_in_a_header_or_a_sentence(data):
    try:
        header, length = _header(io.BytesIO(data), FILE, 0)
    except DataError:
        return
    assert 0 <= header[2, 5] < 1 << 31
    assert 0 <= header[3, 5] < 1 << 31
    assert length <= len(data)


def test_a_long_header_is_read_again(folder):
    long = i32(2, 70) + i32(1, 50) + b"\x18" + varint(5000) + bytes(5000) + b"\0"
    assert _header(io.BytesIO(long + b"rest"), FILE, 0) == ({(2, 5): 70, (3, 5): 50, (4, 8): bytes(5000)}, len(long))
