"""One matrix a class: its dense form, ridge, and what a class that no row was near to may do."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.errors import DataError
from alcli.numerics.logistic import softmax
from alcli.posteriors.laplace_block import LaplaceBlock
from tests.evidence import check_update_is_ridge, prior_of, problem


def dense_precision(parts, prior, curvature):
    C, D1 = parts[0][0].shape
    total = np.diag(np.tile(prior_of(prior, D1), C))
    for W, data in parts:
        P = softmax(data.phi_LD1 @ W.T)
        for k in range(C):
            block = slice(k * D1, (k + 1) * D1)
            r = curvature * data.weights_L * P[:, k] * (1 - P[:, k])
            total[block, block] += (data.phi_LD1 * r[:, None]).T @ data.phi_LD1
    return total


@pytest.mark.parametrize("mode", ["sequential", "batch"])
def test_squared_loss_equals_ridge_on_all_rows(mode):
    check_update_is_ridge(LaplaceBlock, mode)


def test_a_class_that_no_row_is_near_to_is_less_certain():
    W, data = problem()
    W[2] = 0.0
    W[2, -1] = -6.0
    variance = LaplaceBlock.fit(W, data, prior_precision=0.1, noise_variance=1.0)[1].variance(W, data.phi_LD1)
    assert (variance[:, 2] > 2 * variance[:, :2].max(axis=1)).all()


def test_a_new_class_gets_the_mean_precision_of_the_others():
    W, data = problem()
    _, post = LaplaceBlock.fit(W, data, prior_precision=0.7)
    wider = post.with_new_classes(2)
    assert len(wider.states) == 5
    np.testing.assert_allclose(
        wider.states[4].precision, np.mean([s.precision for s in post.states], axis=0), atol=1e-13
    )


def test_labels_cannot_be_given_back():
    W, data = problem()
    with pytest.raises(DataError, match="laplace-block"):
        LaplaceBlock.fit(W, data, prior_precision=0.7)[1].remove(W, data.rows(np.arange(1)))
