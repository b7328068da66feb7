"""Call the command line from tests: in this process, or as the console script; and assert what a refusal must be."""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCRIPT = str(Path(sys.executable).parent / "alcli")
ROOT = str(Path(__file__).parents[1])
_PLAIN = {"NO_COLOR": "", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Two threads that fork at once disturb each other: filelock refuses.
_FORKING = threading.Lock()


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()

    def done(self) -> Outcome:
        """This outcome, of a command that succeeded."""
        assert self.code == 0, self.err
        assert "Traceback" not in self.err
        return self

    def refused(self, code: int, *words: str) -> Outcome:
        """This outcome, of a command that refused: exit code, one line on stderr that holds `words`, nothing on
        stdout.
        """
        assert self.code == code, (self.code, self.err)
        assert self.out == b""
        assert "Traceback" not in self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("alcli: error: ")
        for word in words:
            assert word in lines[0], (word, lines[0])
        return self


def process(*arguments: object, stdin: bytes = b"", timeout: float = 60, **environment: str) -> Outcome:
    """The console script in a child process."""
    done = subprocess.run(
        [SCRIPT, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=timeout,
        env=os.environ | _PLAIN | environment,
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


def limit_addresses(size: int) -> None:
    """Give this process `size` bytes of addresses beyond those that it has, which in one that has run many tests may
    be gigabytes.
    """
    now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (now + size, now + size))


_LIMITED = """
import sys
import pyarrow.parquet, alcli.workflows.query.batch, alcli.strategies.coreset, alcli.strategies.kmeans
from alcli.cli.shell import run
from tests.shell import limit_addresses
limit_addresses(int(sys.argv[1]))
sys.exit(run(sys.argv[2:]))
"""


def with_memory(size: int, *arguments: object) -> Outcome:
    """The command line in a new process that gets `size` bytes of addresses beyond its modules; a forked one inherits
    what others have freed.
    """
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(size), *map(str, arguments)],
        capture_output=True,
        timeout=60,
        env=os.environ | _PLAIN | {"PYTHONPATH": ROOT},
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


_MEASURED = """
import sys
import pyarrow.parquet, alcli.workflows.query.batch, alcli.strategies.coreset
from alcli.cli.shell import run
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM"))
before = peak()
code = run(sys.argv[2:])
open(sys.argv[1], "w").write(str(peak() - before))
sys.exit(code)
"""


def with_peak(*arguments: object) -> tuple[Outcome, int]:
    """The command line in a new process, and how many bytes of memory it used at most beyond its modules."""
    with tempfile.NamedTemporaryFile("r") as said:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED, said.name, *map(str, arguments)],
            capture_output=True,
            timeout=120,
            env=os.environ | _PLAIN,
        )
        return Outcome(done.returncode, done.stdout, done.stderr.decode()), int(said.read() or 0)


def start(*arguments: object, stdout: object = subprocess.DEVNULL, **more: object) -> subprocess.Popen[bytes]:
    """The console script, started and left running."""
    return subprocess.Popen(
        [SCRIPT, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=os.environ | _PLAIN,
        **more,
    )  # type: ignore[call-overload,no-any-return]


def forked(
    *arguments: object, before: Callable[[], object] | None = None, stdin: bytes = b"", timeout: int = 60
) -> Outcome:
    """The command line in a child forked from this warm process: real streams, signals and limits, without the second
    that Python needs to start.

    before: called in the child, to set a limit or to plant a fault. The code of a child that a signal ended is minus
    its number.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        with _FORKING:
            child = os.fork()
        if child == 0:
            os._exit(_in_child(arguments, before, (given, out, err), timeout))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return Outcome(code, out.read(), err.read().decode())


def _in_child(
    arguments: tuple[object, ...], before: Callable[[], object] | None, files: tuple[Any, ...], timeout: int
) -> int:
    try:
        signal.alarm(timeout)  # a hang is a death by SIGALRM
        for number, file in enumerate(files):
            os.dup2(file.fileno(), number)
        os.environ |= _PLAIN
        from alcli.cli.shell import run

        if before is not None:
            before()
        sys.stdin, sys.stdout, sys.stderr = _stream(0, "r"), _stream(1, "w"), _stream(2, "w")
        code = run([str(a) for a in arguments])
        with suppress(AttributeError, OSError):
            sys.stdout.flush()
        return code
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        return 99


def _stream(number: int, mode: str) -> Any:
    """A standard stream as Python makes it: None where its descriptor is closed."""
    try:
        return open(number, mode, encoding="utf-8", closefd=False)
    except OSError:
        return None


def warm_up() -> None:
    """Import what the commands import, which is most of the time of a small one, for `forked`."""
    import importlib

    names = ["pyarrow.parquet", "filelock", "safetensors.numpy", "jinja2", "scipy.optimize", "scipy.stats", "zoneinfo"]
    names += ["dateutil.relativedelta", "email.parser"]
    names += [f"alcli.cli.{name}" for name in ("app", "embed", "fit_head", "predict", "query", "report", "simulate")]
    names += ["alcli.cli.update", "alcli.cli.shown.findings", "alcli.workflows.fit_head", "alcli.data.head_file"]
    names += [f"alcli.workflows.{name}.run" for name in ("embed", "predict", "report", "simulate", "update")]
    names += ["alcli.workflows.query.batch", "alcli.workflows.query.stream", "alcli.workflows.simulate.update_study"]
    names += ["alcli.heads.softmax", "alcli.posteriors.laplace_shared", "alcli.embedders.hashing"]
    names += [f"alcli.strategies.{name}" for name in ("margin", "coreset", "random", "audit", "suspect")]
    for name in names:
        importlib.import_module(name)
    # The parser of the command line imports more when it is used.
    stdout, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        assert importlib.import_module("alcli.cli.shell").run(["query", "--list", "margin"]) == 0
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
        os.close(null)


def small_pictures() -> None:
    """Make the pictures of simulations cost nothing in this process, for tests of what else may break."""
    from alcli.workflows.simulate import pictures

    for module in (pictures.curves, pictures.wins, pictures.by_class):
        module.draw = lambda *a, **k: {"png": b"picture" * 3000, "svg": b"<svg/>"}  # type: ignore[attr-defined]


class Here:
    """`alcli(...)` in this process, through the same entry point as the script."""

    def __init__(self, capfd, monkeypatch) -> None:
        self._capfd, self._monkeypatch = capfd, monkeypatch

    def __call__(self, *arguments: object, stdin: bytes = b"") -> Outcome:
        from alcli.cli.shell import run

        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        self._capfd.readouterr()
        code = run([str(a) for a in arguments])
        out, err = self._capfd.readouterr()
        return Outcome(code, out.encode(), err)


@contextmanager
def untouched(folder: Path):
    """Nothing in the folder appears, vanishes or changes (bytes, inode, time) while the block runs; a lock file may
    appear.
    """
    before = _state(folder)
    yield
    assert _state(folder) == before


def _state(folder: Path) -> dict[str, tuple[object, ...]]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".alcli.lock"))
    return {str(p): (p.read_bytes(), p.stat().st_ino, p.stat().st_mtime_ns) for p in files}


def skip_if_ignored(number: int) -> None:
    """Skip a test of a signal that this process, and so its children, were started to ignore, as by nohup."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"signal {number} is ignored here, and stays so in what is started from here")
