"""Deviations of a head's output under S random perturbations of its weights, as rows of an embedding.

Row n holds the S deviations of input n, one after another. Differences are carried from layer to layer. So the only
subtraction of two nearly equal numbers is that of activations, and it is done in float64.
M: outputs of a layer. D: its inputs, in the first layer the features.
Source: Li et al. 2024, "Deep active learning with noise stability", eq. 1-2; noise for each layer as in their code.
Cost: S forward passes of the head. For a linear head, one product of 2 N D S C flops, and N S C exponentials.
Memory: N S C numbers (N S M for hidden features), beside S copies of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.factors import Factor
from alcli.numerics.logistic import log_softmax, softmax
from alcli.numerics.network import ACTIVATIONS, Network, by_blocks
from alcli.numerics.rows import Rows

Output: TypeAlias = Literal["softmax", "hidden", "logits"]
Scaling: TypeAlias = Literal["global", "layer"]

# Numbers in a block of deviations: few enough that the block is still in a cache when it is read.
_NUMBERS = 1 << 19
# Where a logit moves farther than this, probabilities are subtracted as they are, since nothing cancels.
_LARGE = 30.0


def perturbed_layers(network: Network, output: Output, *, bias: bool) -> list[Float64]:
    """Return the weights to perturb, one matrix for each layer: [M, D], or [M, D1] with the biases as last column.

    Output "hidden" takes the hidden layers alone, any other output all layers. bias: perturb biases too.
    """
    layers = [np.column_stack([W_MD, b_M]) for W_MD, b_M in network.layers] + [network.W_CD1]
    return [W if bias else W[:, :-1] for W in (layers[:-1] if output == "hidden" else layers)]


def perturbations(
    noise_Sn: Float64, weights: Sequence[Float64], zeta: float, scaling: Scaling
) -> tuple[list[Float64], float]:
    """Turn standard normal noise [S, n] into weight steps [S, M, D] for each layer; n is the number of all weights.

    Also returns the factor that a deviation is to be multiplied by. Scaling "global" draws one direction over all
    weights, of length zeta |weights|; "layer" draws one for each layer, of length zeta |layer|.
    To first order in zeta, the expected squared norm of a row after the factor is the squared norm of its Jacobian.
    Under "layer" the Jacobian of each layer counts |layer|^2 / (number of its weights) times.
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
    steps = [(part * length[:, None]).reshape(S, *W.shape) for part, length, W in zip(parts, lengths, weights)]
    return steps, float(factor)


def scaled_deviations(network: Network, X_ND: Floats, perturbed: tuple[list[Float64], float], output: Output) -> Array:
    """The embedding: deviations under the steps of `perturbations`, multiplied by its factor; equal for equal rows."""
    steps, factor = perturbed
    E_NR = Rows(Factor(X_ND)).same_for_copies(deviations(network, X_ND, steps, output))
    E_NR *= E_NR.dtype.type(factor)
    return E_NR


def deviations(network: Network, X_ND: Floats, steps: Sequence[Float64], output: Output) -> Array:
    """Subtract the output from the output under perturbed weights: [N, S * output length], in the dtype of X_ND.

    steps: [S, M, D], or [S, M, D1] with biases, for each layer.
    """
    widest = len(steps[0]) * max(W_SMD.shape[1] for W_SMD in steps)
    step = 2 ** max(0, (_NUMBERS // widest).bit_length() - 1)
    E_NSC = by_blocks(lambda X_BD: _block(network, X_BD, steps, output), X_ND, min(step, BLOCK_ROWS))
    return E_NSC.reshape(len(X_ND), -1)


def softmax_deviation(log_probs_BC: Float64, delta_BSC: Float64) -> Float64:
    """Compute softmax(z + delta) - softmax(z) without cancellation, [B, S, C]. log_probs_BC: the log-softmax of z.

    With e = expm1(delta) and q = p.e, the difference is p (e - q) / (1 + q). delta is first shifted to be 0 at the
    top class. For that class e - q is then -q, a sum over the other classes.
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
    """The norm of each row's output without perturbation, float64 [N]."""

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
    """Compute (W + step)(x + change) - W x for each row and sample, [B, S, M].

    The last column of a step may be the step of the bias.
    change_BSD: zeros [B, 1, D] where the inputs have not moved.
    """
    S, M, D = step_SMD.shape[0], len(W_MD), W_MD.shape[1]
    out_BSM: Float64 = (x_BD @ step_SMD[:, :, :D].reshape(S * M, D).T).reshape(len(x_BD), S, M)
    if step_SMD.shape[2] > D:
        out_BSM += step_SMD[:, :, D]
    if change_BSD.shape[1] > 1:
        out_BSM += change_BSD @ W_MD.T
        out_BSM += (change_BSD.transpose(1, 0, 2) @ step_SMD[:, :, :D].transpose(0, 2, 1)).transpose(1, 0, 2)
    return out_BSM


def _norm(W: Float64) -> float:
    """The norm |W|, or 1 where all weights are 0. Weights are divided by the largest first: squares cannot overflow."""
    peak = float(np.abs(W).max())
    return peak * float(np.linalg.norm(W / peak)) if peak else 1.0
