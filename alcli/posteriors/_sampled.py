"""The base of posteriors that can be sampled but cannot absorb labels: ensemble, dropout, variational Gaussian.

An update in closed form needs the curvature at which the old rows were absorbed, which a sampled posterior does not
hold. New labels therefore need a refit. Two approximations remain: new labels can reweight the draws, and a
gradient step can move the mean of the draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from alcli.arrays import Float64
from alcli.errors import DataError
from alcli.posteriors._contract import Evidence, Mode


@dataclass(frozen=True)
class Sampled:
    """A posterior that can be sampled but cannot absorb or remove labels."""

    kind: ClassVar[str]
    measured: ClassVar[bool] = False
    absorbs: ClassVar[bool] = False

    @property
    def distinct(self) -> int | None:
        """None: the draws are too many to count."""
        return None

    @property
    def figures(self) -> Mapping[str, float]:
        """Empty: the posterior adds no numbers to the report of the head."""
        return {}

    @classmethod
    def curvature_at(cls, probs_HC: Float64) -> float:
        """Return 1, because a sampled posterior uses no curvature."""
        return 1.0

    def update(
        self, W_CD1: Float64, data: Evidence, *, gamma: float | None = None, mode: Mode = "sequential"
    ) -> tuple[Float64, Self]:
        """Raise DataError, because labels cannot be absorbed in closed form."""
        raise DataError(
            f"the posterior '{self.kind}' cannot absorb labels in closed form",
            hint="fit the head with --posterior laplace, or let update --method refit fit it again",
        )

    def remove(self, W_CD1: Float64, data: Evidence) -> tuple[Float64, Self]:
        """Raise DataError, because labels cannot be removed."""
        raise DataError(
            f"the posterior '{self.kind}' cannot give labels back",
            hint="let update --method refit fit the head without them",
        )
