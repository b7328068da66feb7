"""Choice of items that lower tr(M^-1 F) most, where an item adds information V V^T to M.

An item is one row, or several. Row x has V_x = R_x (x) phi_x, where phi_x = [h; 1] are its features and R_x is the root
of its curvature; the V of an item has the columns of all its rows. Adding an item lowers the trace by
tr[(I + S)^-1 G], with S = V^T M^-1 V and G = V^T M^-1 F M^-1 V; taking it away raises the trace by tr[(I - S)^-1 G].
Once an item is added, S and G of all items follow from two products with that item, and are never recomputed. Where an
item is one row and R_x = sqrt(w) one number: S = w r and G = w q for r = phi^T M^-1 phi and q = phi^T M^-1 F M^-1 phi.
Source: Ash, Goel, Krishnamurthy & Kakade 2021, "Gone fishing: neural active learning with Fisher embeddings", Alg. 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from alcli.arrays import Float64, Floats, Int64, with_bias
from alcli.numerics import cholesky
from alcli.numerics.blocks import Spread, workers
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows
from alcli.remarks import steps

# Rows that are widened to float64 together: few enough for a cache.
_PIECE = 256


def choose(
    H_RD: Floats, R_RKQ: Float64, M_PP: Float64, F_PP: Float64, k: int, ahead: int, *, parts: int = 1
) -> tuple[Int64, Float64]:
    """Add `ahead` >= k items of the largest gain one by one, then take away items of the least loss until k are left.

    H_RD: features without the bias column. For the other shapes see `Design`. Returns picks int64 [k] in the order in
    which they were added, and the amount by which each lowered the trace at that time. Ties go to the lowest item when
    items are added, and to the pick that was added last when picks are taken away.
    """
    with workers() as spread:
        design = Design.begin(H_RD, R_RKQ, M_PP, F_PP, spread, parts)
        picks: list[int] = []
        gains: list[float] = []
        for _ in steps(range(n := min(ahead, design.n)), "picking", n):
            gains_N = design.gains()
            gains_N[picks] = -np.inf
            picks.append(int(gains_N.argmax()))
            gains.append(float(gains_N[picks[-1]]))
            design.add(picks[-1])
        design = design.at(np.array(picks, np.int64))
        kept = np.ones(len(picks), bool)
        for _ in steps(range(len(picks) - k), "giving picks back", len(picks) - k):
            losses_M = np.where(kept, design.losses(), np.inf)
            last = len(picks) - 1 - int(losses_M[::-1].argmin())
            design.take_away(last)
            kept[last] = False
    return np.array(picks, np.int64)[kept], np.array(gains)[kept]


@dataclass
class Design:
    """The covariance M^-1 with the items that were added so far, and S and G [N, Q', Q'] of all items; see the module.

    R_RKQ: the root R of each row's curvature. K and Q are 1 in the binary form and C in the full form (K is not the
    batch here). parts: the number of rows of each item; the rows of item i are those from parts i on, and Q' = parts Q.
    A row of R = 0 adds nothing. M and F are symmetric of P = K D1 rows, class after class.
    Cost: an item added or taken away 4 R K Q' D1 + 6 N K Q'^2 flops and 4 (K D1)^2 Q'; to begin with twice (K D1)^3 and
    4 R (K D1)^2 Q. Memory: R (D1 + K Q) + 2 N Q'^2 + 3 (K D1)^2 numbers.
    """

    H_RD: Floats
    R_RKQ: Float64
    F_PP: Float64
    inverse_PP: Float64
    spread: Spread
    parts: int = 1
    S_NQQ: Float64 = field(default_factory=lambda: np.empty(0))
    G_NQQ: Float64 = field(default_factory=lambda: np.empty(0))

    @classmethod
    def begin(
        cls, H_RD: Floats, R_RKQ: Float64, M_PP: Float64, F_PP: Float64, spread: Spread, parts: int = 1
    ) -> Design:
        """Return the state before any item is added to M."""
        inverse_PP = cholesky.symmetric(
            cholesky.inverse(cholesky.factor(np.asfortranarray(M_PP), "the information of the labelled rows"))
        )
        design = cls(H_RD, R_RKQ, F_PP, inverse_PP, spread, parts)
        design.S_NQQ = design._quadratic(inverse_PP)
        design.G_NQQ = design._quadratic(inverse_PP @ F_PP @ inverse_PP)
        return design

    @property
    def n(self) -> int:
        """N, the number of items."""
        return len(self.R_RKQ) // self.parts

    @cached_property
    def _copies(self) -> Rows:
        return Rows(Factor(self.H_RD.reshape(self.n, -1)), Factor(self.R_RKQ.reshape(self.n, -1)))

    def at(self, items_M: Int64) -> Design:
        """Return the same state for some items alone."""
        rows = (items_M[:, None] * self.parts + np.arange(self.parts)).ravel()
        return replace(
            self, H_RD=self.H_RD[rows], R_RKQ=self.R_RKQ[rows], S_NQQ=self.S_NQQ[items_M], G_NQQ=self.G_NQQ[items_M]
        )

    def gains(self) -> Float64:
        """The amount by which adding each item would lower tr(M^-1 F), [N]."""
        return _traces(np.eye(self.S_NQQ.shape[1]) + self.S_NQQ, self.G_NQQ)

    def losses(self) -> Float64:
        """The amount by which taking away each item would raise tr(M^-1 F), [N]; for items that were added."""
        return _traces(np.eye(self.S_NQQ.shape[1]) - self.S_NQQ, self.G_NQQ)

    def add(self, j: int) -> None:
        """Add item j to M."""
        self._move(j, np.linalg.inv(np.eye(self.S_NQQ.shape[1]) + self.S_NQQ[j]))

    def take_away(self, j: int) -> None:
        """Take item j, which was added, away from M."""
        self._move(j, -np.linalg.inv(np.eye(self.S_NQQ.shape[1]) - self.S_NQQ[j]))

    def _move(self, j: int, C_QQ: Float64) -> None:
        """Set M^-1 to M^-1 - A C A^T with A = M^-1 V_j, and S and G of all items accordingly."""
        rows, Q = slice(j * self.parts, (j + 1) * self.parts), self.S_NQQ.shape[1]
        V_PQ = np.einsum("rkq,rd->kdrq", self.R_RKQ[rows], with_bias(self.H_RD[rows])).reshape(-1, Q)
        A_PQ = self.inverse_PP @ V_PQ
        FA_PQ = self.F_PP @ A_PQ
        T_NQ2 = self._products(np.hstack([A_PQ, self.inverse_PP @ FA_PQ]))
        T_NQQ, Z_NQQ = T_NQ2[:, :, :Q], T_NQ2[:, :, Q:]
        TC_NQQ = T_NQQ @ C_QQ
        cross_NQQ = TC_NQQ @ Z_NQQ.transpose(0, 2, 1)
        self.S_NQQ -= TC_NQQ @ T_NQQ.transpose(0, 2, 1)
        self.G_NQQ += TC_NQQ @ (A_PQ.T @ FA_PQ) @ TC_NQQ.transpose(0, 2, 1)
        self.G_NQQ -= cross_NQQ
        self.G_NQQ -= cross_NQQ.transpose(0, 2, 1)
        for values in (self.S_NQQ, self.G_NQQ):
            self._copies.same_for_copies(values)
        self.inverse_PP -= A_PQ @ C_QQ @ A_PQ.T

    def _products(self, B_PM: Float64) -> Float64:
        """The products V^T B of every item, [N, Q', M], for B of M columns."""
        K, M = self.R_RKQ.shape[1], B_PM.shape[1]
        B_DKM = B_PM.reshape(K, -1, M).transpose(1, 0, 2).reshape(-1, K * M)

        def work(phi_BD1: Float64, R_BKQ: Float64) -> Float64:
            return R_BKQ.transpose(0, 2, 1) @ (phi_BD1 @ B_DKM).reshape(len(phi_BD1), K, M)

        return self._by_pieces(work, M)

    def _quadratic(self, B_PP: Float64) -> Float64:
        """The quadratic forms V^T B V of every item, [N, Q', Q'], for a symmetric B."""
        (K, Q), p = self.R_RKQ.shape[1:], self.parts
        D1 = len(B_PP) // K
        B_D_KKD = B_PP.reshape(K, D1, K, D1).transpose(1, 0, 2, 3).reshape(D1, -1)

        def work(phi_BD1: Float64, R_BKQ: Float64) -> Float64:
            # Letters: i items of the piece, r and s rows of an item, k and l outputs, q and t columns of R.
            phi_irD, R_irkq = phi_BD1.reshape(-1, p, D1), R_BKQ.reshape(-1, p, K, Q)
            moved = (phi_BD1 @ B_D_KKD).reshape(len(phi_irD), p * K * K, D1)
            inner = (moved @ phi_irD.transpose(0, 2, 1)).reshape(-1, p, K, K, p)
            left = np.einsum("irkq,irkls->irqls", R_irkq, inner)
            return np.einsum("irqls,islt->irqst", left, R_irkq)

        return self._by_pieces(work, p * Q)

    def _by_pieces(self, work: Callable[[Float64, Float64], Float64], M: int) -> Float64:
        """The values work(phi, R) of the rows of all items, [N, Q', M], computed for a few items at a time."""
        p, step = self.parts, max(1, _PIECE // self.parts)
        out_NQM = np.empty((self.n, p * self.R_RKQ.shape[2], M))

        def pieces(first: int, last: int) -> None:
            for a in range(first, last, step):
                b = min(a + step, last)
                rows = slice(a * p, b * p)
                out_NQM[a:b] = work(with_bias(self.H_RD[rows]), self.R_RKQ[rows]).reshape(b - a, -1, M)

        self.spread(self.n, pieces)
        return self._copies.same_for_copies(out_NQM)


def _traces(A_NQQ: Float64, G_NQQ: Float64) -> Float64:
    """The trace of A^-1 G of each item, [N]."""
    if A_NQQ.shape[1] == 1:
        return G_NQQ[:, 0, 0] / np.maximum(A_NQQ[:, 0, 0], np.finfo(np.float64).eps)
    return np.trace(np.linalg.solve(A_NQQ, G_NQQ), axis1=1, axis2=2)
