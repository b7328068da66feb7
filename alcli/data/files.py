"""From what the user typed to the Parquet files of a pool: a file, a directory, a glob, or a filesystem URI."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from alcli.errors import DataError, InputError, UnavailableError, printable


@dataclass(frozen=True)
class DataFile:
    """One file. filesystem: a pyarrow filesystem, None for local paths. partition: `key=value` folders above it."""

    path: str
    filesystem: Any = None
    partition: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The path as it is shown in messages."""
        return printable(self.path)

    def open(self) -> Any:
        """Something that pyarrow can read and seek in."""
        import pyarrow as pa

        try:
            if self.filesystem is not None:
                return self.filesystem.open_input_file(self.path)
            try:
                self.path.encode("utf-8")
            except UnicodeEncodeError:  # pyarrow takes paths in UTF-8 only
                return open(self.path, "rb")
            return pa.OSFile(self.path)
        except OSError as error:
            raise InputError(f"{self.name}: cannot open: {reason(error)}") from error

    def stamp(self) -> tuple[int, int, int] | None:
        """(inode, size, mtime in ns) of a local file, to notice a change while it is read."""
        if self.filesystem is not None:
            return None
        found = os.stat(self.path)
        return found.st_ino, found.st_size, found.st_mtime_ns


def reason(error: OSError) -> str:
    """The operating system's words for an error, without the path."""
    return os.strerror(error.errno) if error.errno else printable(error)


def find_files(spec: str) -> tuple[list[DataFile], list[str]]:
    """The Parquet files that `spec` names, in a fixed order, and notes for the user.

    A directory is searched to any depth; names that begin with `.` or `_` are left out, links to folders are not followed, and
    `key=value` folders are remembered as partitions. Raises InputError when there is nothing to read.
    """
    if "://" in spec:
        return _remote(spec), []
    if os.path.isdir(spec):
        paths = list(_walk(spec))
        if not paths:
            raise InputError(f"{printable(spec)}: no Parquet file in this directory", hint="expected files that end in .parquet")
        files = [DataFile(p, partition=_partition(os.path.relpath(p, spec))) for p in paths]
    elif glob.has_magic(spec) and not os.path.lexists(spec):
        paths = sorted(p for p in glob.glob(spec) if not os.path.isdir(p))
        if not paths:
            raise InputError(f"{printable(spec)}: no file matches this pattern")
        files = [DataFile(p) for p in paths]
    else:
        files = [DataFile(spec)]
    for file in files:
        check_readable(file.path)
    return _distinct(files)


def check_readable(path: str) -> None:
    """Raise InputError unless `path` is a regular file that can be opened; a FIFO or device would block for good."""
    shown = printable(path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        what = "a link to a file that is not there" if os.path.islink(path) else "no such file"
        raise InputError(f"{shown}: {what}") from None
    except OSError as error:
        raise InputError(f"{shown}: cannot open: {reason(error)}") from error
    if stat.S_ISDIR(mode):
        raise InputError(f"{shown}: is a directory, expected a file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{shown}: not a regular file", hint="a pipe or device cannot be read twice; save it to a file first")
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise InputError(f"{shown}: cannot open: {reason(error)}") from error


def _walk(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f[0] not in "._")
        yield from (os.path.join(parent, n) for n in sorted(names) if n[0] not in "._" and n.endswith((".parquet", ".pq")))


def _partition(relative: str) -> dict[str, str]:
    pairs = [part.split("=", 1) for part in PurePosixPath(relative).parts[:-1] if "=" in part]
    return dict(pairs)


def _distinct(files: list[DataFile]) -> tuple[list[DataFile], list[str]]:
    seen: dict[tuple[int, int], DataFile] = {}
    notes = []
    for file in files:
        found = os.stat(file.path)
        first = seen.setdefault((found.st_dev, found.st_ino), file)
        if first is not file:
            notes.append(f"{file.name} is the same file as {first.name}; read once")
    return list(seen.values()), notes


def _remote(uri: str) -> list[DataFile]:
    from pyarrow.fs import FileSelector, FileType

    filesystem, path = _filesystem(uri)
    try:
        info = filesystem.get_file_info(path)
        if info.type == FileType.NotFound:
            raise InputError(f"{printable(uri)}: no such file")
        if info.type == FileType.File:
            return [DataFile(path, filesystem)]
        found = filesystem.get_file_info(FileSelector(path, recursive=True))
    except OSError as error:
        raise InputError(f"{printable(uri)}: cannot list: {reason(error)}") from error
    inside = sorted(f.path for f in found if f.type == FileType.File and f.path.endswith((".parquet", ".pq")))
    inside = [p for p in inside if not any(part[0] in "._" for part in PurePosixPath(p).relative_to(path).parts)]
    if not inside:
        raise InputError(f"{printable(uri)}: no Parquet file in this directory", hint="expected files that end in .parquet")
    return [DataFile(p, filesystem, _partition(os.path.relpath(p, path))) for p in inside]


def _filesystem(uri: str) -> tuple[Any, str]:
    """A filesystem for a URI: pyarrow's own (file, s3, gs, hdfs), else whatever fsspec knows."""
    import pyarrow as pa
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    scheme = uri.split("://", 1)[0]
    try:
        return FileSystem.from_uri(uri)  # type: ignore[no-any-return]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if scheme in ("file", "s3", "gs", "hdfs"):
            raise InputError(f"{printable(uri)}: cannot open: {printable(error)}") from error
    except OSError as error:
        raise InputError(f"{printable(uri)}: cannot open: {reason(error)}") from error
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(uri)
    except ImportError as error:
        raise UnavailableError(f"{printable(uri)}: no reader for '{scheme}://' is installed", hint=f"pip install fsspec and its support for {scheme}") from error
    except ValueError as error:
        raise InputError(f"{printable(uri)}: unknown filesystem '{scheme}://'") from error
    return PyFileSystem(FSSpecHandler(filesystem)), path


def one_type(found: dict[str, str], what: str) -> str:
    """The single value of `found` (file name -> value), else DataError that names two files that differ."""
    values = sorted(set(found.values()))
    if len(values) > 1:
        a, b = (next(f for f, v in found.items() if v == value) for value in values[:2])
        raise DataError(f"{what} differs between files: {values[0]} in {a}, {values[1]} in {b}")
    return values[0]
