"""Rows that leave the predictions of the whole pool least uncertain: Fisher information, chosen forwards and pruned backwards.

Minimises tr(M^-1 F): F is the mean Fisher information of all rows, M the prior precision plus that of the labelled and picked rows, so
M^-1 is the covariance of the weights once the picks have labels, and the trace the mean variance of what is predicted.
Source: Ash, Goel, Krishnamurthy & Kakade 2021, "Gone fishing: neural active learning with Fisher embeddings", Alg. 1. The form with one
matrix for all classes: Huseljic et al. 2024, "Fast fishing: approximating BAIT for efficient and scalable deep active image classification".
Deviations: lambda is the prior precision that the head was fitted with, and every row counts once in M, so that M is what the posterior is
made of (published: lambda = 1, labelled rows at n / (n + b), picks at b / (n + b)); F is a true mean. A row of the binary form weighs the
mean of |p - e_y|^2 over its 5 likeliest labels (published: p (1 - p) of the likeliest, which prefers the surer of two rows where no class
has half). docs/strategies.md compares them.
Cost: binary 4 N D1 flops for each of 2 K picks, N D1^2 to begin with; memory 30 N + 3 D1^2 numbers beside the features and
class probabilities. full: C^2 times the flops of a pick, 3 (C D1)^2 + 3 N C^2 numbers.
Passes: 1.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Array, Float64
from alcli.errors import UsageError
from alcli.numerics.bait import choose
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.fisher import information, softmax_root, with_prior
from alcli.strategies._checks import AutoOrPositive, Count, at_least, auto_or_positive
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._view import View

MOST_FULL = 4096  # weights of a head whose full Fisher information is kept


@batch(needs=["hidden", "log_probs", "labelled", "network"])
def bait(
    view: View, k: int, *, likelihood: Literal["binary", "full"] = "binary", weight: Literal["binary", "trace", "top"] = "top",
    top: Count = 5, prior: AutoOrPositive = "auto", forward: Annotated[float, partial(at_least, 1)] = 2.0,
) -> Selection:
    """Scores: by how much a pick lowered tr(M^-1 F) when it was added.

    likelihood: binary has one matrix for all classes, full one for all weights (at most 4096). weight, of a row in the binary form: binary
    p (1 - p) of the predicted class; trace 1 - sum p^2; top the mean of |p - e_y|^2 over the `top` most probable labels. forward: picks
    before pruning, in units of K. Raises UsageError for a full likelihood of too many weights.
    """
    auto_or_positive(prior=prior)
    at_least(1, top=top, forward=forward)
    H_ND, log_probs_NC, X_LD = view.matrix("hidden"), view.matrix("log_probs"), view.labelled()
    C, D1 = log_probs_NC.shape[1], H_ND.shape[1] + 1
    if likelihood == "full" and C * D1 > MOST_FULL:
        raise UsageError(f"likelihood=full keeps a matrix of {C * D1} x {C * D1}, the most is {MOST_FULL}", hint="use likelihood=binary")
    root = softmax_root if likelihood == "full" else partial(_weight_root, weight=weight, top=top)
    R_NKQ = root(log_probs_NC)
    of_pool_PP = information(H_ND, R_NKQ)
    of_labelled_PP = np.zeros_like(of_pool_PP)
    if len(X_LD):
        of_labelled_PP = information(view.evaluate("hidden", X_LD), root(view.evaluate("log_probs", X_LD)))
    F_PP = (of_pool_PP + of_labelled_PP) / (view.n + len(X_LD))
    prior_precision = view.network().prior_precision if prior == "auto" else float(prior)
    M_PP = with_prior(of_labelled_PP, prior_precision, F_PP)
    picks_K, gains_K = choose(H_ND, R_NKQ, M_PP, F_PP, k, int(min(forward * k, view.n)))
    return Selection(view.rows[picks_K], finite32(gains_K), record={"prior-precision": prior_precision})


def _weight_root(log_probs_BC: Array, *, weight: str, top: int) -> Float64:
    """sqrt of each row's weight, [B, 1, 1]. Memory: that of a block beside it."""
    out_B11 = np.empty((len(log_probs_BC), 1, 1))
    for a in range(0, len(log_probs_BC), BLOCK_ROWS):
        out_B11[a : a + BLOCK_ROWS, 0, 0] = np.sqrt(weights(log_probs_BC[a : a + BLOCK_ROWS], weight, top))
    return out_B11


def weights(log_probs_BC: Array, weight: str, top: int) -> Float64:
    """What stands for diag(p) - p p^T, float64 [B]; precise for probabilities near 1 too."""
    log_probs_BC = log_probs_BC.astype(np.float64)
    p_BC, rest_BC = np.exp(log_probs_BC), -np.expm1(log_probs_BC)
    if weight == "trace":
        return (p_BC * rest_BC).sum(axis=1)  # type: ignore[no-any-return]
    order_BT = np.argsort(-log_probs_BC, axis=1, kind="stable")[:, : 1 if weight == "binary" else top]
    p_BT, rest_BT = np.take_along_axis(p_BC, order_BT, axis=1), np.take_along_axis(rest_BC, order_BT, axis=1)
    if weight == "binary":
        return (p_BT * rest_BT)[:, 0]  # type: ignore[no-any-return]
    others_BT = (p_BC**2).sum(axis=1, keepdims=True) - p_BT**2
    share_BT = p_BT / p_BT.sum(axis=1, keepdims=True)
    return (share_BT * (rest_BT**2 + np.maximum(others_BT, 0.0))).sum(axis=1)  # type: ignore[no-any-return]
