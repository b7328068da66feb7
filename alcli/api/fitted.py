"""A head in Python: `FittedHead` predicts rows of features."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from alcli.api.inputs import PathLike
from alcli.api.pool import PoolLike, opened
from alcli.api.session import session
from alcli.arrays import Array, Float64
from alcli.data.head_file import HeadFile, load_head, save_head
from alcli.data.pool import Pool
from alcli.errors import DataError, UsageError, printable
from alcli.remarks import silence
from alcli.workflows.query.columns import typed_class


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head with its uncertainty, which predicts rows of features. No method changes the head.

    file: the content of the head's file.
    report: the figures of the fit or of the update; empty for a head that was loaded.
    """

    file: HeadFile
    report: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: PathLike, *, expect_sha256: str | None = None) -> FittedHead:
        """Read the file of a head. expect_sha256: of the file, from a trusted source.

        Raises InputError, DataError, NewerFormatError.
        """
        return cls(load_head(Path(os.fspath(path)), expect_sha256=expect_sha256))

    def save(self, path: PathLike, *, force: bool = False) -> None:
        """Write the file of the head; the same head gives the same bytes. force: replace a file that exists.

        Raises CannotCreateError, OutputError.
        """
        save_head(Path(os.fspath(path)), self.file, overwrite=force)

    @property
    def classes(self) -> list[str | int | bool] | None:
        """The classes in the order of the columns of `predict_proba`; None for a head that predicts numbers."""
        return (
            None
            if self.file.classes is None
            else [typed_class(name, self.file.class_type) for name in self.file.classes]
        )

    def predict(self, features: PoolLike) -> Array:
        """Predict the class or the number of each row, shape [N]. Cost: one pass.

        features: an array [N, D], or any pool.
        Raises DataError for features of another D, and for rows without a usable vector.
        """
        if self.classes is None:
            return self._over_blocks(features, self.file.predicts.mean)
        return np.array(self.classes)[self._over_blocks(features, self.file.predicts.predictive).argmax(axis=1)]

    def predict_proba(self, features: PoolLike) -> Float64:
        """Predict class probabilities, averaged over the posterior, shape [N, C]. Cost: one pass.

        features: an array [N, D], or any pool.
        Raises UsageError for a head that predicts numbers, DataError as `predict` does.
        """
        if self.classes is None:
            raise UsageError(
                "the head predicts numbers and has no class probabilities", hint="predict returns the numbers"
            )
        return np.exp(self._over_blocks(features, self.file.predicts.predictive))

    def _over_blocks(self, features: PoolLike, function: Any) -> Float64:
        """function(X_BD) of every row of a pool, in the order of the rows."""
        with session(silence) as remark:
            rows = opened(features, remark)
            self._check(rows)
            empty = function(np.empty((0, rows.dim)))
            return np.concatenate([empty, *(function(X_BD) for _, X_BD in rows.blocks())])

    def _check(self, rows: Pool) -> None:
        if rows.dim != self.file.model.dim:
            what = f"{rows.name} has D={rows.dim}, the head expects {self.file.model.dim}"
            raise DataError(what, hint="use features of the model that the head was fitted on")
        if rows.is_bad.any():
            first = rows.describe(int(np.flatnonzero(rows.is_bad)[0]))
            raise DataError(f"{first}: a prediction needs a usable vector", hint="leave such rows out of the pool")

    def __repr__(self) -> str:
        what = "numbers" if self.classes is None else f"{len(self.classes)} classes"
        return f"<alcli.FittedHead {self.file.model.head.kind}, {what}, {len(self.file.absorbed.id_L)} labels>"


HeadLike: TypeAlias = FittedHead | PathLike


def given_head(head: HeadLike) -> Path | HeadFile:
    """The head that a call gets: the content of its file, or the path of the file. Raises UsageError."""
    if isinstance(head, FittedHead):
        return head.file
    if not isinstance(head, str | os.PathLike):
        raise UsageError(f"expected a head or a path, got {printable(repr(head))}")
    return Path(os.fspath(head))


def opened_head(head: HeadLike) -> tuple[HeadFile, str]:
    """(head, its name in messages)."""
    if isinstance(head, FittedHead):
        return head.file, "in memory"
    return load_head(Path(os.fspath(head))), printable(head)
