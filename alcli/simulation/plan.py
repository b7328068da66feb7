"""The grid of a simulation: its cells, and the source of chance of each cell.

A cell is one strategy (with its modifiers, as `margin+update`) with one seed: the whole sequence of rounds. Cells are
independent, so they can run in any order and in any process. A seed fixes the split and the initial labels, which are
the same for every strategy. The draws of a strategy follow from (seed, strategy, round), so they do not depend on the
other strategies that take part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alcli.errors import UsageError
from alcli.heads._fitting import FitSpec
from alcli.numerics.hashing import hash_text

BASELINE = "random"
# In the place of a strategy: nothing is selected, and every label of the pool is given.
FULL_DATA = "full-data"
_SPLIT, _INITIAL, _SELECT, _JUDGES, _CANDIDATES = 0, 1, 2, 3, 4
MAX_JUDGES = 2000


@dataclass(frozen=True)
class Cell:
    """One strategy with one seed. `FULL_DATA` in the place of a strategy is one fit to every label of the pool."""

    strategy: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """The sizes and rules of a simulation: `initial` labels to start with, then `rounds` times `batch` more.

    Where items have costs, `batch` is the budget of a round instead of a number of items.
    strategies: names, the baseline first. options: the parsed parameters of each strategy. test_fraction: the share of
    items held out where the pool has no test rows. stratified: the initial labels take the classes in turn.
    candidates: the number of random items that a round chooses among; None takes all that can be asked for.
    pool_prior: the head learns from the unlabelled rows too (heads/_pair.py). train_weights: heads are trained with the
    weights that strategies give their choices.
    none_label: the label of items that belong to no class; None where every label is a class.
    metric: the name of a metric that is measured beside those of the table: of one class, or from outside alcli.
    positive: the number of the class that it is about, if it is about one. origins: the provenance of all code from
    outside that takes part, by the name of the strategy or the metric.
    Raises UsageError for a size that is too small.
    """

    strategies: tuple[str, ...]
    n_seeds: int
    batch: int
    rounds: int
    initial: int
    spec: FitSpec
    test_fraction: float = 0.2
    stratified: bool = False
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metric: str | None = None
    origins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    pool_prior: bool = False
    train_weights: bool = False
    positive: int | None = None
    candidates: int | None = None
    none_label: str | None = None

    def __post_init__(self) -> None:
        sizes = (("-n", self.batch, 1), ("--rounds", self.rounds, 1), ("--seeds", self.n_seeds, 1))
        for name, value, least in (*sizes, ("--initial", self.initial, 2)):
            if value < least:
                hint = "it is -n where it is not given" if name == "--initial" else ""
                raise UsageError(f"{name} must be at least {least}, got {value}", hint=hint)
        if self.candidates is not None and self.candidates < self.batch:
            raise UsageError(
                f"--candidates must be at least -n, the {self.batch} items of a round, got {self.candidates}"
            )
        if not 0 < self.test_fraction < 1:
            raise UsageError(f"--test-fraction must be between 0 and 1, got {self.test_fraction:g}")

    def cells(self) -> Iterator[Cell]:
        """Yield all cells, seed by seed, so that an interrupted simulation has whole seeds to compare."""
        return (Cell(strategy, seed) for seed in range(self.n_seeds) for strategy in self.strategies)

    def full_data(self, *, one_split: bool) -> Iterator[Cell]:
        """Yield the fit to every label of each distinct split. one_split: all seeds share the test rows of the pool."""
        return (Cell(FULL_DATA, seed) for seed in range(1 if one_split else self.n_seeds))


# The alias before the name of a strategy.
_ALIAS = re.compile(r"^[A-Za-z0-9_-]+=")


def with_baseline(strategies: Sequence[str]) -> tuple[str, ...]:
    """Return the names without repetitions, the baseline first."""
    return tuple(dict.fromkeys([BASELINE, *strategies]))


def split_rng(seed: int) -> np.random.Generator:
    """The generator that draws the held-out items of a seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_SPLIT,)))


def initial_rng(seed: int) -> np.random.Generator:
    """The generator that draws the initial labels of a seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_INITIAL,)))


def judges_rng(seed: int) -> np.random.Generator:
    """The generator that draws the rows by which oracles judge batches."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_JUDGES,)))


def candidates_seed(seed: int, round_number: int) -> int:
    """The seed, of 63 bits, that draws the candidates of one round; the same for every strategy."""
    return _state(seed, (_CANDIDATES, round_number))


def selection_seed(cell: Cell, round_number: int) -> int:
    """The seed, of 63 bits, that a strategy gets in one round. An alias has no effect on it.

    So variants of a strategy under several aliases draw the same numbers, and differ by their options alone.
    """
    return _state(cell.seed, (_SELECT, hash_text(_ALIAS.sub("", cell.strategy)), round_number))


def _state(seed: int, key: tuple[int, ...]) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0] >> np.uint64(1))
