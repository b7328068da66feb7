"""Greedy choice in two rounds: every shard chooses from its own rows, and the batch is chosen from what they chose.

A shard chooses by itself, so a batch costs one round trip and not one for each pick. The batch depends on how the rows
are cut into shards; with one shard it is the batch of the greedy choice over all rows.

Source: Mirzasoleiman, Karbasi, Sarkar & Krause 2013, "Distributed submodular maximization: identifying representative
elements in massive data" (GreeDi); for k-centre Ceccarello, Pietracaprina & Pucci 2019, "Solving k-center clustering
(with outliers) in MapReduce and streaming, almost as accurately as sequentially". Deviation: rows are cut in the order
of their ids, and not at random.
Cost: that of the choice for each shard, at the same time, and of one over K rows a shard. Memory: K rows a shard.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from alcli.arrays import Float64, Floats, Int64
from alcli.numerics.block_array import BlockArray, run
from alcli.numerics.blocks import Spread
from alcli.numerics.teams import Blueprint, Here, current_engine, current_merge, using

# From rows to at most K of their places, in the order of the picks, and their scores; picklable.
Choice: TypeAlias = Callable[[BlockArray], tuple[Int64, Float64]]


def chosen_from(X_ND: BlockArray, choose: Choice) -> tuple[Int64, Float64, tuple[str, ...]]:
    """Choose from the rows of X_ND, in two rounds where the user asked for that.

    Returns the picks, their scores in the last round, and a note for the user.
    """
    if current_merge() == "exact":
        return *choose(X_ND), ()

    def part(first: int, last: int) -> Blueprint:
        return Blueprint(ChoosingShard, (first, run(X_ND, first, last), choose))

    with current_engine().team(len(X_ND), part) as team:
        found: list[tuple[Int64, Floats]] = team.ask("chosen")
    # In the order of the rows, so that ties go to the lowest row as in a choice over all rows.
    rows_M, X_MD = np.concatenate([rows for rows, _ in found]), np.concatenate([X for _, X in found])
    with using(Here()):
        picks_K, scores_K = choose(X_MD)
    note = f"chosen in two rounds: {len(found)} parts of the pool chose {len(rows_M):,} rows, and the batch is of these"
    return rows_M[picks_K], scores_K, (note,) if len(found) > 1 else ()


class ChoosingShard:
    """Rows of a shard, which chooses from them by itself."""

    def __init__(self, spread: Spread, first: int, X_BD: BlockArray, choose: Choice) -> None:
        self._first, self._X_BD, self._choose = first, X_BD, choose

    def chosen(self) -> tuple[Int64, Floats]:
        """The rows that the shard chooses, ascending, and their values."""
        with using(Here()):
            places = np.sort(self._choose(self._X_BD)[0])
        return places + self._first, self._X_BD[places]
