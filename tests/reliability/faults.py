"""Faults between the steps of writing: every call by which alcli touches the disk is counted, and one of them fails
or is the last.

The calls are wrapped in a child process; alcli itself has no hook. A write that fails has written half of what it was
given.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.shell import Outcome, forked

THOROUGH = (
    "ALCLI_THOROUGH" in os.environ
)  # every step of every command, as `make fuzz` does; else a sample of the long ones
CALLS = ("fsync", "replace", "rename", "chmod", "mkdir", "unlink", "rmdir")
CAN_FAIL = frozenset({"mkstemp", "write", "fsync", "chmod", "replace", "rename"})
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO, "EINTR": errno.EINTR}


@dataclass
class Steps:
    """Plants a fault before step number `at` (counted from 0): "kill", or one of ERRORS. None only counts; `log` gets
    a line a step.
    """

    log: Path
    at: int | None = None
    fault: str = "kill"

    def __call__(self) -> None:
        """To be called in the child."""
        import alcli.data.writing.atomic as atomic

        self._log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._n = 0
        for name in CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        tempfile.mkstemp = self._wrapped("mkstemp", tempfile.mkstemp)
        fcntl.flock = self._wrapped("flock", fcntl.flock)
        steps = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                return steps._write(super().write, data)

        def opened(file: Any, mode: str = "r", **more: Any) -> Any:
            return io.BufferedWriter(Raw(file, mode)) if "w" in mode else open(file, mode, **more)

        atomic.open = opened  # type: ignore[attr-defined]

    def steps(self) -> list[str]:
        """The names of the steps that were taken."""
        return self.log.read_text().split()

    def _is_now(self, name: str) -> bool:
        os.write(self._log, f"{name}\n".encode())
        self._n += 1
        return self._n - 1 == self.at

    def _fail(self) -> None:
        if self.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(ERRORS[self.fault], os.strerror(ERRORS[self.fault]))

    def _wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **more: Any) -> Any:
            if self._is_now(name):
                self._fail()
            return call(*arguments, **more)

        return wrapped

    def _write(self, write: Callable[[Any], int], data: Any) -> int:
        if not self._is_now("write"):
            return write(data)
        if self.fault != "EINTR":  # an interrupted call has done nothing
            write(bytes(data)[: len(data) // 2])
        self._fail()
        return 0


def copied(start: Path, work: Path) -> None:
    """`work` as a fresh copy of the folder `start`, and the working directory."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(start, work)
    os.chdir(work)


def temporaries(folder: Path = Path()) -> list[str]:
    return [str(p) for p in folder.rglob("*") if ".alcli-" in p.name]


def contents(*paths: str) -> list[bytes | None]:
    """The bytes of files; None for what is not there."""
    return [Path(p).read_bytes() if Path(p).exists() else None for p in paths]


def every_fault(
    command: tuple[object, ...], start: Path, work: Path, kinds: tuple[str, ...], stride: int = 1
) -> Iterator[tuple[str, int, list[str], Outcome]]:
    """Run `command` in copies of `start`, each time with another fault at another step: (fault, step, names of steps,
    outcome).

    stride: only every so many steps, the last, and every first time that a step follows another of its kind.
    """
    log = start.parent / "steps.txt"
    copied(start, work)
    forked(*command, before=Steps(log)).done()
    taken = Steps(log).steps()
    pairs = list(zip(["", *taken], taken))
    for fault in kinds:
        for at, name in enumerate(taken):
            if (fault == "kill" or name in CAN_FAIL) and (
                at % stride == 0 or at == len(taken) - 1 or pairs.index(pairs[at]) == at
            ):
                copied(start, work)
                yield fault, at, taken, forked(*command, before=Steps(log, at, fault))


def killed_after(seconds: float) -> Callable[[], None]:
    """What sets a kill -9 for later, in a child."""

    def alarm() -> None:
        signal.signal(signal.SIGALRM, lambda *a: os.kill(os.getpid(), signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-4))

    return alarm
