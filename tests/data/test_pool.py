"""A pool gives the same rows whatever files, row groups, dtypes and memory limits it is read through."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import alcli.data.streamed.feature_blocks as module
from alcli.data.fingerprint import as_text, fingerprint, id_keys
from alcli.data.pool import open_pool
from alcli.data.schema import Columns
from alcli.errors import DataError
from tests.pools import fixed, names, tiny_features, write_embedded, write_pool

X_ND = tiny_features(50)[0]


def whole(pool) -> np.ndarray:
    return np.concatenate([X_BD for _, X_BD in pool.blocks()])


@given(
    cuts=st.lists(st.integers(0, 50), max_size=3),
    group=st.integers(1, 60),
    block=st.sampled_from([1, 5 * 4 * 64, 1 << 24]),
    form=st.sampled_from(["fixed", "list"]),
    rows=st.lists(st.integers(0, 49), unique=True),
)
def test_blocks_and_take(folder, monkeypatch, cuts, group, block, form, rows):
    monkeypatch.setattr(module, "BLOCK_BYTES", block)
    for old in folder.glob("*.parquet"):
        old.unlink()
    edges = [0, *sorted(cuts), 50]
    for i, (a, b) in enumerate(pairwise(edges)):
        write_pool(
            f"{i}.parquet",
            fixed(X_ND[a:b]) if form == "fixed" else pa.array(X_ND[a:b].tolist(), pa.list_(pa.float32())),
            names(50)[a:b],
            row_group_size=group,
        )
    pool = open_pool(str(folder))
    assert (pool.n, pool.dim) == (50, 5)
    firsts = [first for first, _ in pool.blocks()]
    assert firsts == sorted(firsts)
    assert np.array_equal(whole(pool), X_ND)
    assert np.array_equal(pool.take(np.array(rows, np.int64)), X_ND[rows])
    assert pool.ids.keys(np.arange(50)).tolist() == names(50)


@pytest.mark.parametrize(
    ("kind", "dtype"), [(np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64)]
)
def test_dtypes(folder, kind, dtype):
    write_pool("pool.parquet", X_ND.astype(kind))
    pool = open_pool("pool.parquet")
    assert pool.dtype == dtype
    assert whole(pool).dtype == dtype
    assert np.array_equal(whole(pool), X_ND.astype(kind).astype(dtype))


def test_files_of_different_width(folder):
    write_pool("a.parquet", X_ND[:20])
    write_pool("b.parquet", X_ND[20:].astype(np.float64), names(50)[20:])
    pool = open_pool(str(folder))
    taken = pool.take(np.array([40, 3]))
    assert taken.dtype == np.float64
    assert np.array_equal(taken, X_ND[[40, 3]])


def test_beyond_the_memory_limit_features_are_on_disk(folder):
    write_pool("pool.parquet", X_ND)
    taken = open_pool("pool.parquet", max_memory=10).take(np.arange(50)[::-1])
    assert isinstance(taken, np.memmap)
    assert np.array_equal(taken, X_ND[::-1])
    assert not isinstance(open_pool("pool.parquet").take(np.arange(50)), np.memmap)


def test_readers_end_with_their_consumer(folder):
    write_pool("pool.parquet", X_ND, row_group_size=4)
    blocks = open_pool("pool.parquet").blocks()
    next(blocks)
    blocks.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("alcli-read")]


def test_bad_rows_are_zero_and_marked(folder):
    X_bad = X_ND.copy()
    X_bad[7, 2] = np.nan
    write_pool("pool.parquet", X_bad)
    pool = open_pool("pool.parquet", bad_rows="skip")
    assert np.flatnonzero(pool.is_bad).tolist() == [7]
    assert np.array_equal(whole(pool)[7], np.zeros(5))
    assert np.array_equal(pool.take(np.array([6, 8])), X_ND[[6, 8]])
    with pytest.raises(DataError, match=r"row 7 .*r007"):
        whole(open_pool("pool.parquet"))


def test_the_first_row_may_be_bad(folder):
    write_pool("pool.parquet", pa.array([None, [1.0], [1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32())))
    pool = open_pool("pool.parquet", bad_rows="skip")
    assert pool.dim == 2
    assert pool.is_bad.tolist() == [True, True, False, False]
    write_pool("pool.parquet", pa.array([None, None], pa.list_(pa.float32())))
    with pytest.raises(DataError, match="null"):
        open_pool("pool.parquet")


def test_columns(folder):
    write_pool("a.parquet", X_ND[:2], split=["test", None], label=pa.array([1, 2]), fold=[0, 1])
    write_pool("b.parquet", X_ND[2:4], names(4)[2:], split=pa.array(["train", "test"]).dictionary_encode())
    pool = open_pool(str(folder))
    assert pool.is_test.tolist() == [True, False, False, True]
    assert pool.labels().to_pylist() == [1, 2, None, None]
    assert pool.column("nothing") is None
    assert open_pool(str(folder), Columns(split="fold")).is_test.tolist() == [False] * 4
    write_pool("octets.parquet", X_ND[:3], split=[b"test", None, b"train"])
    assert open_pool("octets.parquet").is_test.tolist() == [True, False, False], "some writers store strings as bytes"
    with pytest.raises(DataError, match="'nothing'"):
        open_pool(str(folder), Columns(label="nothing")).labels()
    write_pool("b.parquet", X_ND[2:4], names(4)[2:], label=["x", "y"])
    with pytest.raises(DataError, match="int64 and string"):
        open_pool(str(folder)).labels()


def test_the_fingerprint_of_several_files_is_that_of_one(folder):
    expected = as_text(fingerprint(id_keys(pa.array(names(50))), X_ND))
    write_pool("plain.parquet", X_ND)
    assert open_pool("plain.parquet").fingerprint() == expected
    (folder / "parts").mkdir()
    for i, rows in enumerate((range(30), range(30, 50))):
        with open(f"parts/{i}.parquet", "wb") as file:
            write_embedded(
                file, pa.table({"id": [names(50)[r] for r in rows]}), X_ND[list(rows)], {"format": 1, "model": "m"}
            )
    pool = open_pool("parts")
    assert pool.metadata["fingerprint"] == expected == pool.fingerprint()
    write_pool("parts/2.parquet", X_ND[:1], ["new"])
    assert "fingerprint" not in open_pool("parts").metadata
    assert open_pool("parts").fingerprint() != expected


def test_files_of_different_models(folder):
    for i, model in enumerate(("m1", "m2")):
        with open(f"{i}.parquet", "wb") as file:
            write_embedded(file, pa.table({"id": [f"{i}"]}), X_ND[:1], {"format": 1, "model": model})
    with pytest.raises(DataError, match=r"1\.parquet.*model 'm2', not 'm1'"):
        open_pool(str(folder))


def test_many_files(folder):
    """More files than may be open at a time."""
    import resource

    for i in range(80):
        write_pool(f"{i:03d}.parquet", X_ND[:1], [i])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        assert len(whole(open_pool(str(folder)))) == 80
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def remarks_of(pool_notes, read):
    """The remarks on scales that reading makes after `watch_scales`."""
    pool = open_pool("pool.parquet", note=pool_notes.append)
    for _ in range(2):
        pool.watch_scales()
        read(pool)
    return pool_notes


@pytest.mark.parametrize("read", [whole, lambda pool: pool.take(np.array([3]))])
def test_columns_of_very_different_scales_are_told_of_once_and_only_if_asked(folder, read):
    X = np.random.default_rng(0).normal(size=(400, 6)) * [1, 1, 1, 5000, 1, 1]
    write_pool("pool.parquet", X.astype(np.float32), names(400))
    notes = remarks_of([], read)
    assert len(notes) == 1
    assert notes[0].startswith("pool.parquet: the scales of features differ by orders of magnitude (dimension 3 ")
    assert "--standardize" in notes[0]
    silent = []
    read(open_pool("pool.parquet", note=silent.append))
    assert silent == []


def test_even_columns_and_pools_of_a_few_rows_are_not_remarked_on(folder):
    X = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    write_pool("pool.parquet", X, names(400))
    assert remarks_of([], whole) == []
    write_pool("pool.parquet", X[:10] * np.array([1, 1, 1, 5000, 1, 1], np.float32), names(10))
    assert remarks_of([], whole) == []


def test_bad_rows_that_are_left_out_have_no_scale(folder):
    X = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    X[7] = np.nan
    X[9, 0] = np.inf
    write_pool("pool.parquet", X, names(400))
    notes = []
    pool = open_pool("pool.parquet", bad_rows="skip", note=notes.append)
    pool.watch_scales()
    whole(pool)
    assert notes == []
