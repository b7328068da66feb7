"""What strategies that cover the pool share: which rows coverage is measured on, and how to say so."""

from __future__ import annotations

import numpy as np

from alcli.arrays import Int64
from alcli.strategies._view import View


def evaluation_places(view: View, most: int, rng: np.random.Generator) -> tuple[Int64, tuple[str, ...]]:
    """(places of the candidates that coverage is measured on, ascending; notes): all of them, or `most` at random.

    A mean over random rows is an unbiased estimate of the mean over all, so every candidate is still judged.
    """
    if view.n <= most:
        return np.arange(view.n), ()
    note = f"every candidate was judged by how it covers {most:,} random rows of {view.n:,} (-p evaluation={view.n} measures on all, at its cost)"
    return np.sort(rng.permutation(view.n)[:most]), (note,)
