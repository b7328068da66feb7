"""Typical rows while labels are few, then small margins.

TypiClust picks while there are fewer than `rounds` K labelled rows, for batches of K, or while there is no
head. After that the rows of smallest margin are picked. The labelled rows alone decide which of the two it
is.

Source: Doucet, Estermann, Aczel & Wattenhofer 2024, "Bridging diversity and uncertainty in active learning
with self-supervised pre-training" (TCM).
Cost: that of `typiclust`, or of `margin`.
Passes: about 10, or 1.

Options:
    rounds: number of batches that TypiClust picks; labels at the start count too.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import numpy as np

from alcli.selection.options import at_least
from alcli.selection.order import finite32
from alcli.selection.parts import Parts
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.margin import margin
from alcli.strategies.typiclust import typiclust


@batch(needs=["features", "labelled", "log_probs"], random=True, cold=True)
def tcm(view: View, k: int, *, rng: np.random.Generator, rounds: Annotated[int, partial(at_least, 0)] = 3) -> Selection:
    """Pick k rows by TypiClust or by margin. Scores: the typicality, or 1 - (p_1 - p_2)."""
    at_least(0, rounds=rounds)
    if view.n_labelled < rounds * k or not view.has_head:
        why = (
            f"{view.n_labelled} labelled rows are fewer than {rounds} batches of {k}"
            if view.n_labelled < rounds * k
            else "there is no head"
        )
        return replace(typiclust(view, k, rng=rng), notes=(f"picked by typiclust: {why}",))
    scores_N = finite32(Parts.of(view).means(margin, "log_probs"))
    picks_K = np.argsort(-scores_N, kind="stable")[:k]
    note = f"picked by margin: {view.n_labelled} labelled rows are no fewer than {rounds} batches of {k}"
    return Selection(view.rows[picks_K], scores_N[picks_K], notes=(note,))
