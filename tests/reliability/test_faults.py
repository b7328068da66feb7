"""A fault between any two steps of writing: the old file or the new one is there, whole, and the next run succeeds
and sweeps up.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pools import names
from tests.reliability.faults import ERRORS, THOROUGH, Steps, contents, copied, every_fault, killed_after, temporaries
from tests.shell import Outcome, forked

UPDATE = ("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv")
QUERY = (
    "query",
    "pool.parquet",
    "-l",
    "labels.csv",
    "-s",
    "margin",
    "-n",
    5,
    "-o",
    "out.csv",
    "--selections",
    "ledger.parquet",
)
FIT = ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--force", "--prior-precision", "2")


def check_outcome(fault: str, said: Outcome, taken: list[str], at: int) -> None:
    """Dead by the kill; or one line that gives the error; or done, where an interrupted call could be repeated."""
    if fault == "kill":
        assert said.code == -signal.SIGKILL
    elif fault != "EINTR" or said.code != 0:
        assert said.code != 0, (fault, at, taken)
        said.refused(74, os.strerror(ERRORS[fault]))


@pytest.mark.parametrize("command", [UPDATE, FIT], ids=["update", "fit-head"])
def test_a_fault_at_every_step_of_one_file(head, tmp_path_factory, command):
    """kill -9, a full disk, a device error, an interrupted call: before and in the middle of each step."""
    base, file = tmp_path_factory.mktemp("faults"), "head.safetensors"
    shutil.copytree(head.parent, base / "start")
    copied(base / "start", base / "work")
    old = contents(file)
    forked(*command).done()
    new = contents(file)
    met = 0
    for fault, at, taken, said in every_fault(command, base / "start", base / "work", ("kill", *ERRORS)):
        met += 1
        check_outcome(fault, said, taken, at)
        found = contents(file)
        assert found in (old, new), (fault, at, taken[at])
        if said.code == 0:
            assert found == new
        if fault == "kill":
            forked(*command).done()
            assert contents(file) == new
        else:
            assert ("was written" in said.err) == (found != old) or said.code == 0
        assert temporaries() == []
    assert met > 20


@pytest.fixture
def asked(tiny, tmp_path_factory) -> Path:
    """A folder with a ledger and the batch that was given out last."""
    forked("query", "pool.parquet", "-s", "coreset", "-n", 3, "-o", "out.csv", "--selections", "ledger.parquet").done()
    start = tmp_path_factory.mktemp("faults") / "start"
    shutil.copytree(tiny, start)
    copied(start, start.parent / "work")
    return start


def test_a_fault_at_every_step_of_a_batch_and_its_ledger(asked):
    """Two files that cannot be renamed at once: what can be read is in the ledger, and what is in the ledger will be
    there to read. Whoever runs the command again until it ends well has one batch. A run is over when it has removed
    the owed copy of its batch, as its last act.
    """
    files = ("out.csv", "ledger.parquet")
    old = contents(*files)
    forked(*QUERY).done()
    new = contents(*files)
    owed = over = 0
    for fault, at, taken, said in every_fault(
        QUERY, asked, asked.parent / "work", ("kill", *(ERRORS if THOROUGH else ["EIO"]))
    ):
        check_outcome(fault, said, taken, at)
        found = contents(*files)
        assert found in (old, [old[0], new[1]], new), (fault, at, taken[at])
        owed += found == [old[0], new[1]]
        is_over = said.code == 0 or (found == new and not temporaries())
        over += is_over and fault == "kill"
        if fault != "kill":
            assert len(temporaries()) == (found[1] == new[1] and not is_over)
        again = forked(*QUERY).done()
        assert temporaries() == []
        if not is_over:
            assert contents(*files) == new, "the same batch, given out once"
        assert ("of a run that was stopped" in again.err) == (found[1] == new[1] and not is_over)
    assert owed >= 4
    assert over <= 1, "nothing but to give back the lock"


def dead_before_the_batch_has_its_name(asked: Path) -> list[str]:
    """Kill a query after the ledger knows its batch; the ids of that."""
    log = asked.parent / "steps.txt"
    forked(*QUERY, before=Steps(log)).done()
    lost, taken = Path("out.csv").read_bytes(), Steps(log).steps()
    copied(asked, asked.parent / "work")
    assert forked(*QUERY, before=Steps(log, len(taken) - 1 - taken[::-1].index("replace"))).code == -signal.SIGKILL
    assert Path("out.csv").read_bytes() != lost
    return ids_in(lost)


def ids_in(data: bytes) -> list[str]:
    return [line.split(",")[0] for line in data.decode().splitlines()[1:]]


@pytest.mark.parametrize("another", [["-o", "other.csv"], [], ["--stream"]], ids=["file", "stdout", "stream"])
def test_a_batch_that_its_run_did_not_live_to_write_is_written_by_the_next(asked, another):
    """Whatever the next query with that ledger is, and wherever the folder is by then; the batch comes once."""
    lost = dead_before_the_batch_has_its_name(asked)
    os.rename(asked.parent / "work", asked.parent / "moved")
    os.chdir(asked.parent / "moved")
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5, "--selections", "ledger.parquet")
    said = forked(*ask, *another).done()
    assert "out.csv has the 5 items of a run that was stopped" in said.err
    assert ids_in(Path("out.csv").read_bytes()) == lost
    given = (
        ids_in(Path("other.csv").read_bytes())
        if "-o" in another
        else [json.loads(line)["id"] for line in said.lines]
        if another
        else said.lines
    )
    ledger = pq.read_table("ledger.parquet")["id"].to_pylist()
    assert ledger[3:] == lost + given
    assert len(set(ledger)) == len(ledger) == 8 + len(given)
    Path("out.csv").unlink()
    assert "stopped" not in forked(*ask).done().err
    assert not Path("out.csv").exists()
    assert temporaries() == []


def test_the_batch_that_was_owed_is_the_answer_to_the_same_question(asked):
    lost = dead_before_the_batch_has_its_name(asked)
    said = json.loads(forked(*QUERY, "--json", "-q").done().out)
    assert [row["id"] for row in said["selection"]] == lost
    assert [row["rank"] for row in said["selection"]] == list(range(5))
    assert (said["selected"], said["candidates"]) == (5, 0)


@pytest.mark.parametrize(
    "batch",
    [
        None,
        "text",
        {},
        {"out": 1},
        {"out": "a\0b", "sha256": "", "rows": 1},
        {"out": "../../etc/passwd", "sha256": "0" * 64, "rows": -9},
        {"out": "out.csv", "sha256": [], "rows": "many"},
    ],
    ids=str,
)
def test_a_ledger_that_owes_nonsense(asked, batch):
    """What a ledger says of its last batch is data of a stranger: it names a file that is there, finished and of that
    checksum, or nothing.
    """
    table = pq.read_table("ledger.parquet")
    about = {"format": 1, "kind": "ledger", "batch": batch}
    pq.write_table(table.replace_schema_metadata({"alcli": json.dumps(about)}), "ledger.parquet")
    before = contents("out.csv")
    assert (
        len(
            forked("query", "pool.parquet", "-s", "coreset", "-n", 2, "--selections", "ledger.parquet", "-q")
            .done()
            .lines
        )
        == 2
    )
    assert contents("out.csv") == before


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
