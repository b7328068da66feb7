"""What a head is: a model of the label on top of frozen features, linear in its last layer.

A head module holds one function, named as its file and decorated with `@head(...)`, from `Training` data to a fitted head. The
last layer is always linear, so a posterior over it, its updates and the gradient embeddings of the strategies are written once;
a head with hidden layers only changes `last_layer`, the features that this layer sees.
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
from alcli.posteriors._contract import Link

F = TypeVar("F", bound=Callable[..., Any])

CACHED_ROWS = 1024


@dataclass(frozen=True)
class Training:
    """Labelled rows.

    X_LD: features, float32 or float64. y_L: int64 class numbers, or float64 targets in a regression.
    weights_L: float64, positive, 1 for an ordinary row. n_classes: None in a regression; a class may have no row.
    """

    X_LD: Floats
    y_L: Array
    weights_L: Float64
    n_classes: int | None

    @property
    def n(self) -> int:
        return len(self.X_LD)

    def rows(self, index: Array) -> Training:
        """The rows of `index` (numbers or a mask)."""
        return Training(self.X_LD[index], self.y_L[index], self.weights_L[index], self.n_classes)


class Head(Protocol):
    """A fitted head. Regression heads have C = 1."""

    @property
    def kind(self) -> str:
        """The name it is found by, such as softmax."""

    @property
    def W_CD1(self) -> Float64:
        """The last layer: C rows of weights over phi = [last hidden features; 1]."""

    @property
    def prior_precision(self) -> float:
        """What half the squared norm of the weights is multiplied by in the objective."""

    @property
    def diagnostics(self) -> Mapping[str, float]:
        """What the fit reports: log_evidence, iterations, gradient_norm ..."""

    @property
    def link(self) -> Link:
        """How logits become expected targets: softmax, or identity where the loss is squared."""

    @property
    def regression(self) -> bool:
        """Whether labels are numbers."""

    @property
    def temperature(self) -> float:
        """What logits are divided by to become those of probabilities."""

    @property
    def noise_variance(self) -> float:
        """Of the targets under squared loss; 1 for a softmax."""

    @property
    def dim(self) -> int:
        """D of the features it takes."""

    @property
    def layers(self) -> tuple[tuple[Float64, Float64], ...]:
        """The hidden layers (W_MD, b_M) from the features on: h becomes activation(W h + b). None in a linear head."""

    @property
    def activation(self) -> str:
        """The function of every hidden layer: relu, tanh or gelu; identity in a linear head."""

    @property
    def branch(self) -> Branch | None:
        """What predicts the loss of a row from the hidden layers, where it was trained."""

    def hidden(self, X_BD: Floats) -> Floats:
        """The inputs of the last layer without the bias column, [B, M]; X_BD itself, not copied, in a linear head."""

    def last_layer(self, X_BD: Floats) -> Float64:
        """phi, the inputs of the last layer with the bias column, shape [B, D1]."""

    def logits(self, X_BD: Floats) -> Float64:
        """Outputs of the last layer, shape [B, C]."""

    def with_last_layer(self, W_CD1: Float64) -> Self:
        """The same head with another last layer."""

    def with_diagnostics(self, **values: float) -> Self:
        """The same head that reports some values more."""

    def arrays(self) -> dict[str, Array]:
        """Everything needed to rebuild it, beside `settings`."""

    def settings(self) -> dict[str, Any]:
        """JSON values needed to rebuild it."""


@dataclass(frozen=True)
class LinearHead:
    """A head without hidden layers: phi = [h; 1]. Memory C·D1 float64."""

    kind: str
    W_CD1: Float64
    prior_precision: float
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    link: Link = "softmax"
    regression: bool = False
    temperature: float = 1.0
    noise_variance: float = 1.0

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
        # float64 throughout: float32 products depend on the height of the block and on the processor.
        # Few rows at a time keep the widened copy in the cache instead of in fresh pages: a third of the time. The BLAS
        # has one thread: two would wait for each other after each of these small products, and give other bits.
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
        return replace(self, W_CD1=W_CD1)

    def with_diagnostics(self, **values: float) -> Self:
        return replace(self, diagnostics={**self.diagnostics, **values})

    def arrays(self) -> dict[str, Array]:
        return {"weight": self.W_CD1}

    def settings(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "W_CD1"}
        return values | {"diagnostics": dict(self.diagnostics), "outputs": len(self.W_CD1), "dim": self.dim}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any]) -> Self:
        """Rebuild what `arrays` and `settings` describe. Raises DataError naming the tensor or setting that is wrong."""
        shape = stored.count(settings, "outputs"), stored.count(settings, "dim") + 1
        diagnostics = stored.section(settings, "diagnostics")
        return cls(
            stored.text(settings, "kind"),
            stored.tensor(arrays, "weight", shape),
            stored.number(settings, "prior_precision"),
            {name: stored.number(diagnostics, name, positive=False) for name in diagnostics},
            stored.choice(settings, "link", ("softmax", "identity")),
            stored.choice(settings, "regression", (False, True)),
            stored.number(settings, "temperature"),
            stored.number(settings, "noise_variance"),
        )


@dataclass(frozen=True)
class HeadFamily:
    """What a head module declares: its fitting function and the tasks it can do.

    random: it takes `seed`, and where it ends depends on where it starts.
    """

    fit: Callable[..., Head]
    tasks: frozenset[str]  # of "classification", "regression"
    random: bool = False
    restore: Callable[[Mapping[str, Array], Mapping[str, Any]], Head] = LinearHead.from_arrays


def head(
    *,
    tasks: set[str],
    random: bool = False,
    restore: Callable[[Mapping[str, Array], Mapping[str, Any]], Head] = LinearHead.from_arrays,
) -> Callable[[F], F]:
    """Declare a function (data: Training, prior_precision: float | None, start: Head | None, *, [seed,] options) -> Head.

    prior_precision None means auto, start None a cold start. Keyword-only parameters are the options a user can set. random: it
    takes `seed`. restore: rebuilds a head from its arrays and settings.
    """

    def attach(function: F) -> F:
        function.head = HeadFamily(function, frozenset(tasks), random, restore)  # type: ignore[attr-defined]
        return function

    return attach


def family_of(module: ModuleType) -> HeadFamily:
    """The family that a module of this folder declares."""
    found: HeadFamily = getattr(module, module.__name__.rpartition(".")[2]).head
    return found
