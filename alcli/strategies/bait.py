"""Rows that leave predictions for the whole pool least unsure.

The batch minimises tr(M^-1 F). F is the mean Fisher information of all rows, M the prior precision plus the
information of the labelled and the picked rows. M^-1 is thus the covariance of the weights once the picks
have labels, and the trace is the mean variance of the predictions. Rows are added greedily, by default 2 K of
them, and then pruned to K.

Row x adds V_x V_x^T to M, where V_x = R_x (x) phi_x, phi_x = [h; 1] are its features and R_x is the root of
its curvature. Adding x lowers the trace by tr[(I + S_x)^-1 G_x], with S_x = V_x^T M^-1 V_x and G_x = V_x^T
M^-1 F M^-1 V_x; taking it away raises the trace by tr[(I - S_x)^-1 G_x]. Once a row is added, S and G of all
rows follow from two products with that row, and are never recomputed. Where R_x = sqrt(w) is one number:
S = w r and G = w q for r = phi^T M^-1 phi and q = phi^T M^-1 F M^-1 phi.

Source: Ash, Goel, Krishnamurthy & Kakade 2021, "Gone fishing: neural active learning with Fisher embeddings",
Alg. 1. The form with one matrix for all classes: Huseljic et al. 2024, "Fast fishing: approximating BAIT for
efficient and scalable deep active image classification".
Deviations: lambda is the prior precision that the head was fitted with, and every row counts once in M, so
that M is the precision of the posterior (published: lambda = 1; labelled rows count n / (n + b) and picks
b / (n + b), for n labelled rows and a batch of b). F is a true mean. A row of the binary form weighs the mean
of |p - e_y|^2 over its 5 likeliest labels (published: p (1 - p) of the likeliest label, which prefers the
surer of two rows where no class has half). docs/strategies.md compares the variants.
Cost: binary 4 N D1 flops for each of 2 K picks, N D1^2 to begin with; memory 30 N + 3 D1^2 numbers beside the
features and class probabilities. full: C^2 times the flops of a pick, 3 (C D1)^2 + 3 N C^2 numbers.
Passes: 1.

Options:
    likelihood: the Fisher information; binary keeps one matrix for all classes, full one matrix for all
        weights of the head, at most 4096.
    weight: weight of a row in the binary form; binary is p (1 - p) of the likeliest class, trace is 1 - sum
        p^2, top is the mean of |p - e_y|^2 over the likeliest labels.
    top: number of likeliest labels that weight=top averages over.
    prior: prior precision of the weights; auto takes the one that the head was fitted with.
    forward: picks before pruning, as a multiple of the batch size; 1 prunes none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, with_bias
from alcli.errors import UsageError
from alcli.numerics import cholesky
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.gradients.fisher import information, softmax_root, with_prior
from alcli.numerics.last_layer.prior import prior_diagonal
from alcli.numerics.rows import Factor, Rows
from alcli.selection.options import AutoOrPositive, Count, at_least, auto_or_positive
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View

# Rows that are widened to float64 together: few enough for a cache.
_PIECE = 256
# The most weights of a head whose full Fisher information is kept.
MOST_FULL = 4096


@batch(needs=["hidden", "log_probs", "labelled", "network"])
def bait(
    view: View,
    k: int,
    *,
    likelihood: Literal["binary", "full"] = "binary",
    weight: Literal["binary", "trace", "top"] = "top",
    top: Count = 5,
    prior: AutoOrPositive = "auto",
    forward: Annotated[float, partial(at_least, 1)] = 2.0,
) -> Selection:
    """Pick k rows of least tr(M^-1 F).

    Scores: the amount by which a pick lowered the trace when it was added. Raises UsageError for a full
    likelihood of too many weights.
    """
    auto_or_positive(prior=prior)
    at_least(1, top=top, forward=forward)
    H_ND, log_probs_NC, X_LD = view.matrix("hidden"), view.matrix("log_probs"), view.labelled()
    C, D1 = log_probs_NC.shape[1], H_ND.shape[1] + 1
    if likelihood == "full" and C * D1 > MOST_FULL:
        raise UsageError(
            f"likelihood=full keeps a matrix of {C * D1} x {C * D1}, the most is {MOST_FULL}",
            hint="use likelihood=binary",
        )
    root = softmax_root if likelihood == "full" else partial(_weight_root, weight=weight, top=top)
    R_NKQ = root(log_probs_NC)
    of_pool_PP = information(H_ND, R_NKQ)
    of_labelled_PP = np.zeros_like(of_pool_PP)
    if len(X_LD):
        of_labelled_PP = information(view.evaluate("hidden", X_LD), root(view.evaluate("log_probs", X_LD)))
    F_PP = (of_pool_PP + of_labelled_PP) / (view.n + len(X_LD))
    prior_precision = view.network().prior_precision if prior == "auto" else float(prior)
    prior_D1 = prior_diagonal(prior_precision, D1, view.network().link)
    M_PP = with_prior(of_labelled_PP, prior_D1, F_PP)
    picks_K, gains_K = choose(H_ND, R_NKQ, M_PP, F_PP, k, int(min(forward * k, view.n)))
    return Selection(view.rows[picks_K], finite32(gains_K), record={"prior-precision": prior_precision})


def _weight_root(log_probs_BC: Array, *, weight: str, top: int) -> Float64:
    """The root of each row's weight, [B, 1, 1]. Memory: a block beside the result."""
    out_B11 = np.empty((len(log_probs_BC), 1, 1))
    for a in range(0, len(log_probs_BC), BLOCK_ROWS):
        out_B11[a : a + BLOCK_ROWS, 0, 0] = np.sqrt(weights(log_probs_BC[a : a + BLOCK_ROWS], weight, top))
    return out_B11


def weights(log_probs_BC: Array, weight: str, top: int) -> Float64:
    """The number that stands for diag(p) - p p^T in the binary form, float64 [B]; precise for p near 1 too."""
    log_probs_BC = log_probs_BC.astype(np.float64)
    p_BC, rest_BC = np.exp(log_probs_BC), -np.expm1(log_probs_BC)
    if weight == "trace":
        return (p_BC * rest_BC).sum(axis=1)
    order_BT = np.argsort(-log_probs_BC, axis=1, kind="stable")[:, : 1 if weight == "binary" else top]
    p_BT, rest_BT = np.take_along_axis(p_BC, order_BT, axis=1), np.take_along_axis(rest_BC, order_BT, axis=1)
    if weight == "binary":
        return (p_BT * rest_BT)[:, 0]
    others_BT = (p_BC**2).sum(axis=1, keepdims=True) - p_BT**2
    share_BT = p_BT / p_BT.sum(axis=1, keepdims=True)
    return (share_BT * (rest_BT**2 + np.maximum(others_BT, 0.0))).sum(axis=1)


def choose(H_ND: Floats, R_NKQ: Float64, M_PP: Float64, F_PP: Float64, k: int, ahead: int) -> tuple[Int64, Float64]:
    """Add `ahead` >= k rows of the largest gain one by one, then take away rows of the least loss until k are left.

    H_ND: features without the bias column. For the other shapes see `Design`. Returns picks int64 [k] in the
    order in which they were added, and the amount by which each lowered the trace at that time. Ties go to
    the lowest row when rows are added, and to the pick that was added last when picks are taken away.
    """
    with workers() as spread:
        design = Design.begin(H_ND, R_NKQ, M_PP, F_PP, spread)
        picks: list[int] = []
        gains: list[float] = []
        for _ in range(min(ahead, design.n)):
            gains_N = design.gains()
            gains_N[picks] = -np.inf
            picks.append(int(gains_N.argmax()))
            gains.append(float(gains_N[picks[-1]]))
            design.add(picks[-1])
        design = design.at(np.array(picks, np.int64))
        kept = np.ones(len(picks), bool)
        for _ in range(len(picks) - k):
            losses_M = np.where(kept, design.losses(), np.inf)
            last = len(picks) - 1 - int(losses_M[::-1].argmin())
            design.take_away(last)
            kept[last] = False
    return np.array(picks, np.int64)[kept], np.array(gains)[kept]


@dataclass
class Design:
    """The covariance M^-1 with the rows that were added so far, and S and G [N, Q, Q] of all rows; see the module.

    R_NKQ: the root R of each row's curvature. K and Q are 1 in the binary form and C in the full form (K is
    not the batch here). M and F are symmetric of P = K D1 rows, class after class.
    Cost: a row added or taken away 4 N K Q D1 + 6 N K Q^2 flops and 4 (K D1)^2 Q; to begin with twice (K
    D1)^3 and 4 N (K D1)^2 Q. Memory: N (D1 + K Q + 2 Q^2) + 3 (K D1)^2 numbers.
    """

    H_ND: Floats
    R_NKQ: Float64
    F_PP: Float64
    inverse_PP: Float64
    spread: Spread
    S_NQQ: Float64 = field(default_factory=lambda: np.empty(0))
    G_NQQ: Float64 = field(default_factory=lambda: np.empty(0))

    @classmethod
    def begin(cls, H_ND: Floats, R_NKQ: Float64, M_PP: Float64, F_PP: Float64, spread: Spread) -> Design:
        """Return the state before any row is added to M."""
        inverse_PP = cholesky.symmetric(
            cholesky.inverse(cholesky.factor(np.asfortranarray(M_PP), "the information of the labelled rows"))
        )
        design = cls(H_ND, R_NKQ, F_PP, inverse_PP, spread)
        design.S_NQQ = design._quadratic(inverse_PP)
        design.G_NQQ = design._quadratic(inverse_PP @ F_PP @ inverse_PP)
        return design

    @property
    def n(self) -> int:
        return len(self.R_NKQ)

    @cached_property
    def _copies(self) -> Rows:
        return Rows(Factor(self.H_ND), Factor(self.R_NKQ.reshape(self.n, -1)))

    def at(self, rows_M: Int64) -> Design:
        """Return the same state for some rows alone."""
        return replace(
            self, H_ND=self.H_ND[rows_M], R_NKQ=self.R_NKQ[rows_M], S_NQQ=self.S_NQQ[rows_M], G_NQQ=self.G_NQQ[rows_M]
        )

    def gains(self) -> Float64:
        """The amount by which adding each row would lower tr(M^-1 F), [N]."""
        return _traces(np.eye(self.S_NQQ.shape[1]) + self.S_NQQ, self.G_NQQ)

    def losses(self) -> Float64:
        """The amount by which taking away each row would raise tr(M^-1 F), [N]; for rows that were added."""
        return _traces(np.eye(self.S_NQQ.shape[1]) - self.S_NQQ, self.G_NQQ)

    def add(self, j: int) -> None:
        """Add row j to M."""
        self._move(j, np.linalg.inv(np.eye(self.S_NQQ.shape[1]) + self.S_NQQ[j]))

    def take_away(self, j: int) -> None:
        """Take row j, which was added, away from M."""
        self._move(j, -np.linalg.inv(np.eye(self.S_NQQ.shape[1]) - self.S_NQQ[j]))

    def _move(self, j: int, C_QQ: Float64) -> None:
        """Set M^-1 to M^-1 - A C A^T with A = M^-1 V_j, and S and G of all rows accordingly."""
        Q = self.R_NKQ.shape[2]
        V_PQ = np.einsum("kq,d->kdq", self.R_NKQ[j], with_bias(self.H_ND[j : j + 1])[0]).reshape(-1, Q)
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
        """The products V_x^T B of every row x, [N, Q, M], for B of M columns."""
        K, M = self.R_NKQ.shape[1], B_PM.shape[1]
        B_DKM = B_PM.reshape(K, -1, M).transpose(1, 0, 2).reshape(-1, K * M)

        def work(phi_BD1: Float64, R_BKQ: Float64) -> Float64:
            return R_BKQ.transpose(0, 2, 1) @ (phi_BD1 @ B_DKM).reshape(len(phi_BD1), K, M)

        return self._by_pieces(work, M)

    def _quadratic(self, B_PP: Float64) -> Float64:
        """The quadratic forms V_x^T B V_x of every row x, [N, Q, Q], for a symmetric B."""
        K, Q = self.R_NKQ.shape[1:]
        D1 = len(B_PP) // K
        B_D_KKD = B_PP.reshape(K, D1, K, D1).transpose(1, 0, 2, 3).reshape(D1, -1)

        def work(phi_BD1: Float64, R_BKQ: Float64) -> Float64:
            inner_BKK = np.einsum("bkld,bd->bkl", (phi_BD1 @ B_D_KKD).reshape(len(phi_BD1), K, K, D1), phi_BD1)
            return R_BKQ.transpose(0, 2, 1) @ inner_BKK @ R_BKQ

        return self._by_pieces(work, Q)

    def _by_pieces(self, work: Callable[[Float64, Float64], Float64], M: int) -> Float64:
        """The values work(phi, R) of all rows, [N, Q, M], computed for a few rows at a time."""
        out_NQM = np.empty((self.n, self.R_NKQ.shape[2], M))

        def pieces(first: int, last: int) -> None:
            for a in range(first, last, _PIECE):
                b = min(a + _PIECE, last)
                out_NQM[a:b] = work(with_bias(self.H_ND[a:b]), self.R_NKQ[a:b])

        self.spread(self.n, pieces)
        return self._copies.same_for_copies(out_NQM)


def _traces(A_NQQ: Float64, G_NQQ: Float64) -> Float64:
    """The trace of A^-1 G of each row, [N]."""
    if A_NQQ.shape[1] == 1:
        return G_NQQ[:, 0, 0] / np.maximum(A_NQQ[:, 0, 0], np.finfo(np.float64).eps)
    return np.trace(np.linalg.solve(A_NQQ, G_NQQ), axis1=1, axis2=2)
