"""The rows of a simulation in a form that several processes share: the features stay in one memory-mapped file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.errors import InputError, printable
from alcli.selection.group_source import Grouping
from alcli.selection.source import ArraySource
from alcli.simulation.bench import Bench
from alcli.simulation.plan import Cell, Plan
from alcli.simulation.results import CellResult


@dataclass(frozen=True)
class Matrix:
    """A file of raw numbers, row by row."""

    path: Path
    dtype: str
    shape: tuple[int, int]

    def open(self) -> Floats:
        """Open the matrix as a read-only memory map. Raises InputError where the file is not there."""
        try:
            return np.memmap(self.path, self.dtype, "r", shape=self.shape)
        except OSError as error:
            what = f"{printable(self.path)}: cannot open the features kept there: {error.strerror}"
            hint = "--cache-dir DIR names a folder that all nodes of a cluster see under the same name"
            raise InputError(what, hint=hint) from error


@dataclass(frozen=True)
class Shared:
    """A `Bench` in a form that can be sent to another process: the features stay in their file."""

    features: Matrix
    ids: Array
    y_N: Array
    usable: Int64
    test: Int64 | None
    n_classes: int | None
    plan: Plan
    grouping: Grouping | None = None
    costs_N: Float64 | None = None
    names_CD: Floats | None = None
    known: Mapping[Cell, CellResult] = field(default_factory=dict)

    def bench(self) -> Bench:
        """Open the features, and return the bench."""
        source = ArraySource(self.features.open(), self.ids)
        return Bench(
            source,
            self.y_N,
            self.usable,
            self.test,
            self.n_classes,
            self.plan,
            self.grouping,
            self.costs_N,
            self.names_CD,
            self.known,
        )
