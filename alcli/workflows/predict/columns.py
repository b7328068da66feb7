"""Predictions of items, as columns: the class and its confidence, or the number and its standard deviation.

The prediction of a group is that of a row of it which is drawn at random: class probabilities are means over its rows,
and the variance of a number is the mean variance of its rows plus the variance of their means. `query` says the same of
the items that it chooses.
Cost: `predictive` of heads/_model.py for each row; with variances the posterior is asked a second time.
Memory: a few arrays [rows, C] of at most 32 MiB, unless 64 rows are more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.data.head_file import HeadFile
from alcli.heads._model import Model
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.segments import segment_means, segment_mixtures
from alcli.remarks import Note
from alcli.workflows.items import Items
from alcli.workflows.query.columns import typed_class

_FLOATS = 1 << 22
_FEWEST, _MOST = 64, 8192


@dataclass(frozen=True)
class PredictedColumns:
    """The columns that a head gives for the items of a pool.

    probs: with the probability of each class. variance: with the posterior variance of the predicted class's logit.
    """

    items: Items
    head: HeadFile
    probs: bool
    variance: bool

    @classmethod
    def asked(cls, items: Items, head: HeadFile, *, probs: bool, variance: bool, note: Note) -> PredictedColumns:
        """The columns that were asked for, as far as the head has them; a remark names what it does not have."""
        if probs and head.classes is None:
            note("there are no class probabilities: the head predicts numbers")
        lack = _without_variance(items, head)
        if variance and lack:
            note(f"there is no column 'variance': {lack}")
        return cls(items, head, probs and head.classes is not None, variance and not lack)

    @property
    def model(self) -> Model:
        """The model that predicts."""
        return self.head.predicts

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns; `probs` is a struct with a field for each class."""
        kinds = {"id": pa.string() if self.items.ids.is_text else pa.int64()}
        if self.head.classes is None:
            return pa.schema(kinds | {"predicted": pa.float32(), "sd": pa.float32()})
        kinds |= {"predicted": self._classes.type, "confidence": pa.float32()}
        kinds |= {"variance": pa.float32()} if self.variance else {}
        kinds |= {"probs": pa.struct([(name, pa.float32()) for name in self.head.classes])} if self.probs else {}
        return pa.schema(kinds)

    @cached_property
    def _classes(self) -> pa.Array:
        assert self.head.classes is not None
        return pa.array([typed_class(name, self.head.class_type) for name in self.head.classes])

    def batches(self, chosen: Int64) -> Iterator[pa.RecordBatch]:
        """Yield the predictions of `chosen` items, a few at a time, in the order of the pool."""
        schema, model = self.schema, self.model
        predicted = self._numbers if self.head.classes is None else self._of_classes
        most = int(np.clip(_FLOATS // (model.n_classes or 1), _FEWEST, _MOST))
        for items_B, X_RD, starts_B in self.items.parts(chosen, most):
            ids = self.items.ids.arrow(items_B).cast(schema.field("id").type)
            yield pa.RecordBatch.from_arrays([ids, *predicted(model, X_RD, starts_B)], schema=schema)

    def _numbers(self, model: Model, X_RD: Floats, starts_B: Int64) -> list[pa.Array]:
        of_rows = over_rows(model.mean, X_RD, 1), over_rows(model.label_variance, X_RD, 1)
        mean_B, variance_B = segment_mixtures(*of_rows, starts_B)
        return [_float32(mean_B), _float32(np.sqrt(variance_B))]

    def _of_classes(self, model: Model, X_RD: Floats, starts_B: Int64) -> list[pa.Array]:
        C = len(self._classes)

        def log_probs(X_BD: Floats) -> Float64:
            return over_rows(model.predictive, X_BD, C)

        single = len(starts_B) == len(X_RD)
        log_probs_BC = log_probs(X_RD) if single else segment_means(log_probs, X_RD, starts_B, logs=True, most=_MOST)
        best_B = log_probs_BC.argmax(axis=1)
        found = [self._classes.take(pa.array(best_B)), _float32(np.exp(log_probs_BC.max(axis=1)))]
        if self.variance:
            variance_BC = over_rows(model.logit_variance, X_RD, C)
            shared = variance_BC.shape[1] == 1
            found.append(_float32(variance_BC[:, 0] if shared else variance_BC[np.arange(len(best_B)), best_B]))
        if self.probs:
            probs_CB = np.exp(log_probs_BC).T.astype(np.float32)
            found.append(pa.StructArray.from_arrays(list(map(pa.array, probs_CB)), self.head.classes))
        return found


def _without_variance(items: Items, head: HeadFile) -> str:
    """Say why there is no variance of a logit; "" where there is one."""
    if head.classes is None:
        return "the head predicts numbers, and column 'sd' holds their standard deviation"
    if head.predicts.posterior is None:
        return "the head has no posterior"
    if items.groups is not None:
        return "the rows of a group have a logit each; --group-col none predicts rows"
    return ""


def over_rows(function: Callable[[Floats], Array], X_BD: Floats, width: int) -> Array:
    """Compute function(X_BD) on several threads, a few rows at a time. width: numbers that the function makes a row.

    The rows that are computed together do not depend on the number of threads.
    """
    out = np.empty((len(X_BD), *(nothing := function(X_BD[:0])).shape[1:]), nothing.dtype)
    step = int(np.clip(_FLOATS // (4 * width), _FEWEST, BLOCK_ROWS))

    def work(first: int, last: int) -> None:
        for a in range(first, last, step):
            rows = slice(a, min(a + step, last))
            out[rows] = function(X_BD[rows])

    with workers() as spread:
        spread(len(X_BD), work)
    return out


def _float32(values_B: Array) -> pa.Array:
    return pa.array(values_B.astype(np.float32))
