"""Two algorithms for a batch of b rows with a small objective f: greedy, and proximal iterative hard thresholding.

The objective and its letters (w, S, Phi, v, alpha, beta, sigma) are in problem.py.
Source: Shen et al. 2022, "Batch active learning from the perspective of sparse approximation", Algorithms 1 and 2.
Deviations from the paper:
- The de-bias step stops where the first weight reaches 0, so it never raises f.
- Greedy takes the true decrease of f along a coordinate, unless tau is given. The paper publishes no value of tau.
- Hard thresholding keeps the b largest of (1/2) max(s, 0)^2 + alpha sigma^2, where s is w after the gradient step. The
  paper's appendix E prints the b smallest of (1/2) max(-s, 0)^2 - alpha sigma^2. The printed rule leaves out the cost
  of dropping an entry, ties all positive s, and does not threshold at all when alpha is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.numerics.blocks import Spread, workers
from alcli.numerics.gradients.sparse.problem import SparseProblem, line_search
from alcli.numerics.gradients.sparse.support import FORMS, Form, ResidualSupport, Support, cheaper_form
from alcli.remarks import steps

_TINY = float(np.finfo(np.float64).tiny)

# (fit of rows to the residual, row numbers) -> score of each row, larger is better.
Rule: TypeAlias = Callable[[Float64, Array | slice], Float64]


@dataclass(frozen=True)
class Batch:
    """A chosen batch of K rows.

    picks_K: the rows, in order. weights_K: their weights, >= 0. scores_K: the scores they were chosen by.
    objectives: f after each iteration.
    """

    picks_K: Int64
    weights_K: Float64
    scores_K: Float64
    objectives: Float64


def greedy(problem: SparseProblem, b: int, *, tau: float | None = None, form: Form | None = None) -> Batch:
    """Algorithm 1, b times: add the best row, fit its weight, take one gradient step on all chosen weights.

    tau: None takes the row with the largest decrease of f; a number takes the paper's rule, the row with the least
    tau * gradient - alpha sigma^2. form: None chooses the cheaper one.
    scores_K: the decrease of f along the row's coordinate when the row was picked.
    Cost of a pick: one product with all rows and 4 |S| K D1 flops; in the form "columns", see `ColumnSupport`.
    """
    rows = problem.rows
    scores, objectives = [], []
    with workers() as spread:
        support = FORMS[form or cheaper_form(rows.n, rows.K, rows.D1, b)](problem, b, spread)
        rule, open_N = _rule(problem, tau), np.ones(rows.n, bool)
        for _ in steps(range(b), "picking", b):
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


def decrease(problem: SparseProblem, fit: Float64 | float, rows: Array | slice | int) -> Float64:
    """The decrease of f when a row j of weight 0 is chosen and given its best weight; one number for each of `rows`.

    fit: Phi_j . (Phi w - v) of the rows.
    """
    rise = np.minimum(fit - problem.beta, 0.0)
    curvature = np.maximum(problem.sq_norms_N[rows] + problem.beta, _TINY)
    return rise * (rise / curvature) + problem.bonus_N[rows]


def _rule(problem: SparseProblem, tau: float | None) -> Rule:
    if tau is None:
        return lambda fit, rows: decrease(problem, fit, rows)
    return lambda fit, rows: problem.bonus_N[rows] - tau * 2.0 * (fit - problem.beta)


def best_row(support: Support, rule: Rule, open_N: Array) -> tuple[int, float]:
    """Return (the open row with the largest score, its fit to the residual), as a search in float64 would find it.

    The fits of all rows have a known error. Only rows that may be the best within that error are computed in float64,
    most often one. Ties go to the lower row. open_N: True for rows that may be picked.
    """
    fit_N, error = support.fit_all()
    bound_N = rule(fit_N - error * support.lengths_N, slice(None))
    bound_N[~open_N] = -np.inf
    probe = np.array([bound_N.argmax()])
    reached = float(rule(support.fit_at(probe), probe)[0])
    rows = np.flatnonzero(bound_N >= min(reached, bound_N[probe[0]]))
    fit = support.fit_at(rows)
    best = int(rule(fit, rows).argmax())
    return int(rows[best]), float(fit[best])


def iht(
    problem: SparseProblem, b: int, *, iterations: int = 100, tol: float = 1e-5, prox_scaled: bool = False
) -> Batch:
    """Algorithm 2: a gradient step, the b best entries, a de-bias step on them, momentum. Returns the best iterate.

    It stops when the set is unchanged and f changes by at most tol max(|v|^2, f).
    scores_K: the proximal rule (1/2) max(s, 0)^2 + alpha sigma^2. As published, alpha and sigma are in the units of the
    pool, so the weight of the second term depends on the scale of the features. prox_scaled: multiply the second term
    by the length of the gradient step instead, as the proximal operator of that step does.
    Cost of an iteration: two products with all rows, and 8 b K D1 flops.
    """
    with workers() as spread:
        w_N, residual = np.zeros(problem.rows.n), -problem.v_KD1
        z_N, z_residual = w_N, residual
        best, best_f, objectives, S_before = None, np.inf, [], np.empty(0, np.int64)
        for _ in steps(range(iterations), "iterating", iterations):
            s_N, length = _gradient_step(problem, z_N, z_residual, spread)
            priority_N = prox_priority(s_N, (length if prox_scaled else problem.unit * problem.unit) * problem.bonus_N)
            S = largest(priority_N, b)
            support = ResidualSupport(problem, b, spread)
            support.add(S)
            support.put(np.maximum(s_N[S], 0.0))
            support.de_bias()
            objectives.append(support.f())
            if best is None or objectives[-1] < best_f:
                best, best_f = (S, support.w, priority_N[S]), objectives[-1]
            w_before_N, before = w_N, residual
            w_N, residual = np.zeros(problem.rows.n), support.residual_KD1
            w_N[S] = support.w
            unchanged = np.array_equal(np.sort(S), S_before)
            if unchanged and abs(objectives[-1] - objectives[-2]) <= tol * max(1.0, abs(best_f)):
                break
            S_before = np.sort(S)
            z_N, z_residual = momentum(problem, w_N, w_before_N, residual, before)
    assert best is not None
    return Batch(*best, np.array(objectives))


def prox_priority(s_N: Float64, bonus_N: Float64) -> Float64:
    """The cost of leaving out each entry of s, [N], when (1/2) |w - s|^2 - (bonus of chosen entries) is minimised.

    The minimum is over w >= 0. bonus_N: the bonus of each entry.
    """
    return 0.5 * np.square(np.maximum(s_N, 0.0)) + bonus_N


def largest(values_N: Float64, b: int) -> Int64:
    """Return the positions of the b largest values, in descending order; ties go to the lower position."""
    border = np.partition(values_N, len(values_N) - b)[len(values_N) - b]
    places = np.flatnonzero(values_N >= border)
    return places[np.argsort(-values_N[places], kind="stable")[:b]]


def momentum(
    problem: SparseProblem, w_N: Float64, before_N: Float64, residual: Float64, residual_before: Float64
) -> tuple[Float64, Float64]:
    """Return (z, Phi z - v), where z minimises f1 on the line through w and the previous iterate.

    residual: Phi w - v; residual_before: the same at the previous iterate; both points [K, D1].
    """
    u_N, image = w_N - before_N, residual - residual_before
    slope_along = float(np.vdot(residual, image)) + problem.beta * float((w_N - 1.0) @ u_N)
    tau = line_search(slope_along, float(np.vdot(image, image)), float(u_N @ u_N), problem.beta)
    return w_N - tau * u_N, residual - tau * image


def _gradient_step(problem: SparseProblem, z_N: Float64, residual: Float64, spread: Spread) -> tuple[Float64, float]:
    """Return (z - mu grad f1(z), mu), with the mu that minimises f1 along the gradient. residual: Phi z - v."""
    slope_N = problem.gain * problem.rows.correlate(residual, spread) + problem.beta * (z_N - 1.0)
    image = problem.gain * problem.rows.combine(slope_N, spread)
    square = float(slope_N @ slope_N)
    length = line_search(square, float(np.vdot(image, image)), square, problem.beta)
    return z_N - length * slope_N, 0.5 * length
