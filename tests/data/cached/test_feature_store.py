"""Features in a file: kept for the next command, made anew for a changed pool, removed where nobody keeps them."""

from __future__ import annotations

import errno
import gc
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.cached import scratch
from alcli.data.cached.file_array import FileArray
from alcli.data.cached.folder import Folder
from alcli.data.pool import Pool, open_pool
from alcli.engine.processes import Processes
from alcli.errors import CannotCreateError, OutputError
from alcli.numerics.block_array import BlockArray
from alcli.numerics.teams import using

N, D = 3000, 6


def write(path: Path, seed: int = 0) -> np.ndarray:
    """Write a pool; return its features in the order of the ids."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, D)).astype(np.float32)
    ids = [f"r{i}" for i in rng.permutation(N)]
    table = pa.table({"id": ids, "features": pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), D)})
    pq.write_table(table, path, row_group_size=500)
    return X[np.argsort(ids)]


def stored(pool: Pool, left_out: int = 0) -> BlockArray:
    return pool.stored(pool.sorted_by_id(np.arange(pool.n))[left_out:])


def kept(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name.endswith(".alcli-features"))


def test_small_features_are_in_memory_and_large_ones_in_a_file(tmp_path: Path) -> None:
    expected = write(tmp_path / "pool.parquet")
    small, large = open_pool(str(tmp_path / "pool.parquet")), open_pool(str(tmp_path / "pool.parquet"), max_memory=1000)
    assert isinstance(stored(small), np.ndarray)
    assert isinstance(stored(large), FileArray)
    for pool in (small, large):
        assert np.asarray(stored(pool)[0:N]).tobytes() == expected.tobytes()
        assert np.asarray(stored(pool, 100)[0:N]).tobytes() == expected[100:].tobytes()


def test_float16_features_take_half_the_file_and_lose_nothing(tmp_path: Path) -> None:
    X = np.random.default_rng(0).standard_normal((N, D)).astype(np.float16)
    X[0] = 0.0, -0.0, 6e-8, -6e-8, 65504, -65504
    half, full = (
        pa.table({"id": range(first, first + N), "features": pa.FixedSizeListArray.from_arrays(pa.array(rows), D)})
        for first, rows in ((0, X.reshape(-1)), (N, X.reshape(-1).astype(np.float32)))
    )
    pq.write_table(half, tmp_path / "half.parquet")
    pq.write_table(full, tmp_path / "full.parquet")
    (tmp_path / "both").mkdir()
    for name in ("half", "full"):
        os.link(tmp_path / f"{name}.parquet", tmp_path / "both" / f"{name}.parquet")
    for name, n, size in (("half.parquet", N, 2), ("full.parquet", N, 4), ("both", 2 * N, 4)):
        rows = stored(open_pool(str(tmp_path / name), max_memory=1000, cache_dir=str(tmp_path / "cache")))
        assert isinstance(rows, FileArray)
        assert os.stat(rows.path).st_size == n * D * size
        assert rows[0:n].dtype == np.float32
        assert rows[0:n].tobytes() == np.tile(X.astype(np.float32), (n // N, 1)).tobytes()
        assert rows[np.array([5, 1])].tobytes() == X[[5, 1]].astype(np.float32).tobytes()
        assert pickle.loads(pickle.dumps(rows))[0:9].tobytes() == X[:9].astype(np.float32).tobytes()


def test_features_for_other_processes_are_in_a_file(tmp_path: Path) -> None:
    write(tmp_path / "pool.parquet")
    with using(Processes(2)):
        assert isinstance(stored(open_pool(str(tmp_path / "pool.parquet"))), FileArray)


def test_a_temporary_file_goes_with_its_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    write(tmp_path / "pool.parquet")
    pool = open_pool(str(tmp_path / "pool.parquet"), max_memory=1000)
    rows = stored(pool)
    assert len(os.listdir(tmp_path)) == 2
    del pool
    gc.collect()
    assert len(rows[0:N]) == N, "the file lives as long as somebody reads it"
    del rows
    gc.collect()
    assert os.listdir(tmp_path) == ["pool.parquet"]


def test_a_named_folder_keeps_the_file_for_the_next_command(tmp_path: Path) -> None:
    expected, cache = write(tmp_path / "pool.parquet"), tmp_path / "cache"
    for left_out in (0, 7):
        pool = open_pool(str(tmp_path / "pool.parquet"), max_memory=1000, cache_dir=str(cache))
        assert np.asarray(stored(pool, left_out)[0:N]).tobytes() == expected[left_out:].tobytes()
        del pool
        gc.collect()
    (name,) = kept(cache)
    assert os.listdir(cache) == [name], "nothing else is left"
    # The file is read, and not written again.
    (cache / name).write_bytes(np.zeros((N, D), np.float32).tobytes())
    again = open_pool(str(tmp_path / "pool.parquet"), max_memory=1000, cache_dir=str(cache))
    assert not np.asarray(stored(again)[0:N]).any()


def test_a_file_gets_its_name_after_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "pool.parquet")
    seen: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append("content"), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append("name"), replace(a, b)))
    stored(open_pool(str(tmp_path / "pool.parquet"), max_memory=1000, cache_dir=str(tmp_path / "cache")))
    assert seen == ["content", "name"]


@pytest.mark.parametrize(("half", "fits"), [(4 * N * D, True), (4 * N * D - 4, False)])
def test_memory_serves_where_the_disk_has_no_room(
    half: int, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = write(tmp_path / "pool.parquet")

    def full(*arguments: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scratch, "half_of_memory", lambda: half)
    monkeypatch.setattr(os, "posix_fallocate", full)
    if fits:
        assert np.asarray(stored(open_pool(str(tmp_path / "pool.parquet")))).tobytes() == expected.tobytes()
    else:
        with pytest.raises(OutputError, match="no room for"):
            stored(open_pool(str(tmp_path / "pool.parquet")))
    with using(Processes(2)), pytest.raises(OutputError, match="no room for"):
        stored(open_pool(str(tmp_path / "pool.parquet")))


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere, cache = tmp_path / "elsewhere", tmp_path / "cache"
    elsewhere.mkdir()
    cache.mkdir()
    (elsewhere / "in-use").write_text("mine")
    (cache / "alcli-arrays-planted").symlink_to(elsewhere)
    Folder(str(cache))
    assert (elsewhere / "in-use").read_text() == "mine"


def test_a_file_of_another_size_is_written_again(tmp_path: Path) -> None:
    expected, cache = write(tmp_path / "pool.parquet"), tmp_path / "cache"
    stored(open_pool(str(tmp_path / "pool.parquet"), max_memory=1000, cache_dir=str(cache)))
    (name,) = kept(cache)
    os.truncate(cache / name, 1000)
    pool = open_pool(str(tmp_path / "pool.parquet"), max_memory=1000, cache_dir=str(cache))
    assert np.asarray(stored(pool)[0:N]).tobytes() == expected.tobytes()


def test_a_changed_pool_gets_a_file_of_its_own(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for seed in (0, 1):
        expected = write(tmp_path / "pool.parquet", seed)
        pool = open_pool(str(tmp_path / "pool.parquet"), max_memory=1000, cache_dir=str(cache))
        assert np.asarray(stored(pool)[0:N]).tobytes() == expected.tobytes()
    assert len(kept(cache)) == 2


def test_the_folder_of_a_killed_command_goes_with_the_next_one(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from alcli.data.cached.folder import Folder; folder = Folder(sys.argv[1]); "
        "folder.room((1000, 4), 'f4'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (left,) = os.listdir(tmp_path)
    first = Folder(str(tmp_path))
    assert os.listdir(tmp_path) == [os.path.basename(first.path)]
    assert os.path.basename(first.path) != left
    second = Folder(str(tmp_path))
    assert len(os.listdir(tmp_path)) == 2, "a folder in use stays"
    del first, second
    gc.collect()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_command_leaves_nothing(tmp_path: Path, number: int) -> None:
    write(tmp_path / "pool.parquet")
    code = f"""
import os, sys, time
import alcli.strategies.coreset as coreset
from alcli.__main__ import main

def stopped(*arguments):
    print(os.listdir(sys.argv[-1]))
    os.kill(os.getpid(), {number})
    time.sleep(60)

coreset.k_center = stopped
sys.exit(main())
"""
    cache = tmp_path / "cache"
    query = ["query", str(tmp_path / "pool.parquet"), "-s", "coreset", "-n", "3", "--max-memory", "1K"]
    done = subprocess.run(
        [sys.executable, "-c", code, *query, "--cache-dir", str(cache)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 128 + number
    assert "alcli-arrays-" in done.stderr
    assert os.listdir(cache) == kept(cache)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    write(tmp_path / "pool.parquet")
    (tmp_path / "taken").touch()
    pool = open_pool(str(tmp_path / "pool.parquet"), max_memory=1000, cache_dir=str(tmp_path / "taken"))
    with pytest.raises(CannotCreateError, match="cannot make a folder for features"):
        stored(pool)


def test_bad_rows_that_are_skipped_have_no_effect(tmp_path: Path) -> None:
    X = np.arange(12.0, dtype=np.float32).reshape(6, 2)
    X[3] = np.nan
    table = pa.table({"id": list("abcdef"), "features": pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), 2)})
    pq.write_table(table, tmp_path / "pool.parquet")
    pool = open_pool(str(tmp_path / "pool.parquet"), bad_rows="skip", max_memory=1, cache_dir=str(tmp_path / "cache"))
    rows = np.flatnonzero(~pool.is_bad)
    assert np.asarray(pool.stored(rows)[0:5]).tobytes() == X[rows].tobytes()
