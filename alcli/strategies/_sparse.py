"""From a view to a problem of sparse approximation, and from its solution to a selection."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.numerics.sparse_approximation import Batch, largest
from alcli.numerics.sparse_problem import Problem, pose
from alcli.strategies._contract import Selection, finite32
from alcli.strategies._gradients import Expected, importance
from alcli.strategies._view import View


def approximated(
    view: View, k: int, found: Expected, solve: Callable[[Problem], Batch], *,
    alpha: float | None, beta: float | None, alpha_rel: float, beta_rel: float,
) -> Selection:
    """The batch that `solve` makes of the problem of these rows; the k of largest sigma where their mean is 0.

    weights_K: the solution's, with mean 1 (`importance`). record: raw alpha and beta, and the mean of the weights before.
    """
    problem = pose(found.rows, found.sigma_N, k, alpha=alpha, beta=beta, alpha_rel=alpha_rel, beta_rel=beta_rel)
    if problem is None:
        return _most_spread(view, k, found)
    batch = solve(problem)
    return Selection(
        view.rows[batch.picks_K], finite32(batch.scores_K), importance(batch.weights_K), notes=found.notes,
        record={"alpha": problem.alpha, "beta": problem.raw_beta, "mean-weight": float(batch.weights_K.mean())},
    )


def _most_spread(view: View, k: int, found: Expected) -> Selection:
    """The k rows of largest sigma, scores N sigma, weights 1."""
    lengths_N = view.n * found.sigma_N
    picks_K = largest(lengths_N, k)
    note = "the expected gradients have mean 0, so there is nothing to approximate: took the largest expected gradient lengths"
    return Selection(view.rows[picks_K], finite32(lengths_N[picks_K]), np.ones(k, np.float32), notes=(*found.notes, note))
