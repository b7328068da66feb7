"""From what the user typed to the Parquet files of a pool: a file, a directory, a glob, or a filesystem URI."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import unquote

from alcli.errors import InputError, UnavailableError, printable

_SUFFIXES = (".parquet", ".pq")
_EXPECTED = "expected files that end in .parquet"


@dataclass(frozen=True)
class DataFile:
    """One file. filesystem: a pyarrow filesystem, None for local paths. partition: `key=value` folders above it, None for no value."""

    path: str
    filesystem: Any = None
    partition: dict[str, str | None] = field(default_factory=dict)

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
        """(inode, size, mtime in ns) of a local file, to notice a change while it is read. Raises InputError when it is gone."""
        if self.filesystem is not None:
            return None
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise InputError(f"{self.name}: cannot open: {reason(error)}") from error
        return found.st_ino, found.st_size, found.st_mtime_ns


def reason(error: OSError) -> str:
    """The operating system's words for an error, without the path."""
    return os.strerror(error.errno) if error.errno else printable(error)


def find_files(spec: str) -> tuple[list[DataFile], list[str]]:
    """The Parquet files that `spec` names, in a fixed order, and notes for the user.

    A directory is searched to any depth; names that begin with `.` or `_` are left out, links to folders are not followed, and
    `key=value` folders are remembered as partitions. In a glob, such names have to be asked for by their first letter, `**` stands for
    folders of any depth, and folders that match are searched. Raises InputError when there is nothing to read.
    """
    if "://" in spec:
        return _at_uri(spec)
    if os.path.isdir(spec):
        files = [DataFile(p, partition=_partition(os.path.relpath(p, spec))) for p in _walk(spec)]
        if not files:
            raise InputError(f"{printable(spec)}: no Parquet file in this directory", hint=_EXPECTED)
    elif glob.has_magic(spec) and not os.path.lexists(spec):
        files = _matching(spec)
        if not files:
            raise InputError(f"{printable(spec)}: no file matches this pattern")
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
    except ValueError:  # a NUL, which the command line cannot hold but a URI can
        raise InputError(f"{shown}: no file can have this name") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{shown}: is a directory, expected a file")
    if not stat.S_ISREG(mode):
        raise InputError(f"{shown}: not a regular file", hint="a pipe or device cannot be read twice; save it to a file first")
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise InputError(f"{shown}: cannot open: {reason(error)}") from error


def _matching(pattern: str) -> list[DataFile]:
    """Files that match a glob. pathlib's `**` does not follow links to folders, whose loops would never end."""
    parts = PurePath(pattern).parts
    plain = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:plain])
    left_out = {c for c in "._" if not any(part.startswith(c) for part in parts[plain:])}
    found = [p for p in root.glob(os.path.join(*parts[plain:])) if left_out.isdisjoint(part[0] for part in p.relative_to(root).parts)]
    paths = sorted({path for p in found for path in (_walk(str(p)) if p.is_dir() else [str(p)])})
    return [DataFile(path, partition=_partition(os.path.relpath(path, root))) for path in paths]


def _walk(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(f for f in folders if f[0] not in "._")
        yield from (os.path.join(parent, n) for n in sorted(names) if n[0] not in "._" and n.endswith(_SUFFIXES))


def _refuse(error: OSError) -> None:
    """A folder that cannot be searched may hold part of the pool: to go on without it would be to choose from another pool."""
    raise InputError(f"{printable(error.filename)}: cannot search this directory: {reason(error)}") from error


def _partition(relative: str) -> dict[str, str | None]:
    """`key=value` folders of a path below the pool, in the spelling of Hive: percent escapes, a word of its own for null."""
    pairs = [part.split("=", 1) for part in PurePosixPath(relative).parts[:-1] if "=" in part]
    return {unquote(key): None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value) for key, value in pairs}


def _distinct(files: list[DataFile]) -> tuple[list[DataFile], list[str]]:
    seen: dict[tuple[int, int], DataFile] = {}
    notes = []
    for file in files:
        found = os.stat(file.path)
        first = seen.setdefault((found.st_dev, found.st_ino), file)
        if first is not file:
            notes.append(f"{file.name} is the same file as {first.name}; read once")
    return list(seen.values()), notes


def _at_uri(uri: str) -> tuple[list[DataFile], list[str]]:
    from pyarrow.fs import FileSelector, FileType, LocalFileSystem

    filesystem, path = _filesystem(uri)
    if isinstance(filesystem, LocalFileSystem):
        return find_files(path)
    try:
        info = filesystem.get_file_info(path)
        if info.type == FileType.NotFound:
            raise InputError(f"{printable(uri)}: no such file")
        if info.type == FileType.File:
            return [DataFile(path, filesystem)], []
        found = filesystem.get_file_info(FileSelector(path, recursive=True))
    except OSError as error:
        raise InputError(f"{printable(uri)}: cannot list: {reason(error)}") from error
    inside = sorted(f.path for f in found if f.type == FileType.File and f.path.endswith(_SUFFIXES))
    inside = [p for p in inside if not any(part[0] in "._" for part in PurePosixPath(os.path.relpath(p, path)).parts)]
    if not inside:
        raise InputError(f"{printable(uri)}: no Parquet file in this directory", hint=_EXPECTED)
    return [DataFile(p, filesystem, _partition(os.path.relpath(p, path))) for p in inside], []


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
