"""A Bayesian coreset: the rows whose weighted expected log-likelihoods sum to those of the whole pool, by Frank-Wolfe.

Source: Pinsler et al. 2019, "Bayesian batch active learning as sparse subset approximation", Algorithm 1, projected on draws of the
posterior (section 4); labels are expected under the probabilities averaged over the draws.
Deviations: log-likelihoods are centred over the draws (else their mean dominates); steps go on, 5 K at most, until K rows have
weight, and the rest is filled by score.
Cost: N S C for the rows, then 2 N S flops per step; memory N S.
Passes: 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np

from alcli.arrays import Float32, Float64, Int64
from alcli.numerics.blocks import workers
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.numerics.gradients.sparse_approximation import largest
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.sparse_greedy import importance, mean_probs, not_negative

STEPS_PER_PICK = 5
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


# -- folded ------
# A Bayesian coreset by Frank-Wolfe: the weighted rows whose sum is nearest to the sum of all rows.
#
# Over w >= 0 with sum w_j |phi_j| <= sum |phi_j|, a polytope with one vertex per row and the origin, where it starts, minimise
# |L - L_w|^2, L = sum phi_j, L_w = sum w_j phi_j.
# Source: Campbell & Broderick 2019, "Automated scalable Bayesian inference via Hilbert coresets", Algorithm 2, as used by Pinsler et
# al. 2019, "Bayesian batch active learning as sparse subset approximation", Algorithm 1.
# Deviation: goes on beyond b steps until b distinct rows have weight, as long as `STEPS_PER_PICK` b allow.
# Cost: a step one product with all rows, 2 N K D1 flops; memory O(N).


@dataclass(frozen=True)
class Coreset:
    """picks_M: rows in the order of their first step, at most b. weights_M, scores_M: of the picks; scores as they were then.

    distances: |L - L_w| after each step, in the scaled units of the rows. left_N: every row's score after the last step.
    """

    picks_M: Int64
    weights_M: Float64
    scores_M: Float64
    distances: Float64
    left_N: Float64


def frank_wolfe(rows: GradientRows, b: int) -> Coreset:
    """Step towards the vertex that is best aligned with L - L_w until b rows have weight. A row's score: (phi_j / |phi_j|) . (L - L_w)."""
    norms_N = np.sqrt(rows.sq_norms)
    unit_N = np.divide(1.0, norms_N, out=np.zeros(rows.n), where=norms_N > 0.0)
    total = float(norms_N.sum())
    first_scores: dict[int, float] = {}
    weights_N, distances = np.zeros(rows.n), []
    with workers() as spread:
        target = rows.combine(np.ones(rows.n), spread)
        approximation = np.zeros_like(target)
        scores_N = unit_N * rows.correlate(target, spread)
        for _ in range(STEPS_PER_PICK * b):
            f = int(scores_N.argmax())
            row = np.array([f])
            towards = rows.point(row, np.array([total * unit_N[f]])) - approximation
            step = _clipped_step(towards, target - approximation)
            if step <= 0.0:  # nothing points towards the rest: it is as near as it gets
                break
            weights_N *= 1.0 - step
            weights_N[f] += step * total * unit_N[f]
            approximation = approximation + step * towards
            first_scores.setdefault(f, float(scores_N[f]))
            distances.append(float(np.linalg.norm(target - approximation)))
            scores_N = unit_N * rows.correlate(target - approximation, spread)
            if len(first_scores) == b:
                break
    picks_M = np.array(list(first_scores), np.int64)
    return Coreset(picks_M, weights_N[picks_M], np.array(list(first_scores.values())), np.array(distances), scores_N)


def _clipped_step(towards: Float64, rest: Float64) -> float:
    """The step along `towards` that leaves least of `rest`, within [0, 1]; 0 where there is nowhere to go."""
    square = float(np.vdot(towards, towards))
    return float(np.clip(np.vdot(towards, rest) / square, 0.0, 1.0)) if square > 0.0 else 0.0
