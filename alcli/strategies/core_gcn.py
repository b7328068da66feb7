"""Rows far from labelled ones, as a graph network sees them.

A graph network of two layers learns to tell labelled rows from the others; then k-centre (core-set) picks
rows by its H hidden units. The graph joins every row to every other by the cosine of their features. Edges
have the weight W = (1 + cosine) / 2, without loops, and are divided by the roots of both degrees (1 over the
root is in the diagonal matrix S). Every row is joined to itself once: A = S (W - diag W) S + I. The graph is
dense, but W has the rank of the features plus one, so A v costs as much as two products with the features,
and A is never written out. The outputs are A (h w) + b for h = relu(A X V + c), with dropout on h in
training, by Adam. Every step still reads all rows, so a random part of a larger pool takes part
(`candidates`).

Source: Caramalau, Bhattarai & Kim 2021, "Sequential graph convolutional network for active learning"
(CoreGCN), eq. 1-3, on frozen features, and its published code for the loss; layers after Kipf & Welling 2017;
Adam, Kingma & Ba 2015; k-centre, Sener & Savarese 2018. Edge weights are ours (the paper's are cosines of
features that are not negative), and so is the step size of 0.01.
Cost: 4 M D (H + 1) flops a step for M candidates and labelled rows, 200 steps, float32; then k-centre.
Memory: M (2 D + 4 H) numbers.
Passes: one over the ids, and the rows that take part.

Options:
    units: number of hidden units of the network.
    steps: number of training steps.
    dropout: share of the hidden units that is dropped in each training step.
    unlabelled-weight: weight of the unlabelled side of the loss, where the labelled side has weight 1.
    candidates: number of random rows that take part, at least the batch size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated

import numpy as np

from alcli.arrays import Array, Float32, Floats
from alcli.errors import UsageError
from alcli.numerics.blocks import workers
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.logistic import log_softmax
from alcli.numerics.rows import feature_rows
from alcli.selection.options import Count, at_least
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import some_places
from alcli.selection.view import View

# Adam: weight decay, step size, decay rates of the two moments, and the number added to the root.
_DECAY, _RATE, _MOMENTS, _TINY = 5e-4, 1e-2, (0.9, 0.999), 1e-8


@batch(needs=["features", "labelled", "row_key"], random=True)
def core_gcn(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    units: Count = 128,
    steps: Count = 200,
    dropout: Annotated[float, _rate] = 0.3,
    unlabelled_weight: Annotated[float, partial(at_least, 0)] = 1.2,
    candidates: Count = 5_000,
) -> Selection:
    """Pick k rows by k-centre on the hidden units.

    Scores: the distance to the nearest labelled or earlier row, in hidden units (the first without labels:
    its norm).
    """
    at_least(1, units=units, steps=steps, candidates=candidates)
    _rate(dropout=dropout)
    places_M, notes = some_places(view, max(candidates, k), rng)
    X_MD, X_LD = view.features_at(places_M), view.labelled()
    labelled_A = np.repeat([False, True], [len(X_MD), len(X_LD)])
    # One thread computes each product.
    with workers():
        h_AH = trained_hidden(
            np.concatenate([X_MD, X_LD]),
            labelled_A,
            units=units,
            steps=steps,
            dropout=dropout,
            balance=unlabelled_weight,
            rng=rng,
        )
    rows, centres = feature_rows(h_AH[~labelled_A], h_AH[labelled_A])
    picks_K, distances_K = k_center(rows, k, centres)
    return Selection(view.rows[places_M[picks_K]], finite32(distances_K), notes=notes)


def _rate(*, dropout: float) -> None:
    """Raise UsageError for a rate that is not at least 0 and below 1."""
    if not 0.0 <= dropout < 1.0:
        raise UsageError(f"parameter 'dropout' must be at least 0 and below 1, got {dropout}")


class CosineGraph:
    """The graph of N rows. U_ND: the rows, each of norm 1 (or 0), float32."""

    def __init__(self, X_ND: Floats) -> None:
        norms_N = np.sqrt(np.einsum("nd,nd->n", X_ND, X_ND, dtype=np.float64))
        self.U_ND: Float32 = (X_ND / np.where(norms_N > 0.0, norms_N, 1.0)[:, None]).astype(np.float32)
        self._own_N1 = np.float32(0.5) * (1.0 + np.einsum("nd,nd->n", self.U_ND, self.U_ND))[:, None]
        degrees_N1 = self._weighted(np.ones((len(X_ND), 1), np.float32))
        self._root_N1 = np.where(degrees_N1 > 0.0, 1.0 / np.sqrt(np.maximum(degrees_N1, 1e-6)), 0.0).astype(np.float32)

    @cached_property
    def P_ND(self) -> Float32:
        """The input A U of the first layer."""
        return self(self.U_ND)

    def __call__(self, V_NK: Float32) -> Float32:
        """The product A V, [N, K]."""
        return self._root_N1 * self._weighted(self._root_N1 * V_NK) + V_NK

    def _weighted(self, V_NK: Float32) -> Float32:
        """The product (W - diag W) V, [N, K]."""
        sums_1K = V_NK.sum(axis=0, keepdims=True)
        return np.float32(0.5) * (self.U_ND @ (self.U_ND.T @ V_NK) + sums_1K) - self._own_N1 * V_NK


@dataclass(frozen=True)
class Weights:
    """The weights of the network. V_DH, c_H: the first layer. w_H1, b_1: the second layer."""

    V_DH: Array
    c_H: Array
    w_H1: Array
    b_1: Array

    @classmethod
    def drawn(cls, D: int, H: int, rng: np.random.Generator) -> Weights:
        """Draw weights of variance 2 / (number of inputs) to begin training with; biases are 0."""
        V_DH, w_H1 = (
            rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2.0 / shape[0])) for shape in ((D, H), (H, 1))
        )
        return cls(V_DH, np.zeros(H, np.float32), w_H1, np.zeros(1, np.float32))

    def all(self) -> list[Array]:
        return [self.V_DH, self.c_H, self.w_H1, self.b_1]


def hidden(P_ND: Array, weights: Weights) -> Array:
    """The hidden units relu(P V + c), [N, H]."""
    h_NH: Array = P_ND @ weights.V_DH
    h_NH += weights.c_H
    return np.maximum(h_NH, 0.0, out=h_NH)


def loss_and_gradients(
    graph: CosineGraph, weights: Weights, labelled_N: Array, balance: float, keep_NH: Array | None
) -> tuple[float, list[Array]]:
    """Return (loss, its gradients by `weights.all()`).

    The loss is the mean -log p of the labelled rows plus `balance` times the mean -log(1 - p) of the other
    rows. keep_NH: factors of the hidden units (dropout). A side without rows adds nothing.
    """
    P_ND = graph.P_ND
    h_NH = hidden(P_ND, weights)
    seen_NH = h_NH if keep_NH is None else h_NH * keep_NH
    z_N1 = graph(seen_NH @ weights.w_H1) + weights.b_1
    # Columns: not labelled, labelled.
    sides_N2 = np.concatenate([np.zeros_like(z_N1), z_N1], axis=1)
    logs_N2 = log_softmax(sides_N2)
    counts = np.array([np.sum(~labelled_N), np.sum(labelled_N)])
    shares = np.array([balance, 1.0]) / np.maximum(counts, 1)
    side_N = labelled_N.astype(np.int64)
    loss = -float((shares[side_N] * logs_N2[np.arange(len(side_N)), side_N]).sum())
    by_z_N1 = (shares[side_N] * (np.exp(logs_N2[:, 1]) - labelled_N))[:, None].astype(P_ND.dtype)
    # A is symmetric, so its transpose is A.
    by_q_N1 = graph(by_z_N1)
    by_h_NH = by_q_N1 * weights.w_H1[:, 0]
    if keep_NH is not None:
        by_h_NH *= keep_NH
    by_h_NH *= h_NH > 0.0
    return loss, [P_ND.T @ by_h_NH, by_h_NH.sum(axis=0), seen_NH.T @ by_q_N1, by_z_N1.sum(axis=0)]


def trained_hidden(
    X_ND: Floats, labelled_N: Array, *, units: int, steps: int, dropout: float, balance: float, rng: np.random.Generator
) -> Float32:
    """Train the network; return the hidden units of every row, float32 [N, H]."""
    graph = CosineGraph(X_ND)
    weights = Weights.drawn(X_ND.shape[1], units, rng)
    train(weights, graph, labelled_N, steps=steps, dropout=dropout, balance=balance, rng=rng)
    return hidden(graph.P_ND, weights).astype(np.float32)


def train(
    weights: Weights,
    graph: CosineGraph,
    labelled_N: Array,
    *,
    steps: int,
    dropout: float,
    balance: float,
    rng: np.random.Generator,
) -> None:
    """Move the weights by `steps` steps of Adam, with weight decay as part of the gradient."""
    means, squares = ([np.zeros_like(w) for w in weights.all()] for _ in range(2))
    for step in range(1, steps + 1):
        keep_NH = (
            (rng.random((len(labelled_N), len(weights.c_H)), np.float32) >= dropout) / np.float32(1.0 - dropout)
            if dropout > 0.0
            else None
        )
        _, gradients = loss_and_gradients(graph, weights, labelled_N, balance, keep_NH)
        for w, gradient, mean, square in zip(weights.all(), gradients, means, squares):
            gradient += np.float32(_DECAY) * w
            mean += (1.0 - _MOMENTS[0]) * (gradient - mean)
            square += (1.0 - _MOMENTS[1]) * (gradient**2 - square)
            root = np.sqrt(square / (1.0 - _MOMENTS[1] ** step)) + _TINY
            w -= _RATE * (mean / (1.0 - _MOMENTS[0] ** step)) / root
