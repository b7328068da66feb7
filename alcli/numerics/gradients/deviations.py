"""How a head's output moves when its weights are perturbed: a row of S deviations, each of the output's length.

Source: Li et al. 2024, "Deep active learning with noise stability", eq. 1-2; per-layer noise as in their code. Differences are carried
from layer to layer, so none is the difference of two nearly equal numbers but those of the activations, which are taken in float64.
Cost: S forward passes of the head, for a linear one a single product of 2 N D S C flops and N S C exponentials. Memory: N S C numbers
(N S M for hidden features), beside S copies of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.logistic import log_softmax, softmax
from alcli.numerics.network import ACTIVATIONS, Network, by_blocks
from alcli.numerics.rows import Factor, Rows

Output: TypeAlias = Literal["softmax", "hidden", "logits"]
Scaling: TypeAlias = Literal["global", "layer"]

_NUMBERS = 1 << 19  # of a block of deviations, so that it is still in a cache when it is read
_LARGE = 30.0  # steps of the logits beyond this leave nothing to cancel


def perturbed_layers(network: Network, output: Output, *, bias: bool) -> list[Float64]:
    """The weights that are perturbed, one matrix a layer, with the bias column where biases are: all layers, or the hidden ones."""
    layers = [np.column_stack([W_MD, b_M]) for W_MD, b_M in network.layers] + [network.W_CD1]
    return [W if bias else W[:, :-1] for W in (layers[:-1] if output == "hidden" else layers)]


def perturbations(
    noise_Sn: Float64, weights: Sequence[Float64], zeta: float, scaling: Scaling
) -> tuple[list[Float64], float]:
    """Standard normal noise, n numbers a sample, as steps [S, M, D] for each layer; and what a deviation is multiplied by.

    global: one direction over all weights, of length zeta |weights|. layer: one for each layer, of length zeta |layer|. The mean
    square of what results is the squared Jacobian, in the second case that of each layer times |layer|^2 / (its number of weights).
    """
    S, n = noise_Sn.shape
    parts = np.split(noise_Sn, np.cumsum([W.size for W in weights])[:-1], axis=1)
    if scaling == "global":
        size = _norm(np.concatenate([W.ravel() for W in weights]))
        lengths = [zeta * size / np.linalg.norm(noise_Sn, axis=1)] * len(parts)
        factor = np.sqrt(n / S) / (zeta * size)
    else:
        lengths = [zeta * _norm(W) / np.linalg.norm(part, axis=1) for W, part in zip(weights, parts)]
        factor = 1.0 / (zeta * np.sqrt(S))
    return [(part * length[:, None]).reshape(S, *W.shape) for part, length, W in zip(parts, lengths, weights)], float(
        factor
    )


def deviation_rows(network: Network, X_ND: Floats, perturbed: tuple[list[Float64], float], output: Output) -> Rows:
    """The embedding: deviations under the steps of `perturbations`, times its factor."""
    steps, factor = perturbed
    E_NR = Rows(Factor(X_ND)).same_for_copies(deviations(network, X_ND, steps, output))
    E_NR *= E_NR.dtype.type(factor)
    return Rows(Factor(E_NR))


def deviations(network: Network, X_ND: Floats, steps: Sequence[Float64], output: Output) -> Array:
    """The output with perturbed weights less that without, [N, S * its length], in the dtype of X_ND. steps: [S, M, D] of each layer."""
    widest = len(steps[0]) * max(W_SMD.shape[1] for W_SMD in steps)
    step = 2 ** max(0, (_NUMBERS // widest).bit_length() - 1)
    E_NSC = by_blocks(lambda X_BD: _block(network, X_BD, steps, output), X_ND, min(step, BLOCK_ROWS))
    return E_NSC.reshape(len(X_ND), -1)


def softmax_deviation(log_probs_BC: Float64, delta_BSC: Float64) -> Float64:
    """softmax(z + delta) - softmax(z), exactly and without cancellation, [B, S, C]. log_probs: those of z.

    With e = expm1(delta) and q = p.e it is p (e - q) / (1 + q); delta is first made 0 at the top class, for which e - q is then
    -q, a sum over the other classes.
    """
    top_B11 = log_probs_BC.argmax(axis=1)[:, None, None]
    delta_BSC = delta_BSC - np.take_along_axis(delta_BSC, top_B11, axis=2)
    out_BSC = np.expm1(np.minimum(delta_BSC, _LARGE))
    p_B1C = np.exp(log_probs_BC)[:, None, :]
    q_BS1 = (p_B1C * out_BSC).sum(axis=2, keepdims=True)
    out_BSC -= q_BS1
    out_BSC *= p_B1C
    out_BSC /= 1.0 + q_BS1
    rows, samples = np.nonzero(delta_BSC.max(axis=2) > _LARGE)
    out_BSC[rows, samples] = softmax(log_probs_BC[rows] + delta_BSC[rows, samples]) - p_B1C[rows, 0]
    return out_BSC


def output_norms(network: Network, X_ND: Floats, output: Output) -> Float64:
    """Norm of the clean output of each row, float64 [N]."""

    def norms(X_BD: Floats) -> Array:
        last_inputs = network.forward(X_BD)[0][-1]
        values = last_inputs if output == "hidden" else network.outputs(last_inputs)
        return np.asarray(np.linalg.norm(softmax(values) if output == "softmax" else values, axis=1))

    return by_blocks(norms, X_ND).astype(np.float64)


def _block(network: Network, X_BD: Floats, steps: Sequence[Float64], output: Output) -> Float64:
    inputs, before = network.forward(X_BD)
    change_BSD: Float64 = np.zeros((len(X_BD), 1, X_BD.shape[1]))
    for (W_MD, _), step_SMD, x_BD, a_BM in zip(network.layers, steps, inputs, before):
        activation = ACTIVATIONS[network.activation]
        moved_BSM = _layer_change(x_BD, change_BSD, W_MD, step_SMD)
        change_BSD = activation(moved_BSM + a_BM[:, None])
        change_BSD -= activation(a_BM)[:, None]
    if output == "hidden":
        return change_BSD
    delta_BSC = _layer_change(inputs[-1], change_BSD, network.W_CD1[:, :-1], steps[-1])
    return delta_BSC if output == "logits" else softmax_deviation(log_softmax(network.outputs(inputs[-1])), delta_BSC)


def _layer_change(x_BD: Float64, change_BSD: Float64, W_MD: Float64, step_SMD: Float64) -> Float64:
    """(W + step)(x + change) - W x for each row and sample, [B, S, M]; the step of a bias is its last column."""
    S, M, D = step_SMD.shape[0], len(W_MD), W_MD.shape[1]
    out_BSM: Float64 = (x_BD @ step_SMD[:, :, :D].reshape(S * M, D).T).reshape(len(x_BD), S, M)
    if step_SMD.shape[2] > D:
        out_BSM += step_SMD[:, :, D]
    if change_BSD.shape[1] > 1:
        out_BSM += change_BSD @ W_MD.T
        out_BSM += (change_BSD.transpose(1, 0, 2) @ step_SMD[:, :, :D].transpose(0, 2, 1)).transpose(1, 0, 2)
    return out_BSM


def _norm(W: Float64) -> float:
    """|W|, or 1 for weights that are all 0."""
    peak = float(np.abs(W).max())
    return peak * float(np.linalg.norm(W / peak)) if peak else 1.0
