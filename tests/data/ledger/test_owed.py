"""The batch of a run that did not end well: written by the next run, where it belongs, over nothing of anybody else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from alcli.data.ledger import owed as module
from alcli.data.ledger.entries import read_ledger
from alcli.data.ledger.owed import acknowledge, deliver, give_out, show_out
from alcli.errors import OutputError
from tests.data.test_formats import table_of

LEDGER, OUT = Path("ledger.parquet"), Path("batch.csv")


def give(*ids: str, out: Path = OUT, ledger: Path = LEDGER) -> Path:
    """What a query does; the owed copy is there still, as after a kill at the very end."""
    data = "".join(f"{id}\n" for id in ids).encode()
    return give_out(data, out, ledger, read_ledger(ledger), table_of(list(ids)), text_ids=True)


def next_run(out: Path | None = None, ledger: Path = LEDGER) -> str | None:
    late = deliver(ledger, read_ledger(ledger), out)
    if late is None:
        return None
    acknowledge(late.owed)
    return late.note


def owed_copies(folder: Path = Path()) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.endswith(".owed")]


def test_a_run_that_ended_well_owes_nothing(folder):
    acknowledge(give("a", "b"))
    assert OUT.read_text() == "a\nb\n"
    assert sorted(os.listdir()) == ["batch.csv", "ledger.parquet"]
    assert next_run() is None


@pytest.mark.parametrize("is_written", [True, False])
def test_a_run_that_died(folder, is_written):
    give("a", "b")
    if not is_written:
        OUT.unlink()
    assert next_run() == "batch.csv has the 2 items of a run that was stopped before it could finish"
    assert OUT.read_text() == "a\nb\n"
    assert next_run() is None
    assert owed_copies() == []


def test_a_run_without_the_ledger_takes_nothing_away(folder):
    """Another run wrote a file of the same name in between: both batches are there in the end."""
    give("a", "b")
    OUT.write_text("z\n")
    assert next_run() == (
        "batch-2.csv has the 2 items of a run that was stopped before it could finish, since batch.csv was written anew"
    )
    assert OUT.read_text() == "z\n"
    assert Path("batch-2.csv").read_text() == "a\nb\n"


def test_the_file_that_was_to_be_replaced_is_replaced(folder):
    acknowledge(give("a"))
    kept = OUT.read_bytes()
    give("b")
    OUT.write_bytes(kept)
    assert next_run() is not None
    assert OUT.read_text() == "b\n"


def test_the_caller_asks_for_the_file_itself(folder):
    give("a")
    OUT.write_text("z\n")
    assert next_run(OUT) is not None
    assert OUT.read_text() == "a\n"


def test_two_ledgers_and_one_file(folder):
    """Each has its owed copy."""
    give("a")
    give("b", ledger=Path("other.parquet"))
    assert len(owed_copies()) == 2
    assert next_run() is not None
    assert next_run(ledger=Path("other.parquet")) is not None
    assert {Path("batch.csv").read_text(), Path("batch-2.csv").read_text()} == {"a\n", "b\n"}


def test_files_of_every_night_leave_nothing(folder):
    """A run that died before its ledger was written owes nothing; the next run of the ledger removes its copy."""
    Path("out").mkdir()
    left = Path("out/.monday.csv.alcli-00000000.owed")
    copy = give("a", out=Path("out/monday.csv"))
    os.rename(copy, copy.with_name(copy.name.replace("monday", "sunday")))
    left.write_text("of another ledger")
    acknowledge(give("b", out=Path("out/tuesday.csv")))
    assert owed_copies(Path("out")) == [left.name]


def test_the_folder_may_move(folder):
    Path("a/out").mkdir(parents=True)
    give("x", out=Path("a/out/batch.csv"), ledger=Path("a/ledger.parquet"))
    Path("a/out/batch.csv").unlink()
    os.rename("a", "b")
    assert next_run(ledger=Path("b/ledger.parquet")) is not None
    assert Path("b/out/batch.csv").read_text() == "x\n"


def test_a_folder_that_cannot_be_brought_to_disk(folder, monkeypatch):
    """The file is there, and the error says to run the command again: it then gives the same batch."""
    real = module.replacing

    def failing(path):
        if path == OUT:
            with real(path) as file:
                file.write(b"a\n")
            raise OutputError(f"{path}: was written, but its folder cannot be brought to disk")
        return real(path)

    with monkeypatch.context() as broken:
        broken.setattr(module, "replacing", failing)
        with pytest.raises(OutputError) as raised:
            give("a")
    (told,) = raised.value.__notes__
    assert told == "1 item of the batch is in the ledger, and the next query with ledger.parquet writes batch.csv"
    assert next_run(OUT) is not None
    assert OUT.read_text() == "a\n"
    assert pq.read_table(LEDGER)["id"].to_pylist() == ["a"]


def test_a_ledger_of_a_stranger_names_no_file_elsewhere(folder):
    """Only a copy in the folder of the file, under the name of this ledger and of its checksum, is ever written."""
    give("a")
    Path("far").mkdir()
    table = pq.read_table(LEDGER)
    about = json.loads(table.schema.metadata[b"alcli"])
    about["batch"]["out"] = "far/batch.csv"
    pq.write_table(table.replace_schema_metadata({"alcli": json.dumps(about)}), LEDGER)
    assert next_run() is None
    assert os.listdir("far") == []


def test_what_a_stream_lost_is_told(folder):
    before = read_ledger(LEDGER)
    with pytest.raises(KeyboardInterrupt) as raised, show_out(LEDGER, before, table_of(["a"]), text_ids=True):
        raise KeyboardInterrupt
    (told,) = raised.value.__notes__
    assert told == "1 item of the batch is in the ledger, at the end of ledger.parquet, and not given out again"
    assert list(read_ledger(LEDGER).ids) == ["a"]
