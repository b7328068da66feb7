"""Small labelled problems for tests of posteriors over the last layer."""

from __future__ import annotations

import numpy as np

from alcli.arrays import with_bias
from alcli.numerics.last_layer.prior import SOFTMAX_BIAS_PRECISION as SOFTMAX_BIAS
from alcli.numerics.logistic import one_hot
from alcli.posteriors._contract import Evidence


def prior_of(prior_precision, D1, link="softmax"):
    """The prior precision of each weight of one class, the bias last, [D1]: flat for the bias under squared loss."""
    return np.array([prior_precision] * (D1 - 1) + [SOFTMAX_BIAS if link == "softmax" else 0.0])


def problem(C=3, n=12, D=2, link="softmax", seed=0):
    """(W_CD1, labelled rows with weights): any weights, not those of a fit."""
    rng = np.random.default_rng(seed)
    data = Evidence(
        with_bias(rng.normal(size=(n, D))), one_hot(rng.integers(C, size=n), C), rng.uniform(0.5, 2.0, size=n), link
    )
    return rng.normal(size=(C, D + 1)), data


def ridge(data, prior_precision):
    """The weights of ridge regression with a free bias, solved densely."""
    weighted = data.phi_LD1 * data.weights_L[:, None]
    prior_D1 = prior_of(prior_precision, data.phi_LD1.shape[1], "identity")
    return np.linalg.solve(np.diag(prior_D1) + weighted.T @ data.phi_LD1, weighted.T @ data.targets_LC).T


def check_update_is_ridge(posterior, mode):
    """Under squared loss, fitting 8 rows and absorbing 4 more gives the weights of ridge regression on all 12."""
    _, data = problem(link="identity")
    first = data.rows(np.arange(8))
    _, fitted = posterior.fit(ridge(first, 0.7), first, prior_precision=0.7)
    W_CD1, _ = fitted.update(ridge(first, 0.7), data.rows(np.arange(8, 12)), mode=mode)
    np.testing.assert_allclose(W_CD1, ridge(data, 0.7), atol=1e-12)
