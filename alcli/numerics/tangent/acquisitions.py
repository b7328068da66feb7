"""Scores of candidates from the changes that their labels make (look_ahead.py); f_NK are the outputs before.

Source: Mohamadi, Bae & Sutherland 2022, "Making look-ahead active learning strategies feasible with neural tangent
kernels", eq. 2, 3 and 13, and the objective of its code (flip). Projection on the simplex: Held, Wolfe & Crowder 1974,
"Validation of subgradient optimization", section 3 (by sorting).
Cost: with the changes of N candidates at E rows, a few passes over [N, E] for mlmoc; K passes for emoc, flip and eer.
Memory: pieces of the changes; never N x E x K numbers.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from alcli.arrays import Float64, Floats, Int64
from alcli.numerics.information.committee import entropy
from alcli.numerics.tangent.look_ahead import Look, in_pieces

Acquisition = Literal["mlmoc", "mlmoc-sq", "emoc", "eer", "flip"]


def scores(acquisition: Acquisition, look: Look, f_NK: Float64, R_NK: Float64, first_E: Int64) -> Float64:
    """The acquisition of every candidate, [N]. R_NK: residuals of the supposed labels. first_E: the rows for eer."""
    if acquisition == "mlmoc" or (acquisition == "emoc" and f_NK.shape[1] == 1):
        return mlmoc(look, R_NK)
    if acquisition == "mlmoc-sq":
        return mlmoc_sq(look, R_NK)
    if acquisition == "emoc":
        return emoc(look, f_NK, project(f_NK))
    if acquisition == "flip":
        return flip(look, f_NK, R_NK)
    return eer(look, f_NK, project(f_NK), first_E)


def mlmoc(look: Look, R_NK: Float64) -> Float64:
    """The summed lengths of the changes of all rows, [N]."""
    return look.norms(R_NK)


def mlmoc_sq(look: Look, R_NK: Float64) -> Float64:
    """The root of the summed squares of the changes of all rows, [N]."""
    return look.root_squares(R_NK)


def emoc(look: Look, f_NK: Float64, q_NK: Float64) -> Float64:
    """The mean of `mlmoc` over labels of probabilities q_NK, [N]."""
    K = f_NK.shape[1]
    out: Float64 = sum(q_NK[:, y] * look.norms(np.eye(K)[y] - f_NK) for y in range(K))  # type: ignore[assignment]
    return out


def flip(look: Look, f_NK: Float64, R_NK: Float64) -> Float64:
    """The number of rows whose class changes, [N]. The class is the lowest of the largest outputs."""
    out_N = np.empty(len(f_NK))

    def count(rows_B: Int64) -> None:
        after_BKE = look.changes(rows_B, R_NK[rows_B], slice(None))
        f_KE = np.ascontiguousarray(f_NK.T, dtype=after_BKE.dtype)
        after_BKE += f_KE
        top_BE, class_BE = after_BKE[:, 0].copy(), np.zeros(after_BKE[:, 0].shape, np.int16)
        for k in range(1, f_NK.shape[1]):
            class_BE[after_BKE[:, k] > top_BE] = k
            np.maximum(top_BE, after_BKE[:, k], out=top_BE)
        out_N[rows_B] = (class_BE != f_KE.argmax(axis=0)).sum(axis=1)

    in_pieces(len(f_NK), f_NK.size, count)
    return out_N


def eer(look: Look, f_NK: Float64, q_NK: Float64, rows_E: Int64, labels: int = 3) -> Float64:
    """Minus the summed entropy of the classes of rows_E that is expected once the label is known, [N].

    Outputs become probabilities by projection on the simplex. Only the `labels` likeliest labels are looked
    at.
    """
    K = f_NK.shape[1]
    likely_NT = np.argsort(-q_NK, axis=1, kind="stable")[:, :labels]
    share_NT = np.take_along_axis(q_NK, likely_NT, axis=1)
    share_NT /= share_NT.sum(axis=1, keepdims=True)
    out_N = np.zeros(len(f_NK))

    def expect(rows_B: Int64) -> None:
        for t in range(likely_NT.shape[1]):
            after_BKE = f_NK[rows_E].T + look.changes(rows_B, np.eye(K)[likely_NT[rows_B, t]] - f_NK[rows_B], rows_E)
            out_N[rows_B] -= share_NT[rows_B, t] * entropy(project(after_BKE.transpose(0, 2, 1))).sum(axis=1)

    in_pieces(len(f_NK), 4 * K * len(rows_E), expect)
    return out_N


def project(values_BK: Floats) -> Float64:
    """The point of the simplex that is nearest to each row (the last axis), float64, in the shape of the input.

    The same for rows that differ by a constant. Cost: one sort of each row.
    """
    # A shift does not change the projection. After it, values in the support are at least -1, so large inputs
    # lose no digits.
    values_BK = values_BK - values_BK.max(axis=-1, keepdims=True).astype(np.float64)
    K = values_BK.shape[-1]
    sorted_BK = -np.sort(-values_BK, axis=-1)
    level_BK = (np.cumsum(sorted_BK, axis=-1) - 1.0) / np.arange(1, K + 1)
    support_B1 = (sorted_BK > level_BK).sum(axis=-1, keepdims=True)
    return np.maximum(values_BK - np.take_along_axis(level_BK, support_B1 - 1, axis=-1), 0.0)
