"""Damaged files: the right answer or a refusal, never a signal, a hang, an internal error or wrong numbers. `make
fuzz` goes on for longer.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import CRASHERS
from tests.fuzz.hunt import SLOW, TARGETS, hunt, mutants, target
from tests.pools import CLASSES, fixed, write_pool
from tests.shell import forked, untouched

SEED = 20240229
HOW_MANY = {
    **{"pool": 75, "rows": 150, "head": 200, "labels": 500, "source": 40},
    **{"ledger": 3, "journal": 4, "stream": 4, "simulation": 2},
}


@pytest.fixture(scope="module", params=TARGETS)
def one(request, tmp_path_factory):
    return target(request.param, tmp_path_factory.mktemp("fuzz"))


def test_damage_is_refused_or_harmless(one):
    """Every byte of a head; data, footer and length of pools with and without checksums and compression; labels as
    text; sources of embed; and, by whole commands, ledgers, answers to a stream and the files of a simulation.
    """
    counts, findings = hunt(one, mutants(one, random.Random(SEED), HOW_MANY[one.name.split("-")[0]]))
    assert not findings, [(f.kind, f.what) for f in findings]
    assert one.is_text or one.name in SLOW or counts["refused"] > counts["right"] or one.name == "source-h5"
    assert ("data" in one.silent) == (counts["silent"] > 0), "only a file without checksums can be wrong unseen"


def test_what_was_found_before_stays_mended(one):
    kept = sorted(CRASHERS.glob(f"{one.name}.*"))
    _, findings = hunt(one, [(path.name.split(".")[1], path.read_bytes()) for path in kept])
    assert not findings, [(f.kind, f.what) for f in findings]


def test_a_sample_through_the_command_line(folder, tmp_path_factory):
    """Exit 65 or the right answer, one line, nothing written."""
    X_ND = np.eye(4, dtype=np.float32)
    write_pool("fine.parquet", X_ND, list("abcd"))
    pool, head = (target(name, tmp_path_factory.mktemp("fuzz")) for name in ("pool-zstd-crc", "head"))
    Path("pool.parquet").write_bytes(pool.data)
    ask = ("query", "damaged.parquet", "-s", "coreset", "-n", 5)
    right = forked("query", "pool.parquet", *ask[2:]).done().out
    draw = random.Random(SEED)
    files = draw.sample([data for kind, data in mutants(pool, draw, 20) if kind != "footer"], 8)
    for data in files:
        Path("damaged.parquet").write_bytes(data)
        with untouched(folder):
            said = forked(*ask, timeout=30)
        if said.code == 0:
            assert said.out == right
        else:
            said.refused(65, "damaged.parquet")
    for data in draw.sample([data for _, data in mutants(head, draw, 1)], 6):
        Path("damaged.safetensors").write_bytes(data)
        with untouched(folder):
            forked("query", "pool.parquet", "-H", "damaged.safetensors", "-s", "margin", "-n", 5).refused(
                65, "damaged.safetensors"
            )


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12)


@settings(max_examples=25)
@given(ids=st.lists(TEXT, min_size=1, max_size=8, unique=True), data=st.data())
def test_pools_and_labels_come_back(folder, ids, data):
    """Any Unicode ids and labels, any finite vectors: through Parquet, CSV and JSON Lines, the same."""
    import csv

    from alcli.data.labels import read_labels
    from alcli.data.pool import open_pool

    numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
    X_ND = np.array([data.draw(st.lists(numbers, min_size=3, max_size=3)) for _ in ids], np.float32)
    write_pool("pool.parquet", X_ND, ids)
    pool = open_pool("pool.parquet")
    assert pool.ids.arrow(np.arange(pool.n)).to_pylist() == ids
    assert np.array_equal(np.concatenate([X for _, X in pool.blocks()]), X_ND)
    order = np.array(data.draw(st.permutations(range(len(ids)))))
    assert np.array_equal(pool.take(order), X_ND[order])
    said = {id: data.draw(TEXT) for id in ids}
    with open("labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "label"), *said.items()])
    Path("labels.jsonl").write_text(
        "".join(json.dumps({"id": id, "label": label}, ensure_ascii=False) + "\n" for id, label in said.items()),
        encoding="utf-8",
        newline="",
    )
    for name in ("labels.csv", "labels.jsonl"):
        found = read_labels([name], pool.ids, regression=False)
        assert {id: one.label for id, one in found.by_id.items()} == said


@settings(max_examples=15)
@given(
    ids=st.lists(TEXT, min_size=1, max_size=6, unique=True),
    scores=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=6, max_size=6),
)
def test_selections_and_ledgers_come_back(folder, ids, scores):
    from alcli.data.formats import encode
    from alcli.data.ledger.entries import EMPTY, read_ledger, write_ledger
    from alcli.data.tables import read_ids

    table = {"id": ids, "rank": list(range(len(ids))), "score": scores[: len(ids)], "strategy": ["margin"] * len(ids)}
    for format in ("csv", "jsonl", "parquet"):
        Path(f"out.{format}").write_bytes(encode(table, format, {"format": 1}, text_ids=True))
        assert [row.values["id"] for row in read_ids(f"out.{format}")] == ids
    write_ledger(Path("ledger.parquet"), EMPTY.and_then(table, text_ids=True))
    once = read_ledger(Path("ledger.parquet"))
    more = {**table, "id": [f"{id}2" for id in ids]}
    write_ledger(Path("ledger.parquet"), once.and_then(more, text_ids=True))
    found = read_ledger(Path("ledger.parquet")).entries()
    assert [row["id"] for row in found] == [*ids, *(f"{id}2" for id in ids)]
    assert [row["score"] for row in found] == [*scores[: len(ids)], *scores[: len(ids)]]


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), n_classes=st.integers(2, 5), dim=st.integers(1, 6))
def test_heads_come_back(folder, seed, n_classes, dim):
    from alcli.cli.shell import run
    from alcli.data.head_file import load_head, save_head

    rng = np.random.default_rng(seed)
    classes = [f"{CLASSES[i % 3]} {i}\n'\"é" for i in range(n_classes)]
    write_pool("pool.parquet", fixed(rng.standard_normal((3 * n_classes, dim)).astype(np.float32)), label=classes * 3)
    assert run(["fit-head", "pool.parquet", "-o", "a.safetensors", "--prior-precision", "1", "--force", "-q"]) == 0
    head = load_head(Path("a.safetensors"))
    save_head(Path("b.safetensors"), head, overwrite=True)
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()
    assert head.classes == tuple(sorted(classes))
