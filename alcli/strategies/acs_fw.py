"""A weighted batch that approximates labelling the whole pool.

A Bayesian coreset: rows with weights w >= 0 whose expected log-likelihoods sum to nearly the sum over the
whole pool. Row j is the vector phi_j of its expected log-likelihoods under S draws of the posterior, L = sum
phi_j the sum over all rows, and L_w = sum w_j phi_j the weighted sum. The Frank-Wolfe algorithm minimises the
length of L - L_w over w >= 0 with sum w_j |phi_j| <= sum |phi_j|: a polytope with one vertex for each row and
one at the origin, where it starts.

Source: Pinsler et al. 2019, "Bayesian batch active learning as sparse subset approximation", Algorithm 1,
projected on draws of the posterior (section 4). Labels are expected under the probabilities averaged over the
draws. Where labels are numbers, the vectors are the gradients of the expected log-likelihoods by the weights,
whose mean inner products over the posterior are known (the paper's Fisher inner product of a linear
regression). Frank-Wolfe steps as in Campbell & Broderick 2019, "Automated scalable Bayesian inference via Hilbert
coresets", Algorithm 2.
Deviations: log-likelihoods are centred over the draws, because their mean would dominate them. Steps go on, 5
K at most, until K rows have weight; rows of the best scores then fill the batch.
Cost: N S C for the rows, then 2 N S flops per step; memory N S.
Passes: 1.

Options:
    centre: subtract from each row's log-likelihoods their mean over the draws; false keeps them as they are.
    gamma-e: weight at which a row's entropy is added to its log-likelihoods; centring removes the entropy
        again, so the option needs centre=false.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np

from alcli.arrays import Float32, Float64, Int64
from alcli.numerics.blocks import workers
from alcli.numerics.gradients.expected_losses import mean_probs
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.numerics.gradients.number_rows import fisher_rows
from alcli.numerics.gradients.sparse.approximation import largest
from alcli.selection.conditions import given
from alcli.selection.options import not_negative
from alcli.selection.order import finite32
from alcli.selection.parts import Parts
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.sparse_greedy import importance

STEPS_PER_PICK = 5


@batch(needs=["hidden", "network", "output_root"])
def of_numbers(view: View, k: int) -> Selection:
    """Pick a coreset of k rows, of numbers, by gradients of the log-likelihoods."""
    parts, noise = Parts.of(view), float(view.network().noise_variance)
    rows = parts.summed_gradients(fisher_rows(parts.view.matrix("output_root"), parts.view.matrix("hidden"), noise))
    picks_K, scores_K, weights_K, notes, record = coreset(rows, k)
    return Selection(view.rows[picks_K], finite32(scores_K), weights_K, notes=notes, record=record)


@batch(needs=["sample_log_probs"], samples=100, numbers=of_numbers)
def acs_fw(
    view: View, k: int, *, centre: bool = True, gamma_e: Annotated[float, not_negative, given(centre=False)] = 0.0
) -> Selection:
    """Pick a coreset of k rows.

    Scores: the alignment of a row with L - L_w when the row was picked. Weights: the weights of the coreset,
    with mean 1.
    """
    rows = GradientRows(likelihoods(view, centre=centre, gamma_e=gamma_e))
    picks_K, scores_K, weights_K, notes, record = coreset(rows, k)
    return Selection(view.rows[picks_K], finite32(scores_K), weights_K, notes=notes, record=record)


def likelihoods(view: View, *, centre: bool = True, gamma_e: float = 0.0) -> Float32:
    """The expected log-likelihoods of the candidates, [N, S]; those of a group are the sums over its rows."""
    parts, function = Parts.of(view), partial(expected_log_likelihood, centre=centre, gamma_e=gamma_e)
    return parts.sums(parts.view.reduced(function, "sample_log_probs"))


def expected_log_likelihood(log_probs_BSC: Float64, *, centre: bool, gamma_e: float) -> Float32:
    """The rows (E[log p_s(y)] + gamma_e H) / sqrt(S), one column for each draw s, [B, S].

    The label y and the entropy H follow the mean probabilities.
    """
    P_BC = mean_probs(log_probs_BSC)
    entropy_B1 = -(P_BC * np.log(np.maximum(P_BC, np.finfo(np.float64).tiny))).sum(axis=1, keepdims=True)
    out_BS = np.einsum("bsc,bc->bs", log_probs_BSC, P_BC) + gamma_e * entropy_B1
    if centre:
        out_BS -= out_BS.mean(axis=1, keepdims=True)
    return (out_BS / np.sqrt(out_BS.shape[1])).astype(np.float32)


def coreset(rows: GradientRows, k: int) -> tuple[Int64, Float64, Float32, tuple[str, ...], dict[str, float]]:
    """Return (picks, scores, weights, notes, record) of a coreset of k rows.

    Where the coreset has fewer rows, rows of the best scores follow it, with the least weight.
    """
    found = frank_wolfe(rows, k)
    free_N = found.left_N.copy()
    free_N[found.picks_M] = -np.inf
    rest = largest(free_N, k - len(found.picks_M)) if len(found.picks_M) < k else found.picks_M[:0]
    notes = ("the coreset has fewer rows than were asked for; rows of the best scores follow",) if len(rest) else ()
    weights_K = importance(np.append(found.weights_M, np.zeros(len(rest))))
    scores_K = np.append(found.scores_M, free_N[rest]) * rows.scale
    return np.append(found.picks_M, rest), scores_K, weights_K, notes, {"coreset-rows": len(found.picks_M)}


@dataclass(frozen=True)
class Coreset:
    """M rows with weights; M is at most the number of rows that were asked for.

    picks_M: row numbers in the order of the rows' first steps. weights_M: their weights. scores_M: the score
    of each row at its first step. distances: |L - L_w| after each step, in the scaled units of the rows.
    left_N: the score of every row of the pool after the last step.
    """

    picks_M: Int64
    weights_M: Float64
    scores_M: Float64
    distances: Float64
    left_N: Float64


def frank_wolfe(rows: GradientRows, b: int) -> Coreset:
    """Step towards the vertex that is best aligned with L - L_w until b rows have weight, or `STEPS_PER_PICK` b times.

    The score of a row is (phi_j / |phi_j|) . (L - L_w).
    Cost: one product with all rows a step, 2 N K D1 flops for rows of K x D1 numbers; memory O(N).
    """
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
            # No vertex lies in the direction of L - L_w: the approximation cannot come nearer.
            if step <= 0.0:
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
    """The length in [0, 1] of the step along `towards` that comes nearest to `rest`; 0 where `towards` is 0."""
    square = float(np.vdot(towards, towards))
    return float(np.clip(np.vdot(towards, rest) / square, 0.0, 1.0)) if square > 0.0 else 0.0
