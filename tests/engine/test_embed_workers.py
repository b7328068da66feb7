"""Features by several workers: the same file, whatever is lost on the way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli.engine.processes import Processes
from alcli.errors import DataError
from alcli.numerics.teams import using
from alcli.workflows.embed.request import EmbedOptions
from alcli.workflows.embed.run import embed

N = 5_000
# A model that kills its process once, at the row that a file names, and one whose vectors grow longer at some row.
MODELS = """
import os, signal
import numpy as np

def counts(texts):
    return np.array([[float(text.split()[1]), len(text)] for text in texts], np.float32)

def deadly():
    def encode(texts):
        for text in texts:
            if text.split()[1] == "2500" and os.path.exists("alive"):
                os.unlink("alive")
                os.kill(os.getpid(), signal.SIGKILL)
        return counts(texts)
    return encode

def plain():
    return counts

def refusing():
    def encode(texts):
        if os.path.exists("refuse") and any(text.split()[1] == "2500" for text in texts):
            raise ValueError("no")
        return counts(texts)
    return encode

def growing():
    return lambda texts: np.ones((len(texts), 3 if any(t.split()[1] == "4500" for t in texts) else 2), np.float32)
"""


@pytest.fixture
def source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Path("models.py").write_text(MODELS)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delitem(sys.modules, "models", raising=False)
    Path("texts.csv").write_text("id,text\n" + "".join(f"t{i},number {i}\n" for i in range(N)))
    return Path("texts.csv")


def run(source: Path, out: str, model: str = "plain", workers: int = 2, **options: bool) -> bytes:
    with using(Processes(workers)):
        embed(EmbedOptions(source, f"python:models:{model}", Path(out), **options))
    return Path(out).read_bytes()


def test_the_file_is_that_of_one_process(source: Path) -> None:
    embed(EmbedOptions(source, "python:models:plain", Path("one.parquet")))
    expected = Path("one.parquet").read_bytes()
    assert run(source, "two.parquet") == expected
    assert run(source, "three.parquet", workers=3) == expected


def test_a_killed_worker_is_replaced(source: Path) -> None:
    Path("alive").touch()
    run(source, "out.parquet", "deadly")
    assert not Path("alive").exists()
    numbers = np.array(pq.read_table("out.parquet")["features"].to_pylist())[:, 0]
    assert numbers.tolist() == list(range(N))


def test_a_resumed_run_makes_the_windows_that_are_missing(source: Path) -> None:
    Path("refuse").touch()
    with pytest.raises(DataError, match="ValueError: no") as raised:
        run(source, "out.parquet", "refusing")
    assert "--resume" in raised.value.hint
    work = Path(".out.parquet.alcli-embed")
    shards = sorted(path.name for path in work.glob("shard-*"))
    assert "shard-00000002.parquet" not in shards
    Path("refuse").unlink()
    # As if another worker had been ahead of the first one.
    (work / shards[0]).unlink()
    with using(Processes(2)):
        report = embed(EmbedOptions(source, "python:models:refusing", Path("out.parquet"), resume=True))
    assert (report.rows, report.resumed) == (N, 1024 * (len(shards) - 1))
    numbers = np.array(pq.read_table("out.parquet")["features"].to_pylist())[:, 0]
    assert numbers.tolist() == list(range(N))
    assert not work.exists()


def test_vectors_of_another_length_are_refused(source: Path) -> None:
    with pytest.raises(DataError, match="the model returned"):
        run(source, "out.parquet", "growing")
    assert not os.path.exists("out.parquet")
