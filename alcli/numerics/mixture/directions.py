"""Directions of rows: unit rows minus their common mean, at unit length again. The mixture models these.

Embeddings share a common part, which says nothing about classes. Where it is large, as in pixels and in outputs of a
rectifier, taking it away gained 1 to 4 points of accuracy; on sentence embeddings it changed nothing. A row of zeros
has no direction and stays zero.
Blocks are cut again to BLOCK_ROWS rows, so that no result depends on the size of the blocks that come in.
Letters: P classes that take part, S rows of the sample.
Source: mean-centred cosine similarity, as in Wang et al., SimpleShot, 2019.
Cost: `measure` is one pass over the rows, of a few operations a number.
Memory: one block for each thread, and the sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.errors import DataError
from alcli.numerics.blocks import BLOCK_ROWS, Spread, n_threads, share

# Yields the features of the pool's rows, block by block, from the beginning at every call.
Blocks: TypeAlias = Callable[[], Iterable[Floats]]

SAMPLE_ROWS = 1024
_CACHED_ROWS = 256
# Centred rows this short, relative to the longest possible, are rounding noise of rows that equal the mean.
_NOISE = 1e-6


@dataclass(frozen=True)
class Directions:
    """The map from features to directions, and what one pass over the rows told about them.

    centre_D: the mean of the unit rows. length: the mean length of the rows. rest: the root mean square length of unit
    rows minus the centre. spread: the mean squared distance of the rows to their mean; their mean square where all are
    equal. n_pool: the number of rows in the blocks. sample_SD: directions of less than 2 SAMPLE_ROWS rows of the pool,
    evenly spaced.
    """

    centre_D: Float64
    length: float
    rest: float
    spread: float
    n_pool: int
    sample_SD: Floats

    @property
    def dim(self) -> int:
        """D, the number of features."""
        return len(self.centre_D)

    def of(self, X_BD: Floats) -> Floats:
        """Return the directions of rows, [B, D]: float64 for float64 features, else float32."""
        return _unit_rows(X_BD, self.centre_D)

    def of_names(self, names_CD: Floats) -> Float64:
        """Return the directions of names, [C, D], float64; a row of zeros is a class without a name.

        Names share another common part than the rows of the pool. So the mean of the names is taken away. The centre
        of the rows counts as two more names, because the mean of few names is mostly what tells them apart.
        """
        unit_CD = _unit_rows(names_CD, np.zeros(names_CD.shape[1]))
        n_names = int(unit_CD.any(axis=1).sum())
        centre_D = (unit_CD.sum(axis=0, dtype=np.float64) + 2.0 * self.centre_D) / (n_names + 2.0)
        return _unit_rows(names_CD.astype(np.float64), centre_D).astype(np.float64)

    def features(self, directions_PD: Float64) -> Float64:
        """Return the features of rows of mean length that have these directions, [P, D]; the inverse of `of`, about."""
        return self.length * (self.centre_D + self.rest * directions_PD)

    def classifier(self, means_CD: Float64, concentration: float) -> Float64:
        """Return the linear classifier on features whose logits are concentration * means . direction, [C, D + 1].

        The lengths of a row, before and after the centre is taken away, are replaced by their means over all rows. The
        classes with a mean other than zero are shifted so that their weights sum to zero, which changes no probability
        among them.
        """
        W_CD1 = np.empty((len(means_CD), len(self.centre_D) + 1))
        W_CD1[:, :-1] = means_CD * (concentration / (self.length * self.rest))
        W_CD1[:, -1] = means_CD @ self.centre_D * (-concentration / self.rest)
        present_C = means_CD.any(axis=1)
        if present_C.any():
            W_CD1[present_C] -= W_CD1[present_C].mean(axis=0)
        return W_CD1


def measure(blocks: Blocks, labelled_LD: Floats, spread: Spread) -> Directions:
    """Read the pool's rows and the labelled rows once and describe them. Raises DataError without any row."""
    D = labelled_LD.shape[1]
    sums, n_pool, sample = _Sums(D), 0, _Sample()
    for group in grouped(blocks):
        sums.add(group, spread)
        for X_BD in group:
            sample.add(X_BD, n_pool)
            n_pool += len(X_BD)
    sums.add(list(_even([labelled_LD])), spread)
    if sums.n == 0:
        raise DataError("a pool prior needs rows, and there are none", hint="give a pool with candidates")
    centre_D = sums.unit_D / sums.n
    # E |u - centre|^2 = E |u|^2 - |centre|^2, and |u|^2 is 1, or 0 for a row of zeros.
    rest = max(sums.n_directed / sums.n - float(centre_D @ centre_D), 0.0) ** 0.5
    mean_D, square = sums.raw_D / sums.n, sums.square / sums.n
    away = square - float(mean_D @ mean_D)
    return Directions(
        centre_D,
        sums.length / sums.n or 1.0,
        rest if rest > _NOISE else 1.0,
        away if away > 1e-9 * square else square or 1.0,
        n_pool,
        _unit_rows(sample.rows(D), centre_D),
    )


def grouped(blocks: Blocks) -> Iterator[list[Floats]]:
    """Yield lists of blocks of BLOCK_ROWS rows, one block for each thread; the last block may be shorter."""
    group: list[Floats] = []
    for X_BD in _even(blocks()):
        group.append(X_BD)
        if len(group) == n_threads():
            yield group
            group = []
    if group:
        yield group


def _even(blocks: Iterable[Floats]) -> Iterator[Floats]:
    """Cut blocks again so that all but the last have BLOCK_ROWS rows."""
    parts: list[Floats] = []
    n = 0
    for X_BD in blocks:
        for a in _cuts(len(X_BD), BLOCK_ROWS - n):
            parts.append(X_BD[a])
            n += len(parts[-1])
            if n == BLOCK_ROWS:
                yield parts[0] if len(parts) == 1 else np.concatenate(parts)
                parts, n = [], 0
    if parts:
        yield np.concatenate(parts)


def _cuts(n: int, first: int) -> Iterator[slice]:
    """Cut n rows into `first` rows and then BLOCK_ROWS at a time."""
    if n:
        yield slice(0, min(first, n))
    for a in range(first, n, BLOCK_ROWS):
        yield slice(a, min(a + BLOCK_ROWS, n))


class _Sums:
    """Sums over rows that the centre and the scales are computed from, added block by block in their order."""

    def __init__(self, D: int) -> None:
        self.n = self.n_directed = 0
        self.length = self.square = 0.0
        self.unit_D, self.raw_D = np.zeros(D), np.zeros(D)

    def add(self, group: list[Floats], spread: Spread) -> None:
        found: list[tuple[Float64, Float64, Float64]] = [(np.empty(0),) * 3] * len(group)

        def of_block(i: int) -> None:
            X_BD = group[i].astype(np.float64, order="C")
            lengths_B = np.sqrt(np.einsum("bd,bd->b", X_BD, X_BD))
            raw_D = X_BD.sum(axis=0)
            X_BD /= np.where(lengths_B > 0.0, lengths_B, 1.0)[:, None]
            found[i] = lengths_B, raw_D, X_BD.sum(axis=0)

        share(spread, len(group), of_block)
        for lengths_B, raw_D, unit_D in found:
            self.n += len(lengths_B)
            self.n_directed += int((lengths_B > 0.0).sum())
            self.length += float(lengths_B.sum())
            self.square += float(lengths_B @ lengths_B)
            self.raw_D += raw_D
            self.unit_D += unit_D


class _Sample:
    """Every k-th row of a stream of unknown length; k doubles whenever twice SAMPLE_ROWS rows are kept."""

    def __init__(self) -> None:
        self._kept: list[Array] = []
        self._step = 1

    def add(self, X_BD: Floats, first: int) -> None:
        """Take in a block whose first row has the number `first`."""
        self._kept += [x_D.copy() for x_D in X_BD[-first % self._step :: self._step]]
        while len(self._kept) >= 2 * SAMPLE_ROWS:
            self._kept = self._kept[::2]
            self._step *= 2

    def rows(self, D: int) -> Array:
        return np.stack(self._kept) if self._kept else np.empty((0, D), np.float32)


def _unit_rows(X_BD: Floats, centre_D: Float64) -> Floats:
    """Scale rows to length one, take the centre away, and scale again. Computed in float64, a few rows at a time."""
    out_BD = np.empty(X_BD.shape, np.result_type(X_BD.dtype, np.float32))
    for a in range(0, len(X_BD), _CACHED_ROWS):
        Z = X_BD[a : a + _CACHED_ROWS].astype(np.float64, order="C")
        lengths = np.sqrt(np.einsum("bd,bd->b", Z, Z))
        Z /= np.where(lengths > 0.0, lengths, 1.0)[:, None]
        Z -= centre_D
        rests = np.sqrt(np.einsum("bd,bd->b", Z, Z))
        has_direction = (lengths > 0.0) & (rests > _NOISE)
        Z *= np.where(has_direction, 1.0 / np.where(has_direction, rests, 1.0), 0.0)[:, None]
        out_BD[a : a + _CACHED_ROWS] = Z
    return out_BD
