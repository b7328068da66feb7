"""A Bayesian coreset: the rows whose weighted expected log-likelihoods sum to those of the whole pool, by Frank-Wolfe.

Source: Pinsler et al. 2019, "Bayesian batch active learning as sparse subset approximation", Algorithm 1, projected on draws of the
posterior (section 4); labels are expected under the probabilities averaged over the draws.
Deviations: log-likelihoods are centred over the draws (else their mean dominates); steps go on, 5 K at most, until K rows have
weight, and the rest is filled by score.
Cost: N S C for the rows, then 2 N S flops per step; memory N S.
Passes: 1.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import numpy as np

from alcli.arrays import Float32, Float64, Int64
from alcli.numerics.frank_wolfe import frank_wolfe
from alcli.numerics.gradient_rows import GradientRows
from alcli.numerics.sparse_approximation import largest
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._gradients import importance, mean_probs, not_negative
from alcli.strategies._view import View


@batch(needs=["sample_log_probs"], samples=100)
def acs_fw(view: View, k: int, *, centre: bool = True, gamma_e: Annotated[float, not_negative] = 0.0) -> Selection:
    """Scores: alignment with what was left to approximate when picked. Weights: of the coreset, mean 1.

    gamma-e: how much of a row's entropy is added to its log-likelihoods; centring takes it away again, so it needs centre=false.
    """
    rows = GradientRows(view.reduced(partial(expected_log_likelihood, centre=centre, gamma_e=gamma_e), "sample_log_probs"))
    picks_K, scores_K, weights_K, notes, record = coreset(rows, k)
    if centre and gamma_e:
        notes += ("gamma-e has no effect on centred log-likelihoods: use it with centre=false",)
    return Selection(view.rows[picks_K], finite32(scores_K), weights_K, notes=notes, record=record)


def coreset(rows: GradientRows, k: int) -> tuple[Int64, Float64, Float32, tuple[str, ...], dict[str, float]]:
    """(picks, scores, weights, notes, record) of a Bayesian coreset of k rows, filled up by score where it has fewer."""
    found = frank_wolfe(rows, k)
    free_N = found.left_N.copy()
    free_N[found.picks_M] = -np.inf
    rest = largest(free_N, k - len(found.picks_M)) if len(found.picks_M) < k else found.picks_M[:0]
    notes = ("the coreset has fewer rows than were asked for; those of the best scores follow",) if len(rest) else ()
    weights_K = importance(np.append(found.weights_M, np.zeros(len(rest))))
    scores_K = np.append(found.scores_M, free_N[rest]) * rows.scale
    return np.append(found.picks_M, rest), scores_K, weights_K, notes, {"coreset-rows": len(found.picks_M)}


def expected_log_likelihood(log_probs_BSC: Float64, *, centre: bool, gamma_e: float) -> Float32:
    """(E[log p_s(y)] + gamma_e H) / sqrt(S) under each draw s, y and the entropy H by the mean probabilities, [B, S]."""
    P_BC = mean_probs(log_probs_BSC)
    entropy_B1 = -(P_BC * np.log(np.maximum(P_BC, np.finfo(np.float64).tiny))).sum(axis=1, keepdims=True)
    out_BS = np.einsum("bsc,bc->bs", log_probs_BSC, P_BC) + gamma_e * entropy_B1
    if centre:
        out_BS -= out_BS.mean(axis=1, keepdims=True)
    out: Float32 = (out_BS / np.sqrt(out_BS.shape[1])).astype(np.float32)
    return out
