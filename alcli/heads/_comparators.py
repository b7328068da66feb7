"""Other ways to let a head absorb labels, to compare second-order updates with: a gradient step, and reweighted hypotheses.

Source: Huseljic et al. 2025, section 5.1 (first-order updates; Monte-Carlo reweighting of last layers drawn from the posterior).
Cost: first-order 2 C D1 multiply-adds a row; reweighting S draws, 2 M S C D1 flops for the weights of M rows, and 2 B S' C D1 for
a prediction, S' the hypotheses whose weight is not negligible.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.heads._contract import Training
from alcli.heads._model import Model, draws, evidence_of, require_posterior, weighted_predictive
from alcli.numerics.logistic import log_softmax
from alcli.posteriors._contract import mean_of

NEGLIGIBLE = 1e-12


def stable_step(model: Model, data: Training) -> float:
    """1 / the mean squared norm of phi: half of what keeps a gradient step on one row from overshooting, whatever the features' scale."""
    phi_LD1 = model.head.last_layer(data.X_LD)
    return 1.0 / float(np.einsum("ld,ld->l", phi_LD1, phi_LD1).mean())


def first_order(model: Model, data: Training, *, gamma: float) -> Model:
    """W += gamma weight (target - mean) phi^T for one row after another; the posterior stays as it is."""
    rows, W_CD1 = evidence_of(model.head, data), model.head.W_CD1.copy()
    for phi_D1, target_C, weight in zip(rows.phi_LD1, rows.targets_LC, rows.weights_L):
        W_CD1 += np.outer(gamma * weight * (target_C - mean_of(rows.link, (W_CD1 @ phi_D1)[None])[0]), phi_D1)
    return replace(model, head=model.head.with_last_layer(W_CD1))


@dataclass(frozen=True)
class Reweighted:
    """Draws of `seed` from the posterior of `model`, weighted by how well they explain new labels. weights_S: sums to 1."""

    model: Model
    weights_S: Float64
    seed: int

    @property
    def effective_samples(self) -> float:
        """1 / sum of squared weights: S at first, 1 when a single hypothesis is left."""
        return 1.0 / float(self.weights_S @ self.weights_S)

    def collapsed(self) -> Model:
        """The model at the weighted mean of the hypotheses, as one last layer to store; its posterior stays as it is."""
        W_CD1 = np.zeros_like(self.model.head.W_CD1)
        for part, W_SCD1 in draws(self.model, len(self.weights_S), seed=self.seed):
            W_CD1 += np.tensordot(self.weights_S[part], W_SCD1, axes=1)
        return replace(self.model, head=self.model.head.with_last_layer(W_CD1))

    def predictive(self, X_BD: Floats) -> Float64:
        """Log of the weighted mean of the class probabilities, [B, C]."""
        return weighted_predictive(self.model, X_BD, self.weights_S, seed=self.seed)


def reweight(model: Model, data: Training, *, gamma: float, n_samples: int = 10_000, seed: int = 0) -> Reweighted:
    """log w_s = gamma sum_i weight_i log p(y_i | W_s) over n_samples draws, or all there are. Raises DataError without a posterior."""
    rows, distinct = evidence_of(model.head, data), require_posterior(model).distinct
    n_samples = n_samples if distinct is None else min(n_samples, distinct)
    log_likelihood_S = np.zeros(n_samples)
    for part, W_SCD1 in draws(model, n_samples, seed=seed):
        log_probs_SLC = log_softmax(rows.phi_LD1 @ W_SCD1.transpose(0, 2, 1) / model.temperature)
        log_likelihood_S[part] = np.einsum("slc,lc,l->s", log_probs_SLC, rows.targets_LC, rows.weights_L)
    return Reweighted(model, hypothesis_weights(log_likelihood_S, gamma), seed)


def hypothesis_weights(log_likelihood_S: Float64, gamma: float) -> Float64:
    """softmax(gamma log likelihood), with weights below NEGLIGIBLE in all set to zero."""
    weights_S = np.exp(gamma * (log_likelihood_S - log_likelihood_S.max()))
    weights_S /= weights_S.sum()
    weights_S[weights_S < NEGLIGIBLE / len(weights_S)] = 0.0
    out: Float64 = weights_S / weights_S.sum()
    return out
