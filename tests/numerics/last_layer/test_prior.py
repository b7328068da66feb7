"""The prior of a last layer: what it says about the bias, and the two ways to write it that must agree."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.numerics.last_layer.prior import SOFTMAX_BIAS_PRECISION, bias_column, bias_precision, prior_diagonal


@pytest.mark.parametrize("prior", [1e-8, 0.3, 1e8])
@pytest.mark.parametrize("D1", [1, 2, 6])
def test_the_weights_have_the_given_precision_and_the_bias_its_own(prior, D1):
    np.testing.assert_array_equal(prior_diagonal(prior, D1, "softmax"), [*[prior] * (D1 - 1), SOFTMAX_BIAS_PRECISION])
    np.testing.assert_array_equal(prior_diagonal(prior, D1, "identity"), [*[prior] * (D1 - 1), 0.0])
    assert prior_diagonal(1, D1, "softmax").dtype == np.float64


def test_the_bias_is_proper_under_a_softmax_and_free_under_squared_loss():
    assert bias_precision("identity") == 0.0
    # In logits: wide enough for a class of one row in a thousand, and no wider than float32 probabilities reach.
    assert np.log(1000) / 3 < bias_precision("softmax") ** -0.5 < np.log(1e38) / 3


@pytest.mark.parametrize("prior", [1e-8, 0.3, 1e8])
def test_the_weight_of_a_column_of_s_has_the_penalty_of_the_bias(prior):
    s, bias = bias_column(prior), 2.7
    assert prior * (bias / s) ** 2 == pytest.approx(bias_precision("softmax") * bias**2, rel=1e-12)
