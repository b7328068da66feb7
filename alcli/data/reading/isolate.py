"""--isolate: a child process decodes a pool first, so that a file which crashes the reader ends the child alone.

Cost: a second read. The parent then reads only files that the child has survived: size, time and inode of each are
compared.
"""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import pyarrow.types as pt

from alcli.data.reading.data_file import DataFile
from alcli.data.reading.find import find_files
from alcli.data.reading.parquet import open_parquet, plain_type, read_column
from alcli.data.reading.pool_files import PoolFile
from alcli.data.reading.vectors import is_vector
from alcli.errors import BusyError, DataError, MemoryLimitError, printable

_BLOCK = 8192
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Stamp = tuple[int, int, int] | None


def decode_alone(spec: str, vectors: Sequence[str], values: Sequence[str], limit: int | None) -> dict[str, Stamp]:
    """Decode columns of vectors and columns of single values of all files of a pool in a child process.

    Return the files that the child has survived, with their stamps. A column that a file lacks is passed over, and so
    is one of a type that holds no vectors or no single values: it is refused unread. limit:
    bytes for one page. Raises DataError that names the file at which the child crashed, MemoryLimitError where the
    system killed the child for want of memory. The caller finds every other fault of a file by itself. Cost: one
    read.
    """
    incoming, outgoing = os.pipe()
    # A signal that comes at once waits until it is known whom to end with it.
    before, child = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS), -1
    try:
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                os.close(incoming)
                _decode(spec, vectors, values, outgoing, limit)
            os._exit(0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(outgoing)
        with open(incoming, "rb") as lines:
            said = [json.loads(line) for line in lines]
        _, status = os.waitpid(child, 0)
        child = -1
    finally:
        if child > 0:
            # A signal told this process to stop; the child must not outlive it.
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if os.WIFSIGNALED(status):
        raise _killed(os.WTERMSIG(status), printable(said[-1][0] if said else spec))
    return {path: None if stamp is None else tuple(stamp) for path, stamp in said}


def check_unchanged(files: Iterable[PoolFile], seen: Mapping[str, Stamp]) -> None:
    """Raise BusyError for a file that is not as the child has seen it."""
    for file in files:
        if file.file.path not in seen or seen[file.file.path] != file.stamp:
            raise BusyError(f"{file.name}: changed while it was read", hint="try again when its writer has finished")


def _killed(number: int, name: str) -> DataError | MemoryLimitError:
    """The error for a child that a signal ended while it read the file `name`."""
    if number == signal.SIGKILL:
        what = f"{name}: the process that read it was killed, perhaps for want of memory"
        return MemoryLimitError(what, hint="the file may be a decompression bomb")
    crash = signal.Signals(number).name
    return DataError(f"{name}: reading it crashed a process of its own ({crash}), the file is damaged or hostile")


def _decode(spec: str, vectors: Sequence[str], values: Sequence[str], out: int, limit: int | None) -> None:
    """Run the child: write the name of each file to `out`, then read the file."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A library may write about its crash; the user gets one sentence from the parent instead.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for file in find_files(spec):
        with suppress(Exception):
            os.write(out, f"{json.dumps([file.path, file.stamp()])}\n".encode())
            _read(file, vectors, values, limit)


def _read(file: DataFile, vectors: Sequence[str], values: Sequence[str], limit: int | None) -> None:
    """Decode the columns that the file has exactly once, if they are of a type that the parent reads."""
    with open_parquet(file) as parquet:
        schema = parquet.schema_arrow
    for name in (*vectors, *values):
        if schema.names.count(name) != 1:
            continue
        kind = schema.field(name).type
        if (name in vectors and is_vector(kind)) or (name in values and not pt.is_nested(plain_type(kind))):
            with suppress(Exception):
                for _ in read_column(file, name, _BLOCK, limit):
                    pass
