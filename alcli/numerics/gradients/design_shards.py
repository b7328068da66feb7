"""Choice of items that lower tr(M^-1 F) most, over shards of items; design.py says what an item is and adds.

Every shard has its rows, their roots R, and S and G of its items. The driver of the choice has M^-1: it computes the
move of M by a pick, and a shard needs of it two vectors of P numbers for each column of V. So no shard keeps a matrix
of M, and a pick costs a few messages of P numbers.

Equal items have equal S and G, whatever their places are. The first of them stands for all: its numbers are the ones
that count, and once it is picked it stands for the next. Equal items are known by 64-bit hashes of H and R.

The information of all rows is summed in groups of whole blocks, and the driver adds the groups in their order. The
groups follow from the shape of H alone, and the shard that holds the first row of a group sums all of it, reading rows
beyond its own. So the sum has the same bits for any cut into shards.
Source: see design.py. Cost: each pick one read of all rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64, Floats, Int64, Keys
from alcli.numerics import cholesky
from alcli.numerics.block_array import BlockArray, run
from alcli.numerics.blocks import BLOCK_ROWS, Spread, share, workers
from alcli.numerics.gradients.design import Design, Move, MovingCovariance, columns_of
from alcli.numerics.gradients.fisher import lower_information
from alcli.numerics.hashing import splitmix64
from alcli.numerics.teams import Blueprint, Team, one_shard
from alcli.numerics.teams import team as team_of
from alcli.remarks import steps

# The information of all rows is summed in at most so many groups, of at most so many numbers together.
_MOST_GROUPS = 64
_MOST_NUMBERS = 1 << 26


@dataclass(frozen=True)
class BestItem:
    """The best item of a shard: its gain, the item that it is or stands for, its own number, its rows, and S."""

    gain: float
    row: int
    item: int
    H_BD: Floats
    R_BKQ: Float64
    S_QQ: Float64


@contextmanager
def design_team(H_RD: BlockArray, R_RKQ: Float64, parts: int = 1) -> Iterator[Team]:
    """The shards of the items of H and R; for the shapes see `Design`.

    Items of several rows, and rows of several outputs, are one shard in this process.
    """
    size = group_rows(len(R_RKQ), R_RKQ.shape[1] * (H_RD.shape[1] + 1))

    def part(first: int, last: int) -> Blueprint:
        n = (last - first) * parts
        # The last group that begins in the shard may end beyond it.
        stop = min(max(last, -(-last // size) * size), len(R_RKQ)) if parts == 1 else len(R_RKQ)
        return Blueprint(DesignShard, (first, n, run(H_RD, first, stop), R_RKQ[first:stop], parts, size))

    n_items = len(R_RKQ) // parts
    single = parts == 1 and R_RKQ.shape[1:] == (1, 1)
    with team_of(n_items, part) if single else one_shard(n_items, part) as team:
        yield team


def group_rows(n: int, n_weights: int) -> int:
    """The number of rows of a group whose information is summed on its own: whole blocks."""
    n_groups = max(1, min(_MOST_GROUPS, _MOST_NUMBERS // n_weights**2))
    return BLOCK_ROWS * max(1, -(-n // (BLOCK_ROWS * n_groups)))


def pool_information(team: Team) -> Float64:
    """The information of all rows of a team of single rows, [P, P]. Memory: the groups, at most 512 MiB."""
    sums = [lower_PP for found in team.ask("information") for lower_PP in found]
    total_PP = sums[0]
    for lower_PP in sums[1:]:
        total_PP += lower_PP
    return cholesky.symmetric(total_PP)


def choose(team: Team, M_PP: Float64, F_PP: Float64, k: int, ahead: int) -> tuple[Int64, Float64]:
    """Add `ahead` >= k items of the largest gain one by one, then take away items of the least loss until k are left.

    Returns picks int64 [k] in the order in which they were added, and the amount by which each lowered the trace at
    that time. Ties go to the lowest item when items are added, and to the pick that was added last when picks are taken
    away.
    """
    with workers() as spread:
        covariance = MovingCovariance(M_PP, F_PP)
        team.tell("begin", covariance.inverse_PP.copy(), covariance.inverse_PP @ F_PP @ covariance.inverse_PP)
        _leave_out_copies(team)
        picks: list[BestItem] = []
        found: list[BestItem] = team.ask("best")
        for _ in steps(range(n := min(ahead, team.ranges[-1][1])), "picking", n):
            best = min(found, key=lambda one: (-one.gain, one.row))
            picks.append(best)
            move = covariance.added(columns_of(best.H_BD, best.R_BKQ), best.S_QQ)
            found = team.tell("add", move, best.item, best.row)
        design = _among(team, picks, spread)
        kept = np.ones(len(picks), bool)
        for _ in steps(range(len(picks) - k), "giving picks back", len(picks) - k):
            losses_M = np.where(kept, design.losses(), np.inf)
            last = len(picks) - 1 - int(losses_M[::-1].argmin())
            design.move(covariance.taken_away(design.columns(last), design.S_NQQ[last]))
            kept[last] = False
    return np.array([one.row for one in picks], np.int64)[kept], np.array([one.gain for one in picks])[kept]


def _leave_out_copies(team: Team) -> None:
    """Tell the shards which items equal an earlier item of any shard, and which one, if there are such items."""
    keys_N = np.concatenate(team.ask("keys"))
    order = np.argsort(keys_N, kind="stable")
    is_copy = np.append(False, keys_N[order[1:]] == keys_N[order[:-1]])
    if is_copy.any():
        first_of = np.maximum.accumulate(np.where(is_copy, 0, np.arange(len(order))))
        team.tell("leave_out", order[is_copy], order[first_of[is_copy]])


def _among(team: Team, picks: list[BestItem], spread: Spread) -> Design:
    """The design of the picks alone, with S and G as they are now."""
    items_M = np.array([one.item for one in picks])
    H_RD, R_RKQ = (np.concatenate(part) for part in zip(*((one.H_BD, one.R_BKQ) for one in picks)))
    design = Design(H_RD, R_RKQ, spread, len(picks[0].H_BD))
    for places, S_BQQ, G_BQQ in team.ask("state", items_M):
        design.S_NQQ[places], design.G_NQQ[places] = S_BQQ, G_BQQ
    return design


class DesignShard(Design):
    """The items of a shard. Items are numbered through all shards, and `first` is the number of the first.

    H_RD, R_RKQ: its n_rows rows, and those that follow up to the end of the last group that begins in it.
    """

    def __init__(
        self,
        spread: Spread,
        first: int,
        n_rows: int,
        H_RD: BlockArray,
        R_RKQ: Float64,
        parts: int,
        size: int,
    ) -> None:
        super().__init__(run(H_RD, 0, n_rows), R_RKQ[:n_rows], spread, parts)
        self.first, self._reach, self._size = first, (H_RD, R_RKQ), size
        self._copies = self._firsts = np.empty(0, np.int64)
        # The item that a picked item stands for now, by place; where there is none, the item is closed.
        self._stands_for: dict[int, int] = {}
        self._closed_N = np.zeros(self.n, bool)

    def information(self) -> list[Float64]:
        """The lower triangle of the information of each group of rows that begins here, [P, P] each."""
        H_RD, R_RKQ = self._reach
        starts = range(-self.first % self._size, self.n, self._size)
        found: list[Float64] = [np.empty(0)] * len(starts)

        def task(i: int) -> None:
            a, b = starts[i], min(starts[i] + self._size, len(R_RKQ))
            found[i] = lower_information(run(H_RD, a, b), R_RKQ[a:b])

        share(self.spread, len(starts), task)
        return found

    def keys(self) -> Keys:
        """A 64-bit hash of the rows of each item, equal for equal items, uint64."""
        p, out_N = self.parts, np.empty(self.n, np.uint64)

        def work(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                b = min(a + BLOCK_ROWS, last)
                of_H = _hashes(self.H_RD[a * p : b * p].reshape(b - a, -1))
                out_N[a:b] = splitmix64(of_H) ^ _hashes(self.R_RKQ[a * p : b * p].reshape(b - a, -1))

        self.spread(self.n, work)
        return out_N

    def leave_out(self, copies: Int64, firsts: Int64) -> None:
        """Leave out items that equal an earlier item. firsts: that item of each, which stands for it in its turn."""
        here = (firsts >= self.first) & (firsts < self.first + self.n)
        order = np.lexsort((copies[here], firsts[here]))
        self._copies, self._firsts = copies[here][order], firsts[here][order]
        self._closed_N[copies[(copies >= self.first) & (copies < self.first + self.n)] - self.first] = True

    def best(self) -> BestItem:
        """The item of largest gain, of equal gains the lowest."""
        gains_N = self.gains()
        gains_N[self._closed_N] = -np.inf
        gain = float(gains_N.max())
        ties = np.flatnonzero(gains_N == gain)
        others = [place for place in self._stands_for if gains_N[place] == gain]
        lowest = np.setdiff1d(ties, others)[:1].tolist() if others else ties[:1].tolist()
        row, place = min((self._stands_for.get(place, place + self.first), place) for place in lowest + others)
        rows = slice(place * self.parts, (place + 1) * self.parts)
        return BestItem(
            gain, row, place + self.first, self.H_RD[rows], self.R_RKQ[rows].copy(), self.S_NQQ[place].copy()
        )

    def add(self, move: Move, item: int, row: int) -> BestItem:
        """Add a pick to M: an item of any shard, which stood for item `row`. Returns what `best` does."""
        self.move(move)
        if self.first <= item < self.first + self.n:
            copies = self._copies[np.searchsorted(self._firsts, item) : np.searchsorted(self._firsts, item, "right")]
            left, place = copies[np.searchsorted(copies, row, "right") :], item - self.first
            self._stands_for.pop(place, None)
            if len(left):
                self._stands_for[place] = int(left[0])
            else:
                self._closed_N[place] = True
        return self.best()

    def state(self, items_M: Int64) -> tuple[Int64, Float64, Float64]:
        """The places in items_M of the items of this shard, and their S and G."""
        places = np.flatnonzero((items_M >= self.first) & (items_M < self.first + self.n))
        local = items_M[places] - self.first
        return places, self.S_NQQ[local], self.G_NQQ[local]


def _hashes(values_BD: Floats) -> Keys:
    """A 64-bit hash of each row of numbers, uint64 [B]; 0 and -0 are equal."""
    numbers = np.ascontiguousarray(values_BD + values_BD.dtype.type(0))
    half = 4 * numbers.dtype.itemsize
    bits: Keys = numbers.view(np.uint32 if half == 16 else np.uint64).astype(np.uint64)
    # Round numbers end in zeros, which a product alone would keep.
    bits ^= bits >> np.uint64(half)
    bits *= splitmix64(np.arange(values_BD.shape[1], dtype=np.uint64)) | np.uint64(1)
    return splitmix64(bits.sum(axis=1, dtype=np.uint64))
