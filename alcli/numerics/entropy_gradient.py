"""How long the gradient of the predictive entropy is, by all parameters of a network, for every row: no gradient is written out.

The gradient of H by the outputs of a softmax is g = -p o (log p + H), which sums to 0. That by the weights of a layer is the outer product
of its signal and its inputs, so its norm is the product of theirs; signals go back through the layers as in back-propagation.
g vanishes at a certain prediction and at the uniform one as well: its length is no measure of uncertainty.
Source: Gul, Elmahallawy, Madria & Tripathy 2024, "LPLgrad", eq. 8 (`fro`) and its published code (`sum`); closed forms ours.
Cost: 2 (D M + 2 M C) flops a row for one hidden layer of M units, all layers but the first there and back; 2 D C without. float64.
Memory: 1024 rows of inputs and signals at a time for each thread.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.numerics.blocks import workers
from alcli.numerics.logistic import log_softmax
from alcli.numerics.network import SLOPES, Network

Norm: TypeAlias = Literal["fro", "sum", "weights"]

LEAST_LOG = -700.0  # p log p is 0 below, and exp of it is no denormal
_CACHED_ROWS = 1024


def entropy_signal(log_probs_BC: Float64) -> tuple[Float64, Float64]:
    """(dH/dz, float64 [B, C]; H in nats, [B]) of class probabilities softmax(z)."""
    logs_BC = np.maximum(log_probs_BC, LEAST_LOG)
    p_BC = np.exp(logs_BC)
    entropy_B: Float64 = -np.vecdot(p_BC, logs_BC)
    logs_BC += entropy_B[:, None]
    logs_BC *= p_BC
    return np.negative(logs_BC, out=logs_BC), entropy_B


def layer_norms(network: Network, X_BD: Floats, temperature: float = 1.0) -> tuple[Float64, Float64, Float64]:
    """(squared norms of the signals, of the inputs, both [layers, B], the last layer first; entropies [B]). One forward and backward pass.

    temperature: what outputs are divided by before the softmax.
    """
    inputs, before = network.forward(X_BD)
    outputs_BC = network.outputs(inputs[-1])
    outputs_BC /= temperature
    signal, entropy_B = entropy_signal(log_softmax(outputs_BC))
    signal /= temperature
    signals = [np.vecdot(signal, signal)]
    above = [network.W_CD1[:, :-1], *(W_MD for W_MD, _ in network.layers[:0:-1])]
    for W, before_BM in zip(above, reversed(before)):
        signal = signal @ W
        signal *= SLOPES[network.activation](before_BM)
        signals.append(np.vecdot(signal, signal))
    return np.stack(signals), np.stack([np.vecdot(h, h) for h in reversed(inputs)]), entropy_B


def norms(network: Network, X_ND: Floats, norm: Norm, temperature: float = 1.0) -> tuple[Float64, Float64]:
    """(norms, entropies in nats) of N rows, float64 [N] each.

    norm: fro, of all parameters together; weights, without biases; sum, the norms of the weights and of the bias of every layer added up.
    """
    out_N, entropy_N = np.empty(len(X_ND)), np.empty(len(X_ND))

    def work(first: int, last: int) -> None:
        for a in range(first, last, _CACHED_ROWS):
            rows = slice(a, min(a + _CACHED_ROWS, last))
            signals_LB, inputs_LB, entropy_N[rows] = layer_norms(network, X_ND[rows], temperature)
            out_N[rows] = _combined(signals_LB, inputs_LB, norm)

    with workers() as spread:
        spread(len(X_ND), work)
    return out_N, entropy_N


def _combined(signals_LB: Float64, inputs_LB: Float64, norm: Norm) -> Float64:
    if norm == "sum":
        return (np.sqrt(signals_LB) * (np.sqrt(inputs_LB) + 1.0)).sum(axis=0)  # type: ignore[no-any-return]
    return np.sqrt((signals_LB * (inputs_LB + (norm == "fro"))).sum(axis=0))  # type: ignore[no-any-return]
