"""Groups that cannot be, ids that mean nothing or two things, and what cannot be asked of groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.pools import CLASSES, group_names, names, patches, write_labels, write_pool
from tests.shell import untouched

X_ND, Y_N, G_N = patches()
N = len(X_ND)
ASK = ("query", "pool.parquet", "-s", "coreset", "-n", 3)


@pytest.fixture(autouse=True)
def patch_pool(folder):
    write_pool("pool.parquet", X_ND, group=group_names(G_N), label=[CLASSES[y] for y in Y_N])
    write_labels("items.csv", {"g000": "cat", "g001": "dog"})
    return folder


COLUMNS = {
    "null": (
        lambda: pa.array([None if i == 7 else g for i, g in enumerate(group_names(G_N))]),
        "pool.parquet: column 'group', row 7 (id 'r007'): the group is null",
    ),
    "empty": (
        lambda: pa.array(["" if i == 7 else g for i, g in enumerate(group_names(G_N))]),
        "row 7 (id 'r007'): the group is an empty string",
    ),
    "float": (lambda: pa.array(G_N.astype(float)), "groups of type double, expected strings or integers"),
    "list": (lambda: pa.array([[int(g)] for g in G_N]), "groups of type list<"),
    "huge": (lambda: pa.array(G_N.astype(np.uint64) + np.uint64(2**63)), "the group column cannot be read"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_column_that_holds_no_groups(alcli, kind):
    column, words = COLUMNS[kind]
    write_pool("pool.parquet", X_ND, group=column())
    with untouched(Path()):
        alcli(*ASK, "-o", "out.csv").refused(65, words, "--group-col none makes every row an item")
    assert len(alcli(*ASK, "--group-col", "none").done().lines) == 3


def test_a_named_column_must_be_there(alcli):
    alcli(*ASK, "--group-col", "image").refused(65, "no column 'image' among 'id', 'features', 'group'")
    write_pool("pool.parquet", X_ND, image=pa.nulls(N, pa.string()))
    alcli(*ASK, "--group-col", "image").refused(65, "the group is null")


def test_a_file_without_groups_beside_files_with_them(alcli):
    Path("parts").mkdir()
    write_pool("parts/a.parquet", X_ND[:9], names(9), group=group_names(G_N[:9]))
    write_pool("parts/b.parquet", X_ND[9:], [f"s{i}" for i in range(N - 9)])
    alcli("query", "parts", "-s", "coreset", "-n", 3).refused(
        65, "b.parquet: column 'group', row 0 (id 's0'): the group is null"
    )
    write_pool("parts/b.parquet", X_ND[9:], [f"s{i}" for i in range(N - 9)], group=pa.array(G_N[9:]))
    alcli("query", "parts", "-s", "coreset", "-n", 3).refused(
        65, "column 'group' is of type int64 and string in different files"
    )


def test_a_hive_partition_is_a_column_of_groups(alcli):
    for g in range(3):
        Path(f"parts/group=g{g}").mkdir(parents=True)
        write_pool(f"parts/group=g{g}/part.parquet", X_ND[3 * g : 3 * g + 3], [f"{g}-{i}" for i in range(3)])
    assert sorted(alcli("query", "parts", "-s", "random", "-n", 9, "--hive").done().lines) == ["g0", "g1", "g2"]


def test_ids_of_files_are_of_the_type_of_groups(alcli):
    write_pool("pool.parquet", X_ND, group=pa.array(G_N))
    Path("done.txt").write_text("g000\n")
    alcli(*ASK, "--exclude", "done.txt").refused(
        65, "done.txt: line 1", "'g000' is a string, the pool's ids are integers"
    )
    write_labels("items.csv", {"0": "cat", "1": "dog"})
    assert not {"0", "1"} & set(
        alcli("query", "pool.parquet", "-s", "margin", "-n", 99, "-l", "items.csv").done().lines
    )


def test_unknown_ids_of_labels(alcli):
    write_labels("items.csv", {"g000": "cat", "g001": "dog", "g999": "eel"})
    alcli("fit-head", "pool.parquet", "-l", "items.csv", "-o", "head.safetensors").refused(
        65, "items.csv: line 4: the id 'g999' is not in the pool"
    )
    told = alcli("fit-head", "pool.parquet", "-l", "items.csv", "-o", "head.safetensors", "--ignore-unknown").done()
    assert "1 label of an id that is not in the pool was ignored" in told.err


def test_ids_that_mean_a_row_and_a_group(alcli):
    write_pool("pool.parquet", X_ND, np.arange(N), group=pa.array(G_N))
    write_labels("both.csv", {3: "cat", 50: "dog"})
    fit = ("fit-head", "pool.parquet", "-o", "head.safetensors", "--force", "-l")
    alcli(*fit, "both.csv").refused(65, "both.csv: line 2: the id '3' is that of a row and that of a group")
    alcli(*fit, "both.csv", "--group-col", "none").done()
    Path("said.csv").write_text("group,label\n3,cat\n1,dog\n")
    alcli(*fit, "said.csv").done()
    Path("said.csv").write_text("id,group,label\n3,0,cat\n4,0,dog\n")
    alcli(*fit, "said.csv").done()
    Path("said.csv").write_text("name,label\n3,cat\n")
    alcli(*fit, "said.csv").refused(65, "said.csv: line 2: no column 'id', and no column 'group' in its place")


def test_a_contradiction_within_a_file(alcli):
    Path("items.csv").write_text("id,label\ng000,cat\ng000,dog\n")
    alcli("fit-head", "pool.parquet", "-l", "items.csv", "-o", "head.safetensors").refused(
        65, "items.csv: line 3: the id 'g000' is labelled 'dog', but 'cat' at items.csv: line 2"
    )


def test_concat_of_ragged_groups(alcli):
    alcli(*ASK, "-p", "embed=concat", "-l", "items.csv").refused(
        65,
        "rows, group 'g",
        "embed=concat puts the features of a group side by side, so all groups need equally many rows",
    )


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("-s", "badge", "-p", "embed=concat"), "the head takes the features of one row"),
        (("-s", "margin", "-p", "aggregate=median"), "must be one of mean, max, sum, got 'median'"),
        (("-s", "coreset", "-p", "aggregate=max"), "has no parameter 'aggregate'"),
        (("-s", "margin", "-p", "embed=mean"), "has no parameter 'embed'"),
        (("-s", "random", "-p", "aggregate=max"), "has no parameter 'aggregate'"),
        (
            ("-s", "margin", "-l", "items.csv", "-p", "aggregate=max", "--group-col", "none"),
            "-p aggregate is about groups, pool.parquet has none",
        ),
        (
            ("-s", "margin", "-l", "items.csv", "-p", "impute=argmax"),
            "-p impute chooses rows one at a time, and the rows of pool.parquet make groups by column 'group'",
        ),
        (
            ("-s", "margin", "-l", "items.csv", "--stream"),
            "--stream asks for rows one at a time, and the rows of pool.parquet make groups",
        ),
    ],
)
def test_what_cannot_be_asked(alcli, more, words):
    alcli("query", "pool.parquet", "-n", 3, *more).refused(2, words)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            ("-s", "optimal-look-ahead", "-n", 2, "--rounds", 1),
            "'optimal-look-ahead' judges rows one by one, and the rows of pool.parquet make groups",
        ),
        (
            ("--study", "updates"),
            "the study of updates takes rows one by one, and the rows of pool.parquet make groups",
        ),
        (
            ("-s", "margin", "-n", 2, "--rounds", 1, "-p", "margin.aggregate=max", "--group-col", "none"),
            "-p aggregate is about groups, pool.parquet has none",
        ),
        (("-s", "optimal-look-ahead", "-n", 2, "--rounds", 1, "-p", "embed=mean"), "has a parameter 'embed'"),
    ],
)
def test_what_cannot_be_simulated(alcli, more, words):
    alcli("simulate", "pool.parquet", "-o", "out", *more).refused(2, words)
