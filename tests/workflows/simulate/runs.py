"""Small pools, and simulations of them, for the tests of `simulate`."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from alcli.data.pool import open_pool
from alcli.workflows.items import Items
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate.request import Simulation
from alcli.workflows.simulate.run import simulate

RECIPE = Recipe(prior_precision=1.0)


def write_pool(path: Path, *, labels=None, split=True, order=None, n=90) -> Path:
    rng = np.random.default_rng(3)
    y = np.arange(n) % 3
    X = (rng.standard_normal((n, 4)) + 2 * np.eye(3, 4)[y]).astype(np.float32)
    labels = [f"class {v}" for v in y] if labels is None else labels(X, y)
    columns = {
        "id": [f"item-{i:03d}" for i in range(n)],
        "label": pa.array(labels),
        "features": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 4),
    }
    if split:
        columns["split"] = ["test" if i % 4 == 0 else "train" for i in range(n)]
    table = pa.table(columns)
    pq.write_table(table if order is None else table.take(order), path, row_group_size=32)
    return path


def ask(**changes):
    values = dict(strategies=["margin", "coreset"], batch=5, rounds=3, initial=6, n_seeds=2, recipe=RECIPE)
    return Simulation(**(values | changes))


def run(pool, out, *, jobs=1, **changes):
    """The outcome of a simulation, with its remarks as `notes`."""
    notes = []
    items = Items(open_pool(str(pool), note=notes.append))
    done = simulate(items, ask(**changes), out, jobs=jobs, note=notes.append)
    return SimpleNamespace(notes=notes, **vars(done))


def without_seconds(out: Path) -> dict[str, object]:
    """Everything in the folder that does not come from a clock."""
    curves = pq.read_table(out / "curves.parquet")
    with open(out / "summary.csv", newline="") as file:
        summary = [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in csv.DictReader(file)]
    return {
        "curves": curves.select([c for c in curves.column_names if not c.startswith("seconds")]).to_pylist(),
        "selections": (out / "selections.parquet").read_bytes(),
        "summary": summary,
        "config": (out / "config.json").read_bytes(),
        "png": (out / "curves.png").read_bytes(),
        "svg": (out / "curves.svg").read_bytes(),
    }


def summary(out: Path) -> list[dict[str, str]]:
    with open(out / "summary.csv", newline="") as file:
        return list(csv.DictReader(file))
