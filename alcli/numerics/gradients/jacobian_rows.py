"""Rows whose inner products are those of Jacobians of the outputs of a head by its weights.

The Jacobian by a layer is a product of factors, so the rows are sums over layers of products that are never written
out. noise_stability.py gives the formulas.
Source: own; the softmax Jacobian as in softmax_jacobian.py.
Cost: N (D + C) numbers; a hidden layer adds N C M numbers under a softmax, otherwise N M. Memory: the same.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.errors import UsageError
from alcli.numerics.factors import Factor
from alcli.numerics.gradients.combined_rows import SumRows
from alcli.numerics.gradients.deviations import Output, Scaling, perturbed_layers
from alcli.numerics.gradients.softmax_jacobian import SoftmaxJacobian, about_top
from alcli.numerics.logistic import log_softmax
from alcli.numerics.network import SLOPES, Network, by_blocks
from alcli.numerics.rows import Rows

# The most numbers a row of the hidden layer's part, which is written out.
_MOST = 4096


def jacobian_rows(
    network: Network, X_ND: Floats, output: Output, scaling: Scaling = "global", *, bias: bool = False
) -> Rows:
    """The rows whose inner products are those of the Jacobians, the part of each layer times the layer's weight.

    The weight of a layer follows from the scaling (`perturbations`). Raises UsageError for more than one
    hidden layer, or for a hidden layer that is too wide for the number of classes.
    """
    C, M = network.W_CD1.shape[0], network.W_CD1.shape[1] - 1
    if len(network.layers) > 1 or (network.layers and output == "softmax" and C * M > _MOST):
        raise UsageError(
            f"estimator=kernel takes one hidden layer of at most {_MOST // C} units where there are {C} classes",
            hint="use -p estimator=sampled",
        )
    weights = [1.0] * (len(network.layers) + (output != "hidden"))
    if output == "logits":
        weights[-1] = float(C)
    if scaling == "layer":
        weights = [
            w * float(np.square(W).mean()) for w, W in zip(weights, perturbed_layers(network, output, bias=bias))
        ]
    terms = _terms(network, X_ND, output, float(bias))
    return terms[0] if weights == [1.0] else SumRows(terms, weights)


def _terms(network: Network, X_ND: Floats, output: Output, offset: float) -> list[Rows]:
    """The rows of each layer's part, the hidden layer first. offset: o of the module."""
    copies, terms = Rows(Factor(X_ND)), []

    def signals(function: Callable[[Floats], Float64]) -> Array:
        return copies.same_for_copies(by_blocks(function, X_ND))

    if network.layers:
        terms.append(Rows(Factor(signals(lambda X_BD: _hidden_signals(network, X_BD, output))), Factor(X_ND, offset)))
    if output != "hidden":
        last = Factor(signals(lambda X_BD: network.forward(X_BD)[0][-1]) if network.layers else X_ND, offset)
        jacobian = (
            [SoftmaxJacobian(signals(lambda X_BD: _log_probs(network, X_BD)), X_ND.dtype)]
            if output == "softmax"
            else []
        )
        terms.append(Rows(last, *jacobian))
    return terms


def _hidden_signals(network: Network, X_BD: Floats, output: Output) -> Float64:
    """The factor of the hidden layer's part beside X: the slopes d (for logits times |w_m|), [B, M]; or B, [B, C M]."""
    inputs, before = network.forward(X_BD)
    slopes_BM, W_CM = SLOPES[network.activation](before[-1]), network.W_CD1[:, :-1]
    if output == "hidden":
        return slopes_BM
    if output == "logits":
        slopes_BM *= np.linalg.norm(W_CM, axis=0)
        return slopes_BM
    s_BC, top_B = about_top(log_softmax(network.outputs(inputs[-1])))
    W_top_BM = np.concatenate([W_CM, np.zeros((1, W_CM.shape[1]))])[top_B]
    p_BC = s_BC + (top_B[:, None] == np.arange(len(W_CM)))
    # A W = p (W - p W). Of a sure row's top class, W - p W is computed as -s W, not as a difference of equal
    # numbers.
    B_BCM: Float64 = p_BC[:, :, None] * (W_CM - W_top_BM[:, None] - (s_BC @ W_CM)[:, None])
    B_BCM *= slopes_BM[:, None]
    return B_BCM.reshape(len(X_BD), -1)


def _log_probs(network: Network, X_BD: Floats) -> Float64:
    return log_softmax(network.outputs(network.forward(X_BD)[0][-1]))
