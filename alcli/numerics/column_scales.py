"""Columns of features whose scales differ by orders of magnitude, as those of a table in many units do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64, Floats

# Rows that are looked at, and the fewest that say anything.
_ROWS = 1024
FEWEST_ROWS = 16
# One row in so many may be an outlier.
_OUTLIERS = 16
# Embeddings, counts, pixels and their principal components stay below 70, tables of several units are beyond 150.
_RATIO = 100.0
# Share of the variance that a part of the columns must hold.
_VARIANCE = 0.99
# A rank correlation of scale and place below this is the order of principal components, from this many columns on.
_SORTED = -0.9
_FEWEST_SORTED = 8


@dataclass(frozen=True)
class UnevenColumns:
    """Two columns of very different scale: the largest, and the one at the lower quartile."""

    large: int
    large_scale: float
    small: int
    small_scale: float


def uneven_columns(X_BD: Floats) -> UnevenColumns | None:
    """Find whether the scales of columns differ by orders of magnitude; None where they do not, or rows are few.

    The scale of a column is its root mean square deviation from the mean per value that is not 0, so that a rare word
    or a rare category has the scale of a frequent one. The scales differ when the largest is 100 times the lower
    quartile, and 99% of the variance lies in half of the columns or fewer. Columns of one value do not count. Columns
    in the order of falling scales are principal components, whose scales have a meaning, and do not count either. One
    row in 16, the farthest from the mean, is left out: an outlier makes no scale. Cost: a few passes over at most 1,024
    rows, spread over the block.
    """
    if len(X_BD) < FEWEST_ROWS:
        return None
    rows_SD = _without_outliers(X_BD[:: -(-len(X_BD) // _ROWS)].astype(np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        squares_D = np.square(rows_SD - rows_SD.mean(axis=0)).sum(axis=0)
        scale_D = np.sqrt(squares_D / np.maximum(np.count_nonzero(rows_SD, axis=0), 1))
    varies = np.flatnonzero((rows_SD != rows_SD[0]).any(axis=0) & np.isfinite(scale_D))
    if len(varies) < 2 or _falls(scale_D[varies]):
        return None
    order = varies[np.argsort(scale_D[varies], kind="stable")]
    small, large = int(order[(len(order) - 1) // 4]), int(order[-1])
    shares = np.cumsum(np.sort(squares_D[varies])[::-1]) / squares_D[varies].sum()
    holders = int(np.searchsorted(shares, _VARIANCE)) + 1
    if scale_D[large] < _RATIO * scale_D[small] or 2 * holders > len(varies):
        return None
    return UnevenColumns(large, float(scale_D[large]), small, float(scale_D[small]))


def _without_outliers(rows_SD: Float64) -> Float64:
    """The rows without the sixteenth that is farthest from the mean."""
    with np.errstate(over="ignore", invalid="ignore"):
        distance_S = np.square(rows_SD - rows_SD.mean(axis=0)).sum(axis=1)
    near = np.argsort(distance_S, kind="stable")[: len(rows_SD) - len(rows_SD) // _OUTLIERS]
    return rows_SD[near]


def _falls(scale_V: Float64) -> bool:
    """True where scales fall from the first column to the last, as those of principal components do."""
    if len(scale_V) < _FEWEST_SORTED:
        return False
    ranks = np.argsort(np.argsort(scale_V, kind="stable"), kind="stable")
    return bool(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1] < _SORTED)
