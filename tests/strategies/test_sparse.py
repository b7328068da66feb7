"""What the two strategies of sparse approximation share."""

import numpy as np
import pytest

from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import sparse_greedy, sparse_iht
from tests.dense_sparse import pool
from tests.helpers import random_head, view_of


@pytest.mark.parametrize("module", [sparse_greedy, sparse_iht], ids=["greedy", "iht"])
@pytest.mark.parametrize(
    "options",
    [{"form": "bayesian"}, {"label_dist": "laplace"}, {"label_dist": "pseudo"}],
    ids=lambda options: next(iter(options.values())),
)
def test_blocks_and_the_order_of_the_pool_do_not_matter(module, options):
    X, head, order = pool(90).astype(np.float32), random_head(3, 4, 2), np.random.default_rng(1).permutation(90)

    def choose(X_ND, **of_view):
        return select(strategy_of(module), view_of(X_ND, head=head, **of_view), 20, seed=0, options=options)

    one, small, permuted = choose(X), choose(X, block_rows=7), choose(X[order], ids=order)
    assert one.rows_K.tolist() == small.rows_K.tolist() == order[permuted.rows_K].tolist()
    assert one.weights_K.tobytes() == permuted.weights_K.tobytes()
