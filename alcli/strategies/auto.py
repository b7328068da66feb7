"""The strategy that suits the number of labels and the pool.

- No head, because there are no labels yet or labels of one class only: `maxherding`, coverage of the pool.
- A head: `uherding`, coverage of the rows that the head is unsure about.
- A head of two classes that predicts one of them for fewer than 5% of the candidates: `relevance`, rows that are
  likely to be of the rare class. They lie near the border between the classes, and not where most of the pool is.
- More than 10 labels a class, so that coverage adds little, and so many rows that `uherding` would take minutes:
  `margin`.
- Labels that are numbers: `maxherding`.

A note says which strategy was chosen and why, before the work begins; its record (`--json`) holds the name.

Source: own rule, from the measurements of benchmarks/study_auto.py (docs/strategies.md), after Bae, Oliveira
& Sutherland 2025, "Uncertainty herding: one active learning method for all label budgets".
Cost: that of the strategy it chooses, and with two classes the head's predictions, of which a byte a row is kept.
Passes: as many as the strategy it chooses makes, and one more with two classes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alcli.arrays import Array, Floats
from alcli.errors import counted
from alcli.selection.select import select
from alcli.selection.strategy import Selection, batch, strategy_of
from alcli.selection.view import View
from alcli.strategies import margin, maxherding, relevance, uherding

FEW = 10  # labels a class
RARE = 0.05  # share of the candidates
# Features of all candidates, at which uherding takes about two minutes on one core.
LARGE = 500_000_000
_TAKEN = (margin, maxherding, relevance, uherding)
_NAMED = {module.__name__.rpartition(".")[2]: strategy_of(module) for module in _TAKEN}


@batch(needs=["features", "labelled"])
def for_numbers(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Pick k rows by `maxherding`, whatever the number of labels."""
    return _chosen(view, k, rng, "maxherding", "the labels are numbers")


@batch(needs=["features", "log_probs", "labelled", "network"], numbers=for_numbers, cold=True)
def auto(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Pick k rows by the strategy that suits. Scores: the scores of the strategy, which the note names."""
    n_classes = len(view.network().W_CD1) if view.has_head else 0
    n_rarer = _rarer(view.reduced(_likeliest, "log_probs")) if n_classes == 2 else None
    return _chosen(view, k, rng, *choice(view.n_labelled, n_classes, view.n, view.dim, n_rarer))


def choice(n_labelled: int, n_classes: int, n: int, dim: int, n_rarer: int | None = None) -> tuple[str, str]:
    """Return (name of a strategy, reason) for n candidates of `dim` features.

    n_classes: classes of the head; 0 without a head. n_rarer: the candidates that the head predicts the rarer of two
    classes for; None where there are not two.
    """
    if n_classes == 0:
        return "maxherding", (
            "there is no head"
            if n_labelled == 0
            else f"{counted(n_labelled, 'label shows', 'labels show')} one class, and a head needs two"
        )
    if n_rarer is not None and n_rarer < RARE * n:
        few = f"{n_rarer} of {counted(n, 'candidate', 'candidates')}"
        return "relevance", f"the head predicts the rarer of two classes for {few}, fewer than {RARE:.0%}"
    labels = f"{n_labelled} labels of {n_classes} classes are"
    if n_labelled <= FEW * n_classes:
        return "uherding", f"{labels} at most {FEW} a class"
    if n * dim > LARGE:
        return "margin", f"{labels} more than {FEW} a class, and uherding would take minutes for {n} candidates"
    return "uherding", f"{labels} more than {FEW} a class, and {n} candidates are few enough to be covered"


def _likeliest(log_probs_B2: Floats) -> Array:
    """The likelier of two classes for each row, int8 [B]."""
    return log_probs_B2.argmax(axis=1).astype(np.int8)


def _rarer(classes_N: Array) -> int:
    """The number of rows that are predicted to be of the class that fewer rows are predicted to be of."""
    return int(np.bincount(classes_N, minlength=2).min())


def _chosen(view: View, k: int, rng: np.random.Generator, name: str, why: str) -> Selection:
    said = f"auto takes {name}: {why}"
    view.tell(said)
    found = select(_NAMED[name], view, k, seed=int(rng.integers(1 << 62)), options={})
    record = {"chosen": name, **found.record}
    return replace(found, notes=(said, *found.notes), record=record, taken_K=(name,) * len(found.rows_K))
