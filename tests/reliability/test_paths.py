"""Paths and folders (which files make a pool, and what is no file at all): through the command line, in child
processes.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pools import fixed, names, tiny_features, write_labels, write_pool
from tests.shell import SCRIPT, forked, process, untouched

X_ND, _ = tiny_features()
ASK = ("-s", "random", "-n", 99, "-q")


def everything(pool: object, *more: object) -> list[str]:
    """The ids of a pool, through query."""
    return sorted(forked("query", pool, *ASK, *more).done().lines)


def refused(code: int, pool: object, *words: str) -> None:
    with untouched(Path()):
        forked("query", pool, *ASK, timeout=20).refused(code, *words)


@pytest.fixture
def parts(folder):
    """parts/: a pool in two files, in a folder and one below."""
    Path("parts/sub").mkdir(parents=True)
    write_pool("parts/a.parquet", X_ND[:4], names(9)[:4])
    write_pool("parts/sub/b.parquet", X_ND[4:9], names(9)[4:])
    return folder


def test_files_that_other_tools_leave_are_ignored(parts):
    for name in (
        "_SUCCESS",
        "_metadata",
        "_common_metadata",
        ".hidden.parquet",
        ".a.parquet.crc",
        "a.parquet.crc",
        "c.parquet.tmp",
        "README.txt",
        "_d.parquet",
    ):
        Path("parts", name).write_bytes(b"not parquet")
    for name in ("_temporary", ".ipynb_checkpoints", "_delta_log"):
        Path("parts", name).mkdir()
        Path("parts", name, "x.parquet").write_bytes(b"not parquet")
    assert everything("parts") == names(9)
    assert everything("parts/**/*.parquet") == names(9)


def test_folders_without_a_pool(folder):
    Path("empty/deep").mkdir(parents=True)
    refused(66, "empty", "empty", "no Parquet file")
    refused(66, "empty/*.parquet", "no file matches")
    Path("empty/_only.parquet").write_bytes(b"")
    refused(66, "empty", "no Parquet file")


@pytest.fixture
def hive(folder):
    """hive/: 30 rows in folders that say what their split and their label is."""
    for i, (kind, label) in enumerate(
        [
            ("train", "cat"),
            ("train", "big dog"),
            ("test", "cat"),
            ("test", "big dog"),
            ("train", "__HIVE_DEFAULT_PARTITION__"),
        ]
    ):
        place = Path(f"hive/split={kind}/label={label.replace(' ', '%20')}")
        place.mkdir(parents=True)
        write_pool(place / "a.parquet", X_ND[6 * i : 6 * i + 6], names(30)[6 * i : 6 * i + 6])
    return folder


def test_folders_named_by_hive_are_read_and_their_values_are_not(hive):
    said = forked("query", "hive", "-s", "random", "-n", 99).done()
    assert sorted(said.lines) == names(30)
    assert (
        said.err.splitlines()[0]
        == "alcli: folders named label=... and split=... are not read as columns; --hive does that"
    )
    assert "hive" not in forked("query", "hive", *ASK).done().err
    Path("hive/year=2024").mkdir()
    os.rename("hive/split=test", "hive/year=2024/month=5")
    os.rename("hive/split=train", "hive/other")
    for place in ("hive/other", "hive/year=2024"):
        for old in list(Path(place).rglob("label=*")):
            old.rename(str(old).replace("label=", ""))
    assert "hive" not in forked("query", "hive", "-s", "random", "-n", 99).done().err, "no column that matters"


def test_values_in_folder_names_are_columns_when_asked(hive):
    assert everything("hive", "--hive", "-l", _no_labels()) == [*names(30)[:12], *names(30)[24:]]
    assert everything("hive", "--hive") == names(30)[24:], "the others are labelled or for testing"
    assert forked("query", "hive/split=test", *ASK, "--hive").done().lines == [], "a folder that is itself a value"
    said = json.loads(forked("fit-head", "hive", "--hive", "-o", "h.safetensors", "--json").done().out)
    assert (said["n"], said["classes"], said["n_test"]) == (12, 2, 12)
    asked = (
        "simulate",
        "hive",
        "-s",
        "margin",
        "-n",
        2,
        "--rounds",
        1,
        "--initial",
        4,
        "--seeds",
        1,
        "--prior-precision",
        "1",
        "-o",
        "sim",
        "-q",
    )
    forked(*asked).refused(65, "hive", "no labels in column 'label'")
    forked(*asked, "--hive").done()
    write_labels("more.csv", {"r024": "big dog"})
    assert (
        json.loads(forked("update", "h.safetensors", "-P", "hive", "--hive", "-l", "more.csv", "--json").done().out)[
            "new_labels"
        ]
        == 1
    )
    forked("query", "hive", *ASK, "--label-col", "split").refused(
        65, "no column 'split'", "--hive makes a column of the folders split=..."
    )


def _no_labels() -> str:
    write_labels("none.csv", {})
    return "none.csv"


def test_a_folder_and_a_column_that_say_the_same(hive):
    write_pool("hive/split=train/label=cat/a.parquet", X_ND[:5], names(5), split=["train"] * 5)
    for command in (
        ("query", "hive", *ASK),
        ("fit-head", "hive", "-o", "h.safetensors"),
        ("simulate", "hive", "-s", "margin", "-n", 2, "--rounds", 1, "--seeds", 3, "-o", "sim"),
    ):
        with untouched(hive):
            forked(*command, "--hive").refused(
                65,
                "hive/split=train/label=cat/a.parquet: 'split' is both a column and a partition folder",
                "leave --hive out",
            )
    forked("query", "hive", *ASK).done()
    os.rename("hive/split=train/label=cat", os.fsdecode(b"hive/split=train/label=\xff"))
    forked("query", "hive", *ASK, "--hive").refused(65, "the folder 'label=\\udcff' is not UTF-8")
    os.rename(os.fsdecode(b"hive/split=train/label=\xff"), "hive/split=train/split=test")
    forked("query", "hive", *ASK, "--hive").refused(65, "two values for 'split'")


def test_embed_reads_folder_names_when_asked(folder):
    """Split and label of texts in Parquet travel to the pool; two rows a file, one file without a label."""
    for i, place in enumerate(("split=train/label=cat", "split=test/label=big%20dog", "split=train")):
        Path("texts", place).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": [2 * i, 2 * i + 1], "text": ["a", "b"]}), f"texts/{place}/x.parquet")
    ask = ("embed", "texts", "-m", "hashing:4", "--batch-size", 4)
    assert (
        "folders named label=... and split=... are not read as columns; --hive does that"
        in forked(*ask, "-o", "plain.parquet").done().err
    )
    assert pq.read_schema("plain.parquet").names == ["id", "features"]
    assert "--hive" not in forked(*ask, "-o", "pool.parquet", "--hive").done().err
    found = sorted(pq.read_table("pool.parquet").drop_columns("features").to_pylist(), key=lambda row: row["id"])
    assert [(row["split"], row["label"]) for row in found] == [("train", "cat")] * 2 + [("test", "big dog")] * 2 + [
        ("train", None)
    ] * 2
    forked("embed", "texts/split=test", "-m", "hashing:4", "-o", "one.parquet", "--hive", "--id-col", "split").refused(
        65, "the same id 'test'"
    )
    pq.write_table(pa.table({"id": [9], "text": ["a"], "split": ["x"]}), "texts/split=test/label=big%20dog/x.parquet")
    with untouched(folder):
        forked("embed", "texts/split=test", "-m", "hashing:4", "-o", "new.parquet", "--hive").refused(
            65, "split=test/label=big%20dog/x.parquet", "'split' is both a column and a partition folder"
        )


def test_groups_and_ids_in_folder_names(folder):
    for i in range(3):
        Path(f"one/id={i}").mkdir(parents=True)
        pq.write_table(pa.table({"features": fixed(X_ND[i : i + 1])}), f"one/id={i}/a.parquet")
        Path(f"many/group=g{i}").mkdir(parents=True)
        write_pool(f"many/group=g{i}/a.parquet", X_ND[3 * i : 3 * i + 3], names(9)[3 * i : 3 * i + 3])
    assert everything("one", "--hive") == ["0", "1", "2"]
    refused(65, "one", "no column 'id'", "--hive makes a column of the folders id=...")
    assert everything("many", "--hive") == ["g0", "g1", "g2"]
    assert everything("many", "--hive", "--group-col", "none") == names(9)
    write_pool("one/id=0/a.parquet", X_ND[:2], names(2))
    forked("query", "one", *ASK, "--hive").refused(
        65, "one/id=0/a.parquet: 'id' is both a column and a partition folder"
    )


def test_loops_of_links(parts):
    os.symlink("..", "parts/sub/up")
    os.symlink("self", "parts/self")
    os.symlink(".", "parts/here")
    assert everything("parts") == names(9)
    assert everything("parts/**/*.parquet") == names(9)
    refused(66, "parts/self", "parts/self")
    os.symlink("loop.parquet", "parts/loop.parquet")
    refused(66, "parts", "loop.parquet")


def test_dangling_links(parts):
    os.symlink("nowhere.parquet", "parts/c.parquet")
    refused(66, "parts", "parts/c.parquet", "a link to a file that is not there")
    refused(66, "parts/c.parquet", "parts/c.parquet", "a link to a file that is not there")
    os.symlink("nowhere.csv", "labels.csv")
    forked("query", "parts/a.parquet", *ASK, "-l", "labels.csv").refused(
        66, "labels.csv", "a link to a file that is not there"
    )
    forked("update", "parts/c.parquet", "-P", "parts/a.parquet", "-l", "labels.csv").refused(66, "parts/c.parquet")


def test_the_same_file_twice_is_read_once_and_noted(parts):
    os.symlink("a.parquet", "parts/link.parquet")
    os.link("parts/a.parquet", "parts/sub/hard.parquet")
    done = forked("query", "parts", "-s", "random", "-n", 99).done()
    assert sorted(done.lines) == names(9)
    assert done.err.count("is the same file as parts/a.parquet; read once") == 2


def test_links_lead_out_of_a_pool_but_outputs_do_not_follow_folders(parts):
    write_pool("outside.parquet", X_ND[9:12], ["x", "y", "z"])
    os.symlink("../outside.parquet", "parts/far.parquet")
    assert everything("parts") == [*names(9), "x", "y", "z"]


def test_what_is_no_file(folder):
    """FIFOs, sockets, devices and folders are refused before they are opened: a FIFO would block for good."""
    os.mkfifo("fifo.parquet")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.parquet")
        Path("folder.safetensors").mkdir()
        Path("folder.csv").mkdir()
        write_pool("pool.parquet", X_ND)
        for name in ("fifo.parquet", "socket.parquet", "/dev/zero", "/dev/null"):
            refused(66, name, name, "not a regular file")
        for option in ("-l", "--exclude", "-H"):
            forked("query", "pool.parquet", *ASK, option, "fifo.parquet", timeout=20).refused(
                66, "fifo.parquet", "not a regular file"
            )
            forked("query", "pool.parquet", *ASK, option, "folder.csv").refused(66, "folder.csv", "is a directory")
        forked("embed", "fifo.parquet", "-m", "hashing:4", "-o", "out.parquet", timeout=20).refused(66, "fifo.parquet")
        forked("update", "folder.safetensors", "-P", "pool.parquet", "-l", "folder.csv").refused(
            66, "folder.safetensors", "is a directory"
        )
        Path("mixed").mkdir()
        os.mkfifo("mixed/a.parquet")
        refused(66, "mixed", "mixed/a.parquet", "not a regular file")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving up rights needs them")
def test_no_permission(parts):
    """Without the right of root to read everything: a file, a folder."""
    try:
        assert forked("query", "parts", *ASK, before=without_rights).code == 0
        Path("parts/a.parquet").chmod(0o000)
        forked("query", "parts", *ASK, before=without_rights).refused(66, "parts/a.parquet", "Permission denied")
        Path("parts/a.parquet").chmod(0o644)
        Path("parts/sub").chmod(0o000)
        forked("query", "parts/sub/b.parquet", *ASK, before=without_rights).refused(
            66, "parts/sub/b.parquet", "Permission denied"
        )
        forked("query", "parts", *ASK, before=without_rights).refused(66, "parts/sub", "Permission denied")
        for pattern in ("parts/**/*.parquet", "parts/*/b.parquet", "parts/*/*", "parts/su[b]"):
            forked("query", pattern, *ASK, before=without_rights).refused(66, "parts/sub", "Permission denied")
        forked("query", "parts/*.parquet", *ASK, before=without_rights).done()
        Path("parts/sub").rename("parts/_sub")
        forked("query", "parts/**/*.parquet", *ASK, before=without_rights).done()
        Path("parts/_sub").rename("parts/sub")
        forked("embed", "parts", "-m", "identity", "-o", "out.parquet", before=without_rights).refused(
            66, "parts/sub", "Permission denied"
        )
        parts.chmod(0o555)
        for option, name in (("-o", "out.csv"), ("--selections", "ledger.parquet")):
            forked("query", "parts/a.parquet", *ASK, option, name, before=without_rights).refused(
                73, name, "Permission denied"
            )
    finally:
        parts.chmod(0o755)
        Path("parts/sub").chmod(0o755)


def without_rights() -> None:
    """Give up the capabilities by which root reads and writes what it may not (CAP_DAC_OVERRIDE and
    CAP_DAC_READ_SEARCH).
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    held = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, held) == 0
    held[0] &= ~0b110
    assert libc.capset(header, held) == 0


def test_a_disk_that_fails_while_it_is_searched(parts):
    """An error in reading a folder is no empty folder."""

    def failing() -> None:
        scan = os.scandir

        def scandir(path):
            if str(path).endswith("sub"):
                raise OSError(errno.EIO, os.strerror(errno.EIO), path)
            return scan(path)

        os.scandir = scandir

    for spec in ("parts", "parts/**/*.parquet", "parts/*/*.parquet", "parts/sub/*.parquet"):
        with untouched(parts):
            forked("query", spec, *ASK, before=failing).refused(
                66, "parts/sub: cannot search this directory: Input/output error"
            )


def test_names_that_are_not_utf8(parts):
    odd = os.fsdecode(b"caf\xe9 \x1b[31m.parquet")
    os.rename("parts/a.parquet", f"parts/{odd}")
    assert everything("parts") == names(9)
    assert everything(f"parts/{odd}") == names(4)
    found = subprocess.run(
        [
            SCRIPT.encode(),
            b"query",
            b"parts/caf\xe9 \x1b[31m.parquet",
            b"-s",
            b"random",
            b"-n",
            b"99",
            b"-o",
            b"out-\xe9.csv",
        ],
        capture_output=True,
        timeout=60,
    )
    assert (found.returncode, found.stdout) == (0, b"")
    assert os.path.exists(b"out-\xe9.csv")
    Path(f"parts/{odd}").write_bytes(b"PAR1")
    refused(65, "parts", "caf\\udce9 \\x1b[31m.parquet")


def test_names_with_magic_spaces_and_dashes(folder):
    for name in (
        "a[1].parquet",
        "with space.parquet",
        "-dash.parquet",
        "star*.parquet",
        "naïve-日本.parquet",
        "x" * 240 + ".parquet",
    ):
        write_pool(name, X_ND[:3], names(3))
        assert everything(f"./{name}") == names(3), name
    refused(66, "y" * 300 + ".parquet", "File name too long")


def test_uris(folder):
    write_pool("pool.parquet", X_ND[:3], names(3))
    assert everything(f"file://{folder}/pool.parquet") == names(3)
    refused(66, f"file://{folder}/nowhere.parquet", "no such file")
    refused(66, "nosuch://bucket/pool.parquet", "nosuch://")


@pytest.mark.parametrize(
    "given", ["", "[::1", "http://[broken/x.parquet", "file://%zz", "file:///a%00b.parquet", "file:///a%00*.parquet"]
)
def test_names_that_cannot_be(folder, given):
    """No traceback and no bug report, whatever is typed."""
    assert forked("query", given, *ASK, timeout=30).code in (2, 65, 66, 69)


def test_parquet_on_standard_input(tiny):
    data = Path("pool.parquet").read_bytes()
    with untouched(tiny):
        process("query", "-", *ASK, stdin=data).refused(66, "-")
        forked("query", "pool.parquet", "-s", "margin", "-n", 3, "-l", "-", stdin=data).refused(
            66, "standard input", "save it to a file"
        )


def test_a_file_that_changes_or_vanishes(folder, monkeypatch):
    """Between the footer and the data, and between two passes."""
    import alcli.data.reading.pool_files as module

    write_pool("pool.parquet", X_ND, row_group_size=8)
    read = module.read_runs

    def changed(do):
        def reading(file, *a):
            yield from read(file, *a)
            do(file.path)

        return lambda: monkeypatch.setattr(module, "read_runs", reading)

    ask = ("query", "pool.parquet", "-s", "coreset", "-n", 3)
    forked(*ask, before=changed(lambda path: os.utime(path, ns=(1, 1)))).refused(
        75, "pool.parquet", "changed while it was read"
    )
    forked(*ask, before=changed(lambda path: os.path.exists(path) and os.rename(path, "away"))).refused(
        66, "pool.parquet", "No such file"
    )
    os.rename("away", "pool.parquet")
    other = X_ND.copy()
    other[:] = 0
    write_pool("other.parquet", other, row_group_size=8)
    forked(
        *ask, before=changed(lambda path: os.path.exists("other.parquet") and os.replace("other.parquet", path))
    ).refused(75, "pool.parquet", "changed while it was read")


def test_a_thousand_shards_and_few_open_files(folder):
    """1,000 of them; 20,000 with ALCLI_THOROUGH."""
    import resource

    Path("many").mkdir()
    for i in range(20_000 if "ALCLI_THOROUGH" in os.environ else 1000):
        write_pool(f"many/{i:05d}.parquet", X_ND[i % 60 : i % 60 + 1], [f"s{i:05d}"])
    found = forked(
        "query",
        "many",
        "-s",
        "coreset",
        "-n",
        3,
        "-q",
        timeout=600,
        before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
    )
    assert len(found.done().lines) == 3
    few = forked(
        "query",
        "many",
        "-s",
        "coreset",
        "-n",
        3,
        "-o",
        "out.csv",
        before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4)),
    )
    few.refused(71, "Too many open files")
    assert not Path("out.csv").exists()
