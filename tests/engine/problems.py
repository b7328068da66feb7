"""Rows for choices over shards, the engines that must agree on them, and a shard that dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from alcli.data.cached.file_array import FileArray, new_file
from alcli.engine.processes import Processes
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.teams import Engine, Here, using

# Five blocks, and a part of one.
N = 5 * BLOCK_ROWS + 77
HERE = (Here(1), Here(3), Here(8), Here(50))
ELSEWHERE = (Processes(1), Processes(2), Processes(2, n_shards=3))


def clustered(kind: str, dim: int, pull: float = 4.0, *, in_order: bool = False) -> np.ndarray:
    """N rows around 20 centres, float32.

    kind: "copies" makes half of the rows copies of others. in_order: one cluster comes after another.
    """
    rng = np.random.default_rng(5)
    noise, centres, of = rng.standard_normal((N, dim)), rng.standard_normal((20, dim)), rng.integers(20, size=N)
    X = noise + pull * centres[np.sort(of) if in_order else of]
    if kind == "copies":
        # Copies in other shards, and rows that are all equal.
        X[rng.permutation(N)[: N // 2]] = X[rng.integers(30, size=N // 2)]
    return X.astype(np.float32)


def in_file(folder: Path, X: np.ndarray) -> FileArray:
    file = new_file(str(folder / "features"), X.shape, X.dtype)
    file.write(0, X)
    return file


def agree(choice: Callable[[BlockArray], Any], file: BlockArray, engines: tuple[Engine, ...]) -> None:
    """Check that a choice finds in a file what it finds in memory, by every engine."""
    expected = choice(file[0:N])
    for engine in engines:
        with using(engine):
            assert choice(file) == expected


class Mortal:
    """Adds numbers, and kills its process at the third one of a run, as long as a file exists."""

    def __init__(self, spread: Any, first: int, file: str) -> None:
        self.total, self.first, self.file, self.n = 0, first, file, 0

    def add(self, number: int) -> int:
        self.n += 1
        if self.n == 3 and self.first and os.path.exists(self.file):
            os.unlink(self.file)
            os.kill(os.getpid(), signal.SIGKILL)
        self.total += number
        return self.total + self.first

    def twice(self) -> int:
        return 2 * self.total
