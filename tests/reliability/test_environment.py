"""What surrounds a command: terminals, pipes, signals, limits, locales, several at once (through the command line, in
child processes).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import pty
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool
from tests.shell import SCRIPT, Outcome, forked, process, untouched, with_memory

X_ND, Y_N = tiny_features()
QUERY = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5)
UPDATE = ("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv")
FULL = "ALCLI_THOROUGH" in os.environ


def temporaries() -> list[str]:
    return [str(p) for p in Path().rglob("*") if ".alcli-" in p.name]


# -- pipes and terminals
# -----------------------------------------------------------------------------------------------------


def closed(*descriptors: int) -> Callable[[], None]:
    return lambda: [os.close(d) for d in descriptors] and None


def to_nobody() -> None:
    """Standard output as a pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def test_a_reader_that_has_left(tiny):
    """Exit 0 without a word, whatever would have been written; the ledger keeps what was given out, for it may have
    been read.
    """
    for more in ([], ["--format", "csv"], ["--json"], ["--selections", "ledger.parquet"]):
        said = forked(*QUERY, *more, before=to_nobody)
        assert (said.code, said.err.replace("alcli: fitted a softmax head on 20 labels\n", "")) == (0, ""), more
    assert pq.read_table("ledger.parquet").num_rows == 5
    for command in (["--help"], ["query", "--list"], ["--version"]):
        assert forked(*command, before=to_nobody).code == 0


def test_a_reader_of_one_line(tiny):
    for unbuffered in ("", "1"):
        line = f"{SCRIPT} query pool.parquet -s random -n 60 -q | head -n 1; echo ${{PIPESTATUS[0]}}"
        found = subprocess.run(
            ["bash", "-c", line], capture_output=True, timeout=60, env=os.environ | {"PYTHONUNBUFFERED": unbuffered}
        )
        assert found.stdout.splitlines()[1:] == [b"0"]
        assert found.stderr == b""


def full_device() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def test_no_room_for_what_is_printed(tiny):
    for before in (full_device, closed(1)):
        with untouched(tiny):
            forked(*QUERY, "-q", "--selections", "ledger.parquet", before=before).refused(74, "standard output")
            forked("query", "pool.parquet", "-s", "random", "-n", 3, "--json", before=full_device).refused(
                74, "standard output"
            )
    forked("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "new.safetensors", before=closed(1)).done()
    assert forked(*QUERY, before=closed(2)).code == 0
    assert forked(*QUERY, "-l", "-", before=closed(0)).code == 65


@pytest.mark.parametrize("columns", ["1", "80"])
def test_on_a_terminal(tiny, columns):
    """All three streams a terminal: the same ids, one line each, and no colour in them."""
    expected = process(*QUERY, "-q").done().lines
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [SCRIPT, *map(str, QUERY), "-q"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=os.environ | {"COLUMNS": columns, "TERM": "xterm-256color"},
    )
    os.close(follower)
    found = b""
    with suppress(OSError):  # the other end is closed
        while block := os.read(leader, 4096):
            found += block
    os.close(leader)
    assert child.wait(30) == 0
    assert found.decode().splitlines() == expected


# -- signals
# -----------------------------------------------------------------------------------------------------------------


class Waiting:
    """A fit-head that stands still between writing its temporary file and renaming it."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self._ready, theirs = os.pipe()

        def slow() -> None:
            before()

            def fsync(handle: int) -> None:
                os.write(theirs, b"!")
                self._stand_still()

            os.fsync = fsync

        self._before = slow
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(self._run())
        assert os.read(self._ready, 1) == b"!"

    @staticmethod
    def _stand_still() -> None:
        while True:
            time.sleep(10)

    def _run(self) -> int:
        from tests.shell import _in_child

        null = [open(os.devnull, "r+b") for _ in range(3)]  # noqa: SIM115
        return _in_child(
            ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "new.safetensors", "-q"),
            self._before,
            tuple(null),
            60,
        )

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def is_running(self) -> bool:
        return os.waitpid(self.pid, os.WNOHANG) == (0, 0)


def test_background_jobs_ignore_the_interrupt_of_the_terminal(tiny):
    """A shell starts background jobs with SIGINT ignored, nohup with SIGHUP: both stay so; SIGTERM still ends them,
    and cleans up.
    """
    child = Waiting(lambda: [signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGHUP)] and None)
    for number in (signal.SIGINT, signal.SIGHUP):
        child.send(number)
    time.sleep(0.3)
    assert child.is_running()
    child.send(signal.SIGTERM)
    assert child.code() == 143
    assert temporaries() == []
    assert not Path("new.safetensors").exists()


def test_a_second_interrupt_ends_at_once(tiny):
    """The first one cleans up; when that takes too long, the second does not wait for it."""

    def slow_cleaning() -> None:
        unlink = os.unlink

        def slowly(path: object, *a: object, **k: object) -> None:
            if ".alcli-" in str(path):
                Path("cleaning").touch()
                Waiting._stand_still()
            unlink(path, *a, **k)  # type: ignore[arg-type]

        os.unlink = slowly

    child = Waiting(slow_cleaning)
    child.send(signal.SIGINT)
    end = time.monotonic() + 20
    while not Path("cleaning").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert child.is_running()
    child.send(signal.SIGINT)
    assert child.code() == -signal.SIGINT
    assert not Path("new.safetensors").exists()
    forked("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "new.safetensors").done()
    assert temporaries() == [], "the next run sweeps up"


# -- limits
# ------------------------------------------------------------------------------------------------------------------


def limit(kind: int, size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (size, size))


@pytest.mark.parametrize("command", ["update", "fit-head", "query", "ledger", "embed"])
def test_a_limit_on_the_size_of_files(head, command):
    Path("texts.csv").write_text("id,text\n" + "".join(f"{i},words {i}\n" for i in range(40)))
    commands = {
        "update": (UPDATE, "head.safetensors"),
        "fit-head": (
            ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--force"),
            "head.safetensors",
        ),
        "query": (("query", "pool.parquet", "-s", "coreset", "-n", 40, "-o", "out.csv"), "out.csv"),
        "ledger": (
            ("query", "pool.parquet", "-s", "coreset", "-n", 40, "--selections", "ledger.parquet"),
            "ledger.parquet",
        ),
        "embed": (("embed", "texts.csv", "-m", "hashing:64", "-o", "out.parquet"), "out.parquet"),
    }
    arguments, name = commands[command]
    with untouched(head.parent):
        forked(*arguments, before=limit(resource.RLIMIT_FSIZE, 512)).refused(74, name, "File too large")
    assert temporaries() == []
    assert not list(Path().glob(".*-embed"))


def test_a_limit_on_the_size_of_the_features_of_a_simulation(tiny):
    X, y = tiny_features()
    write_pool("labelled.parquet", X, label=[CLASSES[v] for v in y])
    ask = ("simulate", "labelled.parquet", "-s", "margin", "-n", 3, "--rounds", 1, "--initial", 6, "--seeds", 1)
    limited = forked(*ask, "-o", "out", before=limit(resource.RLIMIT_FSIZE, 512))
    limited.refused(74, "cannot write the features: File too large")
    assert not Path("out/.features").exists()


def test_a_limit_on_memory(tiny):
    X = np.zeros((9000, 2000), np.float32)
    X[:, 0] = np.arange(9000)
    write_pool("wide.parquet", X, np.arange(9000))
    with untouched(tiny):
        with_memory(64 << 20, "query", "wide.parquet", "-s", "kmeans", "-n", 30, "-o", "out.csv").refused(71, "memory")
    assert temporaries() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs rights")
def test_a_full_disk(head, tmp_path_factory):
    """A file system of 64 KiB: what was there stays, no temporary file is left, and with room again the same command
    succeeds.
    """
    disk = tmp_path_factory.mktemp("disk")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, b"size=64k") != 0:
        pytest.skip("mounting is not allowed here")
    try:
        small = disk / "head.safetensors"
        small.write_bytes(head.read_bytes())
        filler = disk / "filler"
        with suppress(OSError), open(filler, "wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass
        before = small.read_bytes()
        forked("update", small, "-P", "pool.parquet", "-l", "more.csv").refused(74, "head.safetensors", "No space left")
        forked("query", "pool.parquet", "-s", "coreset", "-n", 3, "--selections", disk / "ledger.parquet").refused(
            74, "ledger.parquet", "No space left"
        )
        assert small.read_bytes() == before
        assert sorted(p.name for p in disk.iterdir() if not p.name.endswith(".lock")) == ["filler", "head.safetensors"]
        filler.unlink()
        forked("update", small, "-P", "pool.parquet", "-l", "more.csv").done()
    finally:
        libc.umount(os.fsencode(disk))


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL], ids=errno.errorcode.get)
def test_a_file_system_without_locks(head, error):
    """As over NFS without a lock daemon: refused with a word about it, never done without the lock."""

    def plant() -> None:
        def flock(handle: object, how: int) -> None:
            raise OSError(error, os.strerror(error))

        fcntl.flock = flock

    commands = [
        (UPDATE, "head.safetensors"),
        (
            ("query", "pool.parquet", "-s", "coreset", "-n", 3, "--selections", "ledger.parquet", "--lock-timeout", 30),
            "ledger.parquet",
        ),
        (("simulate", "labelled.parquet", "-s", "margin", "-n", 3, "--rounds", 1, "--seeds", 3, "-o", "sim"), "sim"),
        (("embed", "pool.parquet", "-m", "identity", "--input-col", "features", "-o", "out.parquet"), "out.parquet"),
    ]
    write_pool("labelled.parquet", X_ND, label=[CLASSES[y] for y in Y_N])
    for command, name in commands:
        with untouched(head.parent):
            forked(*command, before=plant, timeout=30).refused(
                69, name, "its file system has no locks that work", "NFS needs version 4"
            )
    assert temporaries() == []


# -- the world around
# --------------------------------------------------------------------------------------------------------

ODD = [
    {"LANG": "C", "LC_ALL": "C", "COLUMNS": "1", "PYTHONIOENCODING": "ascii"},
    {
        "HOME": "/nowhere",
        "TMPDIR": "",
        "PYTHONHASHSEED": "77",
        "TZ": "Pacific/Kiritimati",
        "OMP_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
    },
]


@pytest.mark.parametrize("environment", ODD, ids=["C locale", "no home"])
def test_surroundings_do_not_change_the_bytes(folder, environment):
    write_pool("naïve.parquet", X_ND, [f"é{i}\u2028" for i in range(60)])
    ask = ("query", "naïve.parquet", "-s", "coreset", "-n", 9, "--format", "csv")
    assert process(*ask, **environment).done().out == forked(*ask).done().out


def test_a_user_without_an_entry_and_almost_no_environment(tiny):
    """As a container runs it: an empty environment and an unknown user number, in a folder that is not theirs."""
    expected = forked(*QUERY, "-q").done().out
    found = subprocess.run([SCRIPT, *map(str, QUERY), "-q"], capture_output=True, timeout=60, env={})
    assert (found.returncode, found.stdout, found.stderr) == (0, expected, b"")


def test_the_clock_has_no_say(tiny):
    """Set to the year 2001, by moving the times of all files and of the process."""
    expected = forked(*QUERY).done().out
    for path in tiny.iterdir():
        os.utime(path, (1e9, 1e9))

    def long_ago() -> None:
        time.time = lambda: 1e9  # type: ignore[method-assign]

    assert forked(*QUERY, before=long_ago).done().out == expected


# -- several at once
# -----------------------------------------------------------------------------------------------------------


def in_turns(commands: list[list[tuple[object, ...]]]) -> list[Outcome]:
    """The outcomes of lists of commands: one after the other within a list, all lists at the same time."""
    found: dict[int, list[Outcome]] = {}
    threads = [
        threading.Thread(target=lambda i=i, c=c: found.update({i: [forked(*one, timeout=300) for one in c]}))
        for i, c in enumerate(commands)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [said for i in range(len(commands)) for said in found[i]]


def at_once(commands: list[tuple[object, ...]]) -> list[Outcome]:
    """The outcomes of commands that run at the same time."""
    return in_turns([[command] for command in commands])


@pytest.mark.parametrize(
    ("workers", "each"),
    [(2, 50), pytest.param(100, 1, marks=pytest.mark.skipif(not FULL, reason="ALCLI_THOROUGH"))],
    ids=["2 x 50", "100 at once"],
)
def test_a_hundred_updates_lose_nothing(folder, alcli, workers, each):
    """Processes that update one head with a label at a time, each its own, while the others do: every label is
    absorbed, once.
    """
    X, y = tiny_features(120)
    write_pool("pool.parquet", X)
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[y[i]] for i in range(20)})
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--prior-precision", "1").done()
    for i in range(100):
        write_labels(f"{i}.csv", {f"r{20 + i:03d}": CLASSES[y[20 + i]]})
    commands = [
        ("update", "head.safetensors", "-P", "pool.parquet", "-l", f"{i}.csv", "--lock-timeout", 240, "--json", "-q")
        for i in range(100)
    ]
    reports = [json.loads(said.done().out) for said in in_turns([commands[i::workers] for i in range(workers)])]
    assert [report["new_labels"] for report in reports] == [1] * 100
    assert sorted(report["absorbed"] for report in reports) == list(range(21, 121)), (
        "one after the other, none in between"
    )
    assert load_head(Path("head.safetensors")).absorbed.id_L.size == 120
    assert temporaries() == []
    if each > 1:
        first = [reports[i * each : (i + 1) * each][0]["absorbed"] for i in range(workers)]
        last = [reports[i * each : (i + 1) * each][-1]["absorbed"] for i in range(workers)]
        assert max(first) < min(last), "they took turns"


def test_without_patience_the_second_is_told_to_try_again(head):
    """Four updates at once that do not wait: whoever is refused is refused with 75; what was acknowledged is in the
    head.
    """
    for i in range(4):
        write_labels(f"{i}.csv", {f"r{20 + i:03d}": CLASSES[Y_N[20 + i]]})
    said = at_once([("update", "head.safetensors", "-P", "pool.parquet", "-l", f"{i}.csv", "-q") for i in range(4)])
    assert {one.code for one in said} <= {0, 75}
    assert load_head(head).absorbed.id_L.size == 20 + sum(one.code == 0 for one in said)


def test_queries_on_one_ledger_never_give_an_id_twice(tiny):
    ask = (
        "query",
        "pool.parquet",
        "-s",
        "coreset",
        "-n",
        9,
        "--selections",
        "ledger.parquet",
        "--lock-timeout",
        240,
        "-q",
    )
    given = [id for said in at_once([ask] * 7) for id in said.done().lines]
    assert sorted(given) == names(60)
    assert sorted(pq.read_table("ledger.parquet")["id"].to_pylist()) == names(60)


def test_two_simulations_in_one_folder(folder):
    write_pool("pool.parquet", X_ND, label=[CLASSES[y] for y in Y_N])
    ask = (
        "simulate",
        "pool.parquet",
        "-s",
        "margin",
        "-n",
        3,
        "--rounds",
        1,
        "--initial",
        6,
        "--seeds",
        1,
        "--prior-precision",
        "1",
        "-q",
        "-o",
        "sim",
    )
    codes = sorted(one.code for one in at_once([ask, ask]))
    assert codes in ([0, 0], [0, 75])
    assert pq.read_table("sim/curves.parquet").num_rows == 4
