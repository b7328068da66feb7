"""Two baselines for second-order updates: a gradient step, and reweighted hypotheses.

A hypothesis is a last layer drawn from the posterior. Both baselines let a head absorb labels without a refit.

Source: Huseljic et al. 2025, section 5.1 (first-order updates; Monte-Carlo reweighting of draws from the posterior).
Cost: first-order: 2 C D1 multiply-adds a row. Reweighting: S draws, and 2 n S C D1 flops for the weights from n rows;
a prediction takes 2 B S' C D1 flops, where S' is the number of hypotheses whose weight is not negligible.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.heads._contract import Training
from alcli.heads._model import Model, draws, evidence_of, require_posterior, weighted_predictive
from alcli.numerics.logistic import log_softmax
from alcli.posteriors._contract import mean_of

# Small weights that sum to less than this become zero.
NEGLIGIBLE = 1e-12


def stable_step(model: Model, data: Training) -> float:
    """A step size for `first_order`: 1 / the mean squared norm of phi over the rows of `data`.

    Under softmax, the curvature at a row is at most |phi|^2 / 2. So the step is half of the largest step that cannot
    overshoot on a row of mean squared norm, at any scale of the features.
    """
    phi_LD1 = model.head.last_layer(data.X_LD)
    return 1.0 / float(np.einsum("ld,ld->l", phi_LD1, phi_LD1).mean())


def first_order(model: Model, data: Training, *, gamma: float) -> Model:
    """Absorb rows one after another by a gradient step, W += gamma weight (target - mean) phi^T.

    mean: the expected target under the current W. The posterior does not change.
    """
    rows, W_CD1 = evidence_of(model.head, data), model.head.W_CD1.copy()
    for phi_D1, target_C, weight in zip(rows.phi_LD1, rows.targets_LC, rows.weights_L):
        W_CD1 += np.outer(gamma * weight * (target_C - mean_of(rows.link, (W_CD1 @ phi_D1)[None])[0]), phi_D1)
    return replace(model, head=model.head.with_last_layer(W_CD1))


@dataclass(frozen=True)
class Reweighted:
    """Hypotheses weighted by the likelihood of new labels.

    The S hypotheses are the draws of `seed` from the posterior of `model`; they are drawn again when they are needed.
    weights_S: float64, sums to 1.
    """

    model: Model
    weights_S: Float64
    seed: int

    @property
    def effective_samples(self) -> float:
        """The effective sample size, 1 / sum of squared weights: S for equal weights, 1 for a single hypothesis."""
        return 1.0 / float(self.weights_S @ self.weights_S)

    def collapsed(self) -> Model:
        """The model whose last layer is the weighted mean of the hypotheses; the posterior is unchanged."""
        W_CD1 = np.zeros_like(self.model.head.W_CD1)
        for part, W_SCD1 in draws(self.model, len(self.weights_S), seed=self.seed):
            W_CD1 += np.tensordot(self.weights_S[part], W_SCD1, axes=1)
        return replace(self.model, head=self.model.head.with_last_layer(W_CD1))

    def predictive(self, X_BD: Floats) -> Float64:
        """Log of the weighted mean of the class probabilities, float64 [B, C]."""
        return weighted_predictive(self.model, X_BD, self.weights_S, seed=self.seed)


def reweight(model: Model, data: Training, *, gamma: float, n_samples: int = 10_000, seed: int = 0) -> Reweighted:
    """Weight hypotheses by new labels: log w_s = gamma sum_i weight_i log p(y_i | W_s) + constant.

    n_samples: the number of hypotheses; a posterior with fewer distinct draws gives all of them.
    Raises DataError for a model without a posterior.
    """
    rows, distinct = evidence_of(model.head, data), require_posterior(model).distinct
    n_samples = n_samples if distinct is None else min(n_samples, distinct)
    log_likelihood_S = np.zeros(n_samples)
    for part, W_SCD1 in draws(model, n_samples, seed=seed):
        log_probs_SLC = log_softmax(rows.phi_LD1 @ W_SCD1.transpose(0, 2, 1) / model.temperature)
        log_likelihood_S[part] = np.einsum("slc,lc,l->s", log_probs_SLC, rows.targets_LC, rows.weights_L)
    return Reweighted(model, hypothesis_weights(log_likelihood_S, gamma), seed)


def hypothesis_weights(log_likelihood_S: Float64, gamma: float) -> Float64:
    """Compute softmax(gamma log likelihood), float64 [S]. Weights below NEGLIGIBLE / S become zero."""
    weights_S = np.exp(gamma * (log_likelihood_S - log_likelihood_S.max()))
    weights_S /= weights_S.sum()
    weights_S[weights_S < NEGLIGIBLE / len(weights_S)] = 0.0
    return weights_S / weights_S.sum()
