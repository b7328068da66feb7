"""A ledger grows by what is selected, takes in a file of ids from elsewhere, and is read with its journal."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.ledger.entries import AUDIT, EMPTY, check_ledger, last_batch, read_ledger, write_ledger
from alcli.data.ledger.journal import append_to_journal, journal_path
from alcli.data.tables import read_ids
from alcli.errors import DataError, UsageError
from tests.data.test_formats import table_of

LEDGER = Path("ledger.parquet")


def entry(id: object, rank: int = 0) -> dict[str, object]:
    return {"id": id, "rank": rank, "score": 0.5, "strategy": "margin", "purpose": "label"}


def grow(*ids: object, **more: str) -> None:
    write_ledger(LEDGER, read_ledger(LEDGER).and_then(table_of(list(ids)), text_ids=isinstance(ids[0], str), **more))


def test_a_ledger_grows(folder):
    assert len(read_ledger(LEDGER)) == 0
    grow("a", "b")
    grow("c", purpose=AUDIT)
    assert [(row["id"], row["rank"]) for row in read_ledger(LEDGER).entries()] == [("a", 0), ("b", 1), ("c", 0)]
    assert [row["id"] for row in read_ledger(LEDGER).entries(-2)] == ["b", "c"]
    assert list(read_ledger(LEDGER).given_out_for(AUDIT)) == ["c"]
    assert pq.read_schema(LEDGER).field("id").type == pa.string()


def test_any_parquet_file_with_ids_is_a_ledger(folder):
    pq.write_table(pa.table({"id": ["z"], "rank": ["3"]}), LEDGER)
    grow("a")
    assert [row["rank"] for row in read_ledger(LEDGER).entries()] == [3, 0]
    assert [row["purpose"] for row in read_ledger(LEDGER).entries()] == ["label", "label"]
    with pytest.raises(DataError, match="ids of the ledger are strings, those of the pool are integers"):
        grow(7)
    pq.write_table(pa.table({"id": ["z"], "rank": ["first"]}), LEDGER)
    with pytest.raises(DataError, match="column 'rank' of a ledger cannot be read as int32"):
        read_ledger(LEDGER)
    pq.write_table(pa.table({"id": ["z", None]}), LEDGER)
    with pytest.raises(DataError, match="row 1: the id is null"):
        read_ledger(LEDGER)
    with pytest.raises(UsageError, match="extension"):
        check_ledger(Path("ledger.csv"))


@pytest.mark.parametrize("ids", [["a", "b", "c"], [1, 2, 3]], ids=["text", "integers"])
def test_the_journal_belongs_to_the_ledger(folder, ids):
    """Every reader has its entries; the next writer takes them into the file."""
    grow(ids[0])
    for rank, id in enumerate(ids[1:]):
        append_to_journal(LEDGER, entry(id, rank))
    assert list(read_ledger(LEDGER).ids) == ids
    assert ids[2] in read_ledger(LEDGER).ids
    assert [row.values["id"] for row in read_ids(str(LEDGER))] == ids
    assert pq.read_metadata(LEDGER).num_rows == 1
    more = "d" if isinstance(ids[0], str) else 4
    grow(more)
    assert not journal_path(LEDGER).exists()
    assert pq.read_table(LEDGER)["id"].to_pylist() == [*ids, more]


def test_a_journal_that_was_taken_in_and_not_removed_counts_once(folder):
    grow("a")
    append_to_journal(LEDGER, entry("b"))
    left = journal_path(LEDGER).read_bytes()
    write_ledger(LEDGER, read_ledger(LEDGER), {"out": "x"})
    journal_path(LEDGER).write_bytes(left)
    append_to_journal(LEDGER, entry("c", 1))
    assert list(read_ledger(LEDGER).ids) == ["a", "b", "c"]
    assert last_batch(LEDGER) == {"out": "x"}


@pytest.mark.parametrize("damage", [{"id": 7}, {"id": "\ud800"}, {"rank": "first"}, {"rank": 2**70}, {"score": []}])
def test_the_journal_of_another_ledger(folder, damage):
    grow("a")
    append_to_journal(LEDGER, entry("b"))
    append_to_journal(LEDGER, entry("c") | damage)
    with pytest.raises(DataError, match=r"\.alcli-journal: has ids or values of another type than its ledger"):
        read_ledger(LEDGER)


def test_an_empty_ledger_takes_ids_of_any_type(folder):
    write_ledger(LEDGER, EMPTY)
    append_to_journal(LEDGER, entry(7))
    assert list(read_ledger(LEDGER).ids) == [7]
    grow(8)
    assert list(read_ledger(LEDGER).ids) == [7, 8]
