"""The grid of a simulation: which cells there are, and where the chance of each one comes from.

A cell is one strategy (with its modifiers, as `margin+update`) with one seed: its whole sequence of rounds. Cells are independent, so they can be computed in any order and
in any process. A seed fixes the split and the initial labels for every strategy alike; what a strategy draws later follows from
(seed, strategy, round), not from which other strategies take part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alcli.errors import UsageError
from alcli.heads._fitting import FitSpec
from alcli.numerics.hashing import hash_text

BASELINE = "random"
FULL_DATA = "full-data"  # in the place of a strategy: nothing is chosen, every label of the pool is given
_SPLIT, _INITIAL, _SELECT, _JUDGES = 0, 1, 2, 3
MAX_JUDGES = 2000


@dataclass(frozen=True)
class Cell:
    """One strategy with one seed; with `FULL_DATA` in its place the one fit to every label that could be asked for."""

    strategy: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """What is simulated. `initial` labels to start with, then `rounds` times `batch` more, or what `batch` buys where items have costs.

    strategies: names, the baseline first. options: per strategy, its parsed parameters. test_fraction: the share of rows held out
    where the pool has no test rows. stratified: the initial rows take the classes in turn.
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

    def __post_init__(self) -> None:
        for name, value, least in (("-n", self.batch, 1), ("--rounds", self.rounds, 1), ("--seeds", self.n_seeds, 1), ("--initial", self.initial, 2)):
            if value < least:
                raise UsageError(f"{name} must be at least {least}, got {value}", hint="it is -n where it is not given" if name == "--initial" else "")
        if not 0 < self.test_fraction < 1:
            raise UsageError(f"--test-fraction must be between 0 and 1, got {self.test_fraction:g}")

    def cells(self) -> Iterator[Cell]:
        """All cells, seed by seed, so that what is there after an interruption can be compared."""
        return (Cell(strategy, seed) for seed in range(self.n_seeds) for strategy in self.strategies)

    def full_data(self, *, one_split: bool) -> Iterator[Cell]:
        """A fit to every label for each distinct split. one_split: the pool says which rows are for testing, so that all seeds share them."""
        return (Cell(FULL_DATA, seed) for seed in range(1 if one_split else self.n_seeds))


def with_baseline(strategies: Sequence[str]) -> tuple[str, ...]:
    """The names without repetitions, the baseline first."""
    return tuple(dict.fromkeys([BASELINE, *strategies]))


def split_rng(seed: int) -> np.random.Generator:
    """Draws the held-out rows of a seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_SPLIT,)))


def initial_rng(seed: int) -> np.random.Generator:
    """Draws the initial labels of a seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_INITIAL,)))


def judges_rng(seed: int) -> np.random.Generator:
    """Draws the rows that oracles judge batches by."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_JUDGES,)))


def selection_seed(cell: Cell, round_number: int) -> int:
    """The seed that a strategy is given in one round: 63 bits."""
    key = (_SELECT, hash_text(cell.strategy), round_number)
    return int(np.random.SeedSequence(cell.seed, spawn_key=key).generate_state(1, np.uint64)[0] >> np.uint64(1))
