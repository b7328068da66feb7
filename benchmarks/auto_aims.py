"""The part `aims` of study_auto.py: how likely to be of a rare class the rows should be that `relevance` picks.

The start, the rounds and the judge are those of auto_rare.py, and so are most pools. In a large pool the rare class has
many more rows than are picked, in the others about as many. The default of `relevance` was chosen on the pools that are
called so; the others judge it. Printed are means over pools and seeds, and by how much each row is ahead of margin,
with half of a 95% interval over the seeds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from alcli.arrays import Array
from alcli.heads._contract import Training
from alcli.numerics.metrics import balanced_accuracy
from benchmarks.auto_numbers import mean_and_half
from benchmarks.auto_rare import (
    MEASURES,
    RARE,
    Rows,
    Start,
    clusters,
    default,
    judged,
    of_file,
    one_of,
    ours,
    pools,
    started,
    synthetic,
)
from benchmarks.studies import DIGITS
from benchmarks.timing import table

HOW: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "margin": ("margin", {}),
    "aim=0.75, unsure=0": ("relevance", {"aim": 0.75, "unsure": 0.0}),
    "aim=1, unsure=0": ("relevance", {"aim": 1.0, "unsure": 0.0}),
    "aim=0.75, unsure=0.5": ("relevance", {"aim": 0.75, "unsure": 0.5}),
}
LARGE = 24_000
SHOWN = (*MEASURES, "balanced accuracy of the default head, %")


def aims(data: Path, out: Path, seeds: int) -> None:
    """Print a table for each measure."""
    out.mkdir(parents=True, exist_ok=True)
    found = {}
    for group, of in grouped(data).items():
        played = [
            [_kept(out / f"{name}-{seed}.json", rows, seed) for seed in range(seeds)] for name, rows in of.items()
        ]
        found[group] = np.array(played)
    for i, what in enumerate(SHOWN):
        print(f"\n{what}: {seeds} seeds")
        columns = [_column(values[..., i].mean(axis=0)) for values in found.values()]
        table(["", *found], [[how, *cells] for how, *cells in zip(HOW, *columns, strict=True)])


def _column(means_SH: Array) -> list[str]:
    """The mean of each row of the table, and by how much it is ahead of the first. means_SH: over the pools."""
    ahead = ["", *(f" ({mean_and_half(means_S)})" for means_S in (means_SH[:, 1:] - means_SH[:, :1]).T)]
    return [f"{mean:.1f}{more}" for mean, more in zip(means_SH.mean(axis=0), ahead, strict=True)]


def _kept(path: Path, rows: Rows, seed: int) -> list[list[float]]:
    """The measures of each way to pick, from a file or played and kept there."""
    path = path.with_name(path.name.replace(" ", "-"))
    if not path.exists():
        start = started(rows, seed)
        path.write_text(json.dumps([_measured(start, name, seed, options) for name, options in HOW.values()]))
    results: list[list[float]] = json.loads(path.read_text())
    return results


def _measured(start: Start, name: str, seed: int, options: Mapping[str, float]) -> list[float]:
    labelled = ours(start, name, seed, options=options)
    data = Training(start.X_ND[labelled], start.y_N[labelled], np.ones(len(labelled)), 2)
    predicted_T = default(data, None).log_probs(start.X_ND[start.test]).argmax(axis=1)
    return [*judged(start, labelled), 100 * balanced_accuracy(start.y_N[start.test], predicted_T)]


def grouped(data: Path) -> Mapping[str, Mapping[str, Rows]]:
    """The pools, by whether they are large and whether the default was chosen on them."""
    usual = {name: rows for name, rows in pools(data).items() if "%" not in name}
    asked = {name: usual.pop(name) for name in tuple(usual) if name == "questions"}
    pixels, encoded = load_digits(), of_file(DIGITS)
    standard = StandardScaler().fit_transform(pixels.data), pixels.target
    return {
        "chosen on": usual | {"more blobs": synthetic(15, 5, 2, RARE, 11), "more clusters": clusters(20, 20, 1.0, 7)},
        "chosen on, large": {
            "large two blobs": synthetic(20, 6, 1, RARE, 0, LARGE),
            "large more blobs": synthetic(15, 5, 2, RARE, 11, LARGE),
            "large more clusters": clusters(20, 20, 1.0, 7, LARGE),
            "large overlap": clusters(10, 20, 0.8, 3, LARGE),
        },
        "judged on": asked
        | {
            "pixels 3": one_of(standard, 3),
            "pixels 9": one_of((pixels.data / 8.0, pixels.target), 9),
            "encoded 2": one_of(encoded, 2),
            "encoded 8": one_of(encoded, 8),
            "other blobs": synthetic(25, 7, 2, RARE, 21),
            "other clusters": clusters(15, 20, 1.3, 31),
        },
        "judged on, large": {
            "large six blobs": synthetic(30, 8, 3, RARE, 3, LARGE),
            "large clusters": clusters(40, 15, 1.2, 0, LARGE),
            "large crowded": clusters(10, 25, 1.5, 5, LARGE),
        },
    }
