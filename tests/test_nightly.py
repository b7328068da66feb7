"""docs/nightly.sh without a hand for many nights: new classes, wrong labels that are corrected later, renewals."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from alcli.data.pool import open_pool

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "nightly.sh"
DIGITS = ROOT / "sample_data" / "digits-features.parquet"
BANKING = ROOT.parent / "shared" / "data" / "banking77" / "features.parquet"

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="the script needs flock")


def pool_of(path: Path) -> dict[str, str]:
    """Write pool.parquet, in which only test rows keep their labels; return the true label of every row."""
    table = pq.read_table(path)
    truth = dict(zip(table["id"].to_pylist(), map(str, table["label"].to_pylist())))
    split = table["split"].to_pylist() if "split" in table.column_names else [None] * len(table)
    if not any(kind == "test" for kind in split):
        split = ["test" if i % 3 == 0 else None for i in range(len(table))]
    shown = [truth[id] if kind == "test" else None for id, kind in zip(table["id"].to_pylist(), split)]
    table = table.select([name for name in table.column_names if name not in ("label", "split")])
    table = table.append_column("label", pa.array(shown)).append_column("split", pa.array(split))
    pq.write_table(table, "pool.parquet", row_group_size=2000)
    return truth


def night(day: int) -> str:
    programs = Path(sys.executable).parent
    date = f"2025-{3 + day // 28:02d}-{1 + day % 28:02d}"
    more = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "TODAY": date, "WEEKDAY": "1"}
    done = subprocess.run(
        ["sh", SCRIPT, "."],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | more,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout.count("\n"), done.stderr) == (0, 1, ""), done
    return done.stdout


@pytest.mark.parametrize(
    ("path", "nights", "size"),
    [
        (DIGITS, 7, 8),
        pytest.param(
            BANKING,
            16,
            20,
            marks=pytest.mark.skipif(not BANKING.exists(), reason="the data set banking77 is not there"),
        ),
    ],
    ids=["digits", "banking77"],
)
def test_nights_without_a_hand(folder, alcli, monkeypatch, path, nights, size):
    """A tenth of the answers is wrong at first and corrected by a later line. Every night ends with exit code 0.

    In the end the head predicts as one that is fitted anew to the labels as they stand last.
    """
    monkeypatch.setenv("BATCH", str(size))
    truth, rng, labels = pool_of(path), np.random.default_rng(0), Path("labels.csv")
    labels.write_text("id,label\n")
    classes = sorted(set(truth.values()))
    to_correct: list[str] = []
    n_classes, mails = [], []
    for day in range(nights):
        mails.append(night(day))
        n_classes.append(len(load_head(Path("head.safetensors")).classes or ()) if day else 0)
        batch = sorted(Path("to-label").iterdir())[-1]
        with batch.open(newline="") as file:
            ids = [row["id"] for row in csv.DictReader(file)]
        assert len(ids) == size
        lines = [f"{id},{truth[id]}" for id in to_correct]
        to_correct = [id for id in ids if rng.random() < 0.1]
        lines += [f"{id},{classes[rng.integers(len(classes))] if id in to_correct else truth[id]}" for id in ids]
        labels.write_text(labels.read_text() + "\n".join(lines) + "\n")
    labels.write_text(labels.read_text() + "".join(f"{id},{truth[id]}\n" for id in to_correct))
    mails.append(night(nights))

    assert n_classes[-1] > n_classes[1], "new classes came, and no night stopped at one"
    assert any("corrected" in mail for mail in mails)
    renewed = [mail for mail in mails if "fitted anew" in mail]
    assert len(renewed) == int(np.log2(nights)), "a fit on the second night, then one whenever the labels have doubled"
    head = load_head(Path("head.safetensors"))
    assert len(head.absorbed) == nights * size
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "--corrections", "-o", "fresh.safetensors", "-q").done()
    fresh = load_head(Path("fresh.safetensors"))
    pool = open_pool("pool.parquet")
    test = np.flatnonzero(pool.is_test)
    X_TD, y = pool.take(test), [truth[str(pool.ids[int(row)])] for row in test]
    accuracy = [
        np.mean([h.classes[c] == t for c, t in zip(h.model.log_probs(X_TD).argmax(axis=1), y)]) for h in (head, fresh)
    ]
    assert accuracy[0] > accuracy[1] - 0.01
    last = re.search(r"test accuracy \S+ -> (\S+),", mails[-1])
    assert last
    assert float(last[1]) == pytest.approx(accuracy[0], abs=0.02)
