"""Candidates that look like items of no class, which a query leaves out, and a round of a simulation.

A logistic regression tells items of no class from labelled items, both with the same total weight. A candidate that it
holds for an item of no class is left out, but never so many that too few are left for the batch. Every new label of
either kind moves the boundary, so a candidate can come back.

Source: heads/softmax.py with two classes, and the prior precision that is the default there.
Cost: a fit to the labelled items, and one pass over the candidates. Memory: their features, and a number a candidate.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.heads._contract import LinearHead, Training
from alcli.heads._prior import default_prior
from alcli.heads.softmax import at_map
from alcli.selection.source import Source

_TOLERANCE = 1e-6


def without_alike(source: Source, candidates: Int64, class_items: Int64, none_items: Int64, n: int) -> Int64:
    """Leave out candidates that look like items of no class; at least n candidates are left, if there are as many.

    candidates, class_items, none_items: item numbers, ascending. Without items of either kind nothing is left out.
    """
    if not len(none_items) or not len(class_items) or not len(candidates):
        return candidates
    head = fitted_apart(source, class_items, none_items)
    lead_N = leads(source, candidates, head)
    most = max(len(candidates) - n, 0)
    # Of candidates that look equally alike, the ids decide, so that the order of files has no effect.
    order = np.lexsort((source.sort_keys(candidates), -lead_N))
    left_out = order[: min(most, int((lead_N > 0).sum()))]
    return np.delete(candidates, left_out)


def fitted_apart(source: Source, class_items: Int64, none_items: Int64) -> LinearHead:
    """Fit a head of two classes, of which the second are the items of no class. Each class weighs half."""
    parts = [source.sorted_by_id(part) for part in (class_items, none_items)]
    y_L = np.repeat([0, 1], [len(part) for part in parts])
    weights_L = np.concatenate([np.full(len(part), len(y_L) / (2.0 * len(part))) for part in parts])
    data = Training(source.take(np.concatenate(parts)), y_L, weights_L, 2)
    return at_map(data, default_prior(data.X_LD, weights_L), tolerance=_TOLERANCE)


def leads(source: Source, candidates: Int64, head: LinearHead) -> Float64:
    """The log odds of no class of each candidate, float64, in the order of `candidates`, which ascend."""
    lead_N = np.empty(len(candidates))
    for first, X_BD in source.blocks():
        a, b = np.searchsorted(candidates, [first, first + len(X_BD)])
        if b > a:
            logits_B2 = head.logits(X_BD[candidates[a:b] - first])
            lead_N[a:b] = logits_B2[:, 1] - logits_B2[:, 0]
    return lead_N
