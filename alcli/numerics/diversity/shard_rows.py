"""The rows of a shard: products with rows of any shard, and what a choice wants to know of some rows.

Rows are numbered through all shards, and `first` is the number of a shard's first row. A picked row travels to the
other shards as columns: its values, which `Rows.products` multiplies all rows by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, Keys
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.hashing import hash_integers
from alcli.numerics.rows import Rows
from alcli.numerics.teams import Engine, Here, Team, current_engine

# Rows of a piece: whole blocks, of which a few arrays of numbers fit into the cache of a processor.
PIECE = 8 * BLOCK_ROWS


@dataclass(frozen=True)
class Known:
    """M rows of any shards: their numbers, squared norms, marks that tell rows apart, and columns for products."""

    rows_M: Int64
    sq_norms_M: Float64
    marks_M: Array
    columns: Any


class ShardRows:
    """Rows first.. of a shard, and their inner products with some rows of all shards."""

    def __init__(self, spread: Spread, first: int, rows: Rows) -> None:
        rows.measure(spread)
        self.spread, self.first, self.rows = spread, first, rows
        self.inner_MN: Array = np.empty((0, 0))

    def keys(self) -> Keys:
        """A 64-bit number for each row, equal for equal rows, uint64."""
        marks_N = self.rows.marks
        parts = (np.ascontiguousarray(part).view(np.int64) for part in (marks_N.real + 0.0, marks_N.imag + 0.0))
        norms, projections = (hash_integers(part) for part in parts)
        return norms ^ (projections * np.uint64(0x9E3779B97F4A7C15))

    def known(self, rows_M: Int64) -> Known:
        """Look up those of rows_M that lie in this shard, in the given order."""
        own = rows_M[self.mine(rows_M)]
        local = own - self.first
        return Known(own, self.rows.sq_norms[local], self.rows.marks[local], self.rows.columns(local))

    def look(self, columns: Any, rows_M: Int64) -> tuple[Int64, Array]:
        """Compute the inner products of all rows with M rows.

        Returns the places in rows_M of the rows of this shard, and their inner products with all M, [places, M].
        """
        self.inner_MN = np.empty((0, 0))  # Let the earlier products go first.
        self.inner_MN = self.rows.products(columns, self.spread)
        places = np.flatnonzero(self.mine(rows_M))
        return places, self.inner_MN[:, rows_M[places] - self.first].T

    def mine(self, rows_M: Int64) -> Array:
        """True for each row that lies in this shard."""
        return (rows_M >= self.first) & (rows_M < self.first + self.rows.n)

    def pieces(self, work: Callable[[slice], None]) -> None:
        """Call work(rows) with all threads for pieces of whole blocks that stay in the cache of a processor."""

        def some(first: int, last: int) -> None:
            for a in range(first, last, PIECE):
                work(slice(a, min(a + PIECE, last)))

        self.spread(self.rows.n, some)


def engine_for(rows: Rows) -> Engine:
    """The engine of the context; this process for rows that cannot be cut."""
    return current_engine() if rows.can_be_cut else Here()


def known(team: Team, rows_M: Int64) -> Known:
    """Look up rows of any shards, in the given order."""
    found: list[Known] = team.ask("known", rows_M)
    if len(found) == 1:
        return found[0]
    order = np.concatenate([part.rows_M for part in found])
    # A row that is asked for twice comes twice from its shard, in order.
    back = np.argsort(np.argsort(rows_M, kind="stable"), kind="stable")
    places = np.argsort(order, kind="stable")[back]
    columns = [np.concatenate(parts, axis=1)[:, places] for parts in zip(*(part.columns for part in found))]
    return Known(
        rows_M,
        np.concatenate([part.sq_norms_M for part in found])[places],
        np.concatenate([part.marks_M for part in found])[places],
        [np.ascontiguousarray(column_DM) for column_DM in columns],
    )


def look(team: Team, some: Known) -> Array:
    """Make every shard compute its products with M rows; return the products of the M rows with each other, [M, M]."""
    answers = team.tell("look", some.columns, some.rows_M)
    M = len(some.rows_M)
    among_MM = np.empty((M, M), answers[0][1].dtype)
    for places, inner in answers:
        among_MM[places] = inner
    return among_MM


def largest(values_N: Float64, most: int) -> Int64:
    """Find the `most` largest values, largest first; of equal values the lowest places come first."""
    if len(values_N) > most:
        least = np.partition(values_N, len(values_N) - most)[len(values_N) - most]
        above = np.flatnonzero(values_N > least)
        places = np.append(above, np.flatnonzero(values_N == least)[: most - len(above)])
    else:
        places = np.arange(len(values_N))
    return places[np.lexsort((places, -values_N[places]))]


def merged(tops: Sequence[tuple[Int64, Floats]], most: int) -> tuple[Int64, Floats]:
    """The `most` best of the best (rows, values) of the shards: the largest values, of equal values the lowest rows."""
    rows, values = (np.concatenate(parts) for parts in zip(*tops))
    order = np.lexsort((rows, -values))[:most]
    return rows[order], values[order]


def copies(keys_N: Keys) -> Int64:
    """The rows that equal an earlier row, by the keys of all rows."""
    _, first = np.unique(keys_N, return_index=True)
    is_copy = np.ones(len(keys_N), bool)
    is_copy[first] = False
    return np.flatnonzero(is_copy)


def block_values(values_N: Float64, rows: slice, reduce: np.ufunc, out: Float64) -> None:
    """Reduce the values of each block of a piece of rows, and write them into `out`, one number a block."""
    starts = np.arange(rows.start, rows.stop, BLOCK_ROWS)
    out[starts // BLOCK_ROWS] = reduce.reduceat(values_N[rows], starts - rows.start)


def largest_by_block(values_N: Float64, largest_of_block: Float64, most: int) -> Int64:
    """Find what `largest` finds, where the largest value of each block is known: it lies in one of `most` blocks."""
    blocks = np.sort(largest(largest_of_block, most))
    places = (blocks[:, None] * BLOCK_ROWS + np.arange(BLOCK_ROWS)).ravel()
    places = places[places < len(values_N)]
    return places[largest(values_N[places], most)]
