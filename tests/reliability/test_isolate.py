"""--isolate: a reader that crashes ends a child process, through the command line."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import alcli.data.reading.isolate as isolate
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool
from tests.shell import forked, untouched

X_ND, Y_N = tiny_features()
ASK = ("-s", "coreset", "-n", 3, "-o", "out.csv", "--isolate")


@pytest.fixture
def parts(folder):
    """parts/: three files of a labelled pool, with prices."""
    Path("parts").mkdir()
    for i in range(3):
        rows = slice(20 * i, 20 * i + 20)
        write_pool(
            f"parts/{i}.parquet", X_ND[rows], names(60)[rows], label=[CLASSES[y] for y in Y_N[rows]], price=[1.0] * 20
        )
    return folder


def crash(number: int, column: str = "features", name: str = "1.parquet") -> Callable[[], None]:
    """The reader gets a signal at a column of one file; where it is in this process that would be read, we do too."""

    def plant() -> None:
        import alcli.data.reading.pool_files as pool_files

        def crashing(read):
            def reading(file, wanted, *more):
                if file.path.endswith(name) and wanted == column:
                    os.write(2, b"free(): invalid pointer\n")  # as libraries say
                    os.kill(os.getpid(), number)
                return read(file, wanted, *more)

            return reading

        isolate.read_column = crashing(isolate.read_column)
        pool_files.read_runs = crashing(pool_files.read_runs)

    return plant


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL])
def test_a_crash_is_a_refusal(parts, number):
    with untouched(parts):
        forked("query", "parts", *ASK, before=crash(number)).refused(
            65, "parts/1.parquet", number.name, "damaged or hostile"
        )
    assert forked("query", "parts", *ASK[:-1], before=crash(number, "id")).code == -number, (
        "without --isolate it is the end"
    )


def test_every_command_that_reads_a_pool(parts, alcli):
    write_labels("labels.csv", {"r001": "dog"})
    forked(
        "fit-head",
        "parts",
        "-o",
        "head.safetensors",
        "--isolate",
        "-l",
        "labels.csv",
        "-l",
        "labels.csv",
        "--label-col",
        "label",
    ).refused(65, "classes")
    forked("fit-head", "parts", "-o", "head.safetensors", "--isolate").done()
    commands = [
        ("fit-head", "parts", "-o", "new.safetensors", "--isolate"),
        ("update", "head.safetensors", "-P", "parts", "-l", "labels.csv", "--isolate"),
        ("simulate", "parts", "-s", "margin", "-n", 2, "--rounds", 1, "--seeds", 3, "-o", "sim", "--isolate"),
        ("predict", "parts", "-H", "head.safetensors", "-o", "out.csv", "--isolate"),
        ("query", "parts", *ASK, "-H", "head.safetensors"),
    ]
    for command in commands:
        with untouched(parts):
            forked(*command, before=crash(signal.SIGSEGV)).refused(65, "parts/1.parquet", "SIGSEGV")
    assert not Path("sim").exists()


def test_the_answer_is_the_same(parts):
    expected = forked("query", "parts", *ASK[:4], "--format", "csv", "-l", _some()).done()
    found = forked("query", "parts", *ASK[:4], "--format", "csv", "--isolate", "-l", _some()).done()
    assert found == expected


def _some() -> str:
    write_labels("some.csv", {"r000": "cat", "r001": "dog"})
    return "some.csv"


def test_a_column_that_only_an_option_names(parts):
    """Prices are decoded in a child as well, once the command asks for them."""
    ask = ("query", "parts", "-s", "coreset", "-n", 3, "-l", _some(), "-p", "cost-col=price", "--isolate")
    forked(*ask).done()
    forked(*ask, before=crash(signal.SIGSEGV, "price", "2.parquet")).refused(65, "parts/2.parquet", "SIGSEGV")


def test_footers_are_read_in_the_child_first(parts):
    def plant() -> None:
        def opened(file):
            os.kill(os.getpid(), signal.SIGSEGV)

        isolate.open_parquet = opened

    forked("query", "parts", *ASK, before=plant).refused(65, "parts/0.parquet", "SIGSEGV")


def test_the_memory_killer_is_no_damage(parts):
    forked("query", "parts", *ASK, before=crash(signal.SIGKILL)).refused(71, "parts/1.parquet", "memory")


def test_damage_that_is_no_crash_is_told_as_ever(parts):
    """What the child survives as an error, the command finds itself; files after a damaged one are decoded all the
    same.
    """
    data = Path("parts/0.parquet").read_bytes()
    Path("parts/0.parquet").write_bytes(data[:-3])
    forked("query", "parts", *ASK).refused(65, "parts/0.parquet", "not readable as Parquet")
    forked("query", "parts", *ASK, before=crash(signal.SIGSEGV, "id", "2.parquet")).refused(
        65, "parts/2.parquet", "SIGSEGV"
    )
    forked("query", "nowhere", *ASK).refused(66, "nowhere")


def test_a_file_that_changes_behind_the_child(parts):
    """A file that the child has not seen as it is now is not read."""

    def plant() -> None:
        decode = isolate.decode_alone

        def decoded(*a):
            found = decode(*a)
            os.utime("parts/2.parquet", ns=(1, 1))
            return found

        import alcli.data.pool as pool

        pool.decode_alone = decoded

    forked("query", "parts", *ASK, before=plant).refused(75, "parts/2.parquet", "changed while it was read")


def living() -> str:
    """The children of this process, dead ones that nobody has asked for among them."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_the_child_leaves_nothing_behind(parts, monkeypatch):
    """No core file, no second line on stderr, no descriptor, no process; and it ends with us."""
    here, children = set(os.listdir("/proc/self/fd")), living()
    assert sorted(isolate.decode_alone("parts", [], ["id"], None)) == [f"parts/{i}.parquet" for i in range(3)]
    assert set(os.listdir("/proc/self/fd")) == here
    assert living() == children
    seen = {}

    def dying(file, vectors, values, limit):
        seen["core"] = resource.getrlimit(resource.RLIMIT_CORE)
        Path("core.json").write_text(
            json.dumps([resource.getrlimit(resource.RLIMIT_CORE), os.readlink("/proc/self/fd/2")])
        )

    monkeypatch.setattr(isolate, "_read", dying)
    isolate.decode_alone("parts", [], ["id"], None)
    assert json.loads(Path("core.json").read_text()) == [[0, 0], "/dev/null"]


def test_a_signal_ends_both(parts, monkeypatch):
    def slow(file, vectors, values, limit):
        Path("child").write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(30)

    said = forked("query", "parts", *ASK, before=lambda: monkeypatch.setattr(isolate, "_read", slow), timeout=20)
    assert said.code == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("child").read_text()), 0)
    assert not Path("out.csv").exists()


def test_a_signal_at_the_birth_of_the_child_ends_both(parts, monkeypatch):
    """The signal comes before the parent knows its child."""
    fork = os.fork

    def forking():
        child = fork()
        if child:
            Path("child").write_text(str(child))
            os.kill(os.getpid(), signal.SIGTERM)
        return child

    def plant() -> None:
        monkeypatch.setattr(os, "fork", forking)
        monkeypatch.setattr(isolate, "_read", lambda *_: time.sleep(30))

    assert forked("query", "parts", *ASK, before=plant, timeout=20).code == 143
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("child").read_text()), 0)


def test_a_column_of_a_type_that_nobody_reads_is_not_decoded(folder, monkeypatch):
    """Text in place of vectors, and vectors in place of single values, cost the child nothing."""
    columns = {"id": pa.array([1, 2]), "features": pa.array(["0", "1"]), "label": pa.array([[1], [2]])}
    pq.write_table(pa.table(columns), "odd.parquet")
    read = isolate.read_column
    Path("read.txt").touch()

    def reading(file, wanted, *more):
        with Path("read.txt").open("a") as out:
            out.write(f"{wanted}\n")
        return read(file, wanted, *more)

    monkeypatch.setattr(isolate, "read_column", reading)
    isolate.decode_alone("odd.parquet", ["features"], ["id", "label"], None)
    assert Path("read.txt").read_text() == "id\n"
