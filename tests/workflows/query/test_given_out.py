"""Batches of a ledger that go to a pipe: who waits for whom, and what a query says that is stopped in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from alcli.data.ledger import owed as module
from alcli.data.writing.locks import lock
from alcli.errors import OutputError
from tests.shell import SCRIPT, process

ASK = ("query", "pool.parquet", "-s", "coreset", "-n", "3", "--selections", "ledger.parquet")


def test_a_fifo_without_a_reader_holds_no_ledger(tiny):
    os.mkfifo("fifo")
    waiting = subprocess.Popen([SCRIPT, *ASK, "-o", "fifo", "-q"])
    try:
        given = process(*ASK, "--lock-timeout", 30).done().lines
        with open("fifo") as reader:
            later = reader.read().split()
        assert waiting.wait(60) == 0
    finally:
        waiting.kill()
    assert len(given) == len(later) == 3
    assert pq.read_table("ledger.parquet")["id"].to_pylist() == [*given, *later]


# The process is stopped when the folder of the ledger has been brought to disk, and nothing is on stdout yet.
STOPPED = """
import os, signal, sys
import alcli.data.ledger.owed as module
write = module.write_ledger
def stopped(*arguments):
    write(*arguments)
    os.kill(os.getpid(), signal.SIGTERM)
module.write_ledger = stopped
from alcli.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ([], "at the end of ledger.parquet, and not given out again"),
        (["-o", "out.csv"], "and the next query with ledger.parquet writes out.csv"),
    ],
    ids=["stdout", "file"],
)
def test_a_query_that_is_stopped_after_its_ledger_has_the_batch(tiny, out, told):
    said = subprocess.run([sys.executable, "-c", STOPPED, *ASK, *out], capture_output=True, text=True)
    assert said.returncode == 128 + signal.SIGTERM
    assert said.stdout == ""
    assert said.stderr == f"alcli: note: stopped by a signal; 3 items of the batch are in the ledger, {told}\n"
    assert pq.read_metadata("ledger.parquet").num_rows == 3
    with lock(Path("ledger.parquet")):
        pass


def test_an_error_is_told_with_the_batch(tiny, alcli, monkeypatch):
    """Such as stdout that is full: the ledger has items that nobody saw."""
    write = module.write_ledger

    def failing(*arguments: object) -> None:
        write(*arguments)
        raise OutputError("cannot write to standard output: No space left on device")

    monkeypatch.setattr(module, "write_ledger", failing)
    alcli(*ASK).refused(
        74, "No space left on device; 3 items of the batch are in the ledger, at the end of ledger.parquet"
    )


def test_a_device_that_is_full_is_told_with_the_batch(tiny):
    said = process(*ASK, "-o", "/dev/full").refused(74, "/dev/full: cannot write: No space left on device")
    assert "3 items of the batch are in the ledger, at the end of ledger.parquet" in said.err
    assert "unchanged" not in said.err
