"""Several streams and queries on one ledger: each item once, in the order in which it was given out."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from alcli.data.ledger import shared as module
from alcli.data.ledger.entries import read_ledger, write_ledger
from alcli.data.ledger.journal import journal_path
from alcli.data.ledger.shared import SharedLedger
from tests.data.test_formats import table_of

LEDGER = Path("ledger.parquet")


@pytest.fixture(autouse=True, params=[0, 2, 100])
def short(request, monkeypatch) -> int:
    """Entries up to which a ledger is written anew for an item."""
    monkeypatch.setattr(module, "SHORT", request.param)
    return request.param


def shared() -> SharedLedger:
    return SharedLedger(LEDGER, read_ledger(LEDGER), 0.0, pytest.fail)


def enter(one: SharedLedger, id: str) -> bool:
    return one.enter({"id": id, "rank": 0, "score": 0.5, "strategy": "margin"}, text_ids=True)


def in_file() -> list[str]:
    return pq.read_table(LEDGER)["id"].to_pylist()


def test_an_item_of_a_long_ledger_is_one_line_of_the_journal(folder, short):
    one = shared()
    for id in "abc":
        assert enter(one, id)
    assert list(read_ledger(LEDGER).ids) == ["a", "b", "c"]
    assert in_file() == ["a", "b", "c"][: max(short, 1)]
    assert journal_path(LEDGER).exists() == (short < 3)
    one.close()
    assert in_file() == ["a", "b", "c"]
    assert not journal_path(LEDGER).exists()
    one.close()
    assert in_file() == ["a", "b", "c"]


def test_two_streams_and_a_query(folder):
    one, other = shared(), shared()
    assert enter(one, "a")
    assert not enter(other, "a")
    assert enter(other, "b")
    assert not enter(one, "b")
    assert enter(one, "c")
    write_ledger(LEDGER, read_ledger(LEDGER).and_then(table_of(["d", "e"]), text_ids=True))
    assert not enter(other, "e")
    assert enter(other, "f")
    one.close()
    assert not enter(one, "f")
    assert enter(one, "g")
    other.close()
    assert enter(one, "h")
    one.close()
    assert in_file() == [*"abcdefgh"]


def test_a_ledger_that_is_removed_begins_anew(folder):
    one = shared()
    assert enter(one, "a")
    assert enter(one, "b")
    LEDGER.unlink()
    assert enter(one, "c")
    assert in_file() == ["c"]
    assert list(read_ledger(LEDGER).ids) == ["c"]
