"""The commands that faults are injected into, what they start from, and what must hold after a fault."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from tests.pools import CLASSES, tiny_features, write_labels, write_pool
from tests.reliability.faults import ERRORS, KILLS, THOROUGH, Injector, Step, copied, every_fault
from tests.shell import Outcome, forked, warm_up

# How many steps meet a fault of each kind, None for all: in `make fuzz`, and with every change.
_EVERY = dict.fromkeys((*KILLS, "TERM", *ERRORS))
KINDS: dict[str, int | None] = _EVERY if THOROUGH else {"kill": 5, "TERM": 2, "EIO": 2, "ENOSPC for good": 1}
RANDOM_KILLS = 40 if THOROUGH else 1
# No more steps than this meet an error: of commands with more, some do.
_MOST = 40


@dataclass(frozen=True)
class Case:
    """A command, and its outputs, each a file or folder that is the old one or the new one as a whole.

    again: the options by which it is run again. done: those that it needs as well where its output is there already.
    """

    command: tuple[object, ...]
    outputs: tuple[str, ...]
    again: tuple[str, ...] = ()
    done: tuple[str, ...] = ()


_HEAD = ("head.safetensors", "-P", "pool.parquet", "-l")
_FIT = ("fit-head", "pool.parquet", "-l", "labels.csv", "-q", "-o")
_ASK = ("query", "pool.parquet", "-s", "margin", "-n", 5, "-q", "-o", "out.csv", "-l")
_EMBED = ("embed", "texts.csv", "-m", "hashing:8", "--batch-size", 1024, "-q", "-o")
_SIMULATE = ("simulate", "labelled.parquet", "-s", "margin", "-n", 5, "--rounds", 1, "--seeds", 1, "-q", "-o", "sim")
CASES = {
    "fit-head": Case((*_FIT, "new.safetensors", "--prior-precision", "1"), ("new.safetensors",), done=("--force",)),
    "fit-head over a head": Case(
        (*_FIT, "head.safetensors", "--force", "--prior-precision", "2"), ("head.safetensors",)
    ),
    "update": Case(("update", *_HEAD, "more.csv", "-q"), ("head.safetensors",)),
    "update with corrections": Case(("update", *_HEAD, "corrected.csv", "--corrections", "-q"), ("head.safetensors",)),
    "update with an audit": Case(("update", *_HEAD, "more.csv", "--audit", "audit.csv", "-q"), ("head.safetensors",)),
    "query": Case((*_ASK, "labels.csv"), ("out.csv",)),
    "query with conflicts": Case((*_ASK, "votes.csv", "--conflicts", "conflicts.csv"), ("out.csv", "conflicts.csv")),
    "predict": Case(
        ("predict", "pool.parquet", "-H", "head.safetensors", "-q", "-o", "predicted.parquet"), ("predicted.parquet",)
    ),
    "report": Case(
        ("report", "pool.parquet", "-H", "head.safetensors", "--selections", "ledger.parquet", "-q", "-o", "page.html"),
        ("page.html",),
        done=("--force",),
    ),
    "embed to a file": Case((*_EMBED, "embedded.parquet"), ("embedded.parquet",), ("--resume",), ("--force",)),
    "embed over a folder": Case((*_EMBED, "parts", "--rows-per-file", 1500, "--force"), ("parts",), ("--resume",)),
    "simulate": Case((*_SIMULATE, "--initial", 6, "--prior-precision", "1"), ()),
}


def start_in(folder: Path) -> Path:
    """What all cases start from: pools, labels, a head, a ledger with its batch, texts, and a folder of embeddings."""
    warm_up()
    folder.mkdir()
    os.chdir(folder)
    X_ND, y_N = tiny_features()
    label = [CLASSES[y] for y in y_N]
    write_pool("pool.parquet", X_ND)
    write_pool("labelled.parquet", X_ND, label=label, split=["test" if i % 3 == 0 else "train" for i in range(60)])
    for name, rows in (("labels.csv", range(20)), ("more.csv", range(20, 30)), ("other.csv", range(30, 40))):
        write_labels(name, {f"r{i:03d}": label[i] for i in rows})
    write_labels("corrected.csv", {f"r{i:03d}": CLASSES[y_N[i] - 1] for i in range(3)})
    votes = [(f"r{i:03d}", CLASSES[y_N[i] - (i == who)], f"w{who}") for i in range(12) for who in range(3)]
    texts = [(f"t{i}", f"the text number {i} of {i % 7}") for i in range(2600)]
    for name, rows in (
        ("votes.csv", [("id", "label", "annotator"), *votes]),
        ("texts.csv", [("id", "text"), *texts]),
    ):
        with open(name, "w", newline="") as file:
            csv.writer(file).writerows(rows)
    forked(*_FIT, "head.safetensors", "--prior-precision", "1").done()
    forked("query", "pool.parquet", "-s", "audit", "-n", 12, "-H", "head.safetensors", "-o", "audit.csv", "-q").done()
    with open("audit.csv", newline="") as file:
        drawn = [row | {"label": label[int(row["id"][1:])]} for row in csv.DictReader(file)]
    with open("audit.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, drawn[0])
        writer.writeheader()
        writer.writerows(drawn)
    forked("query", "pool.parquet", "-s", "coreset", "-n", 3, "-o", "out.csv", "--selections", "ledger.parquet").done()
    forked("embed", "texts.csv", "-m", "hashing:4", "--rows-per-file", 2000, "-o", "parts", "-q").done()
    return folder


def tree(folder: str = ".") -> dict[str, object]:
    """Everything in the working directory but locks, by path. Times of a simulation are left out."""
    return {
        str(p): _without_clock(p)
        for p in sorted(Path(folder).rglob("*"))
        if p.is_file() and not p.name.endswith(".lock")
    }


def _without_clock(path: Path) -> object:
    if path.name == "curves.parquet":
        return [_timeless(row) for row in pq.read_table(path).to_pylist()]
    if path.name == "summary.csv":
        with open(path, newline="") as file:
            return [_timeless(row) for row in csv.DictReader(file)]
    if path.parent.name == "runs" and path.suffix == ".json":
        found = json.loads(path.read_bytes())
        return [found["picks"], [_timeless(row) for row in found["curve"]]]
    return path.read_bytes()


def _timeless(row: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in row.items() if not key.startswith("seconds")}


def _part(found: dict[str, object], output: str) -> dict[str, object]:
    return {path: data for path, data in found.items() if path == output or path.startswith(f"{output}/")}


def check_said(fault: str, said: Outcome) -> None:
    """Dead by a kill; stopped by a signal, with one line; an error of writing, with one line that gives it; or done,
    where a call that failed did not matter or could be repeated."""
    if fault in KILLS:
        assert said.code == -signal.SIGKILL, said
    elif said.code == 143 and fault == "TERM":
        assert said.err.startswith("alcli: note: stopped by a signal; "), said.err
        assert said.err.count("\n") == 1, said.err
    elif said.code != 0:
        assert fault in ERRORS, said
        assert said.code in (73, 74), said
        said.refused(said.code, os.strerror(ERRORS[fault]))
    assert "Traceback" not in said.err


def is_temporary(path: str) -> bool:
    """True for a file that only a dead run may leave: a draft, the shards of embed, or the features of a simulation."""
    return ".alcli-" in path or path.endswith("/.features")


class Campaign:
    """One case with faults at its steps and at random moments. kills, others: how many faults there were."""

    def __init__(self, injector: Injector, case: Case, start: Path) -> None:
        self._injector, self._case, self._start, self._work = injector, case, start, start.parent / "work"
        self.kills = self.others = 0
        copied(start, self._work)
        self.old = tree()
        injector.one(*case.command).done()
        self.new = tree()

    def faults(self) -> Iterator[tuple[str, Step | None, Outcome]]:
        """(kind, the step or None, what the command said), each in a folder where it has just happened."""
        kinds = {name: _MOST if most is None and name not in KILLS else most for name, most in KINDS.items()}
        for fault, step, (said,) in every_fault(self._injector, [self._case.command], self._start, kinds):
            self.kills += fault in KILLS
            self.others += fault not in KILLS
            yield fault, step, said
        draws, longest = random.Random(str(self._case.command)), 0.3
        for _ in range(RANDOM_KILLS):
            copied(self._start, self._work)
            said = self._injector.one(*self._case.command, killed_after=draws.uniform(0, longest))
            longest *= 1.3 if said.code else 0.7
            self.kills += said.code != 0
            yield "kill at random", None, said

    def check_after(self, fault: str, step: Step | None, said: Outcome) -> bool:
        """Check the folder after a fault: outputs are old or new, inputs as they were. True where all is done."""
        if step is None:
            assert said.code in (0, -signal.SIGALRM), said
        else:
            check_said(fault, said)
        found = tree()
        for output in self._case.outputs:
            assert _part(found, output) in (_part(self.old, output), _part(self.new, output)), output
        for path in {*self.old, *self.new}:
            assert found.get(path) in (self.old.get(path), self.new.get(path)), path
        strange = {path for path in found if path not in self.old and path not in self.new}
        assert all(map(is_temporary, strange)), strange
        may_stay = fault in KILLS or step is None or step.call in ("unlink", "rmdir")
        assert may_stay or not [path for path in strange if path.endswith(".tmp")], strange
        is_done = {path: found[path] for path in found if path not in strange} == self.new
        assert is_done or said.code != 0
        return is_done

    def run_again(self, is_done: bool) -> None:
        """The next run of the command succeeds, and the folder is as after an undisturbed run."""
        case = self._case
        again = (*case.command, *case.again)
        said = self._injector.one(*again)
        if said.code == 73 and is_done and case.done:
            said.refused(73, "already exists")
            said = self._injector.one(*again, *case.done)
        said.done()
        found = tree()
        assert found.keys() == self.new.keys()
        assert found == self.new
