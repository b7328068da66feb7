"""A fitted head with its posterior, temperature and step size: what is stored, predicts, and absorbs labels.

Immutable. Everything a head file holds comes from `arrays` and `settings`; `from_arrays` trusts neither.
Source: mean-field prediction softmax(z / sqrt(1 + pi/8 s)), MacKay 1992; Lu, Ie & Sha 2020.
Cost: predictions one product with the last layer, plus the posterior's variance in `predictive`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.errors import DataError
from alcli.heads._contract import Head, HeadFamily, Training
from alcli.numerics import stored
from alcli.numerics.logistic import log_softmax, one_hot
from alcli.posteriors._contract import Evidence, Mode, Posterior

MEAN_FIELD = np.pi / 8


@dataclass(frozen=True)
class Model:
    """See the module. temperature: what logits are divided by. gamma: the tuned step size of second-order updates."""

    head: Head
    posterior: Posterior | None = None
    temperature: float = 1.0
    gamma: float = 1.0

    @property
    def n_classes(self) -> int | None:
        """None in a regression."""
        return None if self.head.regression else len(self.head.W_CD1)

    @property
    def dim(self) -> int:
        """D of the features it takes."""
        return self.head.dim

    def logits(self, X_BD: Floats) -> Float64:
        """Outputs of the last layer divided by the temperature, [B, C]. Raises DataError when X has another D."""
        if X_BD.shape[1] != self.dim:
            raise DataError(f"the head takes features of length {self.dim}, these have {X_BD.shape[1]}",
                            hint="use the pool that the head was fitted on, or fit a new head")
        logits_BC = self.head.logits(X_BD)
        logits_BC /= self.temperature
        return logits_BC

    def log_probs(self, X_BD: Floats) -> Float64:
        """Log class probabilities of the trained weights alone, [B, C]."""
        return log_softmax(self.logits(X_BD))

    def predictive(self, X_BD: Floats) -> Float64:
        """Log class probabilities averaged over the posterior (mean-field), [B, C]; `log_probs` without a posterior."""
        logits_BC = self.logits(X_BD)
        if self.posterior is not None:
            variance = self.posterior.variance(self.head.last_layer(X_BD)) / self.temperature**2
            logits_BC /= np.sqrt(1.0 + MEAN_FIELD * variance)
        return log_softmax(logits_BC)

    def mean(self, X_BD: Floats) -> Float64:
        """The predicted target of a regression, [B]."""
        return self.logits(X_BD)[:, 0]

    def update(self, data: Training, *, gamma: float | None = None, mode: Mode = "sequential") -> Model:
        """Absorb new labelled rows by the second-order rule. gamma: None takes the tuned one.

        Refitting needs all labels and the head's family: call `fit` with `start=` this model. Raises DataError without a posterior.
        """
        if self.posterior is None:
            raise DataError("the head has no posterior, so labels cannot be absorbed in closed form",
                            hint="use --method refit, or fit the head with --posterior laplace")
        step = self.gamma if gamma is None else gamma
        W_CD1, posterior = self.posterior.update(self.head.W_CD1, evidence_of(self.head, data), gamma=step, mode=mode)
        return replace(self, head=self.head.with_last_layer(W_CD1), posterior=posterior)

    def arrays(self) -> dict[str, Array]:
        """Tensors by name: `head.*` and `posterior.*`."""
        parts = {"head": self.head.arrays(), "posterior": {} if self.posterior is None else self.posterior.arrays()}
        return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    def settings(self) -> dict[str, Any]:
        """JSON values: temperature, gamma, and the settings of head and posterior (null without one)."""
        posterior = None if self.posterior is None else self.posterior.settings()
        return {"temperature": self.temperature, "gamma": self.gamma, "head": self.head.settings(), "posterior": posterior}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], *, family: HeadFamily, posterior: type[Posterior] | None
    ) -> Self:
        """Rebuild a model. family, posterior: those named by settings["head"]["kind"] and settings["posterior"]["kind"].

        Raises DataError naming the tensor or setting that is missing, unknown, of the wrong shape or not finite.
        """
        head = family.restore(_part(arrays, "head"), stored.section(settings, "head"))
        C, D1 = head.W_CD1.shape
        found = None if posterior is None else posterior.from_arrays(
            _part(arrays, "posterior"), stored.section(settings, "posterior"), D1=D1, C=C
        )
        model = cls(head, found, stored.number(settings, "temperature"), stored.number(settings, "gamma"))
        stored.no_other_tensors(arrays, model.arrays())
        return model


def evidence_of(head: Head, data: Training) -> Evidence:
    """Labelled rows as the last layer of `head` sees them."""
    targets_LC = data.y_L[:, None].astype(np.float64) if data.n_classes is None else one_hot(data.y_L, data.n_classes)
    return Evidence(head.last_layer(data.X_LD), targets_LC, data.weights_L, head.link)


def _part(arrays: Mapping[str, Array], part: str) -> dict[str, Array]:
    prefix = f"{part}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
