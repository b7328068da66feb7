"""Files to damage that whole commands read: ledgers, what an annotator says to a stream, the folder of a simulation.

A reader runs the commands on the damaged file in children, and raises `DataError` for a refusal, as readers do that are
part of alcli. What no command may do is an AssertionError.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from alcli.data.ledger.journal import append_to_journal, journal_path
from alcli.errors import DataError
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool
from tests.shell import Outcome, forked, small_pictures, warm_up

SIMULATE = ("simulate", "labelled.parquet", "-s", "margin", "-n", 5, "--rounds", 1, "--seeds", 1, "-q", "-o", "sim")
PARTS = {
    "cell": "runs/margin-0.json",
    "config": "config.json",
    "summary": "summary.csv",
    "curves": "curves.parquet",
    "selections": "selections.parquet",
}


def prepared(folder: Path) -> None:
    """A pool, labels, a head and a ledger of 12 items in `folder`, which becomes the working directory."""
    warm_up()
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    X_ND, y_N = tiny_features()
    write_pool("pool.parquet", X_ND)
    split = ["test" if i % 3 == 0 else "train" for i in range(60)]
    write_pool("labelled.parquet", X_ND, label=[CLASSES[y] for y in y_N], split=split)
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[y_N[i]] for i in range(9)})
    fit = ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--prior-precision", "1", "-q")
    forked(*fit, "--force").done()
    for _ in range(2):
        forked(*_all_but_the_ledger(6)).done()


def _all_but_the_ledger(n: int) -> tuple[object, ...]:
    return ("query", "pool.parquet", "-s", "coreset", "-n", n, "--selections", "ledger.parquet", "-q")


def ran(*command: object, stdin: bytes = b"", codes: tuple[int, ...] = (65,)) -> Outcome:
    """The outcome of a command. Raises DataError for a refusal with one of `codes`, in one line."""
    said = forked(*command, stdin=stdin, before=small_pictures, timeout=20)
    if said.code in codes:
        raise DataError(said.refused(said.code).err.strip())
    assert said.code == 0, said
    assert "Traceback" not in said.err, said
    return said


def within(folder: Path, read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """A reader that works in a folder."""

    def go(path: Path) -> Any:
        os.chdir(folder)
        return read(path)

    return go


def read_ledger_by_commands(path: Path) -> Any:
    """What a query leaves out and what it then writes, and what inspect says; the page of report for some files."""
    data = path.read_bytes()
    about = json.loads(ran("inspect", path, "--json").out)["files"][0]
    del about["sha256"]
    if zlib.crc32(data) % 8 == 0:
        report = ("report", "pool.parquet", "-H", "head.safetensors", "--selections", path, "-q", "--force")
        ran(*report, "-o", "page.html")
    try:
        asked = ran(*_all_but_the_ledger(60)).lines
    except DataError:
        assert path.read_bytes() == data, "a ledger that is refused stays as it is"
        raise
    found = pq.read_table(path)["id"].to_pylist()
    assert len(set(found)) == len(found), "nothing twice"
    return asked, found, about


def read_journal_by_commands(path: Path) -> None:
    """A query takes the journal of a stream that was killed into the ledger, or refuses it."""
    shutil.copy("whole.parquet", "ledger.parquet")
    data = path.read_bytes()
    try:
        shown = ran(*_all_but_the_ledger(1)).lines
    except DataError:
        assert path.read_bytes() == data, "a journal that is refused stays as it is"
        raise
    assert not path.exists()
    found = pq.read_table("ledger.parquet")["id"].to_pylist()
    assert len(set(found)) == len(found), "nothing twice"
    assert found[-1:] == shown


def journal(folder: Path) -> bytes:
    """The journal of a stream that gave out three items. Keeps the ledger that it belongs to as whole.parquet."""
    shutil.copy("ledger.parquet", "whole.parquet")
    left = sorted(set(names(60)) - set(pq.read_table("ledger.parquet")["id"].to_pylist()))
    for rank, id in enumerate(left[:3]):
        entry = {"id": id, "rank": rank, "score": 0.5, "strategy": "margin", "purpose": "label"}
        append_to_journal(folder / "ledger.parquet", entry)
    return journal_path(folder / "ledger.parquet").read_bytes()


ANSWERS = (
    b'{"id": "r020", "label": "cat"}\n{"id": "r021", "label": "dog", "weight": 2}\n{"id": "r022", "skip": true}\n'
    b'{"id": "r023", "label": "e\\u0065l"}\n{"id": "r024", "label": "cat"}\n'
)


def read_stream(path: Path) -> None:
    """Every line is absorbed or answered with an error; the head has just the labels that were absorbed."""
    for left in ("ledger.parquet", "new.safetensors"):
        Path(left).unlink(missing_ok=True)
    stream = ("query", "pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 60, "--stream", "-q")
    data = path.read_bytes()
    said = ran(*stream, "-o", "new.safetensors", "--selections", "ledger.parquet", stdin=data)
    answers = [json.loads(line) for line in said.lines]
    shown = [answer["id"] for answer in answers if "id" in answer]
    ledger = pq.read_table("ledger.parquet")["id"].to_pylist()
    assert shown == ledger, "all that was shown, once"
    assert len(set(ledger)) == len(ledger)
    refused = {answer["line"] for answer in answers if "error" in answer}
    lines = [line for line in data.split(b"\n")]
    heard = [json.loads(line) for i, line in enumerate(lines, 1) if line.strip() and i not in refused]
    labelled = {line["id"] for line in heard if not line.get("skip")}
    asked = ran("query", "pool.parquet", "-H", "new.safetensors", "-s", "coreset", "-n", 60, "-q").lines
    assert set(names(60)) - set(asked) == set(names(9)) | labelled, (labelled, asked)


def reader_of_simulation(part: str) -> Callable[[Path], Any]:
    """A reader of a simulation one file of which is damaged: its pictures, what inspect says, and what goes on."""

    def read(path: Path) -> None:
        data = path.read_bytes()
        shutil.rmtree("sim", ignore_errors=True)
        shutil.copytree("whole", "sim")
        Path("sim", PARTS[part]).write_bytes(data)
        refusals = []
        commands = [("simulate", "--redraw", "sim", "-q"), ("inspect", "sim", "--json"), simulate_again()]
        for command in commands:
            try:
                ran(*command, codes=(2, 65, 73, 78))
            except DataError as error:
                refusals.append(error)
        if len(refusals) == len(commands):
            raise DataError(str(refusals[-1]).replace(PARTS[part].rsplit("/")[-1], path.name))

    return read


def simulate_again() -> tuple[object, ...]:
    return (*SIMULATE, "--initial", 6, "--prior-precision", "1")


def part_of_simulation(part: str) -> bytes:
    """A file of a simulation that is finished, in the folder `whole` of the working directory."""
    if not Path("whole").exists():
        shutil.rmtree("sim", ignore_errors=True)
        forked(*simulate_again(), before=small_pictures).done()
        os.rename("sim", "whole")
    return Path("whole", PARTS[part]).read_bytes()
