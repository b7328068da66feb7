"""The limits that a shell sets: on addresses (`ulimit -v`) and on processes and threads (`ulimit -u`)."""

from __future__ import annotations

import errno
import multiprocessing.util
import os
import resource
import subprocess
import threading
from multiprocessing.connection import Connection

import pyarrow as pa
import pytest

from alcli.cli import shell
from alcli.engine.children import Child
from alcli.engine.limits import take_buffers
from alcli.errors import DataError, UnavailableError
from tests.pools import CLASSES, tiny_features, write_pool
from tests.shell import SCRIPT, Outcome, forked, process

MIB = 1 << 20


def with_addresses(size: int, *arguments: object) -> Outcome:
    """The console script in a process that has `size` bytes of addresses from its start."""
    done = subprocess.run(
        [SCRIPT, *map(str, arguments)],
        capture_output=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


@pytest.mark.parametrize("size", [360, 480, 600])
def test_a_limit_on_addresses_below_what_the_libraries_take(size, tiny):
    """Limits under which OpenBLAS ends the process by itself, or asks for a buffer for good."""
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 3)
    with_addresses(size * MIB, *ask).refused(71, f"the limit on addresses is {size} MiB", "alcli needs 768 MiB")


def test_the_least_limit_on_addresses_is_enough_and_changes_no_byte(tiny):
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 3, "--format", "csv", "-q")
    assert with_addresses(768 * MIB, *ask).done().out == process(*ask).done().out
    fit = ("fit-head", "pool.parquet", "-l", "labels.csv", "-q", "-o")
    with_addresses(768 * MIB, *fit, "a.safetensors").done()
    process(*fit, "b.safetensors").done()
    assert (tiny / "a.safetensors").read_bytes() == (tiny / "b.safetensors").read_bytes()


def test_help_needs_no_libraries_and_so_no_addresses():
    assert with_addresses(300 * MIB, "query", "--help").done().err == ""


@pytest.mark.parametrize("threads", [1, 3])
def test_the_threads_that_take_buffers_end(threads):
    before = threading.active_count()
    take_buffers(threads)
    assert threading.active_count() == before


def _from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


LAUNCH = "Failed to launch worker thread: Resource temporarily unavailable"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("can't start new thread"), "starts no more threads"),
        (BlockingIOError(11, "Resource temporarily unavailable"), "starts no more threads"),
        (_from(DataError("pool.parquet: cannot be read"), pa.ArrowException(LAUNCH)), "starts no more threads"),
        (_from(DataError("pool.parquet: cannot be read"), MemoryError()), "not enough memory"),
        (
            _from(UnavailableError("no torch"), ImportError("libtorch.so: failed to map segment from shared object")),
            "not enough memory: libtorch.so",
        ),
    ],
)
def test_a_limit_behind_a_sentence_about_something_else(error, words, monkeypatch, capfd):
    def fail(_):
        raise error

    monkeypatch.setattr(shell, "_invoke", fail)
    assert shell.run([]) == 71
    assert words in capfd.readouterr().err


def test_causes_in_a_circle_end():
    first, second = DataError("one"), DataError("two")
    first.__cause__, second.__cause__ = second, first
    assert list(shell._causes(first)) == [first, second]


def refuse_threads() -> None:
    """Let this process start no thread, as under a limit, which would not bind the superuser."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threading.Thread.start = start


def refuse_processes() -> None:
    """Let this process start no process of Python's."""

    def spawn(*_: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    multiprocessing.util.spawnv_passfds = spawn


@pytest.mark.parametrize("refuse", [refuse_threads, refuse_processes])
@pytest.mark.parametrize(
    "command",
    [
        ("embed", "texts.csv", "-m", "hashing:8", "-o", "new.parquet", "--workers", 2),
        ("query", "pool.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 3, "--workers", 2),
        ("simulate", "labelled.parquet", "-s", "margin", "-n", 3, "--initial", 6, "--rounds", 1, "--seeds", 2)
        + ("--jobs", 2, "-o", "out"),
    ],
    ids=lambda command: command[0],
)
def test_a_limit_on_threads_or_processes(command, refuse, tiny):
    if refuse is refuse_threads and (command[0] == "embed" or len(os.sched_getaffinity(0)) == 1):
        pytest.skip("starts no thread")
    X, y = tiny_features()
    write_pool("labelled.parquet", X, label=[CLASSES[v] for v in y])
    (tiny / "texts.csv").write_text("id,text\n" + "".join(f"t{i},some words {i}\n" for i in range(50)))
    forked(*command, before=refuse).refused(71, "the system starts no more threads or processes")


def _serve(pipe: Connection, error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code"), [(RuntimeError("can't start new thread"), 71), (MemoryError(), 71), (ValueError("other"), 1)]
)
def test_a_child_that_gets_no_thread_ends_without_a_traceback(error, code, capfd):
    child = Child(_serve, (error,))
    assert child.end() == f"ended with exit code {code}"
    assert ("Traceback" in capfd.readouterr().err) == (code == 1)
