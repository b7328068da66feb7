"""A fitted head with hidden layers, in NumPy alone: PyTorch is not needed to predict, update or load.

Hidden layer i maps h to act(W_i h + b_i). The last layer is a `LinearHead` over the outputs of the last hidden layer,
so posteriors, updates and gradient embeddings treat it as any linear head.

Source: none of its own; activations in numerics/network.py.
Cost: 2 B (D M_1 + M_1 M_2 + ... + M C) flops for B rows in float64, M_i the width of hidden layer i and M of the last.
Memory: the weights; 1024 rows of hidden features at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np

from alcli import stored
from alcli.arrays import Array, Float64, Floats, with_bias
from alcli.heads._branch import Branch
from alcli.heads._contract import CACHED_ROWS, LinearHead
from alcli.numerics.last_layer.prior import Anchor
from alcli.numerics.network import ACTIVATIONS
from alcli.posteriors._contract import Link

Layer: TypeAlias = tuple[Float64, Float64]  # (W_MD, b_M)


@dataclass(frozen=True)
class NetworkHead:
    """A head of hidden layers and a last layer. `Head` documents its properties and methods.

    layers: (W_MD, b_M) of each hidden layer, float64; the first takes the features. last: the last layer, over the M
    outputs of the last hidden layer. branch: predicts losses from the hidden layers, None where none was trained; only
    `Model.predicted_loss` reads it.
    """

    layers: tuple[Layer, ...]
    activation: str
    last: LinearHead
    branch: Branch | None = None

    @property
    def kind(self) -> str:
        return self.last.kind

    @property
    def W_CD1(self) -> Float64:
        return self.last.W_CD1

    @property
    def prior_precision(self) -> float:
        return self.last.prior_precision

    @property
    def anchor(self) -> Anchor | None:
        return self.last.anchor

    @property
    def prior_mean_CD1(self) -> Float64 | None:
        return self.last.prior_mean_CD1

    @property
    def diagnostics(self) -> Mapping[str, float]:
        return self.last.diagnostics

    @property
    def link(self) -> Link:
        return self.last.link

    @property
    def regression(self) -> bool:
        return self.last.regression

    @property
    def temperature(self) -> float:
        return self.last.temperature

    @property
    def noise_variance(self) -> float:
        return self.last.noise_variance

    @property
    def dim(self) -> int:
        return int(self.layers[0][0].shape[1])

    def hidden(self, X_BD: Floats) -> Float64:
        return forward(self.layers, self.activation, X_BD)

    def last_layer(self, X_BD: Floats) -> Float64:
        return with_bias(self.hidden(X_BD))

    def logits(self, X_BD: Floats) -> Float64:
        return self.last.logits(self.hidden(X_BD))

    def with_last_layer(self, W_CD1: Float64) -> Self:
        return replace(self, last=self.last.with_last_layer(W_CD1))

    def with_diagnostics(self, **values: float) -> Self:
        return replace(self, last=self.last.with_diagnostics(**values))

    def arrays(self) -> dict[str, Array]:
        hidden = {
            f"hidden{i}.{name}": array
            for i, layer in enumerate(self.layers)
            for name, array in zip(("weight", "bias"), layer)
        }
        return self.last.arrays() | hidden | ({} if self.branch is None else self.branch.arrays())

    def settings(self) -> dict[str, Any]:
        widths = [len(b_M) for _, b_M in self.layers]
        branch = {} if self.branch is None else {"branch": self.branch.settings()}
        return self.last.settings() | {"dim": self.dim, "widths": widths, "activation": self.activation} | branch

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any]) -> Self:
        """Rebuild a head from its tensors and settings. Raises DataError that names a missing or wrong entry."""
        dims = [stored.count(settings, "dim"), *stored.counts(settings, "widths")]
        activation = stored.choice(settings, "activation", tuple(ACTIVATIONS))
        layers = tuple(
            (
                stored.tensor(arrays, f"hidden{i}.weight", (dims[i + 1], dims[i])),
                stored.tensor(arrays, f"hidden{i}.bias", (dims[i + 1],)),
            )
            for i in range(len(dims) - 1)
        )
        branch = Branch.from_arrays(arrays, stored.section(settings, "branch"), dims) if "branch" in settings else None
        return cls(layers, activation, LinearHead.from_arrays(arrays, {**settings, "dim": dims[-1]}), branch)


def forward(layers: tuple[Layer, ...], activation: str, X_BD: Floats) -> Float64:
    """Compute the outputs of the last hidden layer, float64 [B, M]."""
    out_BM = np.empty((len(X_BD), len(layers[-1][1])))
    for first in range(0, len(X_BD), CACHED_ROWS):
        rows = slice(first, first + CACHED_ROWS)
        h: Float64 = X_BD[rows].astype(np.float64, copy=False)
        for W_MD, b_M in layers:
            h = ACTIVATIONS[activation](h @ W_MD.T + b_M)
        out_BM[rows] = h
    return out_BM
