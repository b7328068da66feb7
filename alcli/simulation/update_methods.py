"""The ways to absorb new labels that the study of updates compares, each from the same head fitted to old labels.

Source: Huseljic et al. 2025, section 5.1. Retraining is the exact MAP of old and new labels, from zero or warm from
the old weights. Its prior precision is the old one, which is what an update approximates, or is chosen anew. The
paper's own baseline, 200 epochs of RAdam with cosine decay on batches of 64, takes part where torch is installed.
Cost: that of each method. A method's preparation from the old labels alone, such as a tuned curvature or step size,
is not timed.
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
from alcli.numerics.metrics import METRICS

if TYPE_CHECKING:
    import torch

# Step sizes to try, in units of 1 / the mean squared norm of phi.
FIRST_ORDER_GAMMAS = 10.0 ** np.arange(-3.0, 2.01, 0.25)
EPOCHS, BATCH, WEIGHT_DECAY = 200, 64, 1e-4
KEPT_MASS = 0.999
# Seconds. A faster call is timed three times.
_QUICK = 0.05
# The metrics of the study, which is for classes.
MEASURES = (METRICS["accuracy"], METRICS["nll"])

Predict = Callable[[Floats], Float64]


@dataclass(frozen=True)
class Prior:
    """The old labels that all methods start from, and the heads fitted to them.

    spec: the recipe of the head; its prior precision None chooses one from the labels. mc_samples: hypotheses of the
    Monte-Carlo method. radam_rate: learning rate of the paper's retraining.
    """

    old: Training
    spec: FitSpec
    seed: int
    mc_samples: int
    radam_rate: float

    @cached_property
    def base(self) -> Model:
        """The head that `fit-head` makes of the old labels, with prior precision and curvature chosen from them."""
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
        """The step size of first-order updates, tuned on a fifth of the old labels as the curvature is."""
        is_new_L = stratified_folds(self.old.y_L, 5, seed=self.seed) == 0
        before = fit(self.old.rows(~is_new_L), replace(self.fixed, posterior=None), start=self.base)
        everything, new = evidence_of(before.head, self.old), self.old.rows(is_new_L)
        square = float((everything.phi_LD1**2).sum(axis=1).mean())

        def loss(gamma: float) -> float:
            moved = first_order(before, new, gamma=gamma)
            return objective(moved.head.W_CD1, everything, before.head)

        return float(min((loss(gamma), gamma) for gamma in FIRST_ORDER_GAMMAS / square)[1])

    def joined(self, new: Training) -> Training:
        """Return the old labels followed by the new labels."""
        both = (self.old, new)
        names = ("X_LD", "y_L", "weights_L")
        X_LD, y_L, weights_L = (np.concatenate([getattr(d, name) for d in both]) for name in names)
        return Training(X_LD, y_L, weights_L, self.old.n_classes)


@dataclass(frozen=True)
class Outcome:
    """The result of a method. predict: log class probabilities, float64 [B, C], of features [B, D].

    ess: the effective number of hypotheses of the Monte-Carlo method, None for the others.
    """

    predict: Predict
    seconds: float
    ess: float | None = None


@dataclass(frozen=True)
class Method:
    """A way to absorb labels. absorb: the part that is timed. prepare: the work on the old labels alone."""

    absorb: Callable[[Prior, Training], Model | Reweighted]
    prepare: Callable[[Prior], object]

    def run(self, prior: Prior, new: Training) -> Outcome:
        """Absorb the labels `new` and take the time."""
        self.prepare(prior)
        result, seconds = _timed(lambda: self.absorb(prior, new))
        if isinstance(result, Reweighted):
            return Outcome(_heaviest(result).predictive, seconds, result.effective_samples)
        return Outcome(result.log_probs, seconds)


def second_order(gamma: float) -> Method:
    """Return the paper's rule: curvature 1 and the step size `gamma`."""
    return Method(lambda prior, new: prior.paper.update(new, gamma=gamma), lambda prior: prior.paper)


def _refit(prior: Prior, new: Training, *, auto: bool = False, warm: bool = False) -> Model:
    """Fit the exact MAP without a posterior, which is the cheapest good result of retraining.

    auto: choose the prior precision anew. warm: begin at the weights of the base.
    """
    spec = replace(prior.spec if auto else prior.fixed, posterior=None)
    return fit(prior.joined(new), spec, start=prior.base if warm else None)


METHODS: dict[str, Method] = {
    "base": Method(lambda prior, new: prior.base, lambda prior: prior.base),
    "retrain": Method(_refit, lambda prior: prior.fixed),
    "retrain, prior anew": Method(lambda prior, new: _refit(prior, new, auto=True), lambda prior: prior.fixed),
    "warm refit": Method(lambda prior, new: _refit(prior, new, warm=True), lambda prior: prior.fixed),
    "second-order auto": Method(lambda prior, new: prior.base.update(new), lambda prior: prior.base),
    **{f"second-order gamma {gamma}": second_order(float(gamma)) for gamma in (1, 5, 10, 30)},
    "first-order": Method(
        lambda prior, new: first_order(prior.base, new, gamma=prior.first_order_gamma),
        lambda prior: prior.first_order_gamma,
    ),
    "mc": Method(
        lambda prior, new: reweight(prior.base, new, gamma=1.0, n_samples=prior.mc_samples, seed=prior.seed),
        lambda prior: prior.base,
    ),
}
RADAM = "retrain, 200 epochs of RAdam"


def radam(prior: Prior, new: Training) -> Model:
    """Retrain as the paper does, on one thread. Needs torch."""
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


def _trained(
    X: torch.Tensor, y: torch.Tensor, n_classes: int, rate: float, generator: torch.Generator
) -> torch.nn.Linear:
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
    """Keep the fewest hypotheses that hold KEPT_MASS of the weight.

    The dropped hypotheses would move no class probability by more than 1 - KEPT_MASS.
    """
    order_S = np.argsort(-found.weights_S, kind="stable")
    kept_S = np.cumsum(found.weights_S[order_S]) - found.weights_S[order_S] < KEPT_MASS
    weights_S = np.zeros_like(found.weights_S)
    weights_S[order_S[kept_S]] = found.weights_S[order_S[kept_S]]
    return replace(found, weights_S=weights_S / weights_S.sum())


def scores(outcome: Outcome, X_TD: Floats, y_T: np.ndarray) -> dict[str, float]:
    """Compute `MEASURES` on T test rows, by name."""
    log_probs_TC = log_softmax(outcome.predict(X_TD))
    return {measure.name: measure(y_T, log_probs_TC) for measure in MEASURES}


def _timed(work: Callable[[], Model | Reweighted]) -> tuple[Model | Reweighted, float]:
    """Return the result of `work` and its seconds; the seconds of quick work are the least of three calls."""
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    for _ in range(2 if seconds < _QUICK else 0):
        start = time.perf_counter()
        work()
        seconds = min(seconds, time.perf_counter() - start)
    return result, seconds
