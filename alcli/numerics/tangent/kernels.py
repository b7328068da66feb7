"""Neural tangent kernels of a head over frozen features, as sums of products of Gram matrices. No Jacobian is formed.

A head of layers z_l = W_l h_(l-1) + b_l has the kernel sum_l (h_(l-1) . h'_(l-1) + 1) (d_l . d'_l), where d_l is the
gradient of an output with respect to z_l. For a linear head the kernel is h.h' + 1 for every output. It does not depend
on the weights, so linearised training is the same as training.
A head with hidden layers couples its K outputs: its full kernel has a K x K block for each pair of rows. A scalar
kernel takes the mean of the K kernels of one output each (`class-average`), or one direction u of the outputs: u = e_1
(`first-logit`) or u = (1, .., 1) / sqrt K (`sum-of-logits`). In a softmax head at its optimum the weights of the last
layer sum to 0 over the classes. So the sum of the logits does not depend on the hidden layers, nor does its kernel.
The first layer counts in the coordinates in which it was trained (training_scale.py): its inputs are scaled features.
Two more kernels serve for comparison: the kernel of a head of infinite width, and a squared exponential kernel.
P: outputs of a kernel, K or 1. M: units of a hidden layer.
Source: Jacot, Gabriel & Hongler 2018, "Neural tangent kernel"; Mohamadi, Bae & Sutherland 2022, "Making look-ahead
active learning strategies feasible with neural tangent kernels" (sum of logits); Cho & Saul 2009 (arc-cosine kernels);
Mehler's formula.
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
from alcli.numerics.network import ACTIVATIONS, SLOPES, Network

Direction = Literal["class-average", "empirical", "first-logit", "sum-of-logits"]
# Terms of the expansion in Hermite polynomials, and nodes of the quadrature for its coefficients.
_HERMITE_TERMS = 40
_NODES = 96


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
            part = _sq_norms(H)[:, None, None] + 1.0
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
class _ScalarRows:
    """Rows of features under a scalar kernel."""

    X_ND: Floats

    @property
    def n(self) -> int:
        return len(self.X_ND)

    @property
    def outputs(self) -> int:
        return 1


@dataclass(frozen=True)
class InfiniteRows(_ScalarRows):
    """Rows under the kernel of a head with one hidden layer of infinite width.

    Weights are Gaussian, with the scaling of Jacot et al.: f = w . act(W [x; 1] / sqrt D1) / sqrt M + b. The kernel is
    E[act act'] + 1 + q E[slope slope'], where q = (x.x' + 1) / D1 is the covariance of the inputs of the activations.
    It is exact for relu. For tanh and gelu it is 40 terms of an expansion in Hermite polynomials, whose coefficients
    decrease quickly. values_NT, slopes_NT: the T coefficients of the activation and of its slope; T is 0 for relu.
    """

    values_NT: Float64
    slopes_NT: Float64
    activation: str

    def at(self, index: Any) -> InfiniteRows:
        return InfiniteRows(self.X_ND[index], self.values_NT[index], self.slopes_NT[index], self.activation)

    def joined(self, others: InfiniteRows) -> InfiniteRows:
        values_NT = np.concatenate([self.values_NT, others.values_NT])
        slopes_NT = np.concatenate([self.slopes_NT, others.slopes_NT])
        return InfiniteRows(np.concatenate([self.X_ND, others.X_ND]), values_NT, slopes_NT, self.activation)

    def gram(self, others: InfiniteRows) -> Float64:
        inner = self.X_ND.astype(np.float64) @ others.X_ND.astype(np.float64).T + 1.0
        norms = np.outer(*(np.sqrt(_sq_norms(X) + 1.0) for X in (self.X_ND, others.X_ND)))
        return self._kernel(
            inner, norms, (self.values_NT[:, None], self.slopes_NT[:, None]), (others.values_NT, others.slopes_NT)
        )

    def diagonal(self) -> Float64:
        square_N = _sq_norms(self.X_ND) + 1.0
        return self._kernel(square_N, square_N, (self.values_NT, self.slopes_NT), (self.values_NT, self.slopes_NT))

    def _kernel(
        self, inner: Float64, norms: Float64, mine: tuple[Float64, Float64], theirs: tuple[Float64, Float64]
    ) -> Float64:
        """Compute the kernel. inner: inner products of [x; 1] with [x'; 1]. norms: the products of their norms.

        mine, theirs: (values, slopes), the coefficients of the rows on either side, with the terms on the last axis.
        """
        rho, inner = np.clip(inner / norms, -1.0, 1.0), inner / (self.X_ND.shape[1] + 1)
        if self.activation == "relu":
            open_angle = np.pi - np.arccos(rho)
            values = norms / (self.X_ND.shape[1] + 1) * (np.sqrt(1.0 - rho**2) + open_angle * rho)
            return (values + inner * open_angle) / (2.0 * np.pi) + 1.0
        out, power = np.ones_like(rho), np.ones_like(rho)
        for t in range(self.values_NT.shape[1]):
            out += power * (mine[0][..., t] * theirs[0][..., t] + inner * (mine[1][..., t] * theirs[1][..., t]))
            power *= rho
        return out


def infinite_rows(X_ND: Floats, activation: str) -> InfiniteRows:
    """Rows under the kernel of infinite width. activation: relu, tanh or gelu.

    The coefficients expand act(sqrt(q) u) and its slope as functions of a standard normal u, with q = (x.x + 1) / D1.
    """
    if activation == "relu":
        return InfiniteRows(X_ND, np.empty((len(X_ND), 0)), np.empty((len(X_ND), 0)), activation)
    nodes_Q, weights_Q = np.polynomial.hermite_e.hermegauss(_NODES)
    weights_Q = weights_Q / np.sqrt(2.0 * np.pi)
    basis_TQ = np.empty((_HERMITE_TERMS, _NODES))
    basis_TQ[0], basis_TQ[1] = 1.0, nodes_Q
    # Orthonormal Hermite polynomials by their recurrence.
    for t in range(1, _HERMITE_TERMS - 1):
        basis_TQ[t + 1] = (nodes_Q * basis_TQ[t] - np.sqrt(t) * basis_TQ[t - 1]) / np.sqrt(t + 1.0)
    deviation_N = np.sqrt((_sq_norms(X_ND) + 1.0) / (X_ND.shape[1] + 1))
    z_NQ = np.outer(deviation_N, nodes_Q)
    projector_QT = (basis_TQ * weights_Q).T
    # Slopes come first, because activations write into their argument.
    slopes_NT = SLOPES[activation](z_NQ) @ projector_QT
    return InfiniteRows(X_ND, ACTIVATIONS[activation](z_NQ) @ projector_QT, slopes_NT, activation)


@dataclass(frozen=True)
class GaussianRows(_ScalarRows):
    """Rows under exp(-|x - x'|^2 / (2 scale^2)): a Gaussian process that does not depend on the head."""

    scale: float

    def at(self, index: Any) -> GaussianRows:
        return GaussianRows(self.X_ND[index], self.scale)

    def joined(self, others: GaussianRows) -> GaussianRows:
        return GaussianRows(np.concatenate([self.X_ND, others.X_ND]), self.scale)

    def gram(self, others: GaussianRows) -> Float64:
        A, B = (X.astype(np.float64) / self.scale for X in (self.X_ND, others.X_ND))
        return np.exp(-0.5 * np.maximum(_sq_norms(A)[:, None] + _sq_norms(B) - 2.0 * A @ B.T, 0.0))

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


def _sq_norms(X_ND: Floats) -> Float64:
    X = X_ND.astype(np.float64, copy=False)
    return np.einsum("nd,nd->n", X, X)
