"""Core-set on the hidden units of a graph network that tells labelled rows from the others.

The graph joins every row to every other by the cosine of their features. It is dense, but never written out: it has the rank of the
features. Every step still reads all rows, so a random part of a larger pool is looked at (`candidates`).
Source: Caramalau, Bhattarai & Kim 2021, "Sequential graph convolutional network for active learning" (CoreGCN), on frozen features; graph
and training in numerics/graph_network.py; then Sener & Savarese 2018.
Cost: 4 M D H flops a step for M candidates and labelled rows and H units, 200 steps; then k-centre. Memory: M (2 D + 4 H) numbers.
Passes: one over the ids, and the rows that take part.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import numpy as np

from alcli.errors import UsageError
from alcli.numerics.blocks import workers
from alcli.numerics.graph_network import trained_hidden
from alcli.numerics.kcenter import k_center
from alcli.numerics.rows import feature_rows
from alcli.strategies._checks import Count, at_least
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._drawn import some_places
from alcli.strategies._view import View


def _rate(*, dropout: float) -> None:
    if not 0.0 <= dropout < 1.0:
        raise UsageError(f"parameter 'dropout' must be at least 0 and below 1, got {dropout}")


@batch(needs=["features", "labelled", "row_key"], random=True)
def core_gcn(
    view: View, k: int, *, rng: np.random.Generator, units: Count = 128, steps: Count = 200, dropout: Annotated[float, _rate] = 0.3,
    balance: Annotated[float, partial(at_least, 0)] = 1.2, candidates: Count = 5_000,
) -> Selection:
    """Scores: distance to the nearest labelled or earlier row, in hidden units (the first without labels: its norm).

    balance: the weight of the unlabelled side of the loss. candidates: so many random rows take part.
    """
    at_least(1, units=units, steps=steps, candidates=candidates)
    _rate(dropout=dropout)
    places_M, notes = some_places(view, max(candidates, k), rng)
    X_MD, X_LD = view.features_at(places_M), view.labelled()
    labelled_A = np.repeat([False, True], [len(X_MD), len(X_LD)])
    with workers():  # one thread for every product
        h_AH = trained_hidden(
            np.concatenate([X_MD, X_LD]), labelled_A, units=units, steps=steps, dropout=dropout, balance=balance, rng=rng
        )  # fmt: skip
    rows, centres = feature_rows(h_AH[~labelled_A], h_AH[labelled_A])
    picks_K, distances_K = k_center(rows, k, centres)
    return Selection(view.rows[places_M[picks_K]], finite32(distances_K), notes=notes)
