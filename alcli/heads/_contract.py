"""The contract of heads. A head is a model of the label on top of frozen features, linear in its last layer.

A head module holds one function, named as its file and decorated with `@head(...)`, from `Training` data to a fitted
head. The last layer is always linear. So the posteriors over the last layer, their updates and the gradient embeddings
of the strategies are written once; a head with hidden layers only changes `last_layer`, the inputs of the last layer.

M is the width of the last hidden layer (M = D in a linear head), and D1 here stands for M + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import ModuleType
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from alcli import stored
from alcli.arrays import Array, Float64, Floats, with_bias
from alcli.heads._branch import Branch
from alcli.numerics.blocks import workers
from alcli.numerics.last_layer.prior import Anchor
from alcli.posteriors._contract import Link

F = TypeVar("F", bound=Callable[..., Any])

# Rows that are multiplied together: few enough that their float64 copy stays in the cache.
CACHED_ROWS = 1024


@dataclass(frozen=True)
class Training:
    """Labelled rows to fit a head to.

    X_LD: features, float32 or float64. y_L: int64 class numbers, or float64 targets in a regression.
    weights_L: float64, positive, 1 for an ordinary row. n_classes: None in a regression; a class may have no row.
    anchor: the prior of a softmax head; None centres it at zero, and leaves the precision to the head.
    """

    X_LD: Floats
    y_L: Array
    weights_L: Float64
    n_classes: int | None
    anchor: Anchor | None = None

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.X_LD)

    def rows(self, index: Array) -> Training:
        """The rows that `index` chooses, by number or by a mask."""
        return Training(self.X_LD[index], self.y_L[index], self.weights_L[index], self.n_classes, self.anchor)


class Head(Protocol):
    """A fitted head. Regression heads have C = 1."""

    @property
    def kind(self) -> str:
        """The name of the head's family, such as softmax."""

    @property
    def W_CD1(self) -> Float64:
        """The last layer, float64 [C, D1]: the weights over phi = [outputs of the last hidden layer; 1]."""

    @property
    def prior_precision(self) -> float:
        """The factor of half the squared norm of the weights in the objective, without the bias."""

    @property
    def anchor(self) -> Anchor | None:
        """The prior of the last layer, where something else than labels gave it."""

    @property
    def prior_mean_CD1(self) -> Float64 | None:
        """The last layer at which the prior is centred, float64 [C, D1]; None for zero."""

    @property
    def diagnostics(self) -> Mapping[str, float]:
        """Figures of the fit: log_evidence, iterations, gradient_norm ..."""

    @property
    def link(self) -> Link:
        """The map from logits to expected targets: softmax, or identity under squared loss."""

    @property
    def regression(self) -> bool:
        """True where labels are numbers."""

    @property
    def temperature(self) -> float:
        """The temperature T of class probabilities, softmax(logits / T)."""

    @property
    def noise_variance(self) -> float:
        """The variance of the noise on the targets under squared loss; 1 under softmax."""

    @property
    def dim(self) -> int:
        """D, the length of the features that the head takes."""

    @property
    def layers(self) -> tuple[tuple[Float64, Float64], ...]:
        """The hidden layers (W_MD, b_M), the first on the features; h becomes activation(W h + b). () if linear."""

    @property
    def activation(self) -> str:
        """The function of every hidden layer: relu, tanh or gelu; identity in a linear head."""

    @property
    def branch(self) -> Branch | None:
        """The branch that predicts the loss of a row from the hidden layers; None where none was trained."""

    def hidden(self, X_BD: Floats) -> Floats:
        """The inputs of the last layer without the bias column, [B, M]; X_BD itself, not a copy, in a linear head."""

    def last_layer(self, X_BD: Floats) -> Float64:
        """The inputs phi of the last layer with the bias column, float64 [B, D1]."""

    def logits(self, X_BD: Floats) -> Float64:
        """The outputs of the last layer, float64 [B, C], not divided by the temperature."""

    def with_last_layer(self, W_CD1: Float64) -> Self:
        """The same head with another last layer. The prior mean of a class that is new in W_CD1 is zero."""

    def with_diagnostics(self, **values: float) -> Self:
        """The same head with `values` added to its diagnostics."""

    def arrays(self) -> dict[str, Array]:
        """The tensors from which, with `settings`, the head is rebuilt."""

    def settings(self) -> dict[str, Any]:
        """The JSON values from which, with `arrays`, the head is rebuilt."""


@dataclass(frozen=True)
class LinearHead:
    """A head without hidden layers: phi = [features; 1]. Memory: C D1 float64 numbers, twice with a prior mean."""

    kind: str
    W_CD1: Float64
    prior_precision: float
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    link: Link = "softmax"
    regression: bool = False
    temperature: float = 1.0
    noise_variance: float = 1.0
    anchor: Anchor | None = None

    @property
    def prior_mean_CD1(self) -> Float64 | None:
        return None if self.anchor is None else self.anchor.mean_CD1

    @property
    def dim(self) -> int:
        return int(self.W_CD1.shape[1]) - 1

    @property
    def layers(self) -> tuple[tuple[Float64, Float64], ...]:
        return ()

    @property
    def activation(self) -> str:
        return "identity"

    @property
    def branch(self) -> None:
        return None

    def hidden(self, X_BD: Floats) -> Floats:
        return X_BD

    def last_layer(self, X_BD: Floats) -> Float64:
        return with_bias(X_BD)

    def logits(self, X_BD: Floats) -> Float64:
        # All products are float64: the bits of float32 products depend on the height of the block and on the processor.
        # Few rows at a time keep the float64 copy in the cache instead of in fresh pages, which takes a third of the
        # time. The BLAS runs on one thread: two threads would wait for each other after each small product, and would
        # give other bits.
        logits_BC = np.empty((len(X_BD), len(self.W_CD1)))

        def work(first: int, last: int) -> None:
            for a in range(first, last, CACHED_ROWS):
                rows = slice(a, min(a + CACHED_ROWS, last))
                np.matmul(X_BD[rows].astype(np.float64, copy=False), self.W_CD1[:, :-1].T, out=logits_BC[rows])
                logits_BC[rows] += self.W_CD1[:, -1]

        with workers() as spread:
            spread(len(X_BD), work)
        return logits_BC

    def with_last_layer(self, W_CD1: Float64) -> Self:
        anchor = self.anchor and self.anchor.with_classes(len(W_CD1) - len(self.W_CD1))
        return replace(self, W_CD1=W_CD1, anchor=anchor)

    def with_diagnostics(self, **values: float) -> Self:
        return replace(self, diagnostics={**self.diagnostics, **values})

    def arrays(self) -> dict[str, Array]:
        return {"weight": self.W_CD1} | ({} if self.anchor is None else self.anchor.arrays())

    def settings(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("W_CD1", "anchor")}
        return values | {"diagnostics": dict(self.diagnostics), "outputs": len(self.W_CD1), "dim": self.dim}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any]) -> Self:
        """Rebuild a head from its tensors and settings. Raises DataError that names a missing or wrong entry."""
        shape = stored.count(settings, "outputs"), stored.count(settings, "dim") + 1
        diagnostics, precision = stored.section(settings, "diagnostics"), stored.number(settings, "prior_precision")
        return cls(
            stored.text(settings, "kind"),
            stored.tensor(arrays, "weight", shape),
            precision,
            {name: stored.number(diagnostics, name, positive=False) for name in diagnostics},
            stored.choice(settings, "link", ("softmax", "identity")),
            stored.choice(settings, "regression", (False, True)),
            stored.number(settings, "temperature"),
            stored.number(settings, "noise_variance"),
            Anchor.from_arrays(arrays, precision, shape) if "prior_mean" in arrays else None,
        )


@dataclass(frozen=True)
class HeadFamily:
    """A head module's declaration: its fitting function and the tasks of the head.

    tasks: a subset of "classification" and "regression". random: the fitting function takes `seed`, and the fitted
    weights depend on the weights at the start. restore: rebuilds a head from its tensors and settings.
    """

    fit: Callable[..., Head]
    tasks: frozenset[str]
    random: bool = False
    restore: Callable[[Mapping[str, Array], Mapping[str, Any]], Head] = LinearHead.from_arrays


def head(
    *,
    tasks: set[str],
    random: bool = False,
    restore: Callable[[Mapping[str, Array], Mapping[str, Any]], Head] = LinearHead.from_arrays,
) -> Callable[[F], F]:
    """Declare the fitting function of a head: (data, prior_precision, start, *, [seed,] options) -> Head.

    data: `Training`. prior_precision: a float, or None to have the function choose it. start: a fitted head to begin
    at, or None for a cold start.
    Keyword-only parameters are the options that a user can set. tasks, random, restore: see `HeadFamily`.
    """

    def attach(function: F) -> F:
        function.head = HeadFamily(function, frozenset(tasks), random, restore)  # type: ignore[attr-defined]
        return function

    return attach


def family_of(module: ModuleType) -> HeadFamily:
    """The family that a head module declares."""
    return getattr(module, module.__name__.rpartition(".")[2]).head
