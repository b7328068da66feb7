"""The noise-stability embedding with infinitely many samples: rows of the Jacobian of a head's output by its weights, never written out.

Inner products of Jacobian rows are products of factors, summed over layers (A: the softmax Jacobian, or the identity where the output
is the logits; h: inputs of the last layer; d: slopes of the hidden layer's activation; o: 1 where biases are perturbed, else 0):

- last layer <A_i, A_j> (h_i.h_j + o);
- hidden layer <B_i, B_j> (x_i.x_j + o), with B = A W diag(d); for the logits it is sum_m |w_m|^2 d_im d_jm, w_m a column of W;
- the hidden features themselves (d_i.d_j) (x_i.x_j + o).

Source: the limit of many perturbations in Li et al. 2024, "Deep active learning with noise stability", eq. 6; closed forms ours.
Cost of a product with one row: 2 N (D + 3 C) flops for a linear head, 2 N (D + C M) more for a hidden layer under a softmax, which
takes N C M numbers; 2 N (D + M) otherwise. Memory: N (D + C) numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.errors import UsageError
from alcli.numerics.combined_rows import SumRows
from alcli.numerics.deviations import Output, Scaling, perturbed_layers
from alcli.numerics.logistic import log_softmax
from alcli.numerics.network import SLOPES, Network, by_blocks
from alcli.numerics.rows import Factor, Rows
from alcli.numerics.softmax_jacobian import SoftmaxJacobian, about_top

_MOST = 4096  # numbers a row of the hidden layer's part, which is written out


def jacobian_rows(network: Network, X_ND: Floats, output: Output, scaling: Scaling = "global", *, bias: bool = False) -> Rows:
    """Rows whose inner products are those of the Jacobians, each layer's times its weight (`perturbations` says of the scaling which).

    Raises UsageError for more than one hidden layer, or one too wide for the number of classes.
    """
    C, M = network.W_CD1.shape[0], network.W_CD1.shape[1] - 1
    if len(network.layers) > 1 or (network.layers and output == "softmax" and C * M > _MOST):
        raise UsageError(f"estimator=kernel takes one hidden layer of at most {_MOST // C} units where there are {C} classes",
                         hint="use -p estimator=sampled")
    weights = [1.0] * (len(network.layers) + (output != "hidden"))
    if output == "logits":
        weights[-1] = float(C)
    if scaling == "layer":
        weights = [w * float(np.square(W).mean()) for w, W in zip(weights, perturbed_layers(network, output, bias=bias))]
    terms = _terms(network, X_ND, output, float(bias))
    return terms[0] if weights == [1.0] else SumRows(terms, weights)


def _terms(network: Network, X_ND: Floats, output: Output, offset: float) -> list[Rows]:
    copies, terms = Rows(Factor(X_ND)), []

    def signals(function: Callable[[Floats], Float64]) -> Array:
        return copies.same_for_copies(by_blocks(function, X_ND))

    if network.layers:
        terms.append(Rows(Factor(signals(lambda X_BD: _hidden_signals(network, X_BD, output))), Factor(X_ND, offset)))
    if output != "hidden":
        last = Factor(signals(lambda X_BD: network.forward(X_BD)[0][-1]) if network.layers else X_ND, offset)
        jacobian = [SoftmaxJacobian(signals(lambda X_BD: _log_probs(network, X_BD)), X_ND.dtype)] if output == "softmax" else []
        terms.append(Rows(last, *jacobian))
    return terms


def _hidden_signals(network: Network, X_BD: Floats, output: Output) -> Float64:
    """What the hidden layer's part is made of beside X: the slopes d, [B, M]; or B itself, [B, C M]."""
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
    # A W = p (W - p W), where W - p W of a sure row's top class is -s W: no difference of equal numbers.
    B_BCM: Float64 = p_BC[:, :, None] * (W_CM - W_top_BM[:, None] - (s_BC @ W_CM)[:, None])
    B_BCM *= slopes_BM[:, None]
    return B_BCM.reshape(len(X_BD), -1)


def _log_probs(network: Network, X_BD: Floats) -> Float64:
    return log_softmax(network.outputs(network.forward(X_BD)[0][-1]))
