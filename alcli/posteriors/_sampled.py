"""What posteriors share that can be drawn from and cannot take labels in: ensembles, dropout masks, a variational Gaussian.

An update in closed form needs the curvature at which old rows were absorbed. These hold none, so new labels want a refit; draws can still
be reweighted by new labels, and a gradient step moves the mean that they are drawn around.
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
    """See the module."""

    kind: ClassVar[str]
    measured: ClassVar[bool] = False
    absorbs: ClassVar[bool] = False

    @property
    def distinct(self) -> int | None:
        """None: more than anyone would count."""
        return None

    @property
    def figures(self) -> Mapping[str, float]:
        """None beside those of the head."""
        return {}

    @classmethod
    def curvature_at(cls, probs_HC: Float64) -> float:
        """1: there is no curvature to choose."""
        return 1.0

    def update(
        self, W_CD1: Float64, data: Evidence, *, gamma: float | None = None, mode: Mode = "sequential"
    ) -> tuple[Float64, Self]:
        """Refused, see the module."""
        raise DataError(
            f"the posterior '{self.kind}' cannot absorb labels in closed form",
            hint="fit the head with --posterior laplace, or let update --method refit fit it again",
        )

    def remove(self, W_CD1: Float64, data: Evidence) -> tuple[Float64, Self]:
        """Refused, see the module."""
        raise DataError(
            f"the posterior '{self.kind}' cannot give labels back",
            hint="let update --method refit fit the head without them",
        )
