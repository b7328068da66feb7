"""The study of updates: the share of retraining's gain that each way to absorb labels recovers, and its price in time.

Source: Huseljic et al. 2025, section 5: growing sets of new labels, learning stages, the step size, time against
retraining.
Cost: per seed one fit for each learning stage, and for each method and size the cost of the method. Monte-Carlo
reweighting dominates, with 2 T S C D1 flops for a prediction of T test rows from the S hypotheses that still have
weight.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from alcli.arrays import Array, Int64
from alcli.errors import UsageError
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec
from alcli.selection.source import Source
from alcli.simulation.plan import initial_rng, split_rng
from alcli.simulation.splits import held_out, initial_rows
from alcli.simulation.update_methods import METHODS, RADAM, Method, Prior, radam, scores, second_order

GAMMAS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
GROWING, STAGES, STEP_SIZE = "growing", "stages", "gamma"
Row = dict[str, Any]


@dataclass(frozen=True)
class UpdateStudy:
    """The sizes of the study.

    initial: old labels; new: sizes of the sets of new labels. stages: numbers of old labels, each followed by
    stage_new new labels. mc_samples, radam_rate: see `Prior`.
    """

    spec: FitSpec
    n_seeds: int
    test_fraction: float
    initial: int
    new: tuple[int, ...]
    stages: tuple[int, ...]
    stage_new: int
    mc_samples: int
    radam_rate: float

    @property
    def most(self) -> int:
        """The largest number of labels that any part of the study takes."""
        return max(self.initial + max(self.new), max(self.stages) + self.stage_new)


def sizes(text: str, name: str) -> tuple[int, ...]:
    """Read `10,20,50`, or `10..100` for steps of the first number. Raises UsageError."""
    try:
        first, dots, last = text.partition("..")
        found = tuple(range(int(first), int(last) + 1, int(first)) if dots else map(int, text.split(",")))
    except ValueError:
        found = ()
    if not found or min(found) < 1 or list(found) != sorted(set(found)):
        raise UsageError(f"-p {name} takes ascending sizes such as 10,20,50 or 10..100, got '{text}'")
    return found


def has_torch() -> bool:
    """True where torch is installed; torch is not imported."""
    return importlib.util.find_spec("torch") is not None


def run_seed(study: UpdateStudy, source: Source, y_N: Array, usable: Int64, test: Int64 | None, seed: int) -> list[Row]:
    """Return all rows of one seed: experiment, seed, n_labelled, n_new, method, gamma, accuracy, nll, seconds, ess.

    usable, test: row numbers in the order of their ids; test None holds some of the usable rows out. Smaller sets of
    labels are part of the larger ones.
    """
    if test is None:
        test = held_out(y_N, usable, study.test_fraction, split_rng(seed), classes=True)
    askable, rng = usable[~np.isin(usable, test)], initial_rng(seed)
    order = initial_rows(y_N, askable, study.most, rng, classes=True, stratified=False)
    with threadpool_limits(1):
        return list(_Seed(study, source, y_N, test, order, seed).rows())


class _Seed:
    """One seed of the study. order: the row numbers in the order in which their labels arrive."""

    def __init__(self, study: UpdateStudy, source: Source, y_N: Array, test: Int64, order: Int64, seed: int) -> None:
        self._study, self._source, self._y_N, self._order, self._seed = study, source, y_N, order, seed
        self._n_classes = int(y_N.max()) + 1
        self._X_TD, self._y_T = source.take(test), y_N[test]

    def rows(self) -> Iterator[Row]:
        study = self._study
        prior = self._prior(study.initial)
        for m in study.new:
            for name, method in METHODS.items():
                yield self._row(GROWING, prior, m, name, method)
            for gamma in GAMMAS:
                yield self._row(STEP_SIZE, prior, m, "second-order", second_order(gamma), gamma)
        methods = METHODS | ({RADAM: Method(radam, lambda prior: prior.base)} if has_torch() else {})
        for n in study.stages:
            prior = self._prior(n)
            for name, method in methods.items():
                yield self._row(STAGES, prior, study.stage_new, name, method)

    def _prior(self, n: int) -> Prior:
        study = self._study
        return Prior(self._labelled(0, n), study.spec, self._seed, study.mc_samples, study.radam_rate)

    def _labelled(self, first: int, last: int) -> Training:
        rows = self._order[first:last]
        return Training(self._source.take(rows), self._y_N[rows], np.ones(len(rows)), self._n_classes)

    def _row(self, experiment: str, prior: Prior, m: int, name: str, method: Method, gamma: float | None = None) -> Row:
        outcome = method.run(prior, self._labelled(prior.old.n, prior.old.n + m))
        return {
            "experiment": experiment,
            "seed": self._seed,
            "n_labelled": prior.old.n,
            "n_new": m,
            "method": name,
            "gamma": gamma,
            **scores(outcome, self._X_TD, self._y_T),
            "seconds": outcome.seconds,
            "ess": outcome.ess,
        }
