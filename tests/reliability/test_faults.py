"""A fault between any two steps of writing: the old file or the new one is there, whole, and the next run succeeds and sweeps up."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pools import CLASSES, names, tiny_features, write_pool
from tests.reliability.faults import CAN_FAIL, ERRORS, Steps
from tests.shell import Outcome, forked

UPDATE = ("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv")
QUERY = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5, "-o", "out.csv", "--selections", "ledger.parquet")
FIT = ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--force", "--prior-precision", "2")
EMBED = ("embed", "texts.csv", "-m", "hashing:8", "--batch-size", 1024, "-o")
THOROUGH = "ALCLI_THOROUGH" in os.environ  # every step of every command, as `make fuzz` does; else a sample of the long ones
SIMULATE = ("simulate", "pool.parquet", "-s", "margin,coreset", "-n", 5, "--rounds", 2, "--initial", 6, "--seeds", 2, "--prior-precision", "1", "-q", "-o", "sim")


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


def every_fault(command: tuple[object, ...], start: Path, work: Path, kinds: tuple[str, ...], stride: int = 1) -> Iterator[tuple[str, int, list[str], Outcome]]:
    """Run `command` in copies of `start`, each time with another fault at another step: (fault, step, names of steps, outcome).

    stride: only every so many steps, and the last.
    """
    log = start.parent / "steps.txt"
    copied(start, work)
    forked(*command, before=Steps(log)).done()
    taken = Steps(log).steps()
    for fault in kinds:
        for at, name in enumerate(taken):
            if (fault == "kill" or name in CAN_FAIL) and (at % stride == 0 or at == len(taken) - 1):
                copied(start, work)
                yield fault, at, taken, forked(*command, before=Steps(log, at, fault))


def check_outcome(fault: str, said: Outcome, taken: list[str], at: int) -> None:
    """Dead by the kill; or one line that gives the error; or done, where a signal interrupted what can be done again."""
    if fault == "kill":
        assert said.code == -signal.SIGKILL
    elif fault != "EINTR" or said.code != 0:
        assert said.code != 0, (fault, at, taken)
        said.refused(74, os.strerror(ERRORS[fault]))


@pytest.mark.parametrize(
    ("command", "files"),
    [(UPDATE, ["head.safetensors"]), (FIT, ["head.safetensors"]), (QUERY, ["out.csv", "ledger.parquet"])],
    ids=["update", "fit-head", "query"],
)
def test_a_fault_at_every_step_of_one_file(head, tmp_path_factory, command, files):
    """kill -9, a full disk, a device error, an interrupted call: before and in the middle of each step."""
    base = tmp_path_factory.mktemp("faults")
    forked("query", "pool.parquet", "-s", "coreset", "-n", 3, "-o", "out.csv", "--selections", "ledger.parquet").done()
    shutil.copytree(head.parent, base / "start")
    copied(base / "start", base / "work")
    old = contents(*files)
    forked(*command).done()
    new = contents(*files)
    met = 0
    for fault, at, taken, said in every_fault(command, base / "start", base / "work", ("kill", *(ERRORS if THOROUGH or len(files) == 1 else ["EIO"]))):
        met += 1
        check_outcome(fault, said, taken, at)
        found = contents(*files)
        for a, b, c in zip(old, found, new):
            assert b in (a, c), (fault, at, taken[at])
        if said.code == 0:
            assert found == new
        if fault != "kill":
            assert temporaries() == []
            assert ("was written" in said.err) == (found != old) or said.code == 0 or len(files) > 1
        if len(files) == 2 and found[0] == new[0]:
            assert found[1] == new[1], "what is given out is in the ledger"
        if fault == "kill":
            forked(*command).done()
            if files == ["head.safetensors"]:
                assert contents(*files) == new
        assert temporaries() == []
    assert met > 20


@pytest.fixture
def texts(folder):
    """texts.csv, and parts/: a pool of several files that embed made."""
    with open("texts.csv", "w", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *((f"t{i}", f"the text number {i} of {i % 7}") for i in range(2600))])
    forked("embed", "texts.csv", "-m", "hashing:4", "--rows-per-file", 2000, "-o", "parts", "-q").done()
    return folder


def tree(folder: str) -> dict[str, bytes] | bytes:
    """The bytes of a file, or of all files of a folder."""
    path = Path(folder)
    return path.read_bytes() if path.is_file() else {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("target", [("pool.parquet",), ("parts", "--rows-per-file", 1500, "--force")], ids=["file", "folder"])
def test_embed_killed_at_every_step_and_resumed(texts, tmp_path_factory, target):
    base = tmp_path_factory.mktemp("faults")
    shutil.copytree(texts, base / "start")
    copied(base / "start", base / "work")
    old = tree(target[0]) if Path(target[0]).exists() else None
    command = (*EMBED, *target, "-q")
    forked(*command).done()
    new = tree(target[0])
    resumed = 0
    for _, at, taken, said in every_fault(command, base / "start", base / "work", ("kill",), 1 if THOROUGH else 5):
        assert said.code == -signal.SIGKILL
        found = tree(target[0]) if Path(target[0]).exists() else None
        assert found in (old, new), (at, taken[at])
        again = forked(*command, "--resume")
        if again.code != 0:  # all was done but sweeping up
            assert found == new
            again.refused(73, "already exists")
            again = forked(*command, "--resume", "--force")
        again.done()
        resumed += found != new
        assert tree(target[0]) == new, (at, taken[at])
        assert temporaries() == [] if found != new else not Path(f".{target[0]}.alcli-embed").exists()
    assert resumed > (40 if THOROUGH else 8)


def test_embed_with_an_error_at_every_step(texts, tmp_path_factory):
    """What went wrong is said on one line, and --resume ends as an undisturbed run does."""
    base = tmp_path_factory.mktemp("faults")
    shutil.copytree(texts, base / "start")
    copied(base / "start", base / "work")
    command = (*EMBED, "pool.parquet", "-q")
    forked(*command).done()
    new = tree("pool.parquet")
    for fault, at, taken, said in every_fault(command, base / "start", base / "work", ("ENOSPC",), 1 if THOROUGH else 5):
        assert said.code in (73, 74), (fault, at, taken[at], said.err)
        said.refused(said.code, os.strerror(ERRORS[fault]))
        assert contents("pool.parquet") in ([None], [new])
        forked(*command, "--resume", "--force").done()
        assert tree("pool.parquet") == new
        assert temporaries() == []


def without_clock(folder: Path) -> dict[str, object]:
    """All that a simulation wrote, but for times."""
    found: dict[str, object] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".lock")):
        name = str(path.relative_to(folder))
        if name == "curves.parquet":
            table = pq.read_table(path)
            found[name] = table.select([c for c in table.column_names if not c.startswith("seconds")]).to_pylist()
        elif name == "summary.csv":
            with open(path, newline="") as file:
                found[name] = [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in csv.DictReader(file)]
        elif path.parent.name == "runs":
            cell = json.loads(path.read_bytes())
            found[name] = [cell["picks"], [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in cell["curve"]]]
        else:
            found[name] = path.read_bytes()
    return found


@pytest.fixture
def simulated(folder, monkeypatch) -> dict[str, object]:
    """What an undisturbed simulation writes; the folder is gone again. Pictures are small here: they are not what may break."""
    import alcli.workflows.simulate as module

    monkeypatch.setattr(module, "draw", lambda *a: {"png": b"picture" * 3000, "svg": b"<svg/>"})
    monkeypatch.setattr(module.wins, "draw", lambda *a: {"png": b"picture" * 3000, "svg": b"<svg/>"})
    X_ND, y_N = tiny_features()
    write_pool("pool.parquet", X_ND, label=[CLASSES[y] for y in y_N], split=["test" if i % 3 == 0 else "train" for i in range(60)])
    forked(*SIMULATE).done()
    found = without_clock(Path("sim"))
    shutil.rmtree("sim")
    return found


def test_a_simulation_killed_at_every_step(simulated, folder):
    """Killed before each step in turn, continuing in the same folder each time: one step further every run."""
    log = folder / "steps.txt"
    forked(*SIMULATE, before=Steps(log)).done()
    n_steps = len(Steps(log).steps())
    shutil.rmtree("sim")
    kills = 0
    for at in range(0, n_steps, 1 if THOROUGH else 3):
        said = forked(*SIMULATE, before=Steps(log, at % 23))
        assert said.code == -signal.SIGKILL, said.err
        kills += 1
    forked(*SIMULATE).done()
    assert kills >= n_steps // 3
    assert without_clock(Path("sim")) == simulated


def test_a_simulation_killed_at_any_moment(simulated, folder):
    """Killed after random moments, and continued; begun anew when it was faster than the kill. The moments move so that half are in time."""
    draws = random.Random(0)
    longest, kills = 0.3, 0
    for _ in range(18):
        said = forked(*SIMULATE, before=killed_after(draws.uniform(0, longest)))
        assert said.code in (0, -signal.SIGKILL), said.err
        if said.code == 0:
            assert without_clock(Path("sim")) == simulated
            shutil.rmtree("sim")
        kills += said.code != 0
        longest *= 1.3 if said.code else 0.7
    forked(*SIMULATE).done()
    assert kills >= 5
    assert without_clock(Path("sim")) == simulated


def killed_after(seconds: float) -> Callable[[], None]:
    """What sets a kill -9 for later, in a child."""

    def alarm() -> None:
        signal.signal(signal.SIGALRM, lambda *a: os.kill(os.getpid(), signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-4))

    return alarm


def test_the_ledger_killed_at_any_moment(tiny):
    """Queries killed at random: no id is given out twice, and none that was given out is forgotten."""
    ask = ("query", "pool.parquet", "-s", "coreset", "-n", 2, "--selections", "ledger.parquet", "-q")
    draws = random.Random(1)
    given: list[str] = []
    longest = 0.1
    for _ in range(20):
        said = forked(*ask, before=killed_after(draws.uniform(0, longest)))
        assert said.code in (0, -signal.SIGKILL), said.err
        longest *= 1.2 if said.code else 0.8
        given += said.lines
    remembered = pq.read_table("ledger.parquet")["id"].to_pylist() if Path("ledger.parquet").exists() else []
    assert len(set(given)) == len(given)
    assert set(given) <= set(remembered)
    assert len(set(remembered)) == len(remembered)
    left = forked("query", "pool.parquet", "-s", "coreset", "-n", 60, "--selections", "ledger.parquet", "-q").done()
    assert sorted([*remembered, *left.lines]) == names(60)
    assert temporaries() == []
