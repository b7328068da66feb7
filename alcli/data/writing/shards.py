"""The work folder of a run of `embed`: finished shards beside the target, so that a killed run can go on.

`.NAME.alcli-embed/` holds `plan.json`, the options of the run, and `shard-00000000.parquet` and so on, each with the
rows of one window of the source, written whole or not at all. A shard is a pool with one more column, the hash of
each row, from which the fingerprint of any part of the pool follows without reading features again. When all shards
are there, the target is assembled and the folder is removed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from alcli.arrays import Floats, Keys
from alcli.data.fingerprint import row_keys
from alcli.data.schema import METADATA_KEY
from alcli.data.writing.atomic import replacing, sync_folder
from alcli.data.writing.pool_writer import PoolWriter
from alcli.errors import CannotCreateError, DataError, printable

_KEY = "row_key"
_PLAN = "plan.json"
_PUBLISHED = "published.json"


@dataclass(frozen=True)
class Shard:
    """Encoded rows of one window.

    skipped: (id, why) of items left out. underflow: number of values that float16 made zero.
    """

    columns: pa.Table
    X_BD: Floats
    skipped: tuple[tuple[str, str], ...] = ()
    underflow: int = 0


@dataclass(frozen=True)
class ShardInfo:
    """The facts in the footer of a finished shard. dim: D, None when the shard has no row."""

    rows: int
    dim: int | None
    skipped: tuple[tuple[str, str], ...]
    underflow: int


class WorkFolder:
    """The shards of one target. Whoever uses the folder holds the lock of the target."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.parent / f".{target.name}.alcli-embed"

    def begin(self, plan: Mapping[str, Any], *, resume: bool, force: bool) -> list[int]:
        """Make the folder, or continue in it. Return the numbers of the finished shards.

        plan: everything that the shards depend on. Raises CannotCreateError when there is an unfinished run and neither
        `resume` nor `force` is given, or when `resume` finds a run of another plan; DataError for a damaged plan.
        """
        self.check_own()
        started = self._plan()
        if started is not None and resume:
            self._check_same(started, dict(plan))
            return self.finished()
        if started is not None and not force and self.finished():
            hint = "--resume continues it, --force starts over"
            n = len(self.finished())
            raise CannotCreateError(
                f"{printable(self._target)}: there is an unfinished run ({n} finished shards)",
                hint=hint,
            )
        self.remove()
        self.path.mkdir()
        with replacing(self.path / _PLAN) as file:
            file.write(json.dumps(plan, sort_keys=True, indent=1).encode())
        sync_folder(self.path.parent)
        return []

    def check_own(self) -> None:
        """Raise CannotCreateError where a link or a file has the name of the folder: it was not made by embed, and may
        lead to a folder of others.
        """
        if os.path.lexists(self.path) and (self.path.is_symlink() or not self.path.is_dir()):
            what = f"{printable(self.path)}: is not the folder of an unfinished run but a link or a file"
            raise CannotCreateError(what, hint="remove it, or choose another name for -o")

    def publish(self, finished: Path) -> None:
        """Note which file or folder is about to be renamed to the target."""
        with replacing(self.path / _PUBLISHED) as file:
            file.write(json.dumps(_identity(finished)).encode())

    def is_published(self) -> bool:
        """True where the target is what this folder's run has made: the run was killed before it removed the folder."""
        self.check_own()
        try:
            return bool(json.loads((self.path / _PUBLISHED).read_bytes()) == _identity(self._target))
        except (OSError, ValueError, RecursionError):
            return False

    def finished(self) -> list[int]:
        """The numbers of the finished shards, ascending. Workers may have made later ones before earlier ones."""
        return sorted(int(path.stem.removeprefix("shard-")) for path in self.path.glob("shard-*.parquet"))

    def save(self, number: int, shard: Shard) -> None:
        """Write shard `number`, whole or not at all."""
        keys = (
            row_keys(shard.columns["id"].combine_chunks(), shard.X_BD) if len(shard.columns) else np.empty(0, np.uint64)
        )
        columns = shard.columns.append_column(_KEY, pa.array(keys, pa.uint64()))
        about = {"rows": len(columns), "skipped": shard.skipped, "underflow": shard.underflow}
        dim, dtype = shard.X_BD.shape[1], shard.X_BD.dtype.name
        with replacing(self._shard(number)) as file, PoolWriter(file, columns.schema, dim, dtype, about) as writer:
            writer.write(columns, shard.X_BD)

    def info(self, number: int) -> ShardInfo:
        """Read the footer of a finished shard. Raises DataError."""
        with self._open(number) as file:
            about = json.loads(file.schema_arrow.metadata[METADATA_KEY])
        skipped = tuple((i, why) for i, why in about["skipped"])
        return ShardInfo(about["rows"], about["dim"] if about["rows"] else None, skipped, about["underflow"])

    def keys(self) -> Keys:
        """Read the hash of every row, uint64 [N], in order. Memory: 8 bytes a row. Raises DataError."""
        parts = [np.empty(0, np.uint64)]
        for number in self.finished():
            with self._open(number) as file:
                parts.append(file.read([_KEY])[_KEY].to_numpy())
        return np.concatenate(parts)

    def tables(self) -> Iterator[tuple[pa.Table, Floats]]:
        """Yield (columns, X_BD) of every shard that has a row, in order.

        Raises DataError, also for features that do not match the hashes of their rows.
        """
        for number in self.finished():
            with self._open(number) as file:
                table = file.read()
            if len(table):
                features = table["features"].combine_chunks()
                X_BD = features.flatten().to_numpy().reshape(len(table), -1)
                if not np.array_equal(row_keys(table["id"].combine_chunks(), X_BD), table[_KEY].to_numpy()):
                    what = f"{printable(self._shard(number))}: the features do not match the hashes of their rows"
                    raise DataError(what, hint="remove this file, and --resume makes it again")
                yield table.drop_columns(["features", _KEY]), X_BD

    def remove(self) -> None:
        """Remove the folder and everything in it; do nothing where there is none.

        The plan goes first: a kill in the middle then leaves a folder without a plan, which is no unfinished run.
        """
        self.check_own()
        (self.path / _PLAN).unlink(missing_ok=True)
        if self.path.exists():
            shutil.rmtree(self.path)

    @contextmanager
    def _open(self, number: int) -> Iterator[pq.ParquetFile]:
        """Open a finished shard; what goes wrong in the block becomes a DataError."""
        try:
            # An open file, since Arrow takes no path that is not UTF-8.
            with (
                open(self._shard(number), "rb") as shard,
                pq.ParquetFile(shard, page_checksum_verification=True) as file,
            ):
                yield file
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            what = f"{printable(self._shard(number))}: a finished shard cannot be read ({printable(error)})"
            raise DataError(what, hint=f"remove {printable(self.path)} and start over") from error

    def _shard(self, number: int) -> Path:
        """The path of a shard."""
        return self.path / f"shard-{number:08d}.parquet"

    def _plan(self) -> dict[str, Any] | None:
        """The plan of the unfinished run, None where there is none. Raises DataError for a damaged plan."""
        try:
            found = json.loads((self.path / _PLAN).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            what = f"{printable(self.path / _PLAN)}: is damaged, expected what an unfinished run wrote"
            raise DataError(what, hint=f"remove {printable(self.path)} and start over")
        return found

    def _check_same(self, started: dict[str, Any], now: dict[str, Any]) -> None:
        """Raise CannotCreateError that lists the differences of two plans. now: not yet passed through JSON."""
        now = json.loads(json.dumps(now))
        names = [k for k in sorted({*started, *now}) if started.get(k) != now.get(k)]
        if names:
            listed = "; ".join(f"{k} was {printable(started.get(k))}, is {printable(now.get(k))}" for k in names)
            hint = "give the options it was started with, or leave --resume out and add --force to start over"
            what = f"{printable(self._target)}: the unfinished run was another one: {listed}"
            raise CannotCreateError(what, hint=hint)


def _identity(path: Path) -> list[int]:
    """The numbers by which a file or folder is known again after it was renamed."""
    found = path.stat()
    return [found.st_ino, found.st_mtime_ns, found.st_size]
