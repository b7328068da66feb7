"""Weighted random sample to measure a head by, not to learn by.

Half of the chance q of an item is the same for all. The other half follows sqrt(c (1 - c)), c the calibrated
confidence of the head, or the variance of the label where labels are numbers: an error there moves the estimate most.
All items take part, labelled ones too. The labels of the batch go to --audit of fit-head and update, which never learn
from them. Column weight is 1 / (N q) for N items, between 0 and 2: an item of weight 2 stands for four times as many
items as one of weight 0.5. It does not depend on the size of the batch, so several batches make one audit.

With the same head and seed a larger batch begins with the items of a smaller one. With --selections, items that were
drawn for an audit before are left out, and the batch goes on where the last one ended.

Source: Kossen et al. 2021, "Active testing: sample-efficient model evaluation"; Zrnic & Candes 2024, "Active
statistical inference"; Owen & Zhou 2000, "Safe and effective importance sampling" (the uniform half).
Deviations: items are drawn without replacement (alcli/numerics/audit/draw.py).
Cost: the predictions of the head, O(N C) time; 2 N numbers are kept. A head whose recipe has no temperature is fitted
once to each of five folds of its labels first, to calibrate c.
Passes: 1.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.numerics.audit.draw import arrivals, chances
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View


@batch(needs=["label_variance", "row_key"], random=True, audits=True)
def for_numbers(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Draw k rows by the variance of their labels; see `audit`."""
    return _drawn(view, k, rng, view.reduced(lambda variance_B: variance_B, "label_variance"))


@batch(needs=["predictive", "row_key"], random=True, numbers=for_numbers, audits=True)
def audit(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Draw k rows by the confidence of the head. Scores: N q. Weights: 1 / (N q)."""
    return _drawn(view, k, rng, view.reduced(_spread, "predictive"))


def _spread(log_probs_BC: Float64) -> Float64:
    """The standard deviation of "the predicted class is right" that the confidence tells, float64 [B]."""
    c_B = np.exp(log_probs_BC.max(axis=1)).astype(np.float64)
    return np.asarray(np.sqrt(np.maximum(c_B * (1.0 - c_B), 0.0)))


def _drawn(view: View, k: int, rng: np.random.Generator, spread_N: Float64) -> Selection:
    chances_N = chances(spread_N)
    times_N = arrivals(view.row_keys(view.rows), chances_N, int(rng.integers(1 << 62)))
    places_K = np.argsort(times_N, kind="stable")[:k]
    shares_K = view.n * chances_N[places_K]
    return Selection(view.rows[places_K], finite32(shares_K), (1.0 / shares_K).astype(np.float32))
