"""Faults while a batch and its ledger are written, two files that cannot be renamed at once: what can be read is in the
ledger, and what is in the ledger will be there to read; nothing comes twice.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pools import names
from tests.reliability.campaign import KINDS, check_said, start_in
from tests.reliability.faults import KILLS, THOROUGH, Injector, Step, contents, copied, every_fault, temporaries
from tests.shell import Outcome, forked

ASK = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5, "--selections", "ledger.parquet")
QUERY = (*ASK, "-o", "out.csv")
FILES = ("out.csv", "ledger.parquet")


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    return start_in(tmp_path_factory.mktemp("faults") / "start")


@pytest.fixture
def work(start) -> Path:
    """A folder with a ledger and the batch that was given out last, as the working directory."""
    copied(start, start.parent / "work")
    return start.parent / "work"


def ids_in(data: bytes | None) -> list[str]:
    return [] if data is None else [line.split(",")[0] for line in data.decode().splitlines()[1:]]


def remembered() -> list[str]:
    """The ids of the ledger, each once; after a query that succeeded."""
    found = pq.read_table("ledger.parquet")["id"].to_pylist()
    assert len(set(found)) == len(found)
    return found


@pytest.fixture
def undisturbed(injector: Injector, work) -> list[bytes | None]:
    """Batch and ledger after a query without a fault."""
    injector.one(*QUERY).done()
    found = contents(*FILES)
    copied(work.parent / "start", work)
    return found


def test_a_fault_at_every_step_of_a_batch_and_its_ledger(injector: Injector, start, work, undisturbed):
    """Whoever runs the command again until it ends well has one batch, whatever files there were before. A run is over
    when it has removed the owed copy of its batch, as its last act.
    """
    old, new = contents(*FILES), undisturbed
    owed = others = 0
    for fault, step, (said,) in every_fault(
        injector, [(*QUERY, "-q")], start, KINDS | {"kill": None if THOROUGH else 12}
    ):
        check_said(fault, said)
        found = contents(*FILES)
        assert found in (old, [old[0], new[1]], new), (fault, step)
        is_owed = any(path.endswith(".owed") for path in temporaries())
        owed += found[1] == new[1] and is_owed
        is_over = found == new and not is_owed
        if is_over and said.code != 0:
            assert step.path.endswith((".owed", ".lock")), "its last act, and to give back the lock"
        again = injector.one(*QUERY).done()
        assert temporaries() == []
        if not is_over:
            others += 1
            assert contents(*FILES) == new, "the same batch, given out once"
        assert ("of a run that was stopped" in again.err) == (found[1] == new[1] and is_owed)
        assert ids_in(new[0]) == remembered()[3:8]
    assert owed >= 1
    assert others > 8


@pytest.mark.parametrize("fault", ["kill", "TERM", "EIO"])
def test_a_run_that_died_after_its_batch_had_its_name_gives_the_same_batch_again(injector, start, undisturbed, fault):
    """Whoever reads the batch after exit code 0 alone, as a script does, has read it before another is chosen."""
    injector.one(*QUERY).done()
    taken, late = injector.steps, 0
    last = max(at for at, step in enumerate(taken) if step.call == "unlink" and step.path.endswith(".owed"))
    for at in range(taken.index(Step("rename", "out.csv")) + 1, last + 1):
        copied(start, start.parent / "work")
        said = injector.one(*QUERY, at=at, fault=fault)
        if said.code == 0 or not temporaries():
            continue
        late += 1
        forked(*QUERY).done()
        assert contents(*FILES) == undisturbed, taken[at]
    assert late >= 1


def dead_before_the_batch_has_its_name(injector: Injector, start: Path) -> list[str]:
    """Kill a query after the ledger knows its batch; the ids of that."""
    injector.one(*QUERY).done()
    lost, taken = Path("out.csv").read_bytes(), injector.steps
    copied(start, start.parent / "work")
    assert injector.one(*QUERY, at=taken.index(Step("rename", "out.csv"))).code == -signal.SIGKILL
    assert Path("out.csv").read_bytes() != lost
    return ids_in(lost)


@pytest.mark.parametrize("another", [["-o", "other.csv"], [], ["--stream"]], ids=["file", "stdout", "stream"])
def test_a_batch_that_its_run_did_not_live_to_write_is_written_by_the_next(injector, start, work, another):
    """Whatever the next query with that ledger is, and wherever the folder is by then; the batch comes once."""
    lost = dead_before_the_batch_has_its_name(injector, start)
    shutil.rmtree(work.parent / "moved", ignore_errors=True)
    os.rename(work, work.parent / "moved")
    os.chdir(work.parent / "moved")
    said = forked(*ASK, *another).done()
    assert "out.csv has the 5 items of a run that was stopped" in said.err
    assert ids_in(Path("out.csv").read_bytes()) == lost
    given = (
        ids_in(Path("other.csv").read_bytes())
        if "-o" in another
        else [json.loads(line)["id"] for line in said.lines]
        if another
        else said.lines
    )
    Path("out.csv").unlink()
    assert "stopped" not in forked(*ASK).done().err
    assert not Path("out.csv").exists()
    assert temporaries() == []
    assert remembered()[3:-5] == lost + given


def test_a_query_without_the_ledger_does_not_take_the_batch_that_is_owed(injector, start, work):
    """Another query writes to the same file in between, with no ledger or with another one."""
    lost = dead_before_the_batch_has_its_name(injector, start)
    plain = ("query", "pool.parquet", "-s", "coreset", "-n", 4, "-q", "-o", "out.csv")
    forked(*plain).done()
    forked(*plain, "--selections", "another.parquet").done()
    said = forked(*QUERY).done()
    assert ids_in(Path("out.csv").read_bytes()) == lost
    assert "of a run that was stopped" in said.err


def test_the_batch_that_was_owed_is_the_answer_to_the_same_question(injector, start, work):
    lost = dead_before_the_batch_has_its_name(injector, start)
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
def test_a_ledger_that_owes_nonsense(work, batch):
    """What a ledger says of its last batch is data of a stranger: it names a file that is there, finished and of that
    checksum, or nothing.
    """
    table = pq.read_table("ledger.parquet")
    about = {"format": 1, "kind": "ledger", "batch": batch}
    pq.write_table(table.replace_schema_metadata({"alcli": json.dumps(about)}), "ledger.parquet")
    before = contents("out.csv")
    ask = ("query", "pool.parquet", "-s", "coreset", "-n", 2, "--selections", "ledger.parquet", "-q")
    assert len(forked(*ask).done().lines) == 2
    assert contents("out.csv") == before


def test_what_a_query_prints_is_in_the_ledger(injector, start):
    """Killed or failed at every step of a query that writes to standard output, and at random moments."""
    ask = (*ASK, "-q")
    faults = 0
    for fault, step, said in _of_one(injector, ask, start, KINDS | {"kill": None if THOROUGH else 6}):
        given = said.lines
        if fault in KILLS:
            assert said.code == -signal.SIGKILL, said
        second = injector.one(*ask).done().lines
        known = remembered()
        assert set(given) <= set(known), (fault, step)
        assert set(given).isdisjoint(second)
        assert known[-5:] == second
        assert temporaries() == []
        faults += 1
    assert faults > 8


def _of_one(
    injector: Injector, command: tuple[object, ...], start: Path, kinds: dict[str, int | None], stdin: bytes = b""
) -> Iterator[tuple[str, Step, Outcome]]:
    return ((fault, step, said) for fault, step, (said,) in every_fault(injector, [command], start, kinds, stdin))


def test_the_ledger_killed_at_any_moment(injector, work):
    """Queries killed at random: no id is given out twice, and none that was given out is forgotten."""
    ask = ("query", "pool.parquet", "-s", "coreset", "-n", 1, "--selections", "ledger.parquet", "-q")
    draws = random.Random(1)
    given: list[str] = []
    longest = 0.1
    for _ in range(50 if THOROUGH else 10):
        said = injector.one(*ask, killed_after=draws.uniform(0, longest))
        assert said.code in (0, -signal.SIGALRM), said.err
        longest *= 1.2 if said.code else 0.8
        given += said.lines
    rest = injector.one(*ask[:5], 60, *ask[6:]).done().lines
    assert len(set(given)) == len(given)
    assert sorted(remembered()) == names(60)
    assert set(given).isdisjoint(rest)
    assert temporaries() == []


# -- streams ----------------------------------------------------------------------------------------------------------

STREAM = (
    *("query", "pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 3, "--stream"),
    *("-o", "new.safetensors", "--selections", "ledger.parquet", "-q"),
)


@pytest.fixture(scope="module")
def answers(injector, start) -> bytes:
    """What an annotator says to an undisturbed stream: a label for each item that it asks for."""
    said = b""
    for _ in range(3):
        copied(start, start.parent / "work")
        asked = json.loads(injector.one(*STREAM, stdin=said).done().lines[-1])["id"]
        said += json.dumps({"id": asked, "label": "dog"}).encode() + b"\n"
    return said


def absorbed(head: str) -> set[str]:
    """The ids whose labels a head knows: those that it does not ask for."""
    asked = forked("query", "pool.parquet", "-H", head, "-s", "coreset", "-n", 60, "-q").done().lines
    return set(names(60)) - set(asked)


def test_a_stream_with_a_fault_at_every_step(injector, start, answers):
    """An item that was shown is in the ledger; the head is the one before, or has all labels that were heard."""
    copied(start, start.parent / "work")
    before = absorbed("head.safetensors")
    told = {json.loads(line)["id"] for line in answers.splitlines()}
    faults = 0
    for fault, step, said in _of_one(injector, STREAM, start, KINDS | {"kill": None if THOROUGH else 6}, answers):
        faults += 1
        assert "Traceback" not in said.err
        assert said.code in (-signal.SIGKILL,) if fault in KILLS else said.code in (0, 73, 74, 143), said
        lines = [json.loads(line) for line in said.lines]
        shown = [line["id"] for line in lines if "id" in line]
        assert len(set(shown)) == len(shown)
        if Path("new.safetensors").exists():
            knows = absorbed("new.safetensors")
            assert before <= knows <= before | told, (fault, step)
            assert said.code != 0 or knows == before | told
        after = injector.one(*STREAM, stdin=answers).done()
        again = {line["id"] for line in map(json.loads, after.lines) if "id" in line}
        assert again.isdisjoint(shown), (fault, step)
        assert told <= absorbed("new.safetensors")
        assert temporaries() == []
        assert {*shown, *again} <= set(remembered()), (fault, step)
    assert faults > 8


# -- two commands at once ----------------------------------------------------------------------------------------------

_WAIT = ("--lock-timeout", 30, "-q")
_UPDATE = ("update", "head.safetensors", "-P", "pool.parquet", *_WAIT, "-l")
_EMBED = ("embed", "texts.csv", "-m", "hashing:8", "--batch-size", 1024, "--force", "-o", "new.parquet", *_WAIT)
_A_STREAM = ("query", "pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 1, "--stream", *_WAIT)
PAIRS = {
    "two queries": ((*ASK, *_WAIT, "-o", "a.csv"), (*ASK, *_WAIT, "-o", "b.csv")),
    "a query and a stream": ((*ASK, *_WAIT, "-o", "a.csv"), (*_A_STREAM, "--selections", "ledger.parquet")),
    "two updates": ((*_UPDATE, "more.csv"), (*_UPDATE, "other.csv")),
    "two runs of embed": (_EMBED, _EMBED),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_fault_in_one_of_two_commands_at_once(injector, start, pair):
    """The other one ends as it would alone; then the two again: nothing twice, nothing lost."""
    commands = PAIRS[pair]
    copied(start, start.parent / "work")
    before = pq.read_table("ledger.parquet")["id"].to_pylist()
    forked(*_EMBED).done()
    embedded = contents("new.parquet")
    kinds = {"kill": None, "kill in write": 5, "TERM": 10, "EIO": 20} if THOROUGH else {"kill": 3, "EIO": 1}
    for fault, step, both in every_fault(injector, commands, start, kinds):
        hurt = [said for said in both if said.code != 0]
        assert len(hurt) <= 1, (fault, step, hurt)
        for said in hurt:
            check_said(fault, said)
        batches = [ids_in(found) for found in contents("a.csv", "b.csv")]
        shown = [json.loads(line)["id"] for said in both for line in said.lines]
        for command, said in zip(commands, both):
            if said.code != 0:
                said = injector.one(*command).done()
                shown += [json.loads(line)["id"] for line in said.lines]
        if pair == "two updates":
            for command in commands:
                assert json.loads(forked(*command, "--json").done().out)["new_labels"] == 0, (fault, step)
        if pair == "two runs of embed":
            assert contents("new.parquet") == embedded, (fault, step)
        assert temporaries() == [], (fault, step)
        batches = list({tuple(ids) for ids in (*batches, *map(ids_in, contents("a.csv", "b.csv"))) if ids})
        given = [*before, *shown, *(id for ids in batches for id in ids)]
        if "query" in commands[0]:
            assert len(set(given)) == len(given), (fault, step)
            assert set(given) <= set(remembered()), (fault, step)
