"""Rows whose class changes when many features are dropped.

Features are dropped under several random masks, by default three quarters of the features under each. A row
is a candidate if its predicted class changes under more than half of the masks. The batch is one row for each
of K clusters of the candidates. Masks follow a hash of seed and id, so they are the same at any block size
and in any order of the rows.

Source: Gupte, Aklilu, Nirschl & Yeung-Levy 2024, "Revisiting active learning in the era of vision foundation
models" (DropQuery). Kept features are scaled by 1 / (1 - rate). Where there are fewer than 25 candidates for
each row asked for, rows with fewer changes become candidates, down to one change. Masks by counters: Salmon
et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", with the mixer `numerics/hashing.splitmix64`.
Cost: masks + 1 predictions for N rows, one 64-bit hash for every four entries of a mask, then k-means on the
candidates (about 10 iterations of 2 N D K flops); memory that of a block and its mask beside the features.
Passes: 1.

Options:
    masks: number of random masks for each row.
    rate: share of the features that each mask drops.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, Keys
from alcli.errors import UsageError
from alcli.numerics.diversity.kmeans import central_rows
from alcli.numerics.hashing import splitmix64
from alcli.numerics.rows import unit_rows
from alcli.selection.options import Count, at_least
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View

# Values of the 16-bit number that decides on an entry of a mask.
_LEVELS = 1 << 16
_ENOUGH = 25  # candidates for each row asked for


@batch(needs=["features", "log_probs", "row_key"], random=True, of_means=True)
def dropquery(
    view: View, k: int, *, rng: np.random.Generator, masks: Count = 3, rate: Annotated[float, _rate] = 0.75
) -> Selection:
    """Pick one row of each of k clusters of the rows whose class changes.

    Scores: the number of rows in the cluster of a pick.
    """
    at_least(1, masks=masks)
    _rate(rate=rate)
    seed = int(rng.integers(1 << 62))

    def changes(X_BD: Floats, key_B: Keys, log_probs_BC: Float64) -> Int64:
        predicted_B, count_B = log_probs_BC.argmax(axis=1), np.zeros(len(X_BD), np.int64)
        for s in range(masks):
            dropped_BD = X_BD * (kept(key_B, X_BD.shape[1], rate, seed, s) * X_BD.dtype.type(1.0 / (1.0 - rate)))
            count_B += view.evaluate("log_probs", dropped_BD).argmax(axis=1) != predicted_B
        return count_B

    changes_N = view.reduced(changes, "features", "row_key", "log_probs")
    least = _least_changes(changes_N, masks, _ENOUGH * k)
    places_M = np.flatnonzero(changes_N >= least)
    chosen = central(view, places_M, k, rng, what="candidates change their class under any mask")
    return replace(chosen, record={"least-changes": least, "candidates": len(places_M)})


def _rate(**options: float) -> None:
    """Raise UsageError for an option that is no rate of dropout."""
    for name, value in options.items():
        if not 0.0 <= value < 1.0:
            raise UsageError(f"parameter '{name}' must be at least 0 and below 1, got {value}")


def kept(keys_B: Keys, width: int, rate: float, seed: int, stream: int) -> Array:
    """The entries that dropout keeps, bool [B, width].

    Each entry is kept independently with probability 1 - rate, rounded to a multiple of 2^-16. The mask is a
    pure function of (key, seed, stream, place).
    """
    salt = splitmix64(np.array([seed, stream], np.int64).view(np.uint64))
    counters = splitmix64(np.arange(-(-width // 4), dtype=np.uint64) ^ salt[1])
    mixed_BQ = splitmix64(splitmix64(keys_B ^ salt[0])[:, None] ^ counters)
    levels_BW = mixed_BQ.astype("<u8", copy=False).view("<u2")
    return levels_BW[:, :width] < round(_LEVELS * (1.0 - rate)) if rate > 0.0 else np.ones((len(keys_B), width), bool)


def _least_changes(changes_N: Array, masks: int, enough: int) -> int:
    """The number of changes that makes a row a candidate.

    More than half of the masks; fewer where fewer than `enough` rows change so often.
    """
    least = masks // 2 + 1
    while least > 1 and (changes_N >= least).sum() < enough:
        least -= 1
    return least


def central(view: View, places_M: Int64, k: int, rng: np.random.Generator, *, what: str) -> Selection:
    """Pick the rows nearest to the centres of k clusters of the M candidates at places_M, by features of length one.

    Scores: the number of rows in the cluster. Fewer than k candidates are all picked (score 1), with random
    other rows (score 0) and a note. what: name of the candidates in the note.
    """
    if len(places_M) >= k:
        picks_K, sizes_K = central_rows(unit_rows(view.matrix("features")[places_M]), k, rng)
        return Selection(view.rows[places_M[picks_K]], finite32(sizes_K))
    others = np.setdiff1d(np.arange(view.n), places_M)
    fill = rng.permutation(others)[: k - len(places_M)]
    scores_K: Float64 = np.repeat([1.0, 0.0], [len(places_M), len(fill)])
    note = f"only {len(places_M)} {what}; the other {len(fill)} picks are random rows"
    return Selection(view.rows[np.append(places_M, fill)], finite32(scores_K), notes=(note,))
