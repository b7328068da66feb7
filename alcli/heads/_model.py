"""A model: a fitted head with its posterior, temperature and step size. It predicts, absorbs labels, and is stored.

A model is immutable. A head file holds its `arrays` and `settings`; `from_arrays` checks both.
M is the width of the last hidden layer (M = D in a linear head), and D1 here stands for M + 1.

Source: mean-field prediction, numerics/last_layer/mean_field.py.
Cost: a prediction takes one product with the last layer. `predictive` adds the posterior's variance, or one product
for each member of an ensemble; `predictive_samples` takes one product for each draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from alcli import stored
from alcli.arrays import Array, Float64, Floats
from alcli.errors import DataError, UsageError
from alcli.heads._contract import CACHED_ROWS, Head, HeadFamily, Training
from alcli.numerics.last_layer.mean_field import mean_field
from alcli.numerics.logistic import log_softmax, one_hot, softmax
from alcli.numerics.network import Network
from alcli.posteriors._contract import Evidence, Mode, Posterior

_DRAWN_FLOATS = 1 << 22  # numbers of the draws that are held at a time: 32 MiB


@dataclass(frozen=True)
class Model:
    """A fitted head with its posterior.

    temperature: the logits are divided by it. gamma: the step size of linearised updates, None for exact updates.
    predictive_temperature: the temperature in `predictive`, None for `temperature`. It is lower where both are fitted
    to labels, because the variance of the posterior lowers the confidence too.
    """

    head: Head
    posterior: Posterior | None = None
    temperature: float = 1.0
    gamma: float | None = None
    predictive_temperature: float | None = None

    @property
    def n_classes(self) -> int | None:
        """C, the number of classes; None in a regression."""
        return None if self.head.regression else len(self.head.W_CD1)

    @property
    def dim(self) -> int:
        """D, the length of the features that the head takes."""
        return self.head.dim

    def logits(self, X_BD: Floats) -> Float64:
        """Outputs of the last layer divided by the temperature, float64 [B, C].

        Raises DataError when the features have another length D than the head takes.
        """
        if X_BD.shape[1] != self.dim:
            raise DataError(
                f"the head takes features of length {self.dim}, these have {X_BD.shape[1]}",
                hint="use the pool that the head was fitted on, or fit a new head",
            )
        logits_BC = self.head.logits(X_BD)
        logits_BC /= self.temperature
        return logits_BC

    def hidden(self, X_BD: Floats) -> Floats:
        """The inputs of the last layer without the bias column, [B, M], in the dtype of X_BD.

        In a linear head this is X_BD itself, not a copy.
        """
        return self.head.hidden(X_BD).astype(X_BD.dtype, copy=False)

    def log_probs(self, X_BD: Floats) -> Float64:
        """Log class probabilities under the fitted weights, float64 [B, C]; the posterior plays no part."""
        return log_softmax(self.logits(X_BD))

    def trained_log_probs(self, X_BD: Floats) -> Float64:
        """`log_probs` at the temperature of the training loss, float64 [B, C]: they give the gradients of that loss."""
        return log_softmax(self.logits(X_BD) * (self.temperature / self.head.temperature))

    def logit_variance(self, X_BD: Floats) -> Float64:
        """Posterior variance of `logits`, float64 [B, C], or [B, 1] where all classes share one variance.

        Raises DataError without a posterior.
        """
        return require_posterior(self).variance(self.head.W_CD1, self.head.last_layer(X_BD)) / self.temperature**2

    def label_variance(self, X_BD: Floats) -> Float64:
        """Variance of the label in a regression, float64 [B]: the noise, plus any posterior variance of the mean."""
        posterior_B = 0.0 if self.posterior is None else self.logit_variance(X_BD)[:, 0]
        return np.full(len(X_BD), self.head.noise_variance) + posterior_B

    def output_root(self, X_BD: Floats) -> Float64:
        """Rows whose inner products are covariances of a regression's output, [B, R]. DataError without a posterior."""
        return require_posterior(self).root(self.head.W_CD1, self.head.last_layer(X_BD))

    def draw(self, n_samples: int, *, seed: int) -> Float64:
        """Draw last layers from the posterior, float64 [S, C, D1].

        No draw comes twice: a posterior with fewer distinct draws than n_samples gives each of them once.
        The draws of one class lie together in memory, as the product in `sample_log_probs` needs them.
        Memory: S C D1 numbers. Raises DataError without a posterior.
        """
        posterior = require_posterior(self)
        n_distinct = n_samples if posterior.distinct is None else min(n_samples, posterior.distinct)
        W_SCD1 = posterior.sample(self.head.W_CD1, n_distinct, seed=seed)
        return np.ascontiguousarray(W_SCD1.transpose(1, 0, 2)).transpose(1, 0, 2)

    def sample_log_probs(self, X_BD: Floats, W_SCD1: Float64) -> Float64:
        """Log class probabilities under each of the S last layers, float64 [B, S, C].

        Cost: one product of 2 B D1 S C flops, and B S C exponentials.
        """
        S, C, D1 = W_SCD1.shape
        # The normalisation over classes works on whole vectors of draws, because draws are the last axis.
        log_probs_BCS: Float64 = (self.head.last_layer(X_BD) @ W_SCD1.transpose(1, 0, 2).reshape(C * S, D1).T).reshape(
            len(X_BD), C, S
        )
        log_probs_BCS /= self.temperature
        log_probs_BCS -= log_probs_BCS.max(axis=1, keepdims=True)
        log_probs_BCS -= np.log(np.exp(log_probs_BCS).sum(axis=1, keepdims=True))
        return log_probs_BCS.transpose(0, 2, 1)

    def predictive(self, X_BD: Floats) -> Float64:
        """Log class probabilities averaged over the posterior, float64 [B, C]; `log_probs` without a posterior.

        The average is exact where there are finitely many draws (the members of an ensemble). Otherwise it is
        mean-field, which keeps the predicted class of the weights.
        """
        if self.posterior is None:
            return self.log_probs(X_BD)
        shown = replace(self, temperature=self.predictive_temperature or self.temperature)
        if self.posterior.distinct is not None:
            return shown.predictive_samples(X_BD, self.posterior.distinct)
        logits_BC = shown.logits(X_BD)
        variance = self.posterior.contrast_variance(self.head.W_CD1, self.head.last_layer(X_BD))
        return mean_field(logits_BC, variance / shown.temperature**2)

    def predictive_samples(self, X_BD: Floats, n_samples: int, *, seed: int = 0) -> Float64:
        """Log of the class probabilities averaged over n_samples draws of the last layer, float64 [B, C]."""
        return weighted_predictive(self, X_BD, np.full(n_samples, 1.0 / n_samples), seed=seed)

    def predicted_loss(self, X_BD: Floats) -> Float64:
        """The loss of each row as the loss-prediction branch predicts it, float64 [B].

        Only the order has a meaning: a larger value means a larger loss. Raises UsageError without a branch.
        """
        head = self.head
        if head.branch is None:
            hint = "fit one with `alcli fit-head --head mlp -p aux-loss=true`"
            raise UsageError("the head has no loss-prediction branch", hint=hint)
        network = Network(head.layers, head.activation, head.W_CD1)
        starts = range(0, len(X_BD), CACHED_ROWS)
        return np.concatenate(
            [np.empty(0), *(head.branch.predict(network.forward(X_BD[i : i + CACHED_ROWS])[0]) for i in starts)]
        )

    def mean(self, X_BD: Floats) -> Float64:
        """The predicted target of a regression, float64 [B]."""
        return self.logits(X_BD)[:, 0]

    def update(self, data: Training, *, gamma: float | None = None, mode: Mode = "sequential") -> Model:
        """Absorb new labelled rows by the second-order update. gamma: None takes the gamma of the model.

        A refit needs all labels and the head's family: call `fit` of heads/_fitting.py with this model as `start`.
        Raises DataError without a posterior.
        """
        step = self.gamma if gamma is None else gamma
        posterior = require_posterior(self)
        W_CD1, posterior = posterior.update(self.head.W_CD1, evidence_of(self.head, data), gamma=step, mode=mode)
        return replace(self, head=self.head.with_last_layer(W_CD1), posterior=posterior)

    def remove(self, data: Training) -> Model:
        """Remove absorbed rows; `data` has the labels and weights that the rows were absorbed with.

        The `remove` of each posterior states how exact the result is.
        Raises DataError without a posterior, where it cannot remove rows, and for rows that it does not hold.
        """
        W_CD1, posterior = require_posterior(self).remove(self.head.W_CD1, evidence_of(self.head, data))
        return replace(self, head=self.head.with_last_layer(W_CD1), posterior=posterior)

    def with_new_classes(self, n: int) -> Model:
        """The model with n more classes of zero weights, numbered after the known ones; their first labels move them.

        Raises DataError in a regression.
        """
        if self.head.regression:
            raise DataError("a regression has no classes to add")
        W_CD1 = np.pad(self.head.W_CD1, ((0, n), (0, 0)))
        posterior = None if self.posterior is None else self.posterior.with_new_classes(n)
        return replace(self, head=self.head.with_last_layer(W_CD1), posterior=posterior)

    def arrays(self) -> dict[str, Array]:
        """Tensors to store, by name: `head.*` and `posterior.*`."""
        parts = {"head": self.head.arrays(), "posterior": {} if self.posterior is None else self.posterior.arrays()}
        return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    def settings(self) -> dict[str, Any]:
        """JSON values to store: temperatures, gamma, and the settings of head and posterior (null if there is none)."""
        posterior = None if self.posterior is None else self.posterior.settings()
        return {
            "temperature": self.temperature,
            "gamma": self.gamma,
            "predictive_temperature": self.predictive_temperature,
            "head": self.head.settings(),
            "posterior": posterior,
        }

    @classmethod
    def from_arrays(
        cls,
        arrays: Mapping[str, Array],
        settings: Mapping[str, Any],
        *,
        family: HeadFamily,
        posterior: type[Posterior] | None,
    ) -> Self:
        """Rebuild a model from stored tensors and settings.

        family, posterior: the declarations that settings["head"]["kind"] and settings["posterior"]["kind"] name.
        Raises DataError that names a tensor or setting which is missing, unknown, of the wrong shape or not finite.
        """
        head = family.restore(_part(arrays, "head"), stored.section(settings, "head"))
        C, D1 = head.W_CD1.shape
        found = (
            None
            if posterior is None
            else posterior.from_arrays(_part(arrays, "posterior"), stored.section(settings, "posterior"), D1=D1, C=C)
        )
        model = cls(
            head,
            found,
            stored.number(settings, "temperature"),
            stored.number_or_none(settings, "gamma"),
            # Before predictions had a temperature of their own, there was no such setting.
            stored.number_or_none({"predictive_temperature": None, **settings}, "predictive_temperature"),
        )
        stored.no_other_tensors(arrays, model.arrays())
        return model


def require_posterior(model: Model) -> Posterior:
    """The posterior of the model. Raises DataError for a model without a posterior."""
    if model.posterior is None:
        raise DataError(
            "the head has no posterior, so labels cannot be absorbed in closed form",
            hint="use --method refit, or fit the head with --posterior laplace",
        )
    return model.posterior


def draws(model: Model, n_samples: int, *, seed: int) -> Iterator[tuple[slice, Float64]]:
    """Draw last layers from the posterior, some at a time: (slice of their numbers, float64 [S, C, D1]).

    The draws do not depend on how many are made at a time.
    """
    posterior, size = require_posterior(model), model.head.W_CD1.size
    step = max(1, _DRAWN_FLOATS // size)
    for first in range(0, n_samples, step):
        part = slice(first, min(first + step, n_samples))
        yield part, posterior.sample(model.head.W_CD1, part.stop - first, seed=seed, first=first)


def weighted_predictive(model: Model, X_BD: Floats, weights_S: Float64, *, seed: int) -> Float64:
    """Compute log sum_s weight_s p_s(class), float64 [B, C], p_s under draw s. Draws of weight zero cost nothing."""
    phi_BD1 = model.head.last_layer(X_BD)
    probs_BC = np.zeros((len(phi_BD1), len(model.head.W_CD1)))
    for part, W_SCD1 in draws(model, len(weights_S), seed=seed):
        for W_CD1, weight in zip(W_SCD1, weights_S[part]):
            if weight > 0.0:
                probs_BC += weight * softmax(phi_BD1 @ W_CD1.T / model.temperature)
    return np.log(np.maximum(probs_BC, np.finfo(np.float64).tiny))


def evidence_of(head: Head, data: Training) -> Evidence:
    """The labelled rows with their inputs to the last layer of `head` as features."""
    targets_LC = data.y_L[:, None].astype(np.float64) if data.n_classes is None else one_hot(data.y_L, data.n_classes)
    return Evidence(head.last_layer(data.X_LD), targets_LC, data.weights_L, head.link)


def _part(arrays: Mapping[str, Array], part: str) -> dict[str, Array]:
    prefix = f"{part}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
