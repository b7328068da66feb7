"""Pools at a URI: through pyarrow's own filesystems (file, s3, gs, abfs, hdfs) where it has them, else through fsspec.

Nothing here runs unless the user types a URI, so nothing else that alcli does with a pool touches a network.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, TypeVar

from alcli.data.reading.files import EXPECTED, SUFFIXES, DataFile, find_files, reason, shown
from alcli.errors import AlcliError, InputError, UnavailableError, printable
from alcli.requirements import install_hint

T = TypeVar("T")
PATIENCE = 15.0  # seconds for an answer, of which the first may need a look-up of names, of credentials and of a region
_LIBRARIES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "fsspec", "https": "fsspec"}
_DENIED = ("access denied", "access_denied", "forbidden", "permission", "unauthorized")


def find_at(uri: str) -> tuple[list[DataFile], list[str]]:
    """As `find_files`. Raises InputError for what is not there or not allowed, UnavailableError for what cannot be reached.

    A directory is listed whole; names that begin with `.` or `_` are left out.
    """
    from pyarrow.fs import LocalFileSystem

    scheme, rest = uri.split("://", 1)
    if scheme.lower() in _LIBRARIES and not rest.partition("/")[0]:
        raise InputError(f"{shown(uri)}: is no URI that can be read: it names no bucket or host")
    filesystem, path = _answered(uri, lambda: _filesystem(uri, scheme.lower(), rest))
    if isinstance(filesystem, LocalFileSystem):
        return find_files(path)
    inside = _answered(uri, lambda: _listed(filesystem, path))
    if inside is None:
        raise InputError(f"{shown(uri)}: no such file")
    if not inside:
        raise InputError(f"{shown(uri)}: no Parquet file in this directory", hint=EXPECTED)
    return [DataFile(p, filesystem) for p in inside], []


def _listed(filesystem: Any, path: str) -> list[str] | None:
    """The file at `path`, or the Parquet files below it; None where there is nothing."""
    from pyarrow.fs import FileSelector, FileType

    info = filesystem.get_file_info(path)
    if info.type == FileType.NotFound:
        return None
    if info.type == FileType.File:
        return [path]
    found = sorted(f.path for f in filesystem.get_file_info(FileSelector(path, recursive=True)) if f.type == FileType.File and f.path.endswith(SUFFIXES))
    return [p for p in found if not any(part[0] in "._" for part in PurePosixPath(os.path.relpath(p, path)).parts)]


def _filesystem(uri: str, scheme: str, rest: str) -> tuple[Any, str]:
    """A filesystem for a URI, and the path in it. Raises UnavailableError where no library that is installed knows the scheme."""
    import pyarrow as pa
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    try:
        return FileSystem.from_uri(f"{scheme}://{rest}")
    except pa.ArrowNotImplementedError:  # built without it
        pass
    except pa.ArrowInvalid as error:
        if "unrecognized" not in str(error).lower():
            raise
    try:
        import fsspec

        if scheme not in fsspec.available_protocols():
            raise InputError(f"{shown(uri)}: unknown filesystem '{printable(scheme)}://'", hint="a local path has no ://")
        filesystem, path = fsspec.core.url_to_fs(f"{scheme}://{rest}")
    except ImportError as error:
        hint = install_hint(_LIBRARIES[scheme]) if scheme in _LIBRARIES else _first_line(error)
        raise UnavailableError(f"{shown(uri)}: nothing that is installed reads {printable(scheme)}://", hint=hint) from error
    return PyFileSystem(FSSpecHandler(filesystem)), path


def _answered(uri: str, ask: Callable[[], T]) -> T:
    """The answer of a remote system, or a sentence about it, within 15 seconds: clients of some retry for a quarter of an hour."""
    answers: list[T] = []
    errors: list[Exception] = []

    def wait() -> None:
        try:
            answers.append(ask())
        except Exception as error:
            errors.append(error)

    asking = threading.Thread(target=wait, name="alcli-remote", daemon=True)
    asking.start()
    asking.join(PATIENCE)
    if answers:
        return answers[0]
    if not errors:
        raise UnavailableError(f"{shown(uri)}: no answer within {PATIENCE:.0f} seconds")
    raise _said(uri, errors[0]) from errors[0]


def _said(uri: str, error: Exception) -> AlcliError:
    """What a library raises over a URI (each has exceptions of its own), as an error of ours."""
    import pyarrow as pa

    if isinstance(error, AlcliError):
        return error
    text = reason(error) if isinstance(error, OSError) else _first_line(error)
    if isinstance(error, FileNotFoundError):
        return InputError(f"{shown(uri)}: no such file")
    if isinstance(error, (PermissionError, IsADirectoryError, NotADirectoryError)) or any(word in text.lower() for word in _DENIED):
        return InputError(f"{shown(uri)}: cannot open: {text}")
    if isinstance(error, (pa.ArrowInvalid, ValueError, TypeError, KeyError)):
        return InputError(f"{shown(uri)}: is no URI that can be read: {text}")
    return UnavailableError(f"{shown(uri)}: cannot be reached: {text}")


def _first_line(error: Exception) -> str:
    return printable(next(iter(str(error).strip().splitlines()), type(error).__name__))
