"""Two ways to a small batch of small objective (sparse_problem.py): one row at a time, and by proximal hard thresholding.

Source: Shen et al. 2022, "Batch active learning from the perspective of sparse approximation", Algorithms 1 and 2.
Deviations: the de-bias step stops where the first weight reaches 0, so that it never raises f; greedy takes the true decrease of f
along a coordinate unless tau is given, of which no value is published; hard thresholding keeps the b largest of
(1/2) max(s, 0)^2 + alpha sigma^2, where the paper's appendix E prints the b smallest of (1/2) max(-s, 0)^2 - alpha sigma^2: that
forgets what leaving an entry out costs, ties all positive s, and does not threshold at all for alpha 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.numerics.blocks import Spread, workers
from alcli.numerics.gradients.sparse_problem import Problem, line_search
from alcli.numerics.gradients.sparse_support import FORMS, Form, Residuals, Support, cheaper_form

_TINY = float(np.finfo(np.float64).tiny)

Rule: TypeAlias = Callable[
    [Float64, Array | slice], Float64
]  # (fit of rows to the residual, which rows) -> how good they are


@dataclass(frozen=True)
class Batch:
    """picks_K: the chosen rows, in order. weights_K: theirs, >= 0. scores_K: what chose them. objectives: f after each iteration."""

    picks_K: Int64
    weights_K: Float64
    scores_K: Float64
    objectives: Float64


def greedy(problem: Problem, b: int, *, tau: float | None = None, form: Form | None = None) -> Batch:
    """Algorithm 1: add the best row, fit its weight, take one step down the slope of all chosen weights; b times.

    tau: None takes the row of the largest decrease of f; a number the paper's least tau * gradient - alpha sigma^2.
    scores_K: the decrease of f along the row's coordinate when it was picked. form: None chooses by cost.
    Cost: a pick one product with all rows, or what the form with columns needs in its place, and 4 |S| K D1 flops.
    """
    rows = problem.rows
    scores, objectives = [], []
    with workers() as spread:
        support = FORMS[form or cheaper_form(rows.n, rows.K, rows.D1, b)](problem, b, spread)
        rule, open_N = _rule(problem, tau), np.ones(rows.n, bool)
        for _ in range(b):
            j, fit = best_row(support, rule, open_N)
            open_N[j] = False
            scores.append(float(decrease(problem, fit, j)))
            support.add(np.array([j]))
            along_j = np.zeros(support.size)
            along_j[-1] = 1.0
            support.descend(along_j, fit - problem.beta)
            support.de_bias()
            objectives.append(support.f())
    return Batch(support.S, support.w, np.array(scores), np.array(objectives))


def decrease(problem: Problem, fit: Float64 | float, rows: Array | slice | int) -> Float64:
    """By how much f falls when rows of weight 0 are chosen and given their best weight, where fit = Phi_j . (Phi w - v)."""
    rise = np.minimum(fit - problem.beta, 0.0)
    curvature = np.maximum(problem.sq_norms_N[rows] + problem.beta, _TINY)
    out: Float64 = rise * (rise / curvature) + problem.bonus_N[rows]
    return out


def _rule(problem: Problem, tau: float | None) -> Rule:
    if tau is None:
        return lambda fit, rows: decrease(problem, fit, rows)
    return lambda fit, rows: problem.bonus_N[rows] - tau * 2.0 * (fit - problem.beta)


def best_row(support: Support, rule: Rule, open_N: Array) -> tuple[int, float]:
    """(the open row that the rule puts first, its fit to the residual), as a search in float64 would have it, ties to the lower row.

    The fits of all rows have a known error; only rows that can be the best within it are looked at in float64, most often one.
    """
    fit_N, error = support.fit_all()
    bound_N = rule(fit_N - error * support.norms_N, slice(None))
    bound_N[~open_N] = -np.inf
    probe = np.array([bound_N.argmax()])
    reached = float(rule(support.fit_at(probe), probe)[0])
    rows = np.flatnonzero(bound_N >= min(reached, bound_N[probe[0]]))
    fit = support.fit_at(rows)
    best = int(rule(fit, rows).argmax())
    return int(rows[best]), float(fit[best])


def iht(problem: Problem, b: int, *, iterations: int = 100, tol: float = 1e-5, prox_scaled: bool = False) -> Batch:
    """Algorithm 2: a gradient step, the b best entries, one step down their slope, momentum; the best iterate is returned.

    Stops when f changes by less than tol (in units of |v|^2, or of f where that is more) on an unchanged set. scores_K: the proximal
    rule's (1/2) max(s, 0)^2 + alpha sigma^2, alpha and sigma in the units of the pool as published, so the weight of the second term
    depends on the features' scale. prox_scaled: multiply it by the length of the gradient step instead, as the step's operator would.
    Cost: two products with all rows per iteration, and 8 b K D1 flops.
    """
    with workers() as spread:
        w_N, residual = np.zeros(problem.rows.n), -problem.v_KD1
        z_N, z_residual = w_N, residual
        best, best_f, objectives, S_before = None, np.inf, [], np.empty(0, np.int64)
        for _ in range(iterations):
            s_N, length = _gradient_step(problem, z_N, z_residual, spread)
            priority_N = prox_priority(s_N, (length if prox_scaled else problem.unit * problem.unit) * problem.bonus_N)
            S = largest(priority_N, b)
            support = Residuals(problem, b, spread)
            support.add(S)
            support.put(np.maximum(s_N[S], 0.0))
            support.de_bias()
            objectives.append(support.f())
            if best is None or objectives[-1] < best_f:
                best, best_f = (S, support.w, priority_N[S]), objectives[-1]
            w_before_N, before = w_N, residual
            w_N, residual = np.zeros(problem.rows.n), support.residual_KD1
            w_N[S] = support.w
            if np.array_equal(np.sort(S), S_before) and abs(objectives[-1] - objectives[-2]) <= tol * max(
                1.0, abs(best_f)
            ):
                break
            S_before = np.sort(S)
            z_N, z_residual = momentum(problem, w_N, w_before_N, residual, before)
    assert best is not None
    return Batch(*best, np.array(objectives))


def prox_priority(s_N: Float64, bonus_N: Float64) -> Float64:
    """What leaving out an entry of s costs in min (1/2) |w - s|^2 - sum of the bonus of chosen entries, w >= 0."""
    out_N: Float64 = 0.5 * np.square(np.maximum(s_N, 0.0)) + bonus_N
    return out_N


def largest(values_N: Float64, b: int) -> Int64:
    """The b largest, in descending order, ties by position."""
    border = np.partition(values_N, len(values_N) - b)[len(values_N) - b]
    places = np.flatnonzero(values_N >= border)
    return places[np.argsort(-values_N[places], kind="stable")[:b]]


def momentum(
    problem: Problem, w_N: Float64, before_N: Float64, residual: Float64, residual_before: Float64
) -> tuple[Float64, Float64]:
    """(z, Phi z - v) of least f1 on the line through w and the iterate before."""
    u_N, image = w_N - before_N, residual - residual_before
    slope_along = float(np.vdot(residual, image)) + problem.beta * float((w_N - 1.0) @ u_N)
    tau = line_search(slope_along, float(np.vdot(image, image)), float(u_N @ u_N), problem.beta)
    return w_N - tau * u_N, residual - tau * image


def _gradient_step(problem: Problem, z_N: Float64, residual: Float64, spread: Spread) -> tuple[Float64, float]:
    """(z - mu grad f1(z), mu), mu of least f1."""
    slope_N = problem.gain * problem.rows.correlate(residual, spread) + problem.beta * (z_N - 1.0)
    image = problem.gain * problem.rows.combine(slope_N, spread)
    square = float(slope_N @ slope_N)
    length = line_search(square, float(np.vdot(image, image)), square, problem.beta)
    return z_N - length * slope_N, 0.5 * length
