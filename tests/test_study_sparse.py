"""The study of sparse approximation measures what it says."""

from __future__ import annotations

import numpy as np

from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.numerics.gradients.sparse.approximation import greedy
from alcli.numerics.gradients.sparse.problem import pose
from benchmarks.sparse_batches import distance_sq


def test_the_distance_is_that_of_gradients_written_out() -> None:
    rng = np.random.default_rng(0)
    a_NK, h_ND, b = rng.normal(size=(9, 3)), rng.normal(size=(9, 4)), 3
    problem = pose(GradientRows(a_NK, h_ND), rng.random(9), b, alpha=0.0, beta=0.0)
    G = np.einsum("nk,nd->nkd", a_NK, np.column_stack([h_ND, np.ones(9)])).reshape(9, -1)
    v = G.mean(axis=0)
    batch = greedy(problem, b)
    for picks_K, weights_K in ((batch.picks_K, batch.weights_K), (np.array([4, 0, 7]), np.ones(3))):
        want = np.square(v - weights_K @ G[picks_K] / b).sum() / np.square(v).sum()
        assert abs(distance_sq(problem, picks_K, weights_K) - want) < 1e-10
    # With alpha and beta 0, the objective of the batch is the distance itself.
    assert abs(batch.objectives[-1] - distance_sq(problem, batch.picks_K, batch.weights_K)) < 1e-10
