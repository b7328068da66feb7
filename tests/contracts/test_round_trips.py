"""Whatever is written comes back as it was: pools, heads, ledgers and the runs of a simulation. Labels are in
test_tables, selections in data/test_formats.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from alcli.data.absorbed import Absorbed
from alcli.data.head_file import HeadFile, load_head, save_head
from alcli.data.ledger.entries import read_ledger, write_ledger
from alcli.data.pool import open_pool
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.simulation.plan import Cell
from alcli.workflows.simulate.folder import SimulationFolder
from tests.pools import write_embedded

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda t: t.strip() and "\0" not in t
)
int64 = st.integers(-(2**63), 2**63 - 1)
ids = st.one_of(
    st.lists(texts, unique=True, min_size=1, max_size=8), st.lists(int64, unique=True, min_size=1, max_size=8)
)
keys = arrays(np.uint64, st.shared(st.integers(0, 6), key="L"), unique=True)


def finite(width: int) -> st.SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False, width=width)


@given(st.data(), ids, st.sampled_from(["float16", "float32"]), st.integers(1, 5))
def test_a_pool(folder, data, names, dtype, dim):
    X_ND = data.draw(arrays(dtype, (len(names), dim), elements=finite(16 if dtype == "float16" else 32)))
    with open("pool.parquet", "wb") as file:
        write_embedded(file, pa.table({"id": names}), X_ND, {})
    pool = open_pool("pool.parquet")
    assert [pool.ids[row] for row in range(len(names))] == names
    assert np.concatenate([X_BD for _, X_BD in pool.blocks()]).tobytes() == X_ND.astype(np.float32).tobytes()


@given(
    st.data(),
    st.lists(texts, unique=True, min_size=2, max_size=4),
    st.integers(1, 4),
    keys,
    st.dictionaries(texts, st.one_of(int64, texts)),
)
def test_a_head(folder, data, classes, dim, absorbed, provenance):
    W_CD1 = data.draw(arrays(np.float64, (len(classes), dim + 1), elements=finite(64)))
    label_L = data.draw(arrays(np.int64, len(absorbed), elements=st.integers(0, len(classes) - 1)))
    learned = Absorbed(absorbed, label_L, np.ones(len(absorbed)))
    none = np.empty((0, dim), np.float32)
    written = HeadFile(
        Model(LinearHead("softmax", W_CD1, 1.0)),
        tuple(classes),
        "string",
        provenance,
        learned,
        np.empty(0, np.uint64),
        none,
        {},
    )
    save_head(Path("a.safetensors"), written, overwrite=True)
    read = load_head(Path("a.safetensors"))
    assert (read.classes, read.provenance, read.class_type) == (written.classes, provenance, "string")
    assert read.model.head.W_CD1.tobytes() == W_CD1.tobytes()
    assert [a.tobytes() for a in (read.absorbed.id_L, read.absorbed.label_L)] == [
        a.tobytes() for a in (absorbed, label_L)
    ]
    save_head(Path("b.safetensors"), read, overwrite=True)
    assert Path("b.safetensors").read_bytes() == Path("a.safetensors").read_bytes()


@given(ids, st.integers(1, 8), st.data())
def test_a_ledger(folder, names, size, data):
    path, asked = Path("ledger.parquet"), []
    path.unlink(missing_ok=True)
    for first in range(0, len(names), size):
        batch = names[first : first + size]
        scores = data.draw(st.lists(finite(32), min_size=len(batch), max_size=len(batch)))
        table = {"id": batch, "rank": list(range(len(batch))), "score": scores, "strategy": ["margin"] * len(batch)}
        write_ledger(path, read_ledger(path).and_then(table, text_ids=isinstance(names[0], str)))
        asked += zip(*table.values())
    assert [
        tuple(row[key] for key in ("id", "rank", "score", "strategy")) for row in read_ledger(path).entries()
    ] == asked


@given(
    texts,
    st.integers(0, 99),
    st.lists(st.dictionaries(texts, st.one_of(int64, finite(64), texts)), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 9), texts)),
)
def test_a_run_of_a_simulation(folder, strategy, seed, rows, notes):
    runs, cell = SimulationFolder(Path("simulation")), Cell(strategy, seed)
    runs.runs.mkdir(parents=True, exist_ok=True)
    runs.save_rows(cell, rows, rows[::-1], notes=notes)
    assert runs.load([cell]) == (rows, rows[::-1])
    assert runs.notes([cell]) == [(strategy, seed, number, text) for number, text in notes]
