"""From what the user typed to the Parquet files of a pool: a file, a directory, a glob, or a filesystem URI."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Any, NoReturn

from alcli.errors import InputError, printable

_OF_THE_PROCESS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
SUFFIXES = (".parquet", ".pq")
EXPECTED = "expected files that end in .parquet"


@dataclass(frozen=True)
class DataFile:
    """One file. filesystem: a pyarrow filesystem, None for local paths."""

    path: str
    filesystem: Any = None

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
            raise refusal(self.name, "cannot open", error) from error

    def stamp(self) -> tuple[int, int, int] | None:
        """(inode, size, mtime in ns) of a local file, to notice a change while it is read. Raises InputError when it is gone."""
        if self.filesystem is not None:
            return None
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise refusal(self.name, "cannot open", error) from error
        return found.st_ino, found.st_size, found.st_mtime_ns


def shown(spec: str) -> str:
    """What the user typed, fit for messages and reports: printable, and a URI without the name and password in it."""
    return printable(re.sub(r"://[^/@]*@", "://...@", spec, count=1))


def reason(error: OSError) -> str:
    """The operating system's words for an error, without the path."""
    return os.strerror(error.errno) if error.errno else printable(error)


def refusal(name: str, what: str, error: OSError) -> InputError:
    """That an input cannot be read. Raises the error itself where another file would fare no better: too many are open, no memory."""
    if error.errno in _OF_THE_PROCESS:
        raise error
    return InputError(f"{name}: {what}: {reason(error)}")


def find_files(spec: str) -> tuple[list[DataFile], list[str]]:
    """The Parquet files that `spec` names, in a fixed order, and notes for the user.

    A directory is searched to any depth; names that begin with `.` or `_` are left out, links to folders are not followed. In a
    glob, such names have to be asked for by their first letter, `**` stands for folders of any depth, and folders that match are
    searched. Raises InputError when there is nothing to read or a folder cannot be searched, UnavailableError for a URI out of reach.
    """
    if "://" in spec:
        from alcli.data.reading.remote import find_at

        return find_at(spec)
    if os.path.isdir(spec):
        files = [DataFile(p) for p in _walk(spec)]
        if not files:
            raise InputError(f"{printable(spec)}: no Parquet file in this directory", hint=EXPECTED)
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
        raise refusal(shown, "cannot open", error) from error
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
        raise refusal(shown, "cannot open", error) from error


def _matching(pattern: str) -> list[DataFile]:
    """Files that match a glob."""
    parts = PurePath(pattern).parts
    plain = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = os.path.join(*parts[:plain]) if plain else ""
    left_out = {c for c in "._" if not any(part.startswith(c) for part in parts[plain:])}
    found = set(_expanded(root, parts[plain:], left_out)) if _is_there(root or ".") else set()
    paths = {path for p in found for path in (_walk(p) if os.path.isdir(p) else [p])}
    return [DataFile(path) for path in sorted(paths)]


def _expanded(folder: str, parts: tuple[str, ...], left_out: set[str]) -> Iterator[str]:
    """The paths below `folder` that match `parts`. Unlike the glob of the standard library, it says when a folder cannot be searched."""
    if not parts:
        yield folder
    elif parts[0] == "**":  # links are not followed: their loops would never end
        yield from _expanded(folder, parts[1:], left_out)
        for entry in _entries(folder, left_out):
            if entry.is_dir(follow_symlinks=False):
                yield from _expanded(os.path.join(folder, entry.name), parts, left_out)
    elif glob.has_magic(parts[0]):
        for entry in _entries(folder, left_out):
            if fnmatchcase(entry.name, parts[0]) and (len(parts) == 1 or entry.is_dir()):
                yield from _expanded(os.path.join(folder, entry.name), parts[1:], left_out)
    elif _is_there(path := os.path.join(folder, parts[0])):
        yield from _expanded(path, parts[1:], left_out)


def _entries(folder: str, left_out: set[str]) -> list[os.DirEntry[str]]:
    """What is in a folder, without names that begin with a character of `left_out`; nothing where there is no folder."""
    try:
        with os.scandir(folder or ".") as found:
            return [entry for entry in found if entry.name[0] not in left_out]
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a NUL is a ValueError
        return []
    except OSError as error:
        refuse(error)


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        refuse(error)
    return True


def _walk(folder: str) -> Iterator[str]:
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if f[0] not in "._")
        yield from (os.path.join(parent, n) for n in sorted(names) if n[0] not in "._" and n.endswith(SUFFIXES))


def refuse(error: OSError) -> NoReturn:
    """A folder that cannot be searched may hold part of the pool: to go on without it would be to choose from another pool."""
    raise refusal(printable(error.filename), "cannot search this directory", error) from error


def _distinct(files: list[DataFile]) -> tuple[list[DataFile], list[str]]:
    seen: dict[tuple[int, int], DataFile] = {}
    notes = []
    for file in files:
        found = os.stat(file.path)
        first = seen.setdefault((found.st_dev, found.st_ino), file)
        if first is not file:
            notes.append(f"{file.name} is the same file as {first.name}; read once")
    return list(seen.values()), notes
