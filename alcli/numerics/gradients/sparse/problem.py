"""The optimisation problem of a batch whose weighted gradients approximate the mean gradient of the pool.

It is sparse least squares with a variance bonus: over weights w >= 0 with b of N entries chosen (the set S), minimise
    f(w, S) = |v - Phi w|^2 + beta |w - 1|^2 - alpha sum_S sigma_j^2,    v = mean of the rows, Phi_j = (row j) / b.
f1 is the sum of the first two terms. The slope is half its gradient, Phi^T (Phi w - v) + beta (w - 1).
A step along a direction u goes to w - mu u. Everything is in units of |v|, so that |v| = 1.
Source: Shen et al. 2022, "Batch active learning from the perspective of sparse approximation", eq. 15.
Cost: see each function.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.numerics.blocks import workers
from alcli.numerics.gradients.gradient_rows import GradientRows

MOST_BETA = 1e100
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class SparseProblem:
    """One instance of the problem.

    Phi_j = gain * row j. sigma_sq_N: sigma_j^2, in units of |v|^2. v_KD1: a point with |v| = 1. unit: |v| in the units
    of the pool. alpha: without unit. beta: in units of |v|^2.
    """

    rows: GradientRows
    sigma_sq_N: Float64
    v_KD1: Float64
    gain: float
    unit: float
    alpha: float
    beta: float

    @cached_property
    def sq_norms_N(self) -> Float64:
        """The squared norms |Phi_j|^2, [N]."""
        return self.rows.sq_norms * self.gain**2

    @cached_property
    def bonus_N(self) -> Float64:
        """The variance bonus alpha sigma_j^2 of each row, [N]."""
        return self.alpha * self.sigma_sq_N

    @property
    def raw_beta(self) -> float:
        """The value of beta in the units of the pool. (alpha has no unit.)"""
        return self.beta * self.unit * self.unit

    def f(self, distance_sq: float, w_S: Float64, S: Int64) -> float:
        """The objective at weights w_S on S. distance_sq: |v - Phi w|^2."""
        f1 = distance_sq + self.beta * (float(np.square(w_S - 1.0).sum()) + self.rows.n - len(S))
        return f1 - self.alpha * float(self.sigma_sq_N[S].sum())


def pose(
    rows: GradientRows,
    sigma_N: Float64,
    b: int,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    alpha_rel: float = 1.0,
    beta_rel: float = 0.01,
) -> SparseProblem | None:
    """Set up the problem for a batch of b rows. sigma_N: in the units of the pool.

    Returns None where the rows have mean 0 up to rounding: then v is 0, and only sigma can choose rows.
    alpha: None stands for alpha_rel |v|^2 / (sum of the b largest sigma^2). beta: None stands for beta_rel |v|^2 / b.
    Cost: one product with all rows.
    """
    with workers() as spread:
        v_KD1 = rows.combine(np.full(rows.n, 1.0 / rows.n), spread)
    norm = float(np.sqrt(np.vdot(v_KD1, v_KD1)))
    noise = 16.0 * float(np.finfo(rows.dtype).eps) * float(rows.lengths.max())
    if norm <= noise:
        return None
    unit = norm * rows.scale
    sigma_sq_N = np.square(sigma_N / unit)
    if alpha is None:
        best = float(np.partition(sigma_sq_N, rows.n - b)[rows.n - b :].sum())
        alpha = alpha_rel / best if best > 0.0 else 0.0
    beta = beta_rel / b if beta is None else min(beta / max(unit * unit, _TINY), MOST_BETA)
    return SparseProblem(rows, sigma_sq_N, v_KD1 / norm, 1.0 / (b * norm), unit, alpha, beta)


def line_search(slope_along: float, sq_image: float, sq_step: float, beta: float) -> float:
    """Return the mu that minimises f1(w - mu u); 0 where f1 is flat along u.

    slope_along: <slope at w, u>. sq_image: |Phi u|^2. sq_step: |u|^2.
    """
    curvature = sq_image + beta * sq_step
    return slope_along / curvature if curvature > _TINY else 0.0


def longest_step(w_S: Float64, u_S: Float64) -> float:
    """The largest mu for which w - mu u stays at or above 0; infinity where no weight falls."""
    falling = u_S > 0.0
    return float((w_S[falling] / u_S[falling]).min()) if falling.any() else np.inf
