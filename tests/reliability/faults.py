"""Faults between the steps of a command: every call that changes a folder is counted, and one fails or is the last.

faults.c wraps the calls of the C library, so that what pyarrow, NumPy or any other library writes is seen too; alcli
has no hook. Commands run as children of a warm process that was started with the library, and so cost a fork each.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.shell import ROOT, Outcome, forked, small_pictures, warm_up

# Every step of every command, as `make fuzz` does; else a sample of the steps.
THOROUGH = "ALCLI_THOROUGH" in os.environ
SOURCE = Path(__file__).with_name("faults.c")
# `struct control` of faults.c, and its actions.
_CONTROL = struct.Struct("@qqii4096s")
_COUNT, _KILL, _KILL_IN_WRITE, _TERMINATE, _FAIL, _FAIL_FOR_GOOD = range(6)
KILLS = {"kill": _KILL, "kill in write": _KILL_IN_WRITE}
ERRORS = {
    "EIO": errno.EIO,
    "ENOSPC": errno.ENOSPC,
    "ENOSPC for good": errno.ENOSPC,
    "EDQUOT": errno.EDQUOT,
    "EROFS": errno.EROFS,
    "EINTR": errno.EINTR,
}
# Where an error of the name can come from; any step can end with the others.
_ONLY = {
    "kill in write": {"write"},
    "EINTR": {"open", "write", "fsync", "fsync-dir", "flock"},
    "EROFS": {"open", "mkdir", "rename", "unlink", "rmdir", "chmod", "link"},
}


@dataclass(frozen=True)
class Step:
    """A call that changes the folder. path: relative to it; a * stands for what is random in a temporary name."""

    call: str
    path: str


class Injector:
    """Runs commands in one folder with a fault at a step. steps: of the last run, of all its processes. kills, others:
    how many commands were killed, and how many met another fault.
    """

    def __init__(self, base: Path) -> None:
        self.library, self.control = base / "faults.so", base / "control"
        built = subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", self.library, SOURCE, "-ldl"], capture_output=True, text=True
        )
        assert built.returncode == 0, built.stderr
        self.control.write_bytes(bytes(_CONTROL.size))
        with open(self.control, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _CONTROL.size)
        self.log = Path(f"{self.control}.log")
        self.environment = {"LD_PRELOAD": str(self.library), "ALCLI_FAULTS": str(self.control)}
        self._servers: list[subprocess.Popen[bytes]] = []
        self.kills = self.others = 0

    def close(self) -> None:
        for server in self._servers:
            server.stdin.close()  # type: ignore[union-attr]
            server.wait()

    def arm(self, folder: Path, at: int | None = None, fault: str = "kill") -> None:
        """Count from 0 what happens in the folder from now on; at step `at` comes the fault."""
        self.log.write_bytes(b"")
        action = {"TERM": _TERMINATE, "ENOSPC for good": _FAIL_FOR_GOOD, **KILLS}.get(fault, _FAIL)
        real = os.fsencode(os.path.realpath(folder))
        self._shared[:] = _CONTROL.pack(
            -1 if at is None else at, 0, _COUNT if at is None else action, ERRORS.get(fault, 0), real
        )

    @property
    def steps(self) -> list[Step]:
        lines = (line.split(" ", 1) for line in self.log.read_text().splitlines())
        random_part = r"(?<=\.alcli-)[a-z0-9_]{8}(?=\.tmp)|(?<=#)\d+(?= \(deleted\))"
        return [Step(call, re.sub(random_part, "*", path)) for call, path in lines]

    def run(
        self,
        *commands: Sequence[object],
        at: int | None = None,
        fault: str = "kill",
        stdin: bytes = b"",
        killed_after: float | None = None,
    ) -> list[Outcome]:
        """Run commands at once in the working directory, which is watched. killed_after: seconds to a death by SIGALRM,
        which asks nobody, of the first command."""
        while len(self._servers) < len(commands):
            self._servers.append(self._served())
        self.arm(Path.cwd(), at, fault)
        for i, (server, command) in enumerate(zip(self._servers, commands)):
            ask = {
                "folder": os.getcwd(),
                "command": list(map(str, command)),
                "stdin": stdin.decode("latin-1"),
                "killed_after": killed_after if i == 0 else None,
            }
            server.stdin.write(json.dumps(ask).encode() + b"\n")  # type: ignore[union-attr]
            server.stdin.flush()  # type: ignore[union-attr]
        answers = [json.loads(server.stdout.readline()) for server, _ in zip(self._servers, commands)]  # type: ignore[union-attr]
        died = sum(one["code"] in (-signal.SIGKILL, -signal.SIGALRM) for one in answers)
        self.kills += died
        self.others += at is not None and not died
        return [Outcome(one["code"], one["out"].encode("latin-1"), one["err"]) for one in answers]

    def one(self, *command: object, **more: Any) -> Outcome:
        """The outcome of one command, see `run`."""
        return self.run(command, **more)[0]

    def _served(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.faults"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | self.environment,
        )


def _serve() -> None:
    """Answer each line of standard input, a command, with a line of its outcome."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warm_up()
    small_pictures()
    for line in sys.stdin.buffer:
        ask = json.loads(line)
        os.chdir(ask["folder"])
        after: float | None = ask["killed_after"]
        said = forked(
            *ask["command"],
            stdin=ask["stdin"].encode("latin-1"),
            before=None if after is None else partial(signal.setitimer, signal.ITIMER_REAL, max(after, 1e-4)),
        )
        answer = {"code": said.code, "out": said.out.decode("latin-1"), "err": said.err}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


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


def chosen(taken: Sequence[Step], fault: str, most: int | None = None) -> list[int]:
    """The steps at which a fault of the name can come; with `most`, a sample of so many, the same every time."""
    can = [at for at, one in enumerate(taken) if fault not in _ONLY or one.call in _ONLY[fault]]
    return can if most is None or most >= len(can) else sorted(random.Random(f"{fault} {len(taken)}").sample(can, most))


def every_fault(
    injector: Injector,
    commands: Sequence[Sequence[object]],
    start: Path,
    kinds: Mapping[str, int | None],
    stdin: bytes = b"",
) -> Iterator[tuple[str, Step, list[Outcome]]]:
    """Run `commands` at once in copies of `start`, which are the working directory, each time with another fault at
    another step of an undisturbed run: (fault, step, outcomes).

    kinds: faults, and how many steps are to meet each, see `chosen`.
    """
    work = start.parent / "work"
    copied(start, work)
    for said in injector.run(*commands, stdin=stdin):
        said.done()
    taken = injector.steps
    for fault, most in kinds.items():
        for at in chosen(taken, fault, most):
            copied(start, work)
            yield fault, taken[at], injector.run(*commands, at=at, fault=fault, stdin=stdin)


if __name__ == "__main__":
    _serve()
