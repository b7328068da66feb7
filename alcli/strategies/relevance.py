"""Rows likely to be of a rare class, and rows at its border.

The rare class is the one that the head expects to be the smallest among the candidates: the smallest sum of
probabilities. In turns, a batch takes the row whose probability p of that class is nearest to `aim`, and the
row whose p is nearest to one half. The number of labels says whose turn it is, so that batches of one row
take turns too. With two classes, `unsure=1` is the choice of `margin`. Likely rows are finds; rows at the
border teach where the class ends. Where the class has far more rows than will be labelled, `aim=1` teaches
little: such rows tell the head nothing new.

Source: Lewis & Gale 1994, "A sequential algorithm for training text classifiers", which compares relevance
sampling (aim=1, unsure=0) with uncertainty sampling. Garnett et al. 2012, "Bayesian optimal active search
and surveying", call relevance sampling the greedy policy.
Deviation: half of each, and an aim below 1, from the measurements of benchmarks/auto_aims.py
(docs/strategies.md).
Cost: O(N C) time, and the k best rows twice for each class; memory O(C K).
Passes: 1.

Options:
    aim: the probability of the rare class that likely rows are to have; 1 takes the likeliest.
    unsure: the share of the batch that is nearest to one half, from 0 to 1.
"""

from __future__ import annotations

from math import floor
from typing import Annotated

import numpy as np

from alcli.selection.options import fraction, share
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import Best
from alcli.selection.view import View


@batch(needs=["log_probs", "labelled"], of_means=True)
def relevance(
    view: View, k: int, *, aim: Annotated[float, share] = 0.75, unsure: Annotated[float, fraction] = 0.5
) -> Selection:
    """Pick k rows whose probability of the rare class is nearest to `aim` or to one half, in turns.

    Scores: 1 minus the distance from the one that a row was picked for, between 0 and 1.
    """
    likely_C: list[Best] = []
    unsure_C: list[Best] = []
    expected_C = np.zeros(1)
    for rows_B, log_probs_BC in view.blocks("log_probs"):
        probs_BC = np.exp(log_probs_BC)
        expected_C = expected_C + probs_BC.sum(axis=0, dtype=np.float64)
        for best_C, wanted in ((likely_C, aim), (unsure_C, 0.5)):
            best_C += [Best(k, view) for _ in expected_C[len(best_C) :]]
            for best, probs_B in zip(best_C, probs_BC.T, strict=True):
                best.take(rows_B, 1.0 - np.abs(probs_B - wanted))
    rare = int(expected_C.argmin())
    return in_turns(likely_C[rare].selection(), unsure_C[rare].selection(), unsure, view.n_labelled)


def in_turns(one: Selection, other: Selection, of_other: float, first: int) -> Selection:
    """As many rows as each selection has, in turns the next of `one` and, for a share of them, of `other`.

    A row that was taken from one selection is passed over in the other. first: the number of the first turn.
    """
    taken: dict[int, np.float32] = {}
    lists = [iter(zip(s.rows_K.tolist(), s.scores_K, strict=True)) for s in (one, other)]
    for i in range(first, first + len(one.rows_K)):
        turn = floor((i + 1) * of_other) - floor(i * of_other)
        row, score = next((row, score) for row, score in lists[turn] if row not in taken)
        taken[row] = score
    return Selection(np.array(list(taken), np.int64), np.array(list(taken.values()), np.float32))
