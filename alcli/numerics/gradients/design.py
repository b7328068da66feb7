"""The gain of items, by which they lower tr(M^-1 F), where an item adds information V V^T to M.

An item is one row, or several. Row x has V_x = R_x (x) phi_x, where phi_x = [h; 1] are its features and R_x is the root
of its curvature; the V of an item has the columns of all its rows. Adding an item lowers the trace by
tr[(I + S)^-1 G], with S = V^T M^-1 V and G = V^T M^-1 F M^-1 V; taking it away raises the trace by tr[(I - S)^-1 G].
Once an item is added, S and G of all items follow from two products with that item, and are never recomputed. Where an
item is one row and R_x = sqrt(w) one number: S = w r and G = w q for r = phi^T M^-1 phi and q = phi^T M^-1 F M^-1 phi.

Letters: N items, R rows, P = K D1 weights. K and Q are 1 in the binary form and C in the full form. Q' = Q times the
number of rows of an item.
Source: Ash, Goel, Krishnamurthy & Kakade 2021, "Gone fishing: neural active learning with Fisher embeddings", Alg. 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64, Floats, with_bias
from alcli.numerics import cholesky
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS, Spread

# Rows that are widened to float64 together: few enough for a cache.
_PIECE = 256


@dataclass(frozen=True)
class Move:
    """A change of M by the information of one item, as other items need it.

    With A = M^-1 V of the item, M^-1 becomes M^-1 - A C A^T. B_PM: A and M^-1 F A side by side, [P, 2 Q'].
    square_QQ: A^T F A.
    """

    B_PM: Float64
    C_QQ: Floats
    square_QQ: Float64


class MovingCovariance:
    """M^-1 and F, symmetric of P rows, class after class.

    Cost: (K D1)^3 to begin with, 4 (K D1)^2 Q' flops a move. Memory: 2 (K D1)^2 numbers beside F. Raises DataError
    where M is not positive definite.
    """

    def __init__(self, M_PP: Float64, F_PP: Float64) -> None:
        L_PP = cholesky.factor(np.asfortranarray(M_PP), "the information of the labelled rows")
        self.inverse_PP, self.F_PP = cholesky.symmetric(cholesky.inverse(L_PP)), F_PP

    def added(self, V_PQ: Float64, S_QQ: Float64) -> Move:
        """Add an item to M."""
        return self._moved(V_PQ, np.linalg.inv(np.eye(len(S_QQ)) + S_QQ))

    def taken_away(self, V_PQ: Float64, S_QQ: Float64) -> Move:
        """Take an item, which was added, away from M."""
        return self._moved(V_PQ, -np.linalg.inv(np.eye(len(S_QQ)) - S_QQ))

    def _moved(self, V_PQ: Float64, C_QQ: Floats) -> Move:
        A_PQ = self.inverse_PP @ V_PQ
        FA_PQ = self.F_PP @ A_PQ
        move = Move(np.hstack([A_PQ, self.inverse_PP @ FA_PQ]), C_QQ, A_PQ.T @ FA_PQ)
        self.inverse_PP -= A_PQ @ C_QQ @ A_PQ.T
        return move


def columns_of(H_BD: Floats, R_BKQ: Float64) -> Float64:
    """V of one item of B rows, [P, Q']."""
    return np.einsum("bkq,bd->kdbq", R_BKQ, with_bias(H_BD)).reshape(R_BKQ.shape[1] * (H_BD.shape[1] + 1), -1)


class Design:
    """S and G [N, Q', Q'] of N items under an M that moves; see the page.

    H_RD: features without the bias column. R_RKQ: the root R of each row's curvature; a row of R = 0 adds nothing.
    parts: the number of rows of each item; the rows of item i are those from parts i on.
    Cost: 4 R K Q' D1 + 6 N K Q'^2 flops a move; 4 R (K D1)^2 Q to begin with. One read of H_RD for each. Memory:
    R K Q + 2 N Q'^2 numbers, and of H_RD what is read at a time: `BLOCK_ROWS` items a thread.
    """

    def __init__(self, H_RD: BlockArray, R_RKQ: Float64, spread: Spread, parts: int = 1) -> None:
        self.H_RD, self.R_RKQ, self.spread, self.parts = H_RD, R_RKQ, spread, parts
        self.n = len(R_RKQ) // parts
        width = parts * R_RKQ.shape[2]
        self.S_NQQ, self.G_NQQ = (np.zeros((self.n, width, width)) for _ in range(2))

    def begin(self, inverse_PP: Float64, middle_PP: Float64) -> None:
        """Compute S and G. inverse_PP: M^-1. middle_PP: M^-1 F M^-1."""
        forms = [(self.S_NQQ, self._moving(inverse_PP)), (self.G_NQQ, self._moving(middle_PP))]
        (K, Q), p = self.R_RKQ.shape[1:], self.parts

        def work(items: slice, phi_BD1: Float64, R_BKQ: Float64) -> None:
            # Letters: i items of the piece, r and s rows of an item, k and l outputs, q and t columns of R.
            phi_irD, R_irkq = phi_BD1.reshape(-1, p, phi_BD1.shape[1]), R_BKQ.reshape(-1, p, K, Q)
            for out_NQQ, B_DM in forms:
                moved = (phi_BD1 @ B_DM).reshape(len(phi_irD), p * K * K, -1)
                inner = (moved @ phi_irD.transpose(0, 2, 1)).reshape(-1, p, K, K, p)
                left = np.einsum("irkq,irkls->irqls", R_irkq, inner)
                out_NQQ[items] = np.einsum("irqls,islt->irqst", left, R_irkq).reshape(-1, p * Q, p * Q)

        self._by_pieces(work)

    def gains(self) -> Float64:
        """The amount by which adding each item would lower tr(M^-1 F), [N]."""
        return _traces(np.eye(self.S_NQQ.shape[1]) + self.S_NQQ, self.G_NQQ)

    def losses(self) -> Float64:
        """The amount by which taking away each item would raise tr(M^-1 F), [N]; for items that were added."""
        return _traces(np.eye(self.S_NQQ.shape[1]) - self.S_NQQ, self.G_NQQ)

    def columns(self, i: int) -> Float64:
        """V of item i, [P, Q']."""
        rows = slice(i * self.parts, (i + 1) * self.parts)
        return columns_of(self.H_RD[rows], self.R_RKQ[rows])

    def move(self, move: Move) -> None:
        """Set S and G of all items to what they are after a move of M."""
        K, M = self.R_RKQ.shape[1], move.B_PM.shape[1]
        Q = M // 2
        B_DKM = move.B_PM.reshape(K, -1, M).transpose(1, 0, 2).reshape(-1, K * M)

        def work(items: slice, phi_BD1: Float64, R_BKQ: Float64) -> None:
            T_BQM = _dot(R_BKQ.transpose(0, 2, 1), (phi_BD1 @ B_DKM).reshape(len(phi_BD1), K, M)).reshape(-1, Q, M)
            T_BQQ, Z_BQQ = T_BQM[:, :, :Q], T_BQM[:, :, Q:]
            TC_BQQ = _dot(T_BQQ, move.C_QQ)
            cross_BQQ = _dot(TC_BQQ, Z_BQQ.transpose(0, 2, 1))
            self.S_NQQ[items] -= _dot(TC_BQQ, T_BQQ.transpose(0, 2, 1))
            self.G_NQQ[items] += _dot(_dot(TC_BQQ, move.square_QQ), TC_BQQ.transpose(0, 2, 1))
            self.G_NQQ[items] -= cross_BQQ
            self.G_NQQ[items] -= cross_BQQ.transpose(0, 2, 1)

        self._by_pieces(work)

    def _moving(self, B_PP: Float64) -> Float64:
        """A symmetric B with the input of one output in a row, [D1, K K D1]."""
        K = self.R_RKQ.shape[1]
        D1 = len(B_PP) // K
        return B_PP.reshape(K, D1, K, D1).transpose(1, 0, 2, 3).reshape(D1, -1)

    def _by_pieces(self, work: Callable[[slice, Float64, Float64], None]) -> None:
        """Call work(items, phi, R) for a few items at a time, whose rows are phi and R.

        A block of items is cut into the same pieces whatever thread or shard it belongs to.
        """
        p, step = self.parts, max(1, _PIECE // self.parts)

        def blocks(first: int, last: int) -> None:
            for start in range(first, last, BLOCK_ROWS):
                stop = min(start + BLOCK_ROWS, last)
                H_BD = self.H_RD[start * p : stop * p]
                for a in range(start, stop, step):
                    b = min(a + step, stop)
                    phi_BD1 = with_bias(H_BD[(a - start) * p : (b - start) * p])
                    work(slice(a, b), phi_BD1, self.R_RKQ[a * p : b * p])

        self.spread(self.n, blocks)


def _dot(A: Float64, B: Floats) -> Float64:
    """A @ B; numpy is slow at many products of single numbers."""
    return A * B if A.shape[-1] == 1 else A @ B


def _traces(A_NQQ: Float64, G_NQQ: Float64) -> Float64:
    """The trace of A^-1 G of each item, [N]."""
    if A_NQQ.shape[1] == 1:
        return G_NQQ[:, 0, 0] / np.maximum(A_NQQ[:, 0, 0], np.finfo(np.float64).eps)
    return np.trace(np.linalg.solve(A_NQQ, G_NQQ), axis1=1, axis2=2)
