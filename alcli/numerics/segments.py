"""Sums and means over segments: the rows of an item lie one after another, and the items follow each other.

The result of a segment depends on its own rows alone, in their order. The other segments do not change a bit of it.
Letters: R rows, B segments of a block, G groups.
Cost: one pass over the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from alcli.arrays import Array, Float64, Int64

Aggregate = Literal["mean", "max", "sum"]


def segment_sums(values_R: Array, starts_B: Int64) -> Float64:
    """Sum values_R[starts_B[i] : starts_B[i + 1]] for every i, float64 [B, ...].

    starts_B: the first row of each segment, ascending from 0. No segment may be empty.
    """
    return np.add.reduceat(values_R, starts_B, axis=0, dtype=np.float64)


def segment_log_sums(logs_R: Array, starts_B: Int64) -> Float64:
    """Compute the log of the sum of exp(logs_R) over each segment, without underflow, float64 [B, ...].

    The segments are as in `segment_sums`. A segment of a single row keeps the value of the row.
    """
    logs_R = np.asarray(logs_R, np.float64)
    top = np.maximum.reduceat(logs_R, starts_B, axis=0)
    top[~np.isfinite(top)] = 0.0
    sizes_B = np.diff(starts_B, append=len(logs_R))
    with np.errstate(divide="ignore"):
        out: Float64 = np.log(np.add.reduceat(np.exp(logs_R - np.repeat(top, sizes_B, axis=0)), starts_B, axis=0))
    out += top
    return out


def segment_means(
    function: Callable[[Array], Array], rows_R: Array, starts_B: Int64, *, logs: bool, most: int
) -> Float64:
    """Compute the mean of function(rows) over each segment, float64 [B, ...].

    logs: compute the log of the mean of exp(function(rows)) instead.
    most: a segment that stands alone (B = 1) is passed to `function` in parts of at most this many rows. Several
    segments are passed in one call.
    """
    sums, merge = (segment_log_sums, np.logaddexp) if logs else (segment_sums, np.add)
    step = most if len(starts_B) == 1 else len(rows_R)
    parts = (sums(function(rows_R[i : i + step]), starts_B) for i in range(0, len(rows_R), step))
    total: Float64 = next(parts)
    for part in parts:
        total = merge(total, part)
    sizes_B = np.diff(starts_B, append=len(rows_R)).reshape(-1, *[1] * (total.ndim - 1))
    return total - np.log(sizes_B) if logs else total / sizes_B


def segment_mixtures(mean_R: Float64, variance_R: Float64, starts_B: Int64) -> tuple[Float64, Float64]:
    """Compute mean and variance, float64 [B] each, of a draw from a row of the segment that is itself drawn at random.

    mean_R, variance_R: of a draw from each row. The variance is the mean variance plus the variance of the means; the
    latter is summed around its own mean, so that a large offset of all means costs no digits. The segments are as in
    `segment_sums`.
    """
    sizes_B = np.diff(starts_B, append=len(mean_R))
    mean_B = segment_sums(mean_R, starts_B) / sizes_B
    return mean_B, segment_sums(variance_R + (mean_R - np.repeat(mean_B, sizes_B)) ** 2, starts_B) / sizes_B


def sizes_of(starts_B: Int64, n: int) -> Int64:
    """The number of rows of each segment of n rows, int64 [B]. starts_B: as in `segment_sums`."""
    return np.diff(starts_B, append=n)


def places_of(starts_G: Int64, sizes_G: Int64, segments_B: Int64) -> Int64:
    """The places of the rows of some segments, one segment after another, in the order of `segments_B`."""
    sizes_B = sizes_G[segments_B]
    ends_B = np.cumsum(sizes_B)
    return np.arange(int(sizes_B.sum())) + np.repeat(starts_G[segments_B] - (ends_B - sizes_B), sizes_B)


def runs(sizes_G: Int64, most: int) -> list[tuple[int, int]]:
    """Divide consecutive segments into runs of at most `most` rows. A longer segment is a run of its own.

    sizes_G: rows in each segment. Returns (first segment, last segment + 1) of every run.
    """
    cuts: list[tuple[int, int]] = []
    first = held = 0
    for i, size in enumerate(sizes_G.tolist()):
        if i > first and held + size > most:
            cuts.append((first, i))
            first, held = i, 0
        held += size
    return [*cuts, (first, len(sizes_G))] if len(sizes_G) else cuts


def aggregated(scores_R: Float64, groups_R: Int64, how: Aggregate) -> tuple[Int64, Float64]:
    """Combine the scores of rows into a score for each group. Returns (the groups that occur, ascending; their scores).

    Sums run over ascending scores, so the order of the rows does not change a bit.
    Cost: a sort of R pairs.
    """
    order = np.lexsort((scores_R, groups_R))
    scores_R, groups_R = scores_R[order], groups_R[order]
    starts_B = np.flatnonzero(np.diff(groups_R, prepend=groups_R[:1] - 1))
    sizes_B = np.diff(starts_B, append=len(groups_R))
    if how == "max":
        return groups_R[starts_B], scores_R[starts_B + sizes_B - 1]
    sums_B = segment_sums(scores_R, starts_B)
    return groups_R[starts_B], sums_B / sizes_B if how == "mean" else sums_B
