"""Rows that leave predictions for the whole pool least unsure.

The batch minimises tr(M^-1 F). F is the mean Fisher information of all rows, M the prior precision plus the
information of the labelled and the picked rows. M^-1 is thus the covariance of the weights once the picks
have labels, and the trace is the mean variance of the predictions. Rows are added greedily, by default 2 K of
them, and then pruned to K.

Row x adds V_x V_x^T to M, where V_x = R_x (x) phi_x, phi_x = [h; 1] are its features and R_x is the root of
its curvature (numerics/gradients/design.py). A group adds the sum over its rows, and M and F are about rows.

Source: Ash, Goel, Krishnamurthy & Kakade 2021, "Gone fishing: neural active learning with Fisher embeddings",
Alg. 1. The form with one matrix for all classes: Huseljic et al. 2024, "Fast fishing: approximating BAIT for
efficient and scalable deep active image classification".
Deviations: lambda is the prior precision that the head was fitted with, and every row counts once in M, so
that M is the precision of the posterior (published: lambda = 1; labelled rows count n / (n + b) and picks
b / (n + b), for n labelled rows and a batch of b). F is a true mean. A row of the binary form weighs the mean
of |p - e_y|^2 over its 5 likeliest labels (published: p (1 - p) of the likeliest label, which prefers the
surer of two rows where no class has half). docs/strategies.md compares the variants.
Cost: binary 4 N D1 flops for each of 2 K picks, N D1^2 to begin with; memory 8 N + 4 D1^2 numbers, and 512 MiB at most
for parts of F; features and class probabilities beyond the memory limit are read in blocks from a file, once a
pick. full: C^2 times the flops of a pick, 3 (C D1)^2 + 3 N C^2 numbers. Groups
of r rows: r times the flops, r^2 numbers and r^3 flops a group. A group of more than 32 rows (full: 32 / C) is
judged by so many of its rows, those of most information.
Passes: 1.

Options:
    likelihood: the Fisher information.
        binary: one matrix for all classes.
        full: one matrix for all weights of the head, at most 4096.
    weight: weight of a row in the binary form.
        binary: p (1 - p) of the likeliest class.
        trace: 1 - sum p^2.
        top: the mean of |p - e_y|^2 over the likeliest labels.
    top: number of likeliest labels that the mean is over.
    prior: prior precision of the weights; auto takes the one that the head was fitted with.
    forward: picks before pruning, as a multiple of the batch size; 1 prunes none.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np

from alcli.arrays import Array, Float64
from alcli.engine.forecast import foretell
from alcli.errors import UsageError
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.gradients.design_shards import choose, design_team, pool_information
from alcli.numerics.gradients.fisher import information, softmax_root, with_prior
from alcli.numerics.last_layer.prior import prior_diagonal
from alcli.selection.conditions import given
from alcli.selection.options import AutoOrPositive, Count, at_least, auto_or_positive
from alcli.selection.order import finite32
from alcli.selection.parts import Parts
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View

# Columns of the product that a forecast measures.
_FORETOLD = 64
# The most columns of V of a group: 32 rows in the binary form, 32 / C in the full form.
_MOST_COLUMNS = 32
# The most weights of a head whose full Fisher information is kept.
MOST_FULL = 4096


@batch(needs=["hidden", "log_probs", "labelled", "network"])
def bait(
    view: View,
    k: int,
    *,
    likelihood: Literal["binary", "full"] = "binary",
    weight: Annotated[Literal["binary", "trace", "top"], given(likelihood="binary")] = "top",
    top: Annotated[Count, given(likelihood="binary", weight="top")] = 5,
    prior: AutoOrPositive = "auto",
    forward: Annotated[float, partial(at_least, 1)] = 2.0,
) -> Selection:
    """Pick k rows of least tr(M^-1 F).

    Scores: the amount by which a pick lowered the trace when it was added. Raises UsageError for a full
    likelihood of too many weights.
    """
    auto_or_positive(prior=prior)
    at_least(1, top=top, forward=forward)
    parts = Parts.of(view)
    read: Callable[[str], BlockArray] = parts.stored if likelihood == "binary" else parts.view.matrix
    H_RD, log_probs_RC, X_LD = read("hidden"), read("log_probs"), parts.view.labelled()
    C, D1 = log_probs_RC.shape[1], H_RD.shape[1] + 1
    if likelihood == "full" and C * D1 > MOST_FULL:
        raise UsageError(
            f"likelihood=full keeps a matrix of {C * D1} x {C * D1}, the most is {MOST_FULL}",
            hint="use likelihood=binary",
        )
    root: Callable[[Any], Float64] = (
        softmax_root if likelihood == "full" else partial(_weight_root, weight=weight, top=top)
    )
    R_RKQ = root(log_probs_RC)
    of_labelled_PP = np.zeros((R_RKQ.shape[1] * D1,) * 2)
    if len(X_LD):
        of_labelled_PP = information(view.evaluate("hidden", X_LD), root(view.evaluate("log_probs", X_LD)))
    prior_precision = view.network().prior_precision if prior == "auto" else float(prior)
    prior_D1 = prior_diagonal(prior_precision, D1, view.network().link)
    H_ID, R_IKQ, most, notes = _side_by_side(parts, H_RD, R_RKQ)
    # Float64 products: to begin with two of P columns, and for each pick two columns.
    foretell(view.tell_cost, "bait", H_ID.shape, 2.0 * (2 * D1 + 2 * forward * k), _FORETOLD)
    with design_team(H_ID, R_IKQ, most) as team:
        of_pool_PP = pool_information(team) if parts.single else information(H_RD, R_RKQ)
        F_PP = (of_pool_PP + of_labelled_PP) / (len(R_RKQ) + len(X_LD))
        M_PP = with_prior(of_labelled_PP, prior_D1, F_PP)
        picks_K, gains_K = choose(team, M_PP, F_PP, k, int(min(forward * k, view.n)))
    record = {"prior-precision": prior_precision}
    return Selection(view.rows[picks_K], finite32(gains_K), notes=notes, record=record)


def _side_by_side(parts: Parts, H_RD: BlockArray, R_RKQ: Float64) -> tuple[BlockArray, Float64, int, tuple[str, ...]]:
    """Give every candidate equally many rows: (H, R, the number of rows of a candidate, notes).

    Rows of zeros fill up smaller groups. Of larger groups the rows of most information stay.
    """
    if parts.single:
        return H_RD, R_RKQ, 1, ()
    N, sizes_N = len(parts.starts_N), parts.sizes_N
    most = min(int(sizes_N.max()), max(1, _MOST_COLUMNS // R_RKQ.shape[2]))
    item_R = np.repeat(np.arange(N), sizes_N)
    order_R = np.lexsort((-np.square(R_RKQ).sum(axis=(1, 2)), item_R))
    place_R = np.arange(len(item_R)) - np.repeat(parts.starts_N, sizes_N)
    kept = place_R < most
    rows, places = order_R[kept], item_R[kept] * most + place_R[kept]
    H_out, R_out = np.zeros((N * most, H_RD.shape[1]), H_RD.dtype), np.zeros((N * most, *R_RKQ.shape[1:]))
    H_out[places], R_out[places] = H_RD[rows], R_RKQ[rows]
    left_out = f"groups of more than {most} rows were judged by their {most} rows of most information"
    return H_out, R_out, most, (left_out,) if sizes_N.max() > most else ()


def _weight_root(log_probs_BC: BlockArray, *, weight: str, top: int) -> Float64:
    """The root of each row's weight, [B, 1, 1]. One read. Memory: a block beside the result."""
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
