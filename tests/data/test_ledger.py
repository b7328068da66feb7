"""A ledger grows by what is selected, and takes in a file of ids from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.ledger import append_to_ledger, check_ledger, read_ledger
from alcli.errors import UsageError
from tests.data.test_formats import table_of


def test_a_ledger_grows(folder):
    path = Path("ledger.parquet")
    assert read_ledger(path) == []
    for ids in (["a", "b"], ["c"]):
        append_to_ledger(path, read_ledger(path), table_of(ids), text_ids=True)
    assert [(row["id"], row["rank"]) for row in read_ledger(path)] == [("a", 0), ("b", 1), ("c", 0)]
    pq.write_table(pa.table({"id": ["z"]}), path)
    append_to_ledger(path, read_ledger(path), table_of(["a"]), text_ids=True)
    assert [row["rank"] for row in read_ledger(path)] == [None, 0]
    with pytest.raises(UsageError, match="extension"):
        check_ledger(Path("ledger.csv"))
