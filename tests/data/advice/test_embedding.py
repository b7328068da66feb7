"""A file that is no pool is answered with the command that makes a pool of it, and the command works."""

from __future__ import annotations

import re
import shlex

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from alcli.data.advice.embedding import wide_columns

X = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float32)
LISTS = pa.array(X.tolist(), pa.list_(pa.float32()))


def make(folder, kind):
    """A source of the kind, with a space in its name; its path."""
    path = folder / f"my vectors.{kind}"
    table = pa.table({"id": list("abcdefghijkl"), "features": LISTS})
    match kind:
        case "npy":
            np.save(path, X)
        case "npz":
            np.savez(path, emb=X)
        case "h5":
            with h5py.File(path, "w") as file:
                file["emb"] = X
        case "feather":
            feather.write_feather(table, path)
        case "csv":
            path.write_text("id,emb\n" + "".join(f'{i},"{x.tolist()}"\n' for i, x in enumerate(X)))
        case "int8":
            path = folder / "int8.parquet"
            small = pa.array((X * 20).astype(np.int8).tolist(), pa.list_(pa.int8()))
            pq.write_table(pa.table({"id": range(12), "features": small}), path)
        case "struct":
            path = folder / "struct.parquet"
            pq.write_table(pa.table({"id": range(12), "embedding": pa.StructArray.from_arrays([LISTS], ["v"])}), path)
        case "wide":
            path = folder / "wide.parquet"
            pq.write_table(pa.table({"id": range(12), **{f"emb_{i}": X[:, i] for i in range(3)}}), path)
        case "parts":
            path = folder / "my parts"
            path.mkdir()
            np.save(path / "a.npy", X)
        case "arrows":
            path = folder / "arrows"
            path.mkdir()
            feather.write_feather(table, path / "a.arrow")
    return path.name


@pytest.mark.parametrize("kind", ["npy", "npz", "h5", "feather", "csv", "int8", "struct", "wide", "parts", "arrows"])
def test_the_command_that_is_named_makes_a_pool(kind, folder, alcli):
    said = alcli("query", make(folder, kind), "-n", 2, "-s", "coreset")
    said.refused(66 if kind in ("parts", "arrows") else 65, "makes a pool of it")
    command = shlex.split(re.search(r"; '(alcli embed .* -o pool\.parquet)' makes", said.err)[1])
    alcli(*command[1:]).done()
    assert len(alcli("query", "pool.parquet", "-n", 2, "-s", "coreset").done().lines) == 2


def test_other_commands_say_it_too(folder, alcli):
    name = make(folder, "npy")
    (folder / "l.csv").write_text("id,label\n0,a\n1,b\n")
    alcli("fit-head", name, "-l", "l.csv", "-o", "h.safetensors").refused(
        65, "alcli embed 'my vectors.npy' -m identity"
    )


def test_a_missing_id_column_names_its_option(folder, alcli):
    pq.write_table(pa.table({"ticket_id": range(12), "features": LISTS}), "p.parquet")
    alcli("query", "p.parquet", "-n", 2).refused(65, "no column 'id' among 'ticket_id'", "--id-col")


def test_columns_of_a_vector_are_recognised_by_their_numbers():
    assert wide_columns(["id", "emb_0", "emb_2", "emb_1"]) == "emb_*"
    assert wide_columns(["1", "2", "3", "label"]) == "[0-9]*"
    assert wide_columns(["id", "x1", "x2"]) is None
    assert wide_columns(["f2", "f3", "f5", "text"]) is None
