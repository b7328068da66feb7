"""Kernel herding by coverage: each pick adds most to the sum over targets of the kernel with their nearest pick.

The kernel is k(x, y) = exp(-|x - y|^2 / h^2). With m_i the largest kernel of target i with a centre or a pick, a row j gains
mean_i w_i max(k_ij - m_i, 0): facility location, monotone and submodular, so a gain computed earlier bounds the gain now, and rows
whose bound is below the best gain found need not be looked at.
Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active learning" (MaxHerding); lazy greedy
search by Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions".
Cost: 2 N M D flops and N M exponentials for the gains by M targets at the start (products float32 or as the rows are, sums float64), then
for the rows that are looked at again; their kernels are kept, up to 256 MiB. The N x M kernel is never held. Memory beside that: O(N + M).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.bounded import ROUND, best_rows
from alcli.numerics.rows import Factor, Rows, sq_norms

_CHUNK = 512  # targets at a time: a block of kernels stays in the cache
_KEPT = 1 << 26  # numbers of kernels that are kept


def max_herding(
    X_ND: Floats, k: int, targets_MD: Floats, centres_LD: Floats, *, bandwidth: float = 1.0, weights_M: Float64 | None = None
) -> tuple[Int64, Float64]:
    """Pick k <= N rows of X_ND one by one, each of the largest gain (as float32; the lowest of equals).

    centres_LD: rows that cover already. weights_M: of the targets, 1 without. Returns picks int64 [k] and their gains, which never rise.
    Once no row gains anything, the lowest that are left follow with gain 0.
    """
    picks, gains = np.empty(k, np.int64), np.zeros(k)
    with workers() as spread:
        coverage = _Coverage(X_ND, targets_MD, weights_M, bandwidth, spread)
        coverage.add_all(centres_LD)
        bounds_N = coverage.all_gains()
        bounds_N[_copies(X_ND)] = 0.0  # once the first of equal rows is picked, the others gain nothing

        def gain(rows_B: Int64) -> Float64:
            bounds_N[rows_B] = np.minimum(coverage.gains(rows_B), bounds_N[rows_B])
            return bounds_N[rows_B]  # type: ignore[no-any-return]

        for t in range(k):
            if bounds_N.max() <= 0.0:
                picks[t:] = np.flatnonzero(bounds_N == 0.0)[: k - t]
                break
            picks[t], gains[t] = _best(bounds_N, gain)
            coverage.add(picks[t])
            bounds_N[picks[t]] = -np.inf
    return picks, np.minimum.accumulate(gains)


def _best(bounds_N: Float64, gain: Callable[[Int64], Float64]) -> tuple[int, float]:
    """The row of largest gain and that gain, looked for among the rows of largest bounds first."""
    width = ROUND
    while True:
        cut = np.partition(bounds_N, len(bounds_N) - width)[len(bounds_N) - width] if width < len(bounds_N) else -np.inf
        among = np.flatnonzero(bounds_N >= cut)
        place, value, _ = best_rows(bounds_N[among], 1, lambda places, among=among: gain(among[places]))  # type: ignore[misc]
        if width >= len(bounds_N) or value[0] > np.float32(cut):
            return int(among[place[0]]), float(bounds_N[among[place[0]]])
        width *= 8


def _copies(X_ND: Floats) -> Int64:
    """Rows that equal an earlier one."""
    _, first = np.unique(Rows(Factor(X_ND)).marks, return_index=True)
    return np.setdiff1d(np.arange(len(X_ND)), first)


class _Coverage:
    """Targets, how well each is covered, and what rows would add. Kernels of rows that were looked at lately are kept."""

    def __init__(self, X_ND: Floats, targets_MD: Floats, weights_M: Float64 | None, bandwidth: float, spread: Spread) -> None:
        self._X_ND, self._spread, self._scale = X_ND, spread, bandwidth**-2
        M = len(targets_MD)
        # The exponent -|x - y|^2 / h^2 is the product of [x, 1, -|x|^2 / h^2] and [2 y / h^2, -|y|^2 / h^2, 1].
        self._T_MD2 = np.empty((M, X_ND.shape[1] + 2), X_ND.dtype)
        self._T_MD2[:, :-2] = 2.0 * self._scale * targets_MD
        self._T_MD2[:, -2] = -self._scale * sq_norms(targets_MD)
        self._T_MD2[:, -1] = 1.0
        self._weights_M = None if weights_M is None else weights_M.astype(X_ND.dtype)
        self._covered_M = np.zeros(M, X_ND.dtype)
        self._slots = max(ROUND, min(_KEPT // M, len(X_ND)))
        self._kept_SM = np.empty((self._slots, M), X_ND.dtype)
        self._slot_of: Int64 = np.full(len(X_ND), -1)
        self._row_of: Int64 = np.full(self._slots, -1)
        self._next = 0

    def add(self, row: int) -> None:
        np.maximum(self._covered_M, self._kernels(np.array([row]))[0], out=self._covered_M)

    def add_all(self, centres_LD: Floats) -> None:
        """Cover the targets with centres that are no rows."""

        def work(first: int, last: int) -> None:
            for c in range(first, last, _CHUNK):
                part = slice(c, min(c + _CHUNK, last))
                for a in range(0, len(centres_LD), BLOCK_ROWS):
                    K_BC = self._exponentials(self._extended(centres_LD[a : a + BLOCK_ROWS]), part)
                    np.maximum(self._covered_M[part], K_BC.max(axis=0), out=self._covered_M[part])

        self._spread(len(self._covered_M), work)

    def all_gains(self) -> Float64:
        """What every row would add, float64 [N]."""
        gains_N = np.zeros(len(self._X_ND))

        def work(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                A_BD2 = self._extended(self._X_ND[a : min(a + BLOCK_ROWS, last)])
                for c in range(0, len(self._covered_M), _CHUNK):
                    part = slice(c, c + _CHUNK)
                    gains_N[a : a + len(A_BD2)] += self._added(self._exponentials(A_BD2, part), part)

        self._spread(len(gains_N), work)
        return gains_N

    def gains(self, rows_B: Int64) -> Float64:
        """What a few rows would add."""
        K_BM = self._kernels(rows_B)
        gains_BC = np.zeros((len(rows_B), -(-len(self._covered_M) // _CHUNK)))

        def work(first: int, last: int) -> None:
            for c in range(first, last, _CHUNK):
                part = slice(c, min(c + _CHUNK, last))
                gains_BC[:, c // _CHUNK] = self._added(K_BM[:, part], part)

        self._spread(len(self._covered_M), work)
        return gains_BC.sum(axis=1)  # type: ignore[no-any-return]

    def _kernels(self, rows_B: Int64) -> Floats:
        """Kernels of at most ROUND rows with all targets, a new array [B, M]; the oldest of those kept make room for new ones."""
        new = rows_B[self._slot_of[rows_B] < 0]
        if len(new):
            if self._next + len(new) > self._slots:
                self._next = 0
            slots = np.arange(self._next, self._next + len(new))
            leaving = self._row_of[slots]
            if np.isin(rows_B, leaving).any():  # a row that is asked for lies where the new ones would go
                self._slot_of[self._row_of[self._row_of >= 0]] = -1
                self._row_of[:] = -1
                self._next = 0
                return self._kernels(rows_B)
            self._slot_of[leaving[leaving >= 0]] = -1
            self._row_of[slots], self._slot_of[new] = new, slots
            self._next += len(new)
            A_BD2 = self._extended(self._X_ND[new])

            def work(first: int, last: int) -> None:
                for c in range(first, last, _CHUNK):
                    part = slice(c, min(c + _CHUNK, last))
                    self._kept_SM[slots[0] : slots[-1] + 1, part] = self._exponentials(A_BD2, part)

            self._spread(len(self._covered_M), work)
        return self._kept_SM[self._slot_of[rows_B]]

    def _extended(self, X_BD: Floats) -> Floats:
        sq_B = (-self._scale * sq_norms(X_BD)).astype(X_BD.dtype)
        return np.column_stack([X_BD, np.ones_like(sq_B), sq_B])

    def _exponentials(self, A_BD2: Floats, part: slice) -> Floats:
        """Kernels of rows with some of the targets."""
        K_BC = A_BD2 @ self._T_MD2[part].T
        np.minimum(K_BC, 0.0, out=K_BC)
        return np.exp(K_BC, out=K_BC)

    def _added(self, K_BC: Floats, part: slice) -> Float64:
        """Sums of what is above the coverage, weighted; K_BC is overwritten."""
        K_BC -= self._covered_M[part]
        np.maximum(K_BC, 0.0, out=K_BC)
        if self._weights_M is not None:
            K_BC *= self._weights_M[part]
        sums_B: Float64 = K_BC.sum(axis=1, dtype=np.float64)
        return sums_B / len(self._covered_M)


def smallest_distance(X_LD: Array) -> float:
    """The smallest distance above 0 between two of the rows; inf where there are not two that differ. Cost: L^2 D flops, float64."""
    X_LD = np.unique(X_LD.astype(np.float64), axis=0)
    sq_L, least = np.square(X_LD).sum(axis=1), np.inf
    for a in range(0, len(X_LD), BLOCK_ROWS):
        sq_BL = sq_L[a : a + BLOCK_ROWS, None] + sq_L[a:] - 2.0 * (X_LD[a : a + BLOCK_ROWS] @ X_LD[a:].T)
        sq_BL[np.arange(len(sq_BL)), np.arange(len(sq_BL))] = np.inf
        sq_BL[sq_BL <= 0.0] = np.inf
        least = min(least, float(sq_BL.min(initial=np.inf)))
    return float(least**0.5)
