"""Pools at a URI: through pyarrow's own filesystems (file, s3, gs, abfs, hdfs) where it has them, else through fsspec.

Nothing here runs unless the user types a URI, so nothing else that alcli does with a pool touches a network.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, TypeVar

from alcli.data.reading.data_file import EXPECTED, SUFFIXES, DataFile, shown, without_secrets
from alcli.data.reading.local import find_local
from alcli.data.reading.os_errors import reason
from alcli.errors import AlcliError, InputError, UnavailableError, printable
from alcli.remarks import Note, silence
from alcli.requirements import install_hint

T = TypeVar("T")
# Seconds to wait for an answer. The first answer may need a look-up of names, of credentials and of a region.
PATIENCE = 15.0
_LIBRARIES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "http": "fsspec", "https": "fsspec"}
_DENIED = ("access denied", "access_denied", "forbidden", "permission", "unauthorized")


def find_remote(uri: str, note: Note = silence) -> list[DataFile]:
    """Find the Parquet files that a URI names; a URI of the scheme `file` is a local path, see `find_local`.

    A directory is listed whole; names that begin with `.` or `_` are left out. Raises InputError for a file that is
    not there or may not be read, UnavailableError for a filesystem that cannot be reached.
    """
    from pyarrow.fs import LocalFileSystem

    scheme, rest = uri.split("://", 1)
    if scheme.lower() in _LIBRARIES and not rest.partition("/")[0]:
        raise InputError(f"{shown(uri)}: is no URI that can be read: it names no bucket or host")
    filesystem, path = _answered(uri, lambda: _filesystem(uri, scheme.lower(), rest))
    if isinstance(filesystem, LocalFileSystem):
        return find_local(path, note)
    inside = _answered(uri, lambda: _listed(filesystem, path))
    if inside is None:
        raise InputError(f"{shown(uri)}: no such file")
    if not inside:
        raise InputError(f"{shown(uri)}: no Parquet file in this directory", hint=EXPECTED)
    return [DataFile(p, filesystem) for p in inside]


def _listed(filesystem: Any, path: str) -> list[str] | None:
    """The file at `path`, or the Parquet files below it; None where there is nothing."""
    from pyarrow.fs import FileSelector, FileType

    info = filesystem.get_file_info(path)
    if info.type == FileType.NotFound:
        return None
    if info.type == FileType.File:
        return [path]
    below = filesystem.get_file_info(FileSelector(path, recursive=True))
    found = sorted(f.path for f in below if f.type == FileType.File and f.path.endswith(SUFFIXES))
    return [p for p in found if not any(part[0] in "._" for part in PurePosixPath(os.path.relpath(p, path)).parts)]


def _filesystem(uri: str, scheme: str, rest: str) -> tuple[Any, str]:
    """Return a filesystem for a URI, and the path in it.

    Raises UnavailableError where no installed library knows the scheme.
    """
    import pyarrow as pa
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    try:
        return FileSystem.from_uri(f"{scheme}://{rest}")
    except pa.ArrowNotImplementedError:
        # pyarrow knows the scheme but was built without it; fsspec may have it.
        pass
    except pa.ArrowInvalid as error:
        if "unrecognized" not in str(error).lower():
            raise
    try:
        import fsspec

        if scheme not in fsspec.available_protocols():
            raise InputError(
                f"{shown(uri)}: unknown filesystem '{printable(scheme)}://'", hint="a local path has no ://"
            )
        filesystem, path = fsspec.core.url_to_fs(f"{scheme}://{rest}")
    except ImportError as error:
        hint = install_hint(_LIBRARIES[scheme]) if scheme in _LIBRARIES else _first_line(error)
        what = f"{shown(uri)}: nothing that is installed reads {printable(scheme)}://"
        raise UnavailableError(what, hint=hint) from error
    return PyFileSystem(FSSpecHandler(filesystem)), path


def _answered(uri: str, ask: Callable[[], T]) -> T:
    """Return the answer of a remote system. Raises AlcliError when it refuses, or says nothing for PATIENCE seconds.

    The call runs in a thread that nobody waits for longer: the clients of some systems retry for a quarter of an hour.
    """
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
    """Turn an exception of a library, each of which has its own, into one of alcli's."""
    import pyarrow as pa

    if isinstance(error, AlcliError):
        return error
    text = without_secrets(reason(error) if isinstance(error, OSError) else _first_line(error), uri)
    denied = isinstance(error, (PermissionError, IsADirectoryError, NotADirectoryError))
    if isinstance(error, FileNotFoundError):
        return InputError(f"{shown(uri)}: no such file")
    if denied or any(word in text.lower() for word in _DENIED):
        return InputError(f"{shown(uri)}: cannot open: {text}")
    if isinstance(error, (pa.ArrowInvalid, ValueError, TypeError, KeyError)):
        return InputError(f"{shown(uri)}: is no URI that can be read: {text}")
    return UnavailableError(f"{shown(uri)}: cannot be reached: {text}")


def _first_line(error: Exception) -> str:
    return printable(next(iter(str(error).strip().splitlines()), type(error).__name__))
