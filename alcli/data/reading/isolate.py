"""--isolate: a child process decodes a pool first, so that a file which crashes the reader ends the child, and not the command.

It costs a second read. The parent then reads what the child has survived: size, time and inode of each file are compared.
"""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from alcli.data.reading.files import DataFile, find_files
from alcli.data.reading.parquet import open_parquet, read_column
from alcli.data.reading.pool_files import PoolFile
from alcli.errors import BusyError, DataError, MemoryLimitError, printable

_BLOCK = 8192
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Stamp = tuple[int, int, int] | None


def decode_alone(spec: str, columns: Sequence[str], limit: int | None) -> dict[str, Stamp]:
    """Decode `columns`, where they are there, of all files of a pool in a child; the files that it has survived, with their stamps.

    limit: bytes for one page. Raises DataError that names the file at which the child was killed, MemoryLimitError where the system
    killed it for want of memory. What is wrong with a file in any other way is left to the caller to find. Cost: one read.
    """
    incoming, outgoing = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.close(incoming)
            _decode(spec, columns, outgoing, limit)
        os._exit(0)
    os.close(outgoing)
    try:
        with open(incoming, "rb") as lines:
            said = [json.loads(line) for line in lines]
        _, status = os.waitpid(child, 0)
        child = 0
    finally:
        if child:  # we were told to stop
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise _killed(os.WTERMSIG(status), printable(said[-1][0] if said else spec))
    return {path: None if stamp is None else tuple(stamp) for path, stamp in said}


def check_unchanged(files: Iterable[PoolFile], seen: Mapping[str, Stamp]) -> None:
    """Raise BusyError for a file that the child has not seen as it is now."""
    for file in files:
        if file.file.path not in seen or seen[file.file.path] != file.stamp:
            raise BusyError(f"{file.name}: changed while it was read", hint="try again when its writer has finished")


def _killed(number: int, name: str) -> DataError | MemoryLimitError:
    if number == signal.SIGKILL:
        return MemoryLimitError(f"{name}: the process that read it was killed, perhaps for want of memory", hint="the file may be a decompression bomb")
    return DataError(f"{name}: reading it crashed a process of its own ({signal.Signals(number).name}), the file is damaged or hostile")


def _decode(spec: str, columns: Sequence[str], out: int, limit: int | None) -> None:
    """The child: says which file comes next, and reads it."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries say of their crash
    for file in find_files(spec)[0]:
        with suppress(Exception):
            os.write(out, f"{json.dumps([file.path, file.stamp()])}\n".encode())
            _read(file, columns, limit)


def _read(file: DataFile, columns: Sequence[str], limit: int | None) -> None:
    with open_parquet(file) as parquet:
        names = parquet.schema_arrow.names
    for name in columns:
        if names.count(name) == 1:
            with suppress(Exception):
                for _ in read_column(file, name, _BLOCK, None, limit):
                    pass
