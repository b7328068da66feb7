"""The work folder of `embed`: names of any bytes, a run killed at its very end, links, and shards changed by others."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.sources.base import Window
from alcli.data.writing.shards import WorkFolder
from alcli.embedders._contract import Encoder
from alcli.workflows.embed import encoding
from alcli.workflows.embed.encoding import Settings, WindowEncoder
from tests.shell import forked

ASK = ("embed", "texts.csv", "-m", "hashing:8", "-q", "-o")


@pytest.fixture
def texts(folder):
    (folder / "texts.csv").write_text("id,text\n" + "".join(f"t{i},some words {i}\n" for i in range(1100)))
    return folder


@pytest.mark.parametrize("name", [b"n\xff.parquet", b"folder\xff", b"d\xff/pool.parquet"])
def test_a_name_is_bytes(name, texts):
    os.mkdir(b"d\xff")
    out = os.fsdecode(name)
    forked(*ASK, out).done()
    forked(*ASK, out, "--force").done()
    assert not WorkFolder(Path(out)).path.exists()
    forked("query", out, "-s", "random", "-n", 1, "-q").done()


def killed_at_the_end() -> None:
    """Kill this process when it is about to remove the work folder of a pool that is there."""
    remove = WorkFolder.remove

    def kill(work: WorkFolder) -> None:
        if work.finished():
            os.kill(os.getpid(), signal.SIGKILL)
        remove(work)

    WorkFolder.remove = kill


@pytest.mark.parametrize("out", ["pool.parquet", "pool"])
def test_what_a_run_leaves_that_was_killed_after_it_published(out, texts):
    work = WorkFolder(texts / out)
    read = lambda: pq.read_table(out)  # noqa: E731
    assert forked(*ASK, out, before=killed_at_the_end).code == -signal.SIGKILL
    before = read()
    assert work.path.exists()
    forked(*ASK, out, "--resume").done()
    assert read().equals(before)
    assert not work.path.exists()

    assert forked(*ASK, out, "--force", before=killed_at_the_end).code == -signal.SIGKILL
    forked(*ASK, out).refused(73, f"{out}: already exists")
    assert not work.path.exists(), "swept, so that it is no unfinished run once the pool is moved away"
    (texts / out).rename(texts / "elsewhere.parquet")
    forked(*ASK, out).done()
    assert read().equals(before)


def test_another_plan_does_not_take_the_place_of_what_is_published(texts):
    assert forked(*ASK, "pool.parquet", before=killed_at_the_end).code == -signal.SIGKILL
    before = (texts / "pool.parquet").read_bytes()
    forked(*ASK, "pool.parquet", "--resume", "--normalize").refused(73, "the unfinished run was another one")
    assert (texts / "pool.parquet").read_bytes() == before


@pytest.mark.parametrize("more", [(), ("--force",), ("--resume",)])
def test_a_link_in_the_place_of_the_work_folder(more, texts):
    victim = texts / "victim"
    victim.mkdir()
    for name in ("plan.json", "shard-00000000.parquet", "replaced"):
        (victim / name).write_text("{}")
    (texts / ".pool.parquet.alcli-embed").symlink_to(victim)
    forked(*ASK, "pool.parquet", *more).refused(73, "not the folder of an unfinished run but a link")
    assert sorted(os.listdir(victim)) == ["plan.json", "replaced", "shard-00000000.parquet"]
    assert not (texts / "pool.parquet").exists()


def test_a_shard_whose_features_are_not_those_of_its_rows(texts):
    def kill_after_one() -> None:
        save = WorkFolder.save

        def saved(work: WorkFolder, number: int, shard: object) -> None:
            save(work, number, shard)
            os.kill(os.getpid(), signal.SIGKILL)

        WorkFolder.save = saved

    assert forked(*ASK, "pool.parquet", before=kill_after_one).code == -signal.SIGKILL
    shard = texts / ".pool.parquet.alcli-embed" / "shard-00000000.parquet"
    table = pq.read_table(shard)
    features = table["features"].combine_chunks()
    values = features.flatten().to_numpy().copy()
    values[5] += 1
    at = table.schema.get_field_index("features")
    changed = pa.FixedSizeListArray.from_arrays(pa.array(values), type=features.type)
    pq.write_table(table.set_column(at, table.schema.field(at), changed), shard)
    forked(*ASK, "pool.parquet", "--resume").refused(65, shard.name, "do not match the hashes of their rows")
    shard.unlink()
    forked(*ASK, "pool.parquet", "--resume").done()


def test_a_batch_of_large_inputs_is_handed_over_in_parts(monkeypatch):
    """At most the limit and one input more are in memory, and the vectors are those of one batch."""
    sizes: list[int] = []

    def encode(items: list[np.ndarray]) -> np.ndarray:
        sizes.append(sum(item.nbytes for item in items))
        return np.array([[item.sum(), len(item)] for item in items], np.float32)

    items = [np.full(100, i, np.float32) for i in range(10)]
    window = Window(0, pa.table({"id": [str(i) for i in range(10)]}), items)
    found = []
    for limit in (1 << 29, 1000):
        monkeypatch.setattr(encoding, "_MOST_BYTES", limit)
        encoder = Encoder(encode, lambda item: item, None, "", False)
        windows = WindowEncoder(None, encoder, Settings("model", 10, "float32", False, False), lambda n: None)
        found.append(windows.encode(window, None).X_BD)
    np.testing.assert_array_equal(*found)
    assert sizes == [4000, 1200, 1200, 1200, 400]
