"""The study of look-ahead with tangent kernels in docs/strategies.md: acquisitions, sequential against batch,
comparators, agreement with refits of a softmax head, regression.

Usage: python -m benchmarks.study_ntk [--data FOLDER] [--out DIR] [--jobs J] [--only TABLE]. Prints the tables of
`alcli simulate` on the digits (ridge, MLP and softmax head), and on banking77 and the house prices of ames (skipped
where they are not at hand); then how the scores agree with refits, and with retraining by the width of a hidden layer
(ntk_width.py). Stopped, it goes on when --out is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import spearmanr

from alcli.arrays import Floats, Int64
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.softmax import softmax
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.strategies import emoc, ntk
from benchmarks.ntk_width import widths
from benchmarks.studies import BANKING77, DIGITS, JOBS, begin, compare, is_there
from benchmarks.timing import table

HOUSES = Path("ames") / "features.parquet"
OTHERS = ["entropy", "margin", "badge", "ntk", "ntk+update"]
FOR_NUMBERS = ["coreset", "lcmd", "badge", "egl", "predictive-variance", "noise-stability", "ntk", "ntk+update"]
ACQUISITIONS = {
    "sq=ntk": ["sq.acquisition=mlmoc-sq"],
    "expected=ntk": ["expected.acquisition=emoc"],
    "flip=ntk": ["flip.acquisition=flip"],
}
TOP = {"top=ntk": ["top.batch=top"]}
# Comparators take the best scores, as the one gradient step must. `top` is the closed form that they compare with.
COMPARATORS = {
    "one-step=ntk": ["one-step.look-ahead=one-step"],
    "gauss=ntk": ["gauss.kernel=gp", "gauss.batch=top"],
}
OF_HIDDEN_LAYERS = {
    "sum=ntk": ["sum.kernel=sum-of-logits", "sum.batch=top"],
    "wide=ntk": ["wide.kernel=infinite", "wide.batch=top"],
    "nngp=ntk": ["nngp.kernel=nngp", "nngp.batch=top"],
}
REFITS = {"refit=ntk": ["refit.look-ahead=softmax"]}
DIVERSE = {"diverse=ntk": ["diverse.diversify=kmeanspp"]}
SMALL = ["candidates=1000"]


class Table(NamedTuple):
    """One run of `alcli simulate`. more: parameters of all strategies."""

    who: Sequence[str]
    variants: Mapping[str, Sequence[str]]
    more: Sequence[str]
    sizes: Mapping[str, Any]


ROUNDS_OF_20 = {"n": 20, "initial": 40, "metric": "accuracy"}
TABLES = {
    "digits": Table(
        OTHERS,
        TOP | ACQUISITIONS | COMPARATORS | DIVERSE,
        SMALL,
        ROUNDS_OF_20 | {"rounds": 8, "seeds": 10, "head": "ridge"},
    ),
    "digits-mlp": Table(
        ["margin", "badge", "ntk"],
        TOP | COMPARATORS | OF_HIDDEN_LAYERS,
        SMALL,
        ROUNDS_OF_20 | {"rounds": 4, "seeds": 4, "head": "mlp"},
    ),
    "digits-softmax": Table(
        ["margin", "emoc", "ntk"],
        TOP | REFITS,
        ["candidates=300"],
        ROUNDS_OF_20 | {"rounds": 4, "seeds": 5},
    ),
    "ames": Table(
        FOR_NUMBERS,
        TOP,
        [*SMALL, "update-every=5"],
        ROUNDS_OF_20 | {"rounds": 8, "seeds": 10, "metric": "rmse"},
    ),
    "banking77": Table(
        OTHERS[:-1],
        TOP | ACQUISITIONS | DIVERSE,
        SMALL,
        ROUNDS_OF_20 | {"initial": 100, "rounds": 5, "seeds": 4, "head": "ridge"},
    ),
}


def main(data: Path, out: Path, jobs: int, only: str | None) -> None:
    for name in (*TABLES, *MEASURES) if only is None else (only,):
        if name in MEASURES:
            print(f"\n{name}", flush=True)
            MEASURES[name](*digits())
            continue
        found = TABLES[name]
        pool = {"ames": data / HOUSES, "banking77": data / BANKING77}.get(name, DIGITS)
        if is_there(pool):
            print(f"\n{name}", flush=True)
            compare(pool, out / name, found.who, found.variants, more=found.more, jobs=jobs, **found.sizes)


def digits() -> tuple[Floats, Int64]:
    """(features, labels) of the digits."""
    rows = pq.read_table(DIGITS)
    return np.stack(rows["features"].to_numpy()).astype(np.float32), rows["label"].to_numpy().astype(np.int64)


def agreement(
    X: Floats, y: Int64, labels: tuple[int, ...] = (20, 60, 180), candidates: int = 300, seeds: int = 3
) -> None:
    """Print how the scores of candidates agree with those of refits of the softmax head: the rank correlation of each
    with mlmoc by refits, the mean over seeds.
    """
    printed = []
    for n in labels:
        found: dict[str, list[float]] = {}
        for seed in range(seeds):
            drawn = np.random.default_rng(seed).permutation(len(y))[: n + candidates]
            for name, value in correlations(X[drawn], y[drawn], n, seed).items():
                found.setdefault(name, []).append(value)
        printed.append((n, *(float(np.mean(values)) for values in found.values())))
    table(("labels", *found), printed)


def correlations(X_ND: Floats, y_N: Int64, n: int, seed: int) -> dict[str, float]:
    """The rank correlations with mlmoc by refits. The first n rows are labelled."""
    C = int(y_N.max()) + 1
    model = fit(Training(X_ND[:n], y_N[:n], np.ones(n), C), FitSpec(softmax.head, LaplaceShared))
    order = np.arange(len(y_N))
    view = View(ArraySource(X_ND, order), order[n:], order[:n], model, labels=y_N[:n])

    def scores(module: ModuleType, **options: str) -> Floats:
        picks = select(strategy_of(module), view, view.n, seed=seed, options=options)
        return picks.scores_K[np.argsort(picks.rows_K)]

    refits = scores(ntk, look_ahead="softmax")
    others = {
        "ntk": scores(ntk, batch="top"),
        "ntk kernel=gp": scores(ntk, batch="top", kernel="gp"),
        "ntk acquisition=emoc": scores(ntk, batch="top", acquisition="emoc"),
        "emoc": scores(emoc),
    }
    return {name: float(spearmanr(refits, found).statistic) for name, found in others.items()}


MEASURES: Mapping[str, Callable[[Floats, Int64], None]] = {"agreement": agreement, "widths": widths}


if __name__ == "__main__":
    begin(main, __doc__, jobs=JOBS, only={"choices": (*TABLES, *MEASURES), "help": "one table"})
