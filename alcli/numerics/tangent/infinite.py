"""The kernel of a head with hidden layers as their widths grow, at random weights.

Weights are drawn as training draws them (heads/_backprop.py): of variance gain / inputs, with biases of 0. The last
layer is drawn in the same way. (Training begins it at 0, where hidden layers would not count.) Then the inputs of the
activations of two rows are two normals. The kernel follows layer by layer from two expectations over them: E[act act'],
and E[slope slope'], which is its derivative by the covariance. The kernel is in the units of the kernels of a fitted
head: a layer counts by the sum over its inputs, so a wide layer counts more than a narrow one. It is the mean kernel
of random heads with these widths: exactly for one hidden layer, and up to a relative error of order 1 / width for more.
Where only the last layer is trained, the kernel is that of its inputs alone. It is the covariance of the outputs of
random heads, and regression under it is the Gaussian process of the infinite network.
The expectations hold at any scale of the features. relu and gelu have closed forms. tanh is exactly a mixture of error
functions, each of which has a closed form: tanh z = E[erf(z / (S sqrt 2))], where S has the distribution of Kolmogorov.
A Gauss rule of `_NODES` nodes in log S stands for the mixture; its error in tanh is 2e-7, in the slope 8e-7.

Source: Jacot, Gabriel & Hongler 2018, "Neural tangent kernel"; standard parameterisation, Sohl-Dickstein et al. 2020,
"On the infinite width limit of neural networks with a standard parameterization"; Gaussian process, Neal 1996, Bayesian
learning for neural networks; relu, Cho & Saul 2009; erf, Williams 1998, "Computation with infinite neural networks";
gelu, Tsuchida et al. 2021, "Avoiding kernel fixed points"; the mixture, Andrews & Mallows 1974, "Scale mixtures of
normal distributions" (the logistic distribution).
Cost: for N N' pairs of rows, a few functions for each pair and layer; tanh takes `_NODES`^2 of them.
Memory: a few N N' arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from alcli.arrays import Float64
from alcli.numerics.tangent.kernels import ScalarRows, sq_norms

# Nodes of the mixture for tanh.
_NODES = 8
# The range of S outside which it has no weight in float64, and the points of the rule that integrates over it.
_LEAST, _MOST, _POINTS = 0.05, 7.0, 2000
# (c, q, q') -> (E[act act'], E[slope slope']) for normals of covariance c and variances q, q'.
Expectations = Callable[[Float64, Float64, Float64], tuple[Float64, Float64]]


def _relu(c: Float64, q: Float64, q_: Float64) -> tuple[Float64, Float64]:
    norms = np.sqrt(q * q_)
    angle = np.arccos(np.clip(np.divide(c, norms, out=np.zeros_like(c), where=norms > 0.0), -1.0, 1.0))
    return (norms * np.sin(angle) + (np.pi - angle) * c) / (2.0 * np.pi), (np.pi - angle) / (2.0 * np.pi)


def _gelu(c: Float64, q: Float64, q_: Float64) -> tuple[Float64, Float64]:
    spare = np.maximum(q * q_ - c**2, 0.0)
    total, share = 1.0 + q + q_ + spare, 1.0 / (1.0 + q) + 1.0 / (1.0 + q_)
    both = 0.25 + np.arcsin(np.clip(c / np.sqrt((1.0 + q) * (1.0 + q_)), -1.0, 1.0)) / (2.0 * np.pi)
    part = spare + c**2 * share
    values = c * both + part / np.sqrt(total) / (2.0 * np.pi)
    slopes = both + c * (2.0 * share - 1.0 + part / total) / np.sqrt(total) / (2.0 * np.pi)
    return values, slopes


def _tanh(c: Float64, q: Float64, q_: Float64) -> tuple[Float64, Float64]:
    values, slopes = np.zeros_like(c), np.zeros_like(c)
    squares, weights = _mixture()
    spare = np.maximum(q * q_ - c**2, 0.0)
    for s, w in zip(squares, weights):
        for t, v in zip(squares, weights):
            root = np.sqrt(s * t + s * q_ + t * q + spare)
            values += (w * v) * np.arctan2(c, root)  # the arcsine, without loss of digits near 1
            slopes += (w * v) / root
    return 2.0 / np.pi * values, 2.0 / np.pi * slopes


_EXPECTATIONS: Mapping[str, Expectations] = {"relu": _relu, "gelu": _gelu, "tanh": _tanh}
# The variance of the weights of hidden layers, times their inputs.
_GAIN: Mapping[str, float] = {"relu": 2.0, "gelu": 2.0, "tanh": 1.0}


@dataclass(frozen=True)
class InfiniteRows(ScalarRows):
    """Rows of features, in the coordinates of training, under the kernel of wide random heads.

    widths: the units of each hidden layer. activation: relu, tanh or gelu. trained: all layers are trained, or only the
    last one.
    """

    widths: tuple[int, ...]
    activation: str
    trained: Literal["all", "last"] = "all"

    def at(self, index: Any) -> InfiniteRows:
        return InfiniteRows(self.X_ND[index], self.widths, self.activation, self.trained)

    def joined(self, others: InfiniteRows) -> InfiniteRows:
        return InfiniteRows(np.concatenate([self.X_ND, others.X_ND]), self.widths, self.activation, self.trained)

    def gram(self, others: InfiniteRows) -> Float64:
        inner = self.X_ND.astype(np.float64, copy=False) @ others.X_ND.astype(np.float64, copy=False).T
        return self._kernel(inner, sq_norms(self.X_ND)[:, None], sq_norms(others.X_ND))

    def diagonal(self) -> Float64:
        square_N = sq_norms(self.X_ND)
        return self._kernel(square_N, square_N, square_N)

    def _kernel(self, inner: Float64, square: Float64, square_: Float64) -> Float64:
        """Compute the kernel from inner products of the features, and the squared norms of the rows on either side."""
        expect, gain, inputs = _EXPECTATIONS[self.activation], _GAIN[self.activation], self.X_ND.shape[1]
        kernel = inner + 1.0
        for width in self.widths:
            q, q_ = gain / inputs * square, gain / inputs * square_
            values, slopes = expect(gain / inputs * inner, q, q_)
            inner, square, square_ = width * values, width * expect(q, q, q)[0], width * expect(q_, q_, q_)[0]
            kernel, inputs = inner + 1.0 + gain * slopes * kernel, width
        return kernel if self.trained == "all" else inner + 1.0


@lru_cache
def _mixture() -> tuple[Float64, Float64]:
    """The squares of the nodes of S, and their weights: the Gauss rule in log S, by the Stieltjes procedure."""
    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    s = _LEAST + 0.5 * (points + 1.0) * (_MOST - _LEAST)
    weights, x = weights * 0.5 * (_MOST - _LEAST) * _density(s), np.log(s)
    before, now, beta = np.zeros_like(x), np.full_like(x, weights.sum() ** -0.5), 0.0
    matrix = np.zeros((_NODES, _NODES))
    for i in range(_NODES):
        matrix[i, i] = (weights * x * now**2).sum()
        after = (x - matrix[i, i]) * now - beta * before
        beta = float(np.sqrt((weights * after**2).sum()))
        before, now = now, after / beta
        if i + 1 < _NODES:
            matrix[i, i + 1] = matrix[i + 1, i] = beta
    nodes, vectors = np.linalg.eigh(matrix)
    return np.exp(2.0 * nodes), vectors[0] ** 2


def _density(s: Float64) -> Float64:
    """The density of the distribution of Kolmogorov: a series that converges fast for small s, another for large."""
    k = np.arange(1, 60)[:, None]
    a = ((2 * k - 1) * np.pi) ** 2 / 8.0
    with np.errstate(under="ignore"):
        small = (np.sqrt(2.0 * np.pi) * np.exp(-a / s**2) * (2.0 * a / s**4 - 1.0 / s**2)).sum(axis=0)
        large = (8.0 * s * (-1.0) ** (k - 1) * k**2 * np.exp(-2.0 * k**2 * s**2)).sum(axis=0)
    return np.where(s < 1.0, small, large)
