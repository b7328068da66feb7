"""Work that is done in pieces, killed anywhere: the continued run gives the bytes of an undisturbed one."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pools import CLASSES, tiny_features, write_pool
from tests.reliability.faults import ERRORS, THOROUGH, Steps, contents, copied, every_fault, killed_after, temporaries
from tests.shell import forked

EMBED = ("embed", "texts.csv", "-m", "hashing:8", "--batch-size", 1024, "-o")
SIMULATE = (
    "simulate",
    "pool.parquet",
    "-s",
    "margin,coreset",
    "-n",
    5,
    "--rounds",
    2,
    "--initial",
    6,
    "--seeds",
    2,
    "--prior-precision",
    "1",
    "-q",
    "-o",
    "sim",
)


@pytest.fixture
def texts(folder):
    """texts.csv, and parts/: a pool of several files that embed made."""
    with open("texts.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [("id", "text"), *((f"t{i}", f"the text number {i} of {i % 7}") for i in range(2600))]
        )
    forked("embed", "texts.csv", "-m", "hashing:4", "--rows-per-file", 2000, "-o", "parts", "-q").done()
    return folder


def tree(folder: str) -> dict[str, bytes] | bytes:
    """The bytes of a file, or of all files of a folder."""
    path = Path(folder)
    return (
        path.read_bytes()
        if path.is_file()
        else {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}
    )


@pytest.mark.parametrize(
    "target", [("pool.parquet",), ("parts", "--rows-per-file", 1500, "--force")], ids=["file", "folder"]
)
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
    for fault, at, taken, said in every_fault(
        command, base / "start", base / "work", ("ENOSPC",), 1 if THOROUGH else 5
    ):
        assert said.code in (73, 74), (fault, at, taken[at], said.err)
        said.refused(said.code, os.strerror(ERRORS[fault]))
        assert contents("pool.parquet") in ([None], [new])
        forked(*command, "--resume", "--force").done()
        assert tree("pool.parquet") == new
        assert temporaries() == []


def test_embed_killed_at_any_moment_and_resumed(texts):
    """Killed after random moments, and resumed; begun anew when it was faster than the kill."""
    command = (*EMBED, "new", "--rows-per-file", 700, "-q", "--resume")
    forked(*command).done()
    undisturbed = tree("new")
    shutil.rmtree("new")
    draws = random.Random(2)
    longest, kills = 0.2, 0
    for _ in range(16):
        said = forked(*command, before=killed_after(draws.uniform(0, longest)))
        assert said.code in (0, -signal.SIGKILL), said.err
        if Path("new").exists():
            assert tree("new") == undisturbed
            shutil.rmtree("new")
        kills += said.code != 0
        longest *= 1.3 if said.code else 0.7
    forked(*command).done()
    assert kills >= 5
    assert tree("new") == undisturbed
    assert [name for name in temporaries() if not name.endswith(".lock")] == []


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
                found[name] = [
                    {k: v for k, v in row.items() if not k.startswith("seconds")} for row in csv.DictReader(file)
                ]
        elif path.parent.name == "runs":
            cell = json.loads(path.read_bytes())
            found[name] = [
                cell["picks"],
                [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in cell["curve"]],
            ]
        else:
            found[name] = path.read_bytes()
    return found


@pytest.fixture
def simulated(folder, monkeypatch) -> dict[str, object]:
    """What an undisturbed simulation writes; the folder is gone again. Pictures are small here: they are not what may
    break.
    """
    from alcli.workflows.simulate import pictures

    for module in (pictures.curves, pictures.wins, pictures.by_class):
        monkeypatch.setattr(module, "draw", lambda *a, **k: {"png": b"picture" * 3000, "svg": b"<svg/>"})
    X_ND, y_N = tiny_features()
    write_pool(
        "pool.parquet",
        X_ND,
        label=[CLASSES[y] for y in y_N],
        split=["test" if i % 3 == 0 else "train" for i in range(60)],
    )
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
    """Killed after random moments, and continued; begun anew when it was faster than the kill. The moments move so
    that half are in time.
    """
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
