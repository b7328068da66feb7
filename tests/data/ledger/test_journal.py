"""The journal of a ledger: whole lines count, in order; half a line of a killed writer does not."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.ledger import journal as module
from alcli.data.ledger.journal import append_to_journal, journal_entries, journal_path, journal_size, remove_journal
from alcli.errors import DataError, InputError, OutputError

LEDGER = Path("ledger.parquet")
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.integers(-(2**63), 2**63 - 1)


def entry(id: object) -> dict[str, object]:
    return {"id": id, "rank": 0, "score": 0.5, "strategy": "margin", "purpose": "label"}


@given(ids=st.lists(IDS, min_size=1, max_size=5), cut=st.integers(0, 200))
def test_a_journal_cut_anywhere_keeps_its_whole_lines(folder, ids, cut):
    """And the next entry stands after these."""
    remove_journal(LEDGER)
    ends = [0]
    for id in ids:
        append_to_journal(LEDGER, entry(id))
        ends.append(journal_size(LEDGER))
    assert [found["id"] for found in journal_entries(LEDGER)] == ids
    assert [found["id"] for found in journal_entries(LEDGER, ends[1])] == ids[1:]
    os.truncate(journal_path(LEDGER), min(cut, ends[-1]))
    whole = ids[: sum(end <= cut for end in ends[1:])]
    assert [found["id"] for found in journal_entries(LEDGER)] == whole
    append_to_journal(LEDGER, entry("next"))
    assert [found["id"] for found in journal_entries(LEDGER)] == [*whole, "next"]


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"7", b'{"rank": 1}', b'{"id": null}', b'{"id": true}', b"\xff", b"[" * 9999]
)
def test_a_line_that_is_no_entry(folder, line):
    append_to_journal(LEDGER, entry("a"))
    with open(journal_path(LEDGER), "ab") as file:
        file.write(line + b"\n")
    with pytest.raises(DataError, match=r"alcli-journal: line 2: expected a JSON object with an id"):
        journal_entries(LEDGER)


def test_a_disk_that_is_full_leaves_whole_lines(folder, monkeypatch):
    append_to_journal(LEDGER, entry("a"))
    before = journal_path(LEDGER).read_bytes()
    write = os.pwrite

    def half(handle: int, data: bytes, at: int) -> int:
        if at > len(before):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:5], at)

    monkeypatch.setattr(module.os, "pwrite", half)
    with pytest.raises(OutputError, match="No space left on device; the item was not given out"):
        append_to_journal(LEDGER, entry("b"))
    assert journal_path(LEDGER).read_bytes() == before


def test_a_planted_link_is_not_followed(folder):
    Path("other").write_text(json.dumps(entry("z")) + "\n")
    journal_path(LEDGER).symlink_to("other")
    with pytest.raises(InputError):
        journal_entries(LEDGER)
    with pytest.raises(OutputError):
        append_to_journal(LEDGER, entry("a"))
    assert Path("other").read_text() == json.dumps(entry("z")) + "\n"


def test_the_journal_of_a_link_is_that_of_its_target(folder):
    Path("far").mkdir()
    LEDGER.symlink_to("far/real.parquet")
    append_to_journal(LEDGER, entry("a"))
    assert os.listdir("far") == [".real.parquet.alcli-journal"]
