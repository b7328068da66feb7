"""What a posterior is: the uncertainty of a last layer W around its trained value, over phi = [last hidden features; 1].

A posterior module holds one frozen class, named as its file in CamelCase (`laplace_shared` -> `LaplaceShared`). It never holds
the mean: that is the head's last layer, and is passed in. Posteriors are immutable; `update` returns a new one and a new mean.
Whatever the form (one covariance, one a class, an ensemble, dropout masks), a draw is a whole last layer, so that one draw is
the same hypothesis for every row, and what follows (BALD, look-ahead, reweighting) is written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np

from alcli.arrays import Array, Float64
from alcli.numerics.logistic import softmax

Link = Literal["softmax", "identity"]
Mode = Literal["sequential", "batch"]


def mean_of(link: Link, logits_BC: Float64) -> Float64:
    """The expected target given the outputs of the last layer: class probabilities, or the outputs themselves."""
    return softmax(logits_BC) if link == "softmax" else logits_BC


@dataclass(frozen=True)
class Evidence:
    """What a posterior sees of labelled rows.

    phi_LD1: inputs of the last layer. targets_LC: one-hot classes or regression targets. weights_L: 1 for an ordinary row.
    link: how outputs become expected targets.
    """

    phi_LD1: Float64
    targets_LC: Float64
    weights_L: Float64
    link: Link

    @property
    def n(self) -> int:
        return len(self.phi_LD1)

    def rows(self, index: Array) -> Evidence:
        """The rows of `index` (numbers or a mask)."""
        return Evidence(self.phi_LD1[index], self.targets_LC[index], self.weights_L[index], self.link)


class Posterior(Protocol):
    """A posterior over the last layer.

    measured: whether `curvature_at` depends on the probabilities. absorbs: whether it can take labels in, in closed form.
    """

    measured: ClassVar[bool]
    absorbs: ClassVar[bool]

    @property
    def kind(self) -> str:
        """The name it is found by, such as laplace-shared."""

    @property
    def distinct(self) -> int | None:
        """How many different draws there are: draw i is draw i mod distinct, and all are as likely. None: there is no use in counting."""

    @property
    def figures(self) -> Mapping[str, float]:
        """What its fit reports."""

    @classmethod
    def curvature_at(cls, probs_HC: Float64) -> float:
        """The curvature that suits a softmax head whose predictions, of rows it has not seen, are probs_HC."""

    @classmethod
    def fit(
        cls,
        W_CD1: Float64,
        data: Evidence,
        *,
        prior_precision: float,
        curvature: float = 1.0,
        noise_variance: float | None = None,
        seed: int = 0,
    ) -> tuple[Float64, Self]:
        """(mean, posterior) of labelled rows whose MAP is W_CD1. The mean is W_CD1 itself where the posterior stands around the MAP.

        curvature: what the curvature of each row is multiplied by. noise_variance: scale of the covariance, None for the
        posterior's own choice; under squared loss the variance of the targets' noise. seed: of whatever the fit draws.
        """

    def variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Variance of each logit under draws around W_CD1, shape [B, C], or [B, 1] where all classes share it."""

    def sample(self, W_CD1: Float64, n_samples: int, *, seed: int, first: int = 0) -> Float64:
        """Last layers drawn around W_CD1, shape [S, C, D1]. Sample i depends on (seed, first + i) alone."""

    def update(
        self, W_CD1: Float64, data: Evidence, *, gamma: float | None = None, mode: Mode = "sequential"
    ) -> tuple[Float64, Self]:
        """(new mean, new posterior) after absorbing rows. Precision and covariance advance together.

        gamma: None for the exact mode of the new rows' likelihood under this posterior, a number for one linearised step of that size.
        Raises DataError, with the advice to refit, where `absorbs` is False.
        """

    def remove(self, W_CD1: Float64, data: Evidence) -> tuple[Float64, Self]:
        """(mean, posterior) without rows it holds. Raises DataError, with the advice to refit, where it cannot give them back."""

    def with_new_classes(self, n: int) -> Self:
        """The posterior of a last layer that has n rows more."""

    def arrays(self) -> dict[str, Array]:
        """Everything needed to rebuild it, beside `settings`."""

    def settings(self) -> dict[str, Any]:
        """JSON values needed to rebuild it."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], *, D1: int, C: int) -> Self:
        """Rebuild what `arrays` and `settings` describe, for a last layer of C rows. Raises DataError naming the tensor."""


def posterior_of(module: ModuleType) -> type[Posterior]:
    """The class that a module of this folder holds."""
    stem = module.__name__.rpartition(".")[2]
    return getattr(module, "".join(part.title() for part in stem.split("_")))


def stream(seed: int, number: int) -> np.random.Generator:
    """The random stream `number` of a seed: what it gives depends on these two alone."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, number]))


def sample_noise(shape: tuple[int, ...], n_samples: int, *, seed: int, first: int) -> Float64:
    """Standard normal numbers [S, *shape]; sample i comes from the stream (seed, first + i), whatever else is drawn."""
    drawn = [stream(seed, first + i).standard_normal(shape) for i in range(n_samples)]
    return np.stack(drawn) if drawn else np.empty((0, *shape))
