"""Labels that the head, fitted without them, contradicts most.

Asks about labelled items again, so that wrong labels can be corrected. For each label the head is fitted without it in
closed form: one Newton step from the fitted weights, with the Hessian of each class without that row. The centre of a
prior that was learnt from the pool stays as it is; there a label is one of several, beside all rows of the pool.
The score is log p(other) - log p(label), where other is the likeliest of the other classes: above 0 the label is
contradicted.

Near-duplicates with different labels come first: two labelled rows that lie nearer to each other than a tenth of the
median distance of a labelled row to the nearest other one. Of their labels the rarer one is suspect, of two equally
frequent ones the one with the larger score.

A row without a label is judged as if it had its likeliest class. Weights of labels count as 1.

Source: approximate leave-one-out, Rad & Maleki 2020, "A scalable estimate of the out-of-sample prediction error via
approximate leave-one-out cross-validation", with a Hessian of one block a class; own for near-duplicates.
benchmarks/study_suspect.py prints what it finds.
Cost: C (L R^2 + R^3) for L labelled rows, R = min(L, D + 1), and 2 L^2 D for the near-duplicates. Memory: L R + L C
numbers, and a tile of distances.
Passes: 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg

from alcli.arrays import Array, Float64, Floats, Int64, with_bias
from alcli.errors import UsageError
from alcli.numerics.last_layer.prior import bias_column
from alcli.numerics.last_layer.rotated import rotate
from alcli.numerics.logistic import log_softmax, one_hot, softmax
from alcli.numerics.rows import sq_norms
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View

NEAR = 0.1
_TILE_NUMBERS = 1 << 22
# Relative to the trace of the Hessian of a class: the noise of its factorisation.
_JITTER = 1e-14


@batch(
    needs=["features", "labelled", "labelled_targets", "network", "hidden"], posterior="none", again=True, of_means=True
)
def suspect(view: View, k: int) -> Selection:
    """Pick the k labels that are contradicted most, those of near-duplicates first.

    Scores: log p(other) - log p(label) without the label. details of the selection: `log_probs` [K, C] without the
    label; `label` [K], the class number, and `twin` [K], the row number of the near-duplicate with another label, both
    -1 without one. Its record counts all candidates, not only the picks.
    Raises UsageError for a regression.
    """
    head = view.network()
    if len(head.W_CD1) == 1:
        raise UsageError("strategy 'suspect' judges labels that are classes, the labels are numbers")
    rows_P, X_PD, y_P, log_probs_PC = _judged(view)
    score_P = _contradiction(log_probs_PC, y_P)
    twin_P = np.full(len(rows_P), -1)
    labelled = np.flatnonzero(y_P >= 0)
    twins = conflicts(X_PD[labelled], y_P[labelled], score_P[labelled])
    twin_P[labelled[twins >= 0]] = rows_P[labelled[twins[twins >= 0]]]
    place_P = np.searchsorted(np.sort(view.rows), rows_P).clip(max=view.n - 1)
    asked = np.flatnonzero(np.sort(view.rows)[place_P] == rows_P)
    scores32 = finite32(score_P)
    order = asked[np.lexsort((asked, -scores32[asked], twin_P[asked] < 0))][:k]
    details = {"log_probs": log_probs_PC[order], "label": y_P[order], "twin": twin_P[order]}
    contradicted = asked[score_P[asked] > 0]
    record = {"contradicted": float(len(contradicted)), "near-duplicates": float((twin_P[asked] >= 0).sum())}
    return Selection(rows_P[order], scores32[order], details=details, record=record)


def _judged(view: View) -> tuple[Int64, Floats, Int64, Float64]:
    """The candidates and labelled rows by ascending id: (rows_P, X_PD, y_P, log_probs_PC).

    y_P: class numbers, -1 without a label. log_probs_PC: without the label of the row.
    """
    rows_P, X_PD, is_labelled_P = view.with_labelled()
    # A candidate that is labelled stands twice, side by side.
    first_P = np.append(True, rows_P[1:] != rows_P[:-1])
    is_labelled_P = np.logical_or.reduceat(is_labelled_P, np.flatnonzero(first_P))
    rows_P, X_PD = rows_P[first_P], X_PD[first_P]
    head, targets_LC = view.network(), view.labelled_targets()
    phi_PD1 = with_bias(view.evaluate("hidden", X_PD)).astype(np.float64)
    y_P = np.full(len(rows_P), -1)
    y_P[is_labelled_P] = targets_LC.argmax(axis=1)
    logits_PC = phi_PD1 @ head.W_CD1.T
    if len(targets_LC):
        logits_PC[is_labelled_P] = left_out_logits(
            phi_PD1[is_labelled_P], y_P[is_labelled_P], head.W_CD1, head.prior_precision
        )
    return rows_P, X_PD, y_P, log_softmax(logits_PC)


def left_out_logits(phi_LD1: Float64, y_L: Int64, W_CD1: Float64, prior_precision: float) -> Float64:
    """The logits of each row by the head fitted without it, float64 [L, C], to one Newton step.

    W_CD1: the MAP of all rows; where its prior is centred plays no part. With h = phi^T H_c^-1 phi and s = p (1 - p) of
    the row, H_c the Hessian of class c over all rows, the step moves its logit of class c by h (p - y) / (1 - s h).
    """
    rows = rotate(phi_LD1, y_L, np.ones(len(y_L)), len(W_CD1), column=bias_column(prior_precision))
    logits_LC = phi_LD1 @ W_CD1.T
    p_LC = softmax(logits_LC)
    s_LC = p_LC * (1.0 - p_LC)
    h_LC = np.empty_like(p_LC)
    for c, s_L in enumerate(s_LC.T):
        H_RR = (rows.Z_LR * s_L[:, None]).T @ rows.Z_LR
        H_RR[np.diag_indices_from(H_RR)] += prior_precision + _JITTER * float(np.trace(H_RR))
        L_RR = scipy.linalg.cholesky(H_RR, lower=True, check_finite=False)
        half_RL = scipy.linalg.solve_triangular(L_RR, rows.Z_LR.T, lower=True, check_finite=False)
        h_LC[:, c] = np.einsum("rl,rl->l", half_RL, half_RL)
    # s h < 1, because the Hessian holds the row and the prior; the floor is for rounding.
    return logits_LC + h_LC * (p_LC - one_hot(y_L, len(W_CD1))) / np.maximum(1.0 - s_LC * h_LC, 1e-9)


def _contradiction(log_probs_PC: Float64, y_P: Int64) -> Float64:
    """log p(other) - log p(label), float64 [P]; without a label (-1) the likeliest class takes its place."""
    label_P = np.where(y_P >= 0, y_P, log_probs_PC.argmax(axis=1))
    others_PC, rows = log_probs_PC.copy(), np.arange(len(y_P))
    others_PC[rows, label_P] = -np.inf
    return others_PC.max(axis=1) - log_probs_PC[rows, label_P]


def conflicts(X_LD: Floats, y_L: Int64, score_L: Float64) -> Int64:
    """The place of a near-duplicate with another label for each row whose label is the suspect one, int64 [L], else -1.

    Of near-duplicates, the label is suspect that fewer of them have; of two equally frequent ones the one whose score
    is larger, of equal scores the later row's.
    """
    twins_L = np.full(len(y_L), -1)
    for i, places in _near(X_LD):
        others = places[y_L[places] != y_L[i]]
        if not len(others):
            continue
        own = 1 + int((y_L[places] == y_L[i]).sum())
        most = int(np.bincount(y_L[others]).max())
        last = max(others, key=lambda j: (score_L[j], j))
        if own < most or (own == most and (score_L[i], i) > (score_L[last], last)):
            twins_L[i] = others[0]
    return twins_L


def _near(X_LD: Floats) -> Iterator[tuple[int, Int64]]:
    """Yield each row that has near-duplicates, and their places: rows within NEAR times the median nearest distance."""
    n, step = len(X_LD), max(1, _TILE_NUMBERS // max(1, len(X_LD)))
    if n < 2:
        return
    Z_LD = X_LD.astype(np.float64)
    norms_L = sq_norms(Z_LD)
    nearest_L = np.concatenate([_sq_distances(Z_LD, norms_L, a, a + step).min(axis=1) for a in range(0, n, step)])
    limit = NEAR**2 * float(np.median(nearest_L))
    for i in np.flatnonzero(nearest_L <= limit).tolist():
        yield i, np.flatnonzero(_sq_distances(Z_LD, norms_L, i, i + 1)[0] <= limit)


def _sq_distances(Z_LD: Float64, norms_L: Float64, a: int, b: int) -> Array:
    """Squared distances of rows a..b to all rows, inf to the row itself; 0 where rounding hides the distance."""
    part_BD, norms_B = Z_LD[a:b], norms_L[a:b]
    sums_BL = norms_B[:, None] + norms_L
    sq_BL = sums_BL - 2.0 * (part_BD @ Z_LD.T)
    sq_BL[sq_BL <= 1e-14 * sums_BL] = 0.0
    sq_BL[np.arange(len(part_BD)), np.arange(a, a + len(part_BD))] = np.inf
    return sq_BL
