"""Two coordinates for each item of a pool, by principal components or by UMAP.

Source: principal components of the covariance matrix; UMAP as in McInnes, Healy & Melville 2018, by their library.
Cost: principal components read the pool once, N D^2 flops, and the eigenvectors take D^3; the caller's second pass
projects. UMAP reads the rows of its sample alone.
Memory: two matrices of D x D float64, and two blocks. UMAP holds its sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.embedders._contract import require
from alcli.errors import DataError, UnavailableError, counted
from alcli.numerics.segments import segment_sums, sizes_of
from alcli.remarks import Note, Progress
from alcli.workflows.items import Items

# Rows that are computed together.
PART = 8192
# Items that UMAP places; more take it minutes and gigabytes.
SAMPLE = 20_000


@dataclass(frozen=True)
class Axes:
    """The two directions of the largest variance. mean_D: of the items. axes_D2: unit vectors. share_2: of the variance
    of all directions that each of the two has.
    """

    mean_D: Float64
    axes_D2: Float64
    share_2: Float64

    def project(self, X_BD: Floats) -> Float64:
        """The coordinates of rows, float64 [B, 2]."""
        return (X_BD.astype(np.float64) - self.mean_D) @ self.axes_D2


def item_blocks(items: Items, chosen: Int64) -> Iterator[tuple[Int64, Floats, Floats, Int64]]:
    """Yield (items_B, X_BD, X_RD, starts_B) of the chosen items: the features of the items, and those of their rows.

    The features of a group are the mean of its rows. chosen: item numbers, ascending.
    """
    for items_B, X_RD, starts_B in items.parts(chosen, PART):
        if len(starts_B) == len(X_RD):
            yield items_B, X_RD, X_RD, starts_B
        else:
            sizes_B = sizes_of(starts_B, len(X_RD))
            yield items_B, segment_sums(X_RD, starts_B) / sizes_B[:, None], X_RD, starts_B


def principal_axes(items: Items, chosen: Int64, progress: Progress) -> Axes:
    """Find the principal axes of the chosen items in one pass.

    An axis points to where its largest entry is positive, so that the map does not turn over from run to run. Raises
    DataError for features whose squares are no numbers.
    """
    D, n = items.pool.dim, 0
    shift_D, sum_D, square_DD = np.zeros(D), np.zeros(D), np.zeros((D, D))
    progress.start(len(chosen), "axes")
    for items_B, X_BD, _, _ in item_blocks(items, chosen):
        if n == 0:
            # Sums of squares around a point near the mean: a large common part costs no digits.
            shift_D = X_BD[: min(len(X_BD), 256)].mean(axis=0, dtype=np.float64)
        X_BD = X_BD.astype(np.float64) - shift_D
        sum_D += X_BD.sum(axis=0)
        square_DD += X_BD.T @ X_BD
        n += len(items_B)
        progress.advance(len(items_B))
    mean_D = sum_D / max(n, 1)
    covariance_DD = square_DD / max(n, 1) - np.outer(mean_D, mean_D)
    if not np.isfinite(covariance_DD).all():
        raise DataError(f"{items.pool.name}: the features are too large for a map", hint="is their scale right?")
    axes_D2, values_2 = _largest(covariance_DD)
    total = float(np.trace(covariance_DD))
    return Axes(shift_D + mean_D, axes_D2, values_2 / total if total > 0 else np.zeros(2))


def _largest(covariance_DD: Float64) -> tuple[Float64, Float64]:
    """The two eigenvectors [D, 2] of the largest eigenvalues, and these; of one dimension the second is zero."""
    D = len(covariance_DD)
    values, vectors = scipy.linalg.eigh(covariance_DD, subset_by_index=[max(0, D - 2), D - 1])
    axes_D2, values_2 = np.zeros((D, 2)), np.zeros(2)
    for k in range(min(2, D)):
        vector_D = vectors[:, -1 - k]
        axes_D2[:, k] = vector_D * (1.0 if vector_D[np.abs(vector_D).argmax()] >= 0 else -1.0)
        values_2[k] = max(float(values[-1 - k]), 0.0)
    return axes_D2, values_2


def lowest_hashes(items: Items, chosen: Int64, most: int) -> Int64:
    """A sample of the chosen items, ascending: those whose ids have the smallest hashes."""
    if len(chosen) <= most:
        return chosen
    keys: Array = items.ids.hashes(chosen)
    return np.sort(chosen[np.argsort(keys, kind="stable")[:most]])


def umap_places(items: Items, chosen: Int64, shown: Int64, seed: int, note: Note) -> tuple[Int64, Float64]:
    """Place the items `shown`, and a sample of the chosen ones, by UMAP: (items, coordinates float64 [M, 2]).

    A remark says how large the sample is. Raises UnavailableError without umap-learn, DataError for too few items.
    """
    library = require("umap")
    placed = np.union1d(lowest_hashes(items, chosen, SAMPLE), shown)
    if len(placed) < 4:
        raise DataError(f"UMAP needs 4 items, there are {len(placed)}", hint="leave out --map umap")
    if len(placed) < len(chosen):
        note(f"UMAP places {counted(len(placed), 'item')} of {len(chosen)}: the batch, labelled items and a sample")
    X_MD = np.empty((len(placed), items.pool.dim), np.float32)
    for items_B, X_BD, _, _ in item_blocks(items, placed):
        X_MD[np.searchsorted(placed, items_B)] = X_BD
    neighbours = min(15, len(placed) - 1)
    found = library.UMAP(n_components=2, n_neighbors=neighbours, random_state=seed, n_jobs=1).fit_transform(X_MD)
    return placed, np.asarray(found, np.float64)


def check_projection(name: str) -> None:
    """Raise UnavailableError where the library of a projection is not installed, before the work begins."""
    if name == "umap":
        try:
            require("umap")
        except UnavailableError as error:
            raise UnavailableError(error.message, hint=f"{error.hint}; --map pca needs nothing") from None
