"""From the solution of a sparse approximation to a selection."""

from __future__ import annotations

import numpy as np

from alcli.numerics.sparse_approximation import Batch, largest
from alcli.numerics.sparse_problem import Problem
from alcli.strategies._contract import Selection, finite32
from alcli.strategies._gradients import Expected, importance
from alcli.strategies._view import View


def selected(view: View, found: Expected, problem: Problem, batch: Batch) -> Selection:
    """A batch that solves the problem of these rows.

    weights_K: the solution's, with mean 1 (`importance`). record: raw alpha and beta, and the mean of the weights before.
    """
    return Selection(
        view.rows[batch.picks_K], finite32(batch.scores_K), importance(batch.weights_K), notes=found.notes,
        record={"alpha": problem.alpha, "beta": problem.raw_beta, "mean-weight": float(batch.weights_K.mean())},
    )


def most_spread(view: View, k: int, found: Expected) -> Selection:
    """Where the rows have mean 0 and pose no problem: the k of largest sigma, scores N sigma, weights 1."""
    lengths_N = view.n * found.sigma_N
    picks_K = largest(lengths_N, k)
    note = "the expected gradients have mean 0, so there is nothing to approximate: took the largest expected gradient lengths"
    return Selection(view.rows[picks_K], finite32(lengths_N[picks_K]), np.ones(k, np.float32), notes=(*found.notes, note))
