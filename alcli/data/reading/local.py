"""Parquet files on this machine: a file, a directory that is walked, or a glob that is matched."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import NoReturn

from alcli.data.advice.embedding import other_folder
from alcli.data.reading.data_file import EXPECTED, SUFFIXES, DataFile, check_readable, refusal
from alcli.errors import InputError, printable
from alcli.remarks import Note, silence


def find_local(spec: str, note: Note = silence) -> list[DataFile]:
    """Find the Parquet files that a local path names; `find_files` says which.

    A remark names a file that is there twice. Raises InputError when there is nothing to read, or a folder cannot be
    searched.
    """
    if os.path.isdir(spec):
        files = [DataFile(p) for p in _walk(spec)]
        if not files:
            other = other_folder(spec)
            what = f"{printable(spec)}: no Parquet file in this directory"
            raise InputError(f"{what}, but {other[0]}" if other else what, hint=other[1] if other else EXPECTED)
    elif glob.has_magic(spec) and not os.path.lexists(spec):
        files = _matching(spec)
        if not files:
            raise InputError(f"{printable(spec)}: no file matches this pattern")
    else:
        files = [DataFile(spec)]
    for file in files:
        check_readable(file.path)
    return _distinct(files, note)


def refuse(error: OSError) -> NoReturn:
    """Raise InputError for a folder that cannot be searched.

    The folder may hold part of the pool, and without that part it would be another pool.
    """
    raise refusal(printable(error.filename), "cannot search this directory", error) from error


def _matching(pattern: str) -> list[DataFile]:
    """The files that match a glob, and the Parquet files in the folders that match it."""
    parts = PurePath(pattern).parts
    plain = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = os.path.join(*parts[:plain]) if plain else ""
    left_out = {c for c in "._" if not any(part.startswith(c) for part in parts[plain:])}
    found = set(_expanded(root, parts[plain:], left_out)) if _is_there(root or ".") else set()
    paths = {path for p in found for path in (_walk(p) if os.path.isdir(p) else [p])}
    return [DataFile(path) for path in sorted(paths)]


def _expanded(folder: str, parts: tuple[str, ...], left_out: set[str]) -> Iterator[str]:
    """Yield the paths below `folder` that match `parts`, without names that begin with a character of `left_out`.

    Unlike the glob of the standard library, the function refuses a folder that cannot be searched.
    """
    if not parts:
        yield folder
    elif parts[0] == "**":
        # Links to folders are not followed here: a link that leads upwards would make the search endless.
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
    """The entries of a folder, none where there is no folder; names that begin with one of `left_out` are left out."""
    try:
        with os.scandir(folder or ".") as found:
            return [entry for entry in found if entry.name[0] not in left_out]
    except (FileNotFoundError, NotADirectoryError, ValueError):
        # Python raises ValueError for a path with a NUL.
        return []
    except OSError as error:
        refuse(error)


def _is_there(path: str) -> bool:
    """Return True when something has this name, be it a link to nothing."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        refuse(error)
    return True


def _walk(folder: str) -> Iterator[str]:
    """Yield the Parquet files below a folder, folder by folder, each folder's names sorted."""
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if f[0] not in "._")
        yield from (os.path.join(parent, n) for n in sorted(names) if n[0] not in "._" and n.endswith(SUFFIXES))


def _distinct(files: list[DataFile], note: Note) -> list[DataFile]:
    """The files, each once: two names of one file are told apart by device and inode."""
    seen: dict[tuple[int, int], DataFile] = {}
    for file in files:
        found = os.stat(file.path)
        first = seen.setdefault((found.st_dev, found.st_ino), file)
        if first is not file:
            note(f"{file.name} is the same file as {first.name}; read once")
    return list(seen.values())
