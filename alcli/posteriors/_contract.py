"""The contract of posteriors: distributions of a last layer W, given the labels, over phi = [last hidden features; 1].

A posterior module holds one frozen class, named as its file in CamelCase (`laplace_shared` -> `LaplaceShared`). The
class does not hold the mean: the mean is the head's last layer and is passed to every method. Posteriors are
immutable: `update` returns a new posterior and a new mean.
The form may be one covariance, a covariance for each class, an ensemble or dropout masks. In every form a draw is a
whole last layer: the same hypothesis for every row. So BALD, look-ahead and reweighting are written once for all
posteriors.

Letters beyond alcli/arrays.py: H rows that the head has not seen, M rows that are absorbed together.
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
    """Compute the expected target from the outputs of the last layer: class probabilities, or the outputs unchanged."""
    return softmax(logits_BC) if link == "softmax" else logits_BC


@dataclass(frozen=True)
class Evidence:
    """The labelled rows as a posterior sees them.

    phi_LD1: inputs of the last layer. targets_LC: one-hot classes or regression targets. weights_L: 1 for an
    ordinary row. link: the function from outputs to expected targets; `identity` means squared loss.
    """

    phi_LD1: Float64
    targets_LC: Float64
    weights_L: Float64
    link: Link

    @property
    def n(self) -> int:
        return len(self.phi_LD1)

    def rows(self, index: Array) -> Evidence:
        """Select the rows of `index` (row numbers or a mask)."""
        return Evidence(self.phi_LD1[index], self.targets_LC[index], self.weights_L[index], self.link)


class Posterior(Protocol):
    """A posterior over the last layer.

    measured: True if `curvature_at` depends on the probabilities. absorbs: True if `update` can absorb labels.
    """

    measured: ClassVar[bool]
    absorbs: ClassVar[bool]

    @property
    def kind(self) -> str:
        """The name of the posterior in files and options, such as laplace-shared."""

    @property
    def distinct(self) -> int | None:
        """The number of different draws, or None if it is unlimited or too large to matter.

        Draw i is draw i mod `distinct`, and all different draws have the same probability.
        """

    @property
    def figures(self) -> Mapping[str, float]:
        """Numbers for the report of the fit, by name."""

    @classmethod
    def curvature_at(cls, probs_HC: Float64) -> float:
        """Choose the `curvature` argument of `fit` for a softmax head. probs_HC: its predictions for unseen rows."""

    @classmethod
    def fit(
        cls,
        W_CD1: Float64,
        data: Evidence,
        *,
        prior_precision: float,
        curvature: float = 1.0,
        noise_variance: float | None = None,
        prior_mean_CD1: Float64 | None = None,
        seed: int = 0,
    ) -> tuple[Float64, Self]:
        """Fit (mean, posterior) to labelled rows with the MAP W_CD1.

        The mean is W_CD1 itself for a posterior around the MAP.
        curvature: factor on the curvature of each row. noise_variance: scale of the covariance, None for the
        posterior's own choice; under squared loss the variance of the targets' noise. prior_mean_CD1: the centre of
        the prior, None for zero. seed: for the random numbers of the fit.
        """

    def variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute the variance of each logit under draws around W_CD1, [B, C], or [B, 1] if all classes share it."""

    def contrast_variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute the variance of each logit minus the mean of the other logits, [B, C], or [B, 1] if shared.

        Draws that move all logits together have no part in it, as they have none in the softmax. For two classes it
        is the variance of the difference of the logits.
        """

    def root(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute rows whose inner products are the covariances of the first output under draws, [B, R].

        For a regression, which has one output.
        """

    def sample(self, W_CD1: Float64, n_samples: int, *, seed: int, first: int = 0) -> Float64:
        """Draw last layers around W_CD1, shape [S, C, D1]. Sample i depends on (seed, first + i) alone."""

    def update(
        self, W_CD1: Float64, data: Evidence, *, gamma: float | None = None, mode: Mode = "sequential"
    ) -> tuple[Float64, Self]:
        """Absorb rows into (new mean, new posterior). Precision and covariance are updated together.

        gamma: None for the exact mode of the new rows' likelihood with this posterior as the prior; a number for one
        linearised step of that size. mode: rows one after another (sequential), or all rows at once (batch).
        Raises DataError, with the advice to refit, if `absorbs` is False.
        """

    def remove(self, W_CD1: Float64, data: Evidence) -> tuple[Float64, Self]:
        """Remove absorbed rows from (mean, posterior).

        Raises DataError, with the advice to refit, if the posterior cannot remove them.
        """

    def with_new_classes(self, n: int) -> Self:
        """Extend the posterior to a last layer with n more classes."""

    def arrays(self) -> dict[str, Array]:
        """Return the arrays from which, with `settings`, `from_arrays` rebuilds the posterior."""

    def settings(self) -> dict[str, Any]:
        """Return the JSON values from which, with `arrays`, `from_arrays` rebuilds the posterior."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], *, D1: int, C: int) -> Self:
        """Rebuild the posterior of a last layer of C rows. Raises DataError that names the faulty tensor or setting."""


def contrasts(A_CR: Float64) -> Float64:
    """Compute each row minus the mean of the other rows, [C, R]; zero for a single row."""
    C = len(A_CR)
    return (A_CR - A_CR.mean(axis=0)) * (C / max(C - 1, 1))


def independent_contrasts(variance_BC: Float64) -> Float64:
    """Compute the variance of each logit minus the mean of the others, [B, C], where the logits are independent."""
    others = max(variance_BC.shape[1] - 1, 1)
    return variance_BC + (variance_BC.sum(axis=1, keepdims=True) - variance_BC) / others**2


def posterior_of(module: ModuleType) -> type[Posterior]:
    """Return the posterior class of a module in this folder."""
    stem = module.__name__.rpartition(".")[2]
    return getattr(module, "".join(part.title() for part in stem.split("_")))


def stream(seed: int, number: int) -> np.random.Generator:
    """Return the random stream `number` of a seed. Its numbers depend on `seed` and `number` alone."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, number]))


def sample_noise(shape: tuple[int, ...], n_samples: int, *, seed: int, first: int) -> Float64:
    """Draw standard normal numbers [S, *shape].

    Sample i comes from the stream (seed, first + i), whatever else is drawn.
    """
    drawn = [stream(seed, first + i).standard_normal(shape) for i in range(n_samples)]
    return np.stack(drawn) if drawn else np.empty((0, *shape))
