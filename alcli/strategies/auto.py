"""The strategy that suits the number of labels: coverage while there are none, then uncertain coverage, then what the head is unsure of.

Without a head (no labels yet, or of one class) `maxherding`; up to 10 labels a class `uherding`; with more `bait`, or `margin` where the pool
is so large that bait would take minutes. Labels that are numbers: `lcmd`. The note of a batch says what was chosen and why.
Source: own rule, after the comparison of Huseljic et al. 2026, "Cleaning the pool: progressive filtering of unlabeled pools in deep active
learning", and Bae, Oliveira & Sutherland 2025, "Uncertainty herding: one active learning method for all label budgets".
Cost: that of the strategy it chooses.
Passes: those of the strategy it chooses.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alcli.strategies import bait, lcmd, margin, maxherding, uherding
from alcli.strategies._contract import Selection, batch, select, strategy_of
from alcli.strategies._view import View

FEW = 10  # labels a class
MOST_FLOPS = 5e10  # of bait: about half a minute
_NAMED = {module.__name__.rpartition(".")[2]: strategy_of(module) for module in (bait, lcmd, margin, maxherding, uherding)}


@batch(needs=["features", "labelled"])
def for_numbers(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """lcmd, whatever the number of labels."""
    return _chosen(view, k, rng, "lcmd", "the labels are numbers")


@batch(needs=["features", "hidden", "log_probs", "labelled", "network"], numbers=for_numbers, cold=True)
def auto(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Scores: those of the strategy it chooses, which the note names."""
    if not view.has_head:
        return _chosen(view, k, rng, *choice(view.n_labelled, 0, view.n, view.dim, k))
    C, D1 = view.network().W_CD1.shape
    return _chosen(view, k, rng, *choice(view.n_labelled, C, view.n, D1, k))


def choice(n_labelled: int, n_classes: int, n: int, width: int, k: int) -> tuple[str, str]:
    """(name, reason) for so many labels of so many classes (0: no head), n candidates with `width` inputs of the last layer, a batch of k."""
    if n_classes == 0:
        return "maxherding", "there is no head" if n_labelled == 0 else f"{n_labelled} labels show one class, and a head needs two"
    a_class = f"{n_labelled} labels of {n_classes} classes are {'at most' if n_labelled <= FEW * n_classes else 'more than'} {FEW} a class"
    if n_labelled <= FEW * n_classes:
        return "uherding", a_class
    if 8.0 * n * width * k + n * float(width) ** 2 > MOST_FLOPS:
        return "margin", f"{a_class}, and bait would take minutes for {k} of {n} candidates"
    return "bait", a_class


def _chosen(view: View, k: int, rng: np.random.Generator, name: str, why: str) -> Selection:
    found = select(_NAMED[name], view, k, seed=int(rng.integers(1 << 62)), options={})
    return replace(found, notes=(f"auto took {name}: {why}", *found.notes))
