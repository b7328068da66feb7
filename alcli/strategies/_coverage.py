"""What strategies that cover the pool share: which rows coverage is measured on, and how to say so."""

from __future__ import annotations

import numpy as np

from alcli.arrays import Floats, Int64
from alcli.numerics.herding import KEPT
from alcli.strategies._view import View

FEWEST = 5000  # rows that coverage is measured on by default, where there are as many
BUDGET = 400_000_000  # pairs of candidates up to which all are measured on by default: 20,000 rows
MOST = 2_500_000_000  # the same where one look at each pair is enough: 50,000 rows


def evaluation_places(view: View, evaluation: str, rng: np.random.Generator, budget: int | None = None) -> tuple[Int64, tuple[str, ...]]:
    """(places of the candidates that coverage is measured on, ascending; notes): all of them, or some at random.

    A mean over random rows is an unbiased estimate of the mean over all, so every candidate is still judged.
    evaluation: how many, or auto: all while their pairs are within the budget (BUDGET without), else as many as cost the same, at least FEWEST.
    """
    most = _affordable(view.n, budget or BUDGET) if evaluation == "auto" else int(evaluation)
    if view.n <= most:
        return np.arange(view.n), ()
    note = f"every candidate was judged by how it covers {most:,} random rows of {view.n:,} (-p evaluation={view.n} measures on all, at its cost)"
    return np.sort(rng.permutation(view.n)[:most]), (note,)


def _affordable(n: int, budget: int) -> int:
    """All of n rows, or as many as make half the budget of pairs with them: where all are measured on, each pair is made once for both orders."""
    return n if n**2 <= budget else max(FEWEST, budget // (2 * n))


def kernels_in_reach(n_labelled: int) -> int:
    """A budget for herding, which looks at all kernels once where so many rows are labelled that those that still gain can be kept."""
    return min(MOST, max(BUDGET, KEPT * (n_labelled + 1)))


def at_places(X_ND: Floats, places_M: Int64) -> Floats:
    """Rows at places; X_ND itself for all of them, which halves the work of what compares each with each."""
    return X_ND if len(places_M) == len(X_ND) else X_ND[places_M]
