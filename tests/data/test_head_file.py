"""Heads on disk: every kind comes back bit for bit, the same head gives the same bytes. Damage is in
reliability/test_head_files.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.absorbed import Absorbed
from alcli.data.head_file import load_head, save_head
from alcli.data.head_match import N_ANCHORS, choose_anchors, rows_of_hashes
from alcli.errors import CannotCreateError
from tests.pools import tiny_features, write_pool


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--posterior", "none"],
        ["--head", "ridge"],
        ["--calibrate", "temperature"],
        ["--head", "ridge", "--task", "regression"],
    ],
    ids=" ".join,
)
def test_round_trip(tiny, alcli, options):
    if "regression" in options:
        write_pool("pool.parquet", tiny_features()[0], label=tiny_features()[0][:, 0].astype(np.float64) + 1)
        labels = []
    else:
        labels = ["-l", "labels.csv"]
    alcli("fit-head", "pool.parquet", *labels, "-o", "a.safetensors", *options).done()
    head = load_head(Path("a.safetensors"))
    save_head(Path("b.safetensors"), head, overwrite=False)
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()
    again = load_head(Path("b.safetensors"))
    for one, other in zip(head.model.arrays().values(), again.model.arrays().values(), strict=True):
        assert one.tobytes() == other.tobytes()
    assert (again.classes, again.recipe, again.provenance) == (head.classes, head.recipe, head.provenance)
    assert head.classes == (None if "regression" in options else ("cat", "dog", "eel"))
    with pytest.raises(CannotCreateError, match="--force"):
        save_head(Path("a.safetensors"), head, overwrite=False)


def test_fitting_twice_gives_the_same_bytes(head, alcli):
    before = head.read_bytes()
    alcli(
        "fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--prior-precision", "1", "--force"
    ).done()
    assert head.read_bytes() == before


def test_what_the_header_says(head):
    data = head.read_bytes()
    about = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["alcli"])
    assert about["format"] == 2
    assert about["classes"] == ["cat", "dog", "eel"]
    assert about["dim"] == 5
    assert about["provenance"] == {"pool": "pool.parquet", "rows": 60}
    assert set(about["versions"]) == {"alcli", "numpy", "scipy"}


keys = st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=9)


@given(keys, keys)
def test_rows_of_hashes(wanted, pool):
    rows = rows_of_hashes(np.array(wanted, np.uint64), np.array(pool, np.uint64))
    assert rows.tolist() == [pool.index(w) if w in pool else -1 for w in wanted]


@given(keys, st.permutations(range(9)))
def test_anchors_do_not_depend_on_the_order(ids, order):
    ids_L = np.array(ids, np.uint64)
    X_LD = np.arange(2 * len(ids), dtype=np.float32).reshape(-1, 2)
    order = [i for i in order if i < len(ids)]
    for one, other in zip(choose_anchors(ids_L, X_LD), choose_anchors(ids_L[order], X_LD[order]), strict=True):
        assert one.tolist() == other.tolist()
    assert len(choose_anchors(ids_L, X_LD)[0]) == min(N_ANCHORS, len(ids))


def test_a_changed_label_replaces_the_old_one():
    def absorbed(ids: list[int], labels: list[int]) -> Absorbed:
        return Absorbed(np.array(ids, np.uint64), np.array(labels), np.ones(len(ids)))

    grown = absorbed([1, 2, 3], [0, 0, 1]).extended(absorbed([4, 2], [1, 2]))
    assert dict(zip(grown.id_L.tolist(), grown.label_L.tolist())) == {1: 0, 3: 1, 4: 1, 2: 2}
