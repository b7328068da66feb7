"""As ent-gradnorm, with a head trained to predict its losses.

The head is fitted by `fit-head --head mlp --aux-loss`. Its loss-prediction branch moves the hidden layers in
training and plays no part in the score, which is that of ent-gradnorm. A linear head has no layer that the
branch could move; there the two strategies are equal, and a note says so.

Source: Gul, Elmahallawy, Madria & Tripathy 2024, "LPLgrad: optimizing active learning through gradient norm
sample selection and auxiliary model training"; the branch after Yoo & Kweon 2019, "Learning loss for active
learning".
Cost: that of ent-gradnorm.
Passes: one over the ids, one over the rows.

Options:
    norm: the norm over all layers.
        fro: the norm of all parameters together.
        sum: the sum of the norms of each weight matrix and each bias.
        weights: the norm of all weights, without the biases.
    feature-norm: length of the features.
        none: as they are.
        l2: as if every row had length 1.
    fallback: remedy where more than half of the rows are predicted nearly uniformly.
        none: keep the order, and say so.
        entropy: take the rows of highest entropy instead.
    candidates: number of random rows that are looked at, at least the batch size.
    preset: published settings.
        none: the defaults.
        paper: norm=fro among 25,000 candidates, as with many labels on CIFAR-10.
        paper-low: norm=fro among 5,000 candidates, as with few labels on CIFAR-10.
        code: norm=sum among 10,000 candidates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np

from alcli.selection.options import Count
from alcli.selection.presets import Presets
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.ent_gradnorm import Fallback, FeatureNorm, Norm, longest_gradients

PRESETS = Presets(
    {
        "paper": {"norm": "fro", "candidates": 25_000},
        "paper-low": {"norm": "fro", "candidates": 5_000},
        "code": {"norm": "sum", "candidates": 10_000},
    }
)
SAME = "so this is ent-gradnorm (fit-head and simulate take --head mlp --aux-loss)"
LINEAR = f"aux: inactive; a linear head has no hidden layer for the loss-prediction branch to train, {SAME}"
WITHOUT = f"aux: inactive; the head was fitted without a loss-prediction branch, {SAME}"


@batch(needs=["features", "network", "log_probs", "row_key"], random=True)
def lplgrad(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    norm: Norm = "fro",
    feature_norm: FeatureNorm = "none",
    fallback: Fallback = "none",
    candidates: Count = 10_000,
    preset: Annotated[str, PRESETS] = "none",
) -> Selection:
    """Pick the k rows of the longest gradients. Scores: as in ent-gradnorm.

    record: aux-active is 1 where a branch was trained, else 0.
    """
    head = view.network()
    notes = (LINEAR,) if not head.layers else () if head.branch is not None else (WITHOUT,)
    chosen = longest_gradients(
        view, k, rng=rng, norm=norm, feature_norm=feature_norm, fallback=fallback, candidates=candidates, notes=notes
    )
    return replace(chosen, record={"aux-active": float(not notes)})
