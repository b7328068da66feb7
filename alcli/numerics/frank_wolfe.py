"""A Bayesian coreset by Frank-Wolfe: the weighted rows whose sum is nearest to the sum of all rows.

Over w >= 0 with sum w_j |phi_j| <= sum |phi_j|, a polytope with one vertex per row and the origin, where it starts, minimise
|L - L_w|^2, L = sum phi_j, L_w = sum w_j phi_j.
Source: Campbell & Broderick 2019, "Automated scalable Bayesian inference via Hilbert coresets", Algorithm 2, as used by Pinsler et
al. 2019, "Bayesian batch active learning as sparse subset approximation", Algorithm 1.
Deviation: goes on beyond b steps until b distinct rows have weight, as long as `STEPS_PER_PICK` b allow.
Cost: a step one product with all rows, 2 N K D1 flops; memory O(N).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.numerics.blocks import workers
from alcli.numerics.gradient_rows import GradientRows

STEPS_PER_PICK = 5


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
