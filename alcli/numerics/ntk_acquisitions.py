"""What is asked first when labels are taken for what they would change: acquisitions of a *look* (ntk_look_ahead.py), larger first.

`mlmoc` sums the lengths of the changes; `mlmoc_sq` takes the root of the summed squares; `emoc` expects `mlmoc` over labels; `flip` counts
rows whose class changes; `eer` is minus the expected entropy of what is predicted afterwards.
Source: Mohamadi, Bae & Sutherland 2022, eq. 10-13; flip is the objective that its code runs.
Cost: that of the look's sums, for `emoc` as for `mlmoc`; `flip` N |E| (2 D1 + 3 K) flops, `eer` N |E| (2 D1 + 3 K log K) with 3 labels.
Memory: pieces; never N x |E|.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.numerics.committee import entropy
from alcli.numerics.ntk_look_ahead import Look, in_pieces
from alcli.numerics.simplex import project


def mlmoc(look: Look, R_NK: Float64) -> Float64:
    """Summed lengths of the changes of all rows, [N]."""
    return look.norms(R_NK)


def mlmoc_sq(look: Look, R_NK: Float64) -> Float64:
    """Root of the summed squares of the changes of all rows, [N]."""
    return look.root_squares(R_NK)


def emoc(look: Look, f_NK: Float64, q_NK: Float64) -> Float64:
    """`mlmoc` in the mean over labels, which have probabilities q_NK, [N]."""
    K = f_NK.shape[1]
    out: Float64 = sum(q_NK[:, y] * look.norms(np.eye(K)[y] - f_NK) for y in range(K))  # type: ignore[assignment]
    return out


def flip(look: Look, f_NK: Float64, R_NK: Float64) -> Float64:
    """How many rows change their class, the lowest of those with the largest output, [N]."""
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
    """Minus the summed entropy of the classes of rows_E that is expected after the label is seen, [N].

    Outputs become probabilities by projection on the simplex. Only the `labels` most probable labels are looked at.
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
