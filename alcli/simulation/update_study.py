"""The study of updates: the share of retraining's gain that each way to absorb labels recovers, and its price in time.

Source: Huseljic et al. 2025, section 5: growing sets of new labels, learning stages, the step size, time against
retraining.
Cost: per seed one fit for each learning stage, and for each method and size the cost of the method. Monte-Carlo
reweighting dominates, with 2 T S C D1 flops for a prediction of T test rows from the S hypotheses that still have
weight.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from alcli.arrays import Array, Int64
from alcli.errors import UsageError
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec
from alcli.selection.source import Source
from alcli.simulation.plan import initial_rng, split_rng
from alcli.simulation.radam import RADAM, prepared, radam
from alcli.simulation.splits import held_out, initial_rows
from alcli.simulation.update_methods import METHODS, SWEEPS, TARGET, Method, Prior, scores

GROWING, STAGES, STEP_SIZE = "growing", "stages", "gamma"
Row = dict[str, Any]


# A method to run, with its name and, in a sweep, its step size.
Named = tuple[str, float | None, Method]


class Stage(NamedTuple):
    """A learning stage: so many new labels after so many old ones."""

    old: int
    new: int


@dataclass(frozen=True)
class UpdateStudy:
    """The sizes of the study.

    initial: old labels; new: sizes of the sets of new labels. mc_samples, radam_rate: see `Prior`.
    """

    spec: FitSpec
    n_seeds: int
    test_fraction: float
    initial: int
    new: tuple[int, ...]
    stages: tuple[Stage, ...]
    mc_samples: int
    radam_rate: float

    @property
    def most(self) -> int:
        """The largest number of labels that any part of the study takes."""
        return max(self.initial + max(self.new), *(stage.old + stage.new for stage in self.stages))


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


def stages_of(text: str, new: int) -> tuple[Stage, ...]:
    """Read `50,100,1000+50`: numbers of old labels, each with the number of new ones, which is `new` if none is given.

    `50..400` stands for steps of the first number. Raises UsageError.
    """
    if ".." in text:
        return tuple(Stage(old, new) for old in sizes(text, "stages"))
    parts = [part.partition("+") for part in text.split(",")]
    try:
        found = [Stage(int(old), int(more) if plus else new) for old, plus, more in parts]
    except ValueError:
        found = []
    olds = [stage.old for stage in found]
    if not found or min(map(min, found)) < 1 or olds != sorted(set(olds)):
        raise UsageError(f"-p stages takes ascending sizes such as 50,100,1000+50 or 50..400, got '{text}'")
    return tuple(found)


def has_torch() -> bool:
    """True where torch is installed; torch is not imported."""
    return importlib.util.find_spec("torch") is not None


def run_seed(study: UpdateStudy, source: Source, y_N: Array, usable: Int64, test: Int64 | None, seed: int) -> list[Row]:
    """Return all rows of one seed: experiment, seed, n_labelled, n_new, method, gamma, MEASURES, flips, seconds, ess.

    flips: the share of test rows whose predicted class is not that of exact retraining.
    usable, test: row numbers in the order of their ids; test None holds some of the usable rows out. Labels arrive in
    random order. Smaller sets of labels are part of the larger ones.
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
        methods: list[Named] = [(name, None, method) for name, method in METHODS.items()]
        steps = [(name, gamma, sweep.method(gamma)) for name, sweep in SWEEPS.items() for gamma in sweep.gammas]
        prior = self._prior(study.initial)
        for m in study.new:
            yield from self._compared(prior, m, {GROWING: methods, STEP_SIZE: steps})
        if has_torch():
            methods.append((RADAM, None, Method(radam, prepared)))
        for stage in study.stages:
            yield from self._compared(self._prior(stage.old), stage.new, {STAGES: methods})

    def _prior(self, n: int) -> Prior:
        study = self._study
        return Prior(self._labelled(0, n), study.spec, self._seed, study.mc_samples, study.radam_rate)

    def _labelled(self, first: int, last: int) -> Training:
        rows = self._order[first:last]
        return Training(self._source.take(rows), self._y_N[rows], np.ones(len(rows)), self._n_classes)

    def _compared(self, prior: Prior, m: int, experiments: Mapping[str, Iterable[Named]]) -> Iterator[Row]:
        """Yield a row per experiment and method, each after the same m new labels."""
        new = self._labelled(prior.old.n, prior.old.n + m)
        exact = METHODS[TARGET].run(prior, new)
        _, classes_T = scores(exact, self._X_TD, self._y_T)
        for experiment, methods in experiments.items():
            for name, gamma, method in methods:
                outcome = exact if name == TARGET else method.run(prior, new)
                measures, predicted_T = scores(outcome, self._X_TD, self._y_T)
                yield {
                    "experiment": experiment,
                    "seed": self._seed,
                    "n_labelled": prior.old.n,
                    "n_new": m,
                    "method": name,
                    "gamma": gamma,
                    **measures,
                    "flips": float((predicted_T != classes_T).mean()),
                    "seconds": outcome.seconds,
                    "ess": outcome.ess,
                }
