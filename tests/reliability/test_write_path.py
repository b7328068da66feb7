"""The write path: outputs appear whole or not at all, kills included; locks; nothing is absorbed or asked for twice."""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from alcli.data.writing.atomic import replacing
from alcli.data.writing.locks import lock
from alcli.errors import BusyError
from tests.pools import CLASSES, names, tiny_features, write_labels
from tests.shell import process, start, untouched

Y_N = tiny_features()[1]


def temporaries(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if ".alcli-" in p.name]


def test_killed_at_any_moment(head):
    """38 updates killed at random moments: each time the old head or the new one, whole; what was acknowledged is
    there.

    The children are forked from a warm process, so that the kills fall into reading, fitting, writing and renaming
    alike.
    """
    import alcli.workflows.update.run  # noqa: F401
    from alcli.cli.shell import run

    draws = random.Random(0)
    absorbed, old, new, longest = 20, 0, 0, 0.1
    for i in range(38):
        write_labels("next.csv", {f"r{20 + i:03d}": CLASSES[Y_N[20 + i]]})
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            code = run(["update", "head.safetensors", "-P", "pool.parquet", "-l", "next.csv", "-q"])
            os.write(writer, b"%d" % code)
            time.sleep(5)
            os._exit(0)
        os.close(writer)
        time.sleep(draws.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        said = os.read(reader, 9)
        os.close(reader)
        found = load_head(head).absorbed.id_L.size
        assert found in (absorbed, absorbed + 1)
        if said:
            assert (said, found) == (b"0", absorbed + 1)
        old, new = old + (found == absorbed), new + (found > absorbed)
        longest *= 0.9 if found > absorbed else 1.15  # so that about half of the kills come too late
        absorbed = found
    assert min(old, new) >= 8, (old, new)
    process("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv").done()
    write_labels("last.csv", {"r059": CLASSES[Y_N[59]], "r058": CLASSES[Y_N[58]]})
    process("update", "head.safetensors", "-P", "pool.parquet", "-l", "last.csv").done()
    assert temporaries(head.parent) == []


def test_leftovers_of_the_dead_are_swept_and_of_the_living_kept(head, alcli):
    left, living, other = (
        ".head.safetensors.alcli-aaaaaaaa.tmp",
        ".head.safetensors.alcli-bbbbbbbb.tmp",
        ".other.alcli-cccccccc.tmp",
    )
    for name in (left, living, other):
        Path(name).write_bytes(b"half")
    with open(living) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv").done()
        assert sorted(temporaries(head.parent)) == [living, other]
    alcli("query", "pool.parquet", "-s", "random", "-n", 1, "-o", "other").done()
    assert temporaries(head.parent) == [living]


def test_two_updates_of_one_head(head):
    write_labels("others.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(30, 40)})
    commands = [
        ("update", "head.safetensors", "-P", "pool.parquet", "-l", name, "-q") for name in ("more.csv", "others.csv")
    ]
    with lock(head):
        busy = process(*commands[0])
        assert busy.code == 75
        assert "locked" in busy.err
        waiting = [start(*command, "--lock-timeout", 20) for command in commands]
        time.sleep(1)
        assert [child.poll() for child in waiting] == [None, None]
    assert [child.wait(20) for child in waiting] == [0, 0]
    assert load_head(head).absorbed.id_L.size == 40


def test_the_lock_of_a_dead_holder_is_free(folder):
    child = os.fork()
    if child == 0:
        with lock(folder / "x"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with lock(folder / "x"):
        assert (folder / ".x.alcli.lock").exists()


def test_a_lock_is_not_shared(folder):
    with lock(folder / "x"), pytest.raises(BusyError, match="--lock-timeout"), lock(folder / "x"):
        pass


def test_the_same_labels_again_change_nothing(head, alcli):
    first = json.loads(alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv", "--json").done().out)
    assert (first["new_labels"], first["already_absorbed"], first["absorbed"]) == (10, 0, 30)
    with untouched(head.parent):
        done = alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv", "-l", "labels.csv").done()
    assert "0 new labels absorbed, 30 already known, 30 in all" in done.err


def test_one_update_or_two(head, alcli):
    """A growing file given twice ends where its two halves end: nothing is counted double."""
    write_labels("grown.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(20, 40)})
    alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv", "-o", "a.safetensors").done()
    report = json.loads(alcli("update", "a.safetensors", "-P", "pool.parquet", "-l", "grown.csv", "--json").done().out)
    assert (report["new_labels"], report["already_absorbed"]) == (10, 10)
    alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "grown.csv", "-o", "b.safetensors").done()
    a, b = load_head(Path("a.safetensors")), load_head(Path("b.safetensors"))
    assert set(a.absorbed.id_L.tolist()) == set(b.absorbed.id_L.tolist())
    assert pytest.approx(b.model.head.W_CD1, abs=1e-9) == a.model.head.W_CD1


def test_the_ledger_never_gives_an_id_twice(tiny, alcli):
    """Three queries at the same time, then two more: every id of the pool once."""
    ask = ("query", "pool.parquet", "-s", "coreset", "--selections", "ledger.parquet", "--lock-timeout", 30, "-q")
    children = [start(*ask, "-n", 16, stdout=subprocess.PIPE) for _ in range(3)]
    outputs = [child.communicate(timeout=60)[0].decode().split() for child in children]
    outputs += [alcli(*ask, "-n", 16).done().lines for _ in range(2)]
    assert [len(o) for o in outputs] == [16, 16, 16, 12, 0]
    assert sorted(chain(*outputs)) == names(60)
    ledger = pq.read_table("ledger.parquet")
    assert sorted(ledger["id"].to_pylist()) == names(60)
    assert ledger.schema.names == ["id", "rank", "score", "strategy", "purpose"]


def test_a_busy_ledger(tiny, alcli):
    with lock(tiny / "ledger.parquet"):
        busy = process("query", "pool.parquet", "-s", "coreset", "-n", 1, "--selections", "ledger.parquet")
    busy.refused(75, "ledger.parquet", "--lock-timeout")


def test_a_ledger_that_is_not_one(tiny, alcli):
    Path("ledger.parquet").write_bytes(b"PAR1 not really")
    with untouched(tiny):
        alcli("query", "pool.parquet", "-s", "coreset", "-n", 1, "--selections", "ledger.parquet").refused(
            65, "ledger.parquet"
        )
    Path("ledger.parquet").unlink()
    pq.write_table(pa.table({"id": [1, 2, 3]}), "ledger.parquet")
    with untouched(tiny):
        alcli("query", "pool.parquet", "-s", "coreset", "-n", 1, "--selections", "ledger.parquet").refused(
            65, "ledger.parquet", "row 0", "integer"
        )


def test_existing_outputs(head, alcli):
    fit = ("fit-head", "pool.parquet", "-l", "labels.csv", "-o")
    with untouched(head.parent):
        alcli(*fit, "head.safetensors").refused(73, "head.safetensors", "--force")
        alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv", "-o", "more.csv").refused(
            2, "more.csv", "read"
        )
        alcli("query", "pool.parquet", "-s", "random", "-n", 3, "-o", "pool.parquet").refused(2, "pool.parquet", "read")
        alcli(*fit, "pool.parquet", "--force").refused(2, "pool.parquet", "read")
    alcli(*fit, "head.safetensors", "--force").done()
    alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv", "-o", "copy.safetensors").done()
    alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv", "-o", "copy.safetensors").refused(
        73, "copy.safetensors", "--force"
    )
    alcli(
        "update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv", "-o", "copy.safetensors", "--force"
    ).done()
    for _ in range(2):
        alcli("query", "pool.parquet", "-s", "random", "-n", 3, "-o", "out.csv").done()


def test_outputs_that_cannot_be_created(head, alcli):
    (head.parent / "taken").mkdir()
    with untouched(head.parent):
        for target, words in (("taken", ["directory"]), ("nowhere/x.csv", ["no folder"]), ("labels.csv/x", ["folder"])):
            alcli("query", "pool.parquet", "-s", "random", "-n", 3, "-o", target).refused(73, target, *words)
            alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", target, "--force").refused(73, target, *words)
        alcli("query", "pool.parquet", "-s", "random", "-n", 3, "--selections", "nowhere/l.parquet").refused(
            73, "nowhere"
        )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(head):
    (head.parent / "locked").mkdir(0o555)
    process("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "locked/h.safetensors").refused(
        73, "locked/h.safetensors"
    )


def test_modes(head, alcli):
    def mode(path: Path) -> int:
        return path.stat().st_mode & 0o777

    head.chmod(0o640)
    alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv").done()
    assert mode(head) == 0o640
    before = os.umask(0o077)
    try:
        alcli("query", "pool.parquet", "-s", "random", "-n", 3, "-o", "out.csv").done()
    finally:
        os.umask(before)
    assert mode(head.parent / "out.csv") == 0o600


def test_a_file_size_limit_leaves_the_old_head(head):
    import resource

    with untouched(head.parent):
        child = start(
            "update",
            "head.safetensors",
            "-P",
            "pool.parquet",
            "-l",
            "more.csv",
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        )
        error = child.communicate(timeout=30)[1].decode()
    assert child.returncode == 74, error
    assert "head.safetensors" in error
    assert temporaries(head.parent) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_device_error_leaves_the_old_head(head, alcli, monkeypatch, call):
    def fail(*a: object, **k: object) -> None:
        raise OSError(5, "Input/output error")

    with untouched(head.parent):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv").refused(74, "head.safetensors")
        assert temporaries(head.parent) == []


def test_a_pool_that_changes_while_it_is_read(tiny, alcli, monkeypatch):
    from alcli.data.reading import pool_files

    read = pool_files.read_runs

    def touching(file, *a):
        yield from read(file, *a)
        os.utime(file.path, ns=(1, time.time_ns()))

    monkeypatch.setattr(pool_files, "read_runs", touching)
    alcli("query", "pool.parquet", "-s", "coreset", "-n", 3).refused(75, "pool.parquet", "changed")


def test_an_exception_leaves_no_temporary_file(folder):
    Path("x").write_bytes(b"old")
    with untouched(folder), suppress(LookupError), replacing(Path("x")) as file:
        file.write(b"new")
        assert len(temporaries(folder)) == 1
        raise LookupError
    assert temporaries(folder) == []
