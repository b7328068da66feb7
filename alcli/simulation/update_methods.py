"""The ways to absorb new labels that the study of updates compares, each from the same head fitted to the old labels.

Source: Huseljic et al. 2025, section 5.1. Retraining is the exact MAP of old and new labels, at the prior precision of the old head
(what an update approximates) or with that chosen anew; from zero, or warm from the old weights. The paper's own baseline, 200 epochs
of RAdam with cosine decay on batches of 64, is there where torch is.
Cost: that of each method; what a method needs of the old labels alone (a tuned curvature, a step size) is made before its clock starts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.heads._comparators import Reweighted, first_order, reweight
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model, evidence_of
from alcli.heads._tuning import objective
from alcli.numerics.folds import stratified_folds
from alcli.numerics.logistic import log_softmax

if TYPE_CHECKING:
    import torch

FIRST_ORDER_GAMMAS = 10.0 ** np.arange(-3.0, 2.01, 0.25)  # divided by the mean squared norm of phi
EPOCHS, BATCH, WEIGHT_DECAY = 200, 64, 1e-4
KEPT_MASS = 0.999
_QUICK = 0.05  # seconds: what is faster is timed three times

Predict = Callable[[Floats], Float64]


@dataclass(frozen=True)
class Prior:
    """What all methods start from: the old labels, and what was made of them. spec: its prior precision None means auto."""

    old: Training
    spec: FitSpec
    seed: int
    mc_samples: int
    radam_rate: float

    @cached_property
    def base(self) -> Model:
        """The head on the old labels as `fit-head` ships it: prior precision and curvature chosen from them."""
        return fit(self.old, replace(self.spec, seed=self.seed))

    @cached_property
    def fixed(self) -> FitSpec:
        """The recipe with the prior precision of the base."""
        return replace(self.spec, seed=self.seed, prior_precision=self.base.head.prior_precision)

    @cached_property
    def paper(self) -> Model:
        """The base with curvature 1, which the paper's step sizes are meant for."""
        return fit(self.old, replace(self.fixed, curvature=1.0, gamma=1.0), start=self.base)

    @cached_property
    def first_order_gamma(self) -> float:
        """The step size of first-order updates, found as the curvature of second-order ones is: on a fifth of the old labels."""
        is_new_L = stratified_folds(self.old.y_L, 5, seed=self.seed) == 0
        before = fit(self.old.rows(~is_new_L), replace(self.fixed, posterior=None), start=self.base)
        everything, new = evidence_of(before.head, self.old), self.old.rows(is_new_L)
        square = float((everything.phi_LD1**2).sum(axis=1).mean())
        tried = [(objective(first_order(before, new, gamma=g).head.W_CD1, everything, before.head.prior_precision), g) for g in FIRST_ORDER_GAMMAS / square]
        return float(min(tried)[1])

    def joined(self, new: Training) -> Training:
        """Old and new labels."""
        both = (self.old, new)
        X_LD, y_L, weights_L = (np.concatenate([getattr(d, name) for d in both]) for name in ("X_LD", "y_L", "weights_L"))
        return Training(X_LD, y_L, weights_L, self.old.n_classes)


@dataclass(frozen=True)
class Outcome:
    """predict: log class probabilities [B, C]. ess: effective number of hypotheses, where there are such."""

    predict: Predict
    seconds: float
    ess: float | None = None


@dataclass(frozen=True)
class Method:
    """prepare: what is made of the old labels; absorb: what is timed. Both return anything `predict` of the result needs."""

    absorb: Callable[[Prior, Training], Model | Reweighted]
    prepare: Callable[[Prior], object]

    def run(self, prior: Prior, new: Training) -> Outcome:
        """Absorb `new`, and say how long that took."""
        self.prepare(prior)
        result, seconds = _timed(lambda: self.absorb(prior, new))
        if isinstance(result, Reweighted):
            return Outcome(_heaviest(result).predictive, seconds, result.effective_samples)
        return Outcome(result.log_probs, seconds)


def second_order(gamma: float) -> Method:
    """The paper's rule: curvature 1 and this step size."""
    return Method(lambda prior, new: prior.paper.update(new, gamma=gamma), lambda prior: prior.paper)


def _refit(prior: Prior, new: Training, *, auto: bool = False, warm: bool = False) -> Model:
    """The exact MAP without a posterior: the cheapest good answer that retraining has."""
    spec = replace(prior.spec if auto else prior.fixed, posterior=None)
    return fit(prior.joined(new), spec, start=prior.base if warm else None)


METHODS: dict[str, Method] = {
    "base": Method(lambda prior, new: prior.base, lambda prior: prior.base),
    "retrain": Method(_refit, lambda prior: prior.fixed),
    "retrain, prior anew": Method(lambda prior, new: _refit(prior, new, auto=True), lambda prior: prior.fixed),
    "warm refit": Method(lambda prior, new: _refit(prior, new, warm=True), lambda prior: prior.fixed),
    "second-order auto": Method(lambda prior, new: prior.base.update(new), lambda prior: prior.base),
    **{f"second-order gamma {gamma}": second_order(float(gamma)) for gamma in (1, 5, 10, 30)},
    "first-order": Method(lambda prior, new: first_order(prior.base, new, gamma=prior.first_order_gamma), lambda prior: prior.first_order_gamma),
    "mc": Method(lambda prior, new: reweight(prior.base, new, gamma=1.0, n_samples=prior.mc_samples, seed=prior.seed), lambda prior: prior.base),
}
RADAM = "retrain, 200 epochs of RAdam"


def radam(prior: Prior, new: Training) -> Model:
    """The paper's retraining, on one thread. Needs torch."""
    import torch

    data, threads = prior.joined(new), torch.get_num_threads()
    X = torch.from_numpy(np.ascontiguousarray(prior.base.head.hidden(data.X_LD), dtype=np.float32))
    y = torch.from_numpy(np.asarray(data.y_L, np.int64))
    torch.set_num_threads(1)
    try:
        layer = _trained(X, y, cast(int, data.n_classes), prior.radam_rate, torch.Generator().manual_seed(prior.seed))
    finally:
        torch.set_num_threads(threads)
    W = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach().numpy().astype(np.float64)
    return replace(prior.base, head=prior.base.head.with_last_layer(W), posterior=None, temperature=1.0)


def _trained(X: torch.Tensor, y: torch.Tensor, n_classes: int, rate: float, generator: torch.Generator) -> torch.nn.Linear:
    import torch

    layer = torch.nn.Linear(X.shape[1], n_classes)
    for weight in layer.parameters():
        torch.nn.init.uniform_(weight, -(X.shape[1] ** -0.5), X.shape[1] ** -0.5, generator=generator)
    optimiser = torch.optim.RAdam(layer.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(X), generator=generator).split(BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(layer(X[rows]), y[rows]).backward()
            optimiser.step()
        schedule.step()
    return layer


def _heaviest(found: Reweighted) -> Reweighted:
    """The fewest hypotheses that hold KEPT_MASS of the weight: the rest would move no probability by more than what is left."""
    order_S = np.argsort(-found.weights_S, kind="stable")
    kept_S = np.cumsum(found.weights_S[order_S]) - found.weights_S[order_S] < KEPT_MASS
    weights_S = np.zeros_like(found.weights_S)
    weights_S[order_S[kept_S]] = found.weights_S[order_S[kept_S]]
    return replace(found, weights_S=weights_S / weights_S.sum())


def scores(outcome: Outcome, X_TD: Floats, y_T: np.ndarray) -> tuple[float, float]:
    """(accuracy, mean negative log likelihood) on test rows."""
    log_probs_TC = log_softmax(outcome.predict(X_TD))
    return float((log_probs_TC.argmax(axis=1) == y_T).mean()), float(-log_probs_TC[np.arange(len(y_T)), y_T].mean())


def _timed(work: Callable[[], Model | Reweighted]) -> tuple[Model | Reweighted, float]:
    """The result and its seconds, the least of three calls for what is quick."""
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    for _ in range(2 if seconds < _QUICK else 0):
        start = time.perf_counter()
        work()
        seconds = min(seconds, time.perf_counter() - start)
    return result, seconds
