"""The ways to absorb new labels that the study of updates compares, each from the same head fitted to old labels.

Source: Huseljic et al. 2025, section 5.1 and, for the steps, appendix B. Retraining is the exact MAP of old and new
labels, from zero or warm from the old weights. Its prior precision is the old one, which is what an update
approximates, or is chosen anew. radam.py has the paper's own retraining.
Cost: that of each method. A method's preparation from the old labels alone, such as a measured curvature, is not timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.heads._comparators import Reweighted, first_order, reweight, stable_step
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads._polish import polished
from alcli.numerics.logistic import log_softmax
from alcli.numerics.metrics import METRICS

KEPT_MASS = 0.999
# Seconds. A faster call is timed three times.
_QUICK = 0.05
# The metrics of the study, which is for classes.
MEASURES = (METRICS["accuracy"], METRICS["nll"], METRICS["ece"])
BASE, TARGET, AUTO, POLISHED = "base", "retrain", "second-order auto", "second-order auto, polished"

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

    def joined(self, new: Training) -> Training:
        """Return the old labels followed by the new labels."""
        both = (self.old, new)
        names = ("X_LD", "y_L", "weights_L")
        X_LD, y_L, weights_L = (np.concatenate([getattr(d, name) for d in both]) for name in names)
        return Training(X_LD, y_L, weights_L, self.old.n_classes)


@dataclass(frozen=True)
class Outcome:
    """The result of a method. predict: log class probabilities, float64 [B, C], of features [B, D].

    seconds: of processor time. ess: the effective number of hypotheses of the Monte-Carlo method, None for the others.
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


def gradient_steps(gamma: float) -> Method:
    """Return first-order steps of size `gamma` / the mean squared norm of phi over the new rows."""
    return Method(
        lambda prior, new: first_order(prior.base, new, gamma=gamma * stable_step(prior.base, new)),
        lambda prior: prior.base,
    )


def monte_carlo(gamma: float) -> Method:
    """Return reweighted hypotheses; the likelihood of the new labels is raised to the power `gamma`."""
    return Method(
        lambda prior, new: reweight(prior.base, new, gamma=gamma, n_samples=prior.mc_samples, seed=prior.seed),
        lambda prior: prior.base,
    )


def _polished(prior: Prior, new: Training) -> Model:
    return polished(prior.base.update(new), prior.joined(new), prior.fixed)


def _sorted(new: Training) -> Training:
    """The new rows class by class, which is the worst order to absorb them in."""
    return new.rows(np.argsort(new.y_L, kind="stable"))


def _refit(prior: Prior, new: Training, *, auto: bool = False, warm: bool = False) -> Model:
    """Fit the exact MAP without a posterior, which is the cheapest good result of retraining.

    auto: choose the prior precision anew. warm: begin at the weights of the base.
    """
    spec = replace(prior.spec if auto else prior.fixed, posterior=None)
    return fit(prior.joined(new), spec, start=prior.base if warm else None)


METHODS: dict[str, Method] = {
    BASE: Method(lambda prior, new: prior.base, lambda prior: prior.base),
    TARGET: Method(_refit, lambda prior: prior.fixed),
    "retrain, prior anew": Method(lambda prior, new: _refit(prior, new, auto=True), lambda prior: prior.fixed),
    "warm refit": Method(lambda prior, new: _refit(prior, new, warm=True), lambda prior: prior.fixed),
    AUTO: Method(lambda prior, new: prior.base.update(new), lambda prior: prior.base),
    POLISHED: Method(_polished, lambda prior: prior.base),
    "second-order auto, class by class": Method(
        lambda prior, new: prior.base.update(_sorted(new)), lambda prior: prior.base
    ),
    "second-order auto, batch": Method(
        lambda prior, new: prior.base.update(new, mode="batch"), lambda prior: prior.base
    ),
    **{f"second-order gamma {gamma}": second_order(float(gamma)) for gamma in (1, 5, 10, 30)},
    "first-order": gradient_steps(1.0),
    "mc": monte_carlo(1.0),
}


@dataclass(frozen=True)
class Sweep:
    """A method whose step size is tried at each of `gammas`. unit: the meaning of gamma, in words."""

    method: Callable[[float], Method]
    gammas: tuple[float, ...]
    unit: str


SWEEPS: dict[str, Sweep] = {
    "second-order": Sweep(second_order, (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0), "the factor of the step, curvature 1"),
    "first-order": Sweep(
        gradient_steps, (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0), "the step, in units of 1 / mean |phi|^2"
    ),
    "mc": Sweep(monte_carlo, (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), "the power of the likelihood"),
}


def _heaviest(found: Reweighted) -> Reweighted:
    """Keep the fewest hypotheses that hold KEPT_MASS of the weight.

    The dropped hypotheses would move no class probability by more than 1 - KEPT_MASS.
    """
    order_S = np.argsort(-found.weights_S, kind="stable")
    kept_S = np.cumsum(found.weights_S[order_S]) - found.weights_S[order_S] < KEPT_MASS
    weights_S = np.zeros_like(found.weights_S)
    weights_S[order_S[kept_S]] = found.weights_S[order_S[kept_S]]
    return replace(found, weights_S=weights_S / weights_S.sum())


def scores(outcome: Outcome, X_TD: Floats, y_T: Array) -> tuple[dict[str, float], Int64]:
    """Compute `MEASURES` on T test rows, by name, and the predicted classes, int64 [T]."""
    log_probs_TC = log_softmax(outcome.predict(X_TD))
    return {measure.name: measure(y_T, log_probs_TC) for measure in MEASURES}, log_probs_TC.argmax(axis=1)


def _timed(work: Callable[[], Model | Reweighted]) -> tuple[Model | Reweighted, float]:
    """Return the result of `work` and its seconds of processor time, which other processes hardly disturb.

    The seconds of quick work are the least of three calls.
    """
    start = time.process_time()
    result = work()
    seconds = time.process_time() - start
    for _ in range(2 if seconds < _QUICK else 0):
        start = time.process_time()
        work()
        seconds = min(seconds, time.process_time() - start)
    return result, seconds
