"""Neural tangent kernels of a head over frozen features, as sums of products of Gram matrices. No Jacobian is formed.

A head of layers z_l = W_l h_(l-1) + b_l has the kernel sum_l (h_(l-1) . h'_(l-1) + 1) (d_l . d'_l), where d_l is the
gradient of an output with respect to z_l. For a linear head the kernel is h.h' + 1 for every output. It does not depend
on the weights, so linearised training is the same as training.
A head with hidden layers couples its K outputs: its full kernel has a K x K block for each pair of rows. A scalar
kernel takes the mean of the K kernels of one output each (`class-average`), or one direction u of the outputs: u = e_1
(`first-logit`) or u = (1, .., 1) / sqrt K (`sum-of-logits`). In a softmax head at its optimum the weights of the last
layer sum to 0 over the classes. So the sum of the logits does not depend on the hidden layers, nor does its kernel.
The first layer counts in the coordinates in which it was trained (training_scale.py): its inputs are scaled features.
A squared exponential kernel serves for comparison, as do the kernels of wide heads (infinite.py).
P: outputs of a kernel, K or 1. M: units of a hidden layer.
Source: Jacot, Gabriel & Hongler 2018, "Neural tangent kernel"; Mohamadi, Bae & Sutherland 2022, "Making look-ahead
active learning strategies feasible with neural tangent kernels" (sum of logits).
Cost: one Gram matrix for each factor. With one hidden layer and a scalar kernel, 2 N N' (D + 2 M) flops; the full
kernel takes K^2 times as many for the part with M.
Memory: the factors, N (D + 2 M) numbers; the full kernel takes K times as many for the gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.numerics.network import SLOPES, Network

Direction = Literal["class-average", "empirical", "first-logit", "sum-of-logits"]


class KernelRows(Protocol):
    """Rows whose inner products are the values of a kernel."""

    @property
    def n(self) -> int: ...
    @property
    def outputs(self) -> int:
        """The number P of rows of the kernel matrix that belong to one row of features."""

    def at(self, index: Any) -> Self:
        """Select rows by a slice, a mask or row numbers."""

    def joined(self, others: Self) -> Self:
        """Append other rows to the rows of `self`."""

    def gram(self, others: Self) -> Float64:
        """Compute the kernel of all pairs, float64 [N P, N' P'], with the outputs of one row side by side."""

    def diagonal(self) -> Float64:
        """Compute the kernel of each row with itself: [N] for a scalar kernel, [N, P, P] for others."""


@dataclass(frozen=True)
class TangentRows:
    """Rows of a tangent kernel.

    inputs: the input of each layer, [N, D_l], float32 or float64.
    signals: the gradient of the P outputs with respect to z of each layer, [N, P, D_(l+1)]. None stands for one
    direction of unit length of the last layer's own outputs.
    """

    inputs: tuple[Floats, ...]
    signals: tuple[Float64 | None, ...]
    outputs: int = 1

    @property
    def n(self) -> int:
        return len(self.inputs[0])

    @property
    def is_linear(self) -> bool:
        """True where the kernel is the linear kernel of the features with a bias column."""
        return len(self.inputs) == 1 and self.signals[0] is None

    def at(self, index: Any) -> TangentRows:
        return TangentRows(
            tuple(H[index] for H in self.inputs),
            tuple(None if S is None else S[index] for S in self.signals),
            self.outputs,
        )

    def joined(self, others: TangentRows) -> TangentRows:
        inputs = tuple(np.concatenate(pair) for pair in zip(self.inputs, others.inputs))
        signals = tuple(
            None if a is None or b is None else np.concatenate([a, b]) for a, b in zip(self.signals, others.signals)
        )
        return TangentRows(inputs, signals, self.outputs)

    def along(self, R_NP: Float64) -> TangentRows:
        """Combine the outputs of each row n into one, sum_p R_np output_p.

        `gram` with the result is the kernel times R.
        """
        return TangentRows(
            self.inputs, tuple(None if S is None else np.einsum("npm,np->nm", S, R_NP)[:, None] for S in self.signals)
        )

    def gram(self, others: TangentRows) -> Float64:
        out = np.zeros((self.n, self.outputs, others.n, others.outputs))
        for H, S, H_, S_ in zip(self.inputs, self.signals, others.inputs, others.signals):
            part = (H.astype(np.float64, copy=False) @ H_.astype(np.float64, copy=False).T)[:, None, :, None] + 1.0
            if S is not None and S_ is not None:
                part = part * (_flat(S) @ _flat(S_).T).reshape(out.shape)
            out += part
        return out.reshape(self.n * self.outputs, others.n * others.outputs)

    def diagonal(self) -> Float64:
        out = np.zeros((self.n, self.outputs, self.outputs))
        for H, S in zip(self.inputs, self.signals):
            part = sq_norms(H)[:, None, None] + 1.0
            out += part if S is None else part * (S @ S.transpose(0, 2, 1))
        return out[:, 0, 0] if self.outputs == 1 else out


def linear(X_ND: Floats) -> TangentRows:
    """Rows under the kernel of a linear head, h.h' + 1. All tangent kernels of a linear head are this one."""
    return TangentRows((X_ND,), (None,))


def tangent_rows(
    X_ND: Floats, network: Network, kind: Direction, scale: Callable[[Floats], Float64] | None = None
) -> TangentRows:
    """Rows under the kernel of a network, [N, D] features float32 or float64.

    kind: "empirical" is the full kernel, with P = C outputs. scale: maps features to the coordinates in which the first
    layer was trained; None leaves them as they are. A network without hidden layers is trained on features as they are.
    """
    if not network.layers:
        return linear(X_ND)
    inputs, before = network.forward(X_ND)
    C = len(network.W_CD1)
    mean = kind == "class-average"
    directions = {"first-logit": np.eye(1, C), "sum-of-logits": np.full((1, C), C**-0.5)}
    U_PC = directions.get(kind, np.eye(C) * (C**-0.5 if mean else 1.0))
    signals: list[Float64 | None] = [None if mean or len(U_PC) == 1 else np.broadcast_to(U_PC, (len(X_ND), C, C))]
    weights = [W_MD for W_MD, _ in network.layers[1:]] + [network.W_CD1[:, :-1]]
    back: Float64 = np.broadcast_to(U_PC, (len(X_ND), *U_PC.shape))
    for W_CM, z_NM in zip(weights[::-1], before[::-1]):
        slopes_NM = SLOPES[network.activation](z_NM)
        top = len(signals) == 1
        back = (U_PC @ W_CM if top else back @ W_CM) * slopes_NM[:, None]
        if mean and top:  # the outputs of the last hidden layer reach all logits by the same slopes
            signals.append((np.linalg.norm(U_PC @ W_CM, axis=0) * slopes_NM)[:, None])
        else:
            signals.append(back.reshape(len(X_ND), 1, -1) if mean else back)
    first = X_ND if scale is None else scale(X_ND)
    return TangentRows((first, *inputs[1:]), tuple(signals[::-1]), 1 if mean else len(U_PC))


@dataclass(frozen=True)
class ScalarRows:
    """Rows of features under a scalar kernel."""

    X_ND: Floats

    @property
    def n(self) -> int:
        return len(self.X_ND)

    @property
    def outputs(self) -> int:
        return 1


@dataclass(frozen=True)
class GaussianRows(ScalarRows):
    """Rows under exp(-|x - x'|^2 / (2 scale^2)): a Gaussian process that does not depend on the head."""

    scale: float

    def at(self, index: Any) -> GaussianRows:
        return GaussianRows(self.X_ND[index], self.scale)

    def joined(self, others: GaussianRows) -> GaussianRows:
        return GaussianRows(np.concatenate([self.X_ND, others.X_ND]), self.scale)

    def gram(self, others: GaussianRows) -> Float64:
        A, B = (X.astype(np.float64) / self.scale for X in (self.X_ND, others.X_ND))
        return np.exp(-0.5 * np.maximum(sq_norms(A)[:, None] + sq_norms(B) - 2.0 * A @ B.T, 0.0))

    def diagonal(self) -> Float64:
        return np.ones(self.n)


def gaussian_rows(X_ND: Floats) -> GaussianRows:
    """Rows under the squared exponential kernel, with the root mean squared distance of the rows as its scale.

    The scale is 1 where all rows are equal.
    """
    X = X_ND.astype(np.float64)
    variance = float(((X - X.mean(axis=0)) ** 2).sum(axis=1).mean())
    return GaussianRows(X_ND, np.sqrt(2.0 * variance) if variance > 0.0 else 1.0)


def _flat(signals_NPM: Float64) -> Float64:
    return signals_NPM.reshape(-1, signals_NPM.shape[2])


def sq_norms(X_ND: Floats) -> Float64:
    """The squared norm of each row, float64 [N]."""
    X = X_ND.astype(np.float64, copy=False)
    return np.einsum("nd,nd->n", X, X)
