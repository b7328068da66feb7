"""The output of embed: one Parquet file, or a folder of Parquet files with a manifest.

Either appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa

from alcli.arrays import Floats, Keys
from alcli.data.fingerprint import as_text
from alcli.data.writing.atomic import drafted, exchange, replacing, sync_folder
from alcli.data.writing.creatable import check_creatable, is_device
from alcli.data.writing.pool_writer import PoolWriter, default_rows_per_file
from alcli.data.writing.shards import WorkFolder
from alcli.errors import CannotCreateError, printable

# Columns of a pool without the features, and the features [B, D], part by part.
Tables: TypeAlias = Iterator[tuple[pa.Table, Floats]]

MANIFEST = "_manifest.json"
# The name, in the work folder, of an old pool that has stepped aside.
_ASIDE = "replaced"


@dataclass(frozen=True)
class Written:
    """Totals over all files that were written."""

    rows: int
    files: int
    fingerprint: str


class PoolOutput:
    """The target of `embed`.

    It is a folder when its name does not end in .parquet or .pq, or when the rows of a file are limited.
    """

    def __init__(self, path: Path, *, rows_per_file: int | None, force: bool) -> None:
        self._path, self._rows_per_file, self._force = path, rows_per_file, force
        self._is_folder = rows_per_file is not None or path.suffix.lower() not in (".parquet", ".pq")

    def check(self, source: Path) -> None:
        """Raise CannotCreateError when writing would fail, or destroy anything but a pool.

        Creates nothing that stays.
        """
        if self._path.exists() and (self._path.samefile(source) if source.exists() else False):
            raise CannotCreateError(f"{printable(self._path)}: is the source", hint="choose another name for -o")
        if not self._is_folder:
            check_creatable(self._path, overwrite=self._force)
            return
        if os.path.lexists(self._path) and not self._force:
            raise CannotCreateError(f"{printable(self._path)}: already exists", hint="use --force to replace it")
        if os.path.lexists(self._path) and not self._is_ours():
            what = "is not a pool written by embed" if self._path.is_dir() else "is not a folder"
            raise CannotCreateError(
                f"{printable(self._path)}: {what}, so --force does not replace it", hint="choose another name for -o"
            )
        check_creatable(self._path.parent / f".{self._path.name}.alcli-probe")

    def recover(self, work: WorkFolder) -> None:
        """Put back an old pool that a run had moved aside before it was killed in the middle of `_publish`."""
        work.check_own()
        if (work.path / _ASIDE).exists() and not self._path.exists():
            (work.path / _ASIDE).rename(self._path)

    def write(self, work: WorkFolder, columns: pa.Schema, dim: int, dtype: str, metadata: Mapping[str, Any]) -> Written:
        """Assemble the shards of `work` into the target.

        columns: the schema of all columns but the features. metadata: of embed, without totals. Raises
        CannotCreateError, OutputError, and DataError for a damaged shard. Cost: one read of the shards and one of
        their hashes.
        """
        keys_N = work.keys()
        if not self._is_folder:
            tables, totals = work.tables(), _with_totals(metadata, keys_N)
            if is_device(self._path):
                with replacing(self._path) as device:
                    _write_file(device, tables, columns, dim, dtype, totals)
                return Written(len(keys_N), 1, _fingerprint(keys_N))
            with drafted(self._path, overwrite=self._force) as draft:
                _write_file(draft.file, tables, columns, dim, dtype, totals)
                draft.finish()
                work.publish(draft.temporary)
                draft.publish()
            return Written(len(keys_N), 1, _fingerprint(keys_N))
        rows = self._rows_per_file or default_rows_per_file(dim, np.dtype(dtype).itemsize)
        folder = work.path / "pool"
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        names: list[str] = []
        for first, part in _cut(work.tables(), rows):
            names.append(f"part-{len(names):05d}.parquet")
            with replacing(folder / names[-1]) as file:
                _write_file(file, part, columns, dim, dtype, _with_totals(metadata, keys_N[first : first + rows]))
        manifest = {"dim": dim, "dtype": dtype, "files": names, **_with_totals(metadata, keys_N)}
        with replacing(folder / MANIFEST) as file:
            file.write(
                json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace")
                + b"\n"
            )
        work.publish(folder)
        self._publish(folder, work.path / _ASIDE)
        return Written(len(keys_N), len(names), _fingerprint(keys_N))

    def _publish(self, folder: Path, aside: Path) -> None:
        """Rename the finished folder to the target.

        A folder cannot be renamed over a folder that has files. The two change places, or, where the system has no
        call for that, the old folder steps aside first.
        """
        if self._path.exists() and not exchange(folder, self._path):
            self._path.rename(aside)
        if folder.exists() and not self._path.exists():
            folder.rename(self._path)
        sync_folder(self._path.parent)

    def _is_ours(self) -> bool:
        """Return True for a folder that embed wrote, or that is empty; --force replaces no other folder."""
        if not self._path.is_dir() or self._path.is_symlink():
            return False
        return (self._path / MANIFEST).is_file() or not any(self._path.iterdir())


def _write_file(
    file: BinaryIO, tables: Tables, columns: pa.Schema, dim: int, dtype: str, metadata: Mapping[str, Any]
) -> None:
    """Write one Parquet file of a pool."""
    with PoolWriter(file, columns, dim, dtype, metadata) as writer:
        for table, X_BD in tables:
            writer.write(table, X_BD)


def _cut(tables: Tables, rows: int) -> Iterator[tuple[int, Tables]]:
    """Yield (number of the first row, tables of `rows` rows together) for each file of a pool.

    The tables of a file must be used up before the next file is asked for.
    """
    cutter = _Cutter(tables)
    first = 0
    while cutter.any_left():
        yield first, cutter.pieces(rows)
        first += rows


class _Cutter:
    """A sequence of tables, handed out in pieces of any number of rows."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._held: tuple[pa.Table, Floats] | None = next(tables, None)

    def any_left(self) -> bool:
        """Return True while there are rows to hand out."""
        return self._held is not None

    def pieces(self, rows: int) -> Tables:
        """Yield tables and features of the next `rows` rows together, fewer at the end."""
        while rows and self._held is not None:
            table, X_BD = self._held
            take = min(rows, len(table))
            rows -= take
            yield table.slice(0, take), X_BD[:take]
            self._held = (table.slice(take), X_BD[take:]) if take < len(table) else next(self._tables, None)


def _with_totals(metadata: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    """The metadata with the number and the fingerprint of rows of these hashes."""
    return {**metadata, "rows": len(keys), "fingerprint": _fingerprint(keys)}


def _fingerprint(keys: Keys) -> str:
    """The fingerprint of rows, from their hashes, as text."""
    return as_text(int(keys.sum(dtype=np.uint64)))
