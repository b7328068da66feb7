"""TypiClust while there are few labels, the smallest margins from then on.

Source: Doucet, Estermann, Aczel & Wattenhofer 2024, "Bridging diversity and uncertainty in active learning with self-supervised
pre-training" (TCM). Which of the two it is follows from the labelled rows alone: with n of them and batches of K, TypiClust
picks while n < rounds K, or there is no head yet.
Cost: that of `typiclust`, or of `margin`.
Passes: about 10, or 1.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated

import numpy as np

from alcli.selection.options import at_least
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.margin import margin
from alcli.strategies.typiclust import typiclust


@batch(needs=["features", "labelled", "log_probs"], random=True, cold=True)
def tcm(view: View, k: int, *, rng: np.random.Generator, rounds: Annotated[int, partial(at_least, 0)] = 3) -> Selection:
    """Scores: typicality, or 1 - (p_1 - p_2). rounds: how many batches of labels TypiClust picks; labels at the start count as such."""
    at_least(0, rounds=rounds)
    if view.n_labelled < rounds * k or not view.has_head:
        why = f"{view.n_labelled} labelled rows are fewer than {rounds} batches of {k}" if view.n_labelled < rounds * k else "there is no head"
        return replace(typiclust(view, k, rng=rng), notes=(f"picked by typiclust: {why}",))
    scores_N = finite32(view.reduced(margin, "log_probs"))
    picks_K = np.argsort(-scores_N, kind="stable")[:k]
    note = f"picked by margin: {view.n_labelled} labelled rows are no fewer than {rounds} batches of {k}"
    return Selection(view.rows[picks_K], scores_N[picks_K], notes=(note,))
