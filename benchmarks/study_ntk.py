"""The study of look-ahead with tangent kernels in docs/strategies.md: acquisitions, sequential against batch,
comparators, agreement with refits of a softmax head, regression.

Usage: python -m benchmarks.study_ntk [--data FOLDER] [--out DIR] [--jobs J]. Prints the tables of `alcli simulate` on
the digits (ridge, MLP and softmax head), and on banking77 and the house prices of ames (skipped where they are not at
hand). Stopped, it goes on when --out is the same.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

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


def main(data: Path, out: Path, jobs: int) -> None:
    compare(
        DIGITS,
        out / "digits",
        OTHERS,
        TOP | ACQUISITIONS | COMPARATORS | DIVERSE,
        more=SMALL,
        jobs=jobs,
        n=20,
        rounds=8,
        initial=40,
        seeds=10,
        head="ridge",
    )
    compare(
        DIGITS,
        out / "digits-mlp",
        ["margin", "badge", "ntk"],
        TOP | COMPARATORS | OF_HIDDEN_LAYERS,
        more=SMALL,
        jobs=jobs,
        n=20,
        rounds=4,
        initial=40,
        seeds=4,
        head="mlp",
    )
    compare(
        DIGITS,
        out / "digits-softmax",
        ["margin", "emoc", "ntk"],
        TOP | REFITS,
        more=["candidates=300"],
        jobs=jobs,
        n=20,
        rounds=4,
        initial=40,
        seeds=5,
    )
    agreement()
    if is_there(data / HOUSES):
        compare(
            data / HOUSES,
            out / "ames",
            FOR_NUMBERS,
            TOP,
            more=[*SMALL, "update-every=5"],
            jobs=jobs,
            n=20,
            rounds=8,
            initial=40,
            seeds=10,
        )
    if is_there(data / BANKING77):
        compare(
            data / BANKING77,
            out / "banking77",
            OTHERS[:-1],
            TOP | ACQUISITIONS | DIVERSE,
            more=SMALL,
            jobs=jobs,
            n=20,
            rounds=5,
            initial=100,
            seeds=4,
            head="ridge",
        )


def agreement(labels: tuple[int, ...] = (20, 60, 180), candidates: int = 300, seeds: int = 3) -> None:
    """Print how the scores of candidates agree with those of refits of the softmax head: the rank correlation of each
    with mlmoc by refits, the mean over seeds.
    """
    rows = pq.read_table(DIGITS)
    X, y = np.stack(rows["features"].to_numpy()).astype(np.float32), rows["label"].to_numpy().astype(np.int64)
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


if __name__ == "__main__":
    begin(main, __doc__, jobs=JOBS)
