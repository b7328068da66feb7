"""The forward pass of a head with hidden layers, as plain arrays; its activations and their derivatives.

M is the number of outputs of a hidden layer.
Cost: 2 B (D M + M C) flops for B rows and one hidden layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from alcli.arrays import Array, Float64, Floats
from alcli.numerics.blocks import BLOCK_ROWS, workers


@dataclass(frozen=True)
class Network:
    """The weights of a head.

    layers: (W_MD, b_M) of each hidden layer, empty for a linear head. activation: relu, tanh or gelu.
    W_CD1: the last layer, the bias in its last column.
    """

    layers: Sequence[tuple[Float64, Float64]]
    activation: str
    W_CD1: Float64

    def forward(self, X_BD: Floats) -> tuple[list[Float64], list[Float64]]:
        """Compute (the inputs of each layer, the last one included; the values before each activation), float64."""
        inputs, before = [X_BD.astype(np.float64)], []
        for W_MD, b_M in self.layers:
            before.append(inputs[-1] @ W_MD.T + b_M)
            inputs.append(ACTIVATIONS[self.activation](before[-1].copy()))
        return inputs, before

    def outputs(self, last_inputs_BM: Float64) -> Float64:
        """Compute the outputs of the last layer from its inputs, [B, C]."""
        return last_inputs_BM @ self.W_CD1[:, :-1].T + self.W_CD1[:, -1]


def by_blocks(function: Callable[[Floats], Array], X_ND: Floats, step: int = BLOCK_ROWS) -> Array:
    """Apply function(X_BD) to all rows, block by block. Returns [N, ...] in the dtype of X_ND.

    step: rows of a block, a power of 2. Blocks then start at the same rows with any number of threads.
    """
    with workers() as spread:
        first_block = function(X_ND[:step])
        out = np.empty((len(X_ND), *first_block.shape[1:]), X_ND.dtype)
        out[:step] = first_block

        def work(first: int, last: int) -> None:
            for a in range(max(first, step), last, step):
                out[a : min(a + step, last)] = function(X_ND[a : min(a + step, last)])

        spread(len(X_ND), work)
    return out


def _gelu(a: Float64) -> Float64:
    a *= ndtr(a)
    return a


def _gelu_slope(a: Float64) -> Float64:
    return ndtr(a) + a * np.exp(-0.5 * np.square(a)) / math.sqrt(2.0 * math.pi)


# Every activation overwrites its argument with the result.
ACTIVATIONS: Mapping[str, Callable[[Float64], Float64]] = {
    "relu": lambda a: np.maximum(a, 0.0, out=a),
    "tanh": lambda a: np.tanh(a, out=a),
    "gelu": _gelu,
}
# The derivative of every activation, a new array.
SLOPES: Mapping[str, Callable[[Float64], Float64]] = {
    "relu": lambda a: (a > 0.0).astype(np.float64),
    "tanh": lambda a: 1.0 - np.square(np.tanh(a)),
    "gelu": _gelu_slope,
}
