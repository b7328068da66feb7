"""Keep the features of a choice that passes over them again and again: in memory, or in a file of their own.

Features beyond the memory limit, and features that other processes read, are written once to a flat file in the order
of the ids. Features that are float16 in the pool are float16 there, which takes half the disk and half the reading. A
folder that the user names keeps the file for the next command. The name of the file follows from the files of the pool:
path, size, time of the last change and inode of each. So a pool that changes gets another file. Without such a folder
the file is temporary.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alcli.arrays import Int64
from alcli.data.cached.file_array import FileArray
from alcli.data.cached.folder import Folder
from alcli.data.cached.in_order import write_in_order
from alcli.data.reading.os_errors import reason
from alcli.errors import CannotCreateError, printable
from alcli.numerics.block_array import BlockArray, Chosen
from alcli.numerics.teams import current_engine

if TYPE_CHECKING:
    from alcli.data.pool import Pool

# Another layout of the files gets another version.
_VERSION = 1


def stored_features(pool: Pool, rows: Int64, folder: Folder, kept_in: str | None) -> BlockArray:
    """The features of `rows`, which are in the order of their ids, in a file.

    kept_in: a folder that keeps the features of all rows of the pool for later; None writes those of `rows` alone.
    Cost: a pass over the pool and a write of the features, unless they were kept.
    """
    if kept_in is None or (name := _name(pool)) is None:
        return _written(pool, rows, folder, _room(pool, len(rows), folder))
    all_rows = pool.sorted_by_id(np.arange(pool.n))
    kept = _kept(pool, Path(kept_in) / name, all_rows, folder)
    if len(rows) == pool.n:
        return kept
    places_N = np.empty(pool.n, np.int64)
    places_N[all_rows] = np.arange(pool.n)
    return Chosen(kept, places_N[rows])


def _kept(pool: Pool, path: Path, all_rows: Int64, folder: Folder) -> FileArray:
    """The file of all features in the order of the ids, found or made."""
    found = FileArray(str(path), (pool.n, pool.dim), pool.dtype, stored=pool.stored_dtype)
    with suppress(OSError):
        if path.stat().st_size == found.nbytes:
            os.utime(path)
            return found
    written = _written(pool, all_rows, folder, _room(pool, pool.n, folder))
    # A file of this name and size is believed: it must not get its name before its content.
    written.sync()
    try:
        # Two commands that write the same file at once write the same bytes.
        os.replace(written.path, path)
    except OSError as error:
        raise CannotCreateError(f"{printable(path)}: cannot keep the features: {reason(error)}") from error
    return found


def _room(pool: Pool, n: int, folder: Folder) -> FileArray:
    return folder.room((n, pool.dim), pool.dtype, pool.stored_dtype)


def _written(pool: Pool, rows: Int64, folder: Folder, out: FileArray) -> FileArray:
    place_N = np.full(pool.n, -1, np.int64)
    place_N[rows] = np.arange(len(rows))
    write_in_order(out, place_N, pool.blocks())
    return out


def _name(pool: Pool) -> str | None:
    """The name of the file for a pool; None where a change of its files cannot be seen."""
    stamps = pool.stamps()
    if stamps is None:
        return None
    columns: Any = [pool.columns.features, pool.columns.id, pool.dim, np.dtype(pool.stored_dtype).name, pool.skips_bad]
    digest = hashlib.sha256(json.dumps([_VERSION, stamps, columns]).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digest[:32]}.alcli-features"


def in_file(size: int, limit: int) -> bool:
    """Return True where an array of `size` bytes is to lie in a file."""
    return size > limit or current_engine().apart
