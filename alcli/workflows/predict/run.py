"""`alcli predict`: write the predictions of a head for the items of a pool, as they are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from alcli.arrays import Int64
from alcli.data.head_file import HeadFile, load_head
from alcli.data.head_match import check_pool, rows_of_hashes
from alcli.data.row_formats import ROW_FORMATS
from alcli.data.writing.atomic import replacing
from alcli.data.writing.creatable import check_creatable
from alcli.errors import UsageError, counted, printable, suggestion
from alcli.remarks import Note, Progress
from alcli.workflows.items import Items
from alcli.workflows.predict.columns import PredictedColumns

LABELLED = ("keep", "drop")


@dataclass(frozen=True)
class PredictRequest:
    """The predictions that a user asks for.

    head: a file, or a head in memory. probs, variance: with these columns. labelled: "drop" leaves out the items whose
    labels the head has absorbed. expect_sha256: the SHA-256 that the file of the head must have.
    """

    head: Path | HeadFile
    probs: bool = False
    variance: bool = False
    labelled: str = "keep"
    allow_empty: bool = False
    expect_sha256: str | None = None

    def checked(self) -> PredictRequest:
        """Return this request after its names are checked. Raises UsageError."""
        if self.labelled not in LABELLED:
            what = f"labelled must be {' or '.join(LABELLED)}, got '{printable(self.labelled)}'"
            raise UsageError(what, hint=suggestion(self.labelled, LABELLED))
        return self

    @property
    def files(self) -> list[str | Path]:
        """The files that are read besides the pool."""
        return [self.head] if isinstance(self.head, Path) else []

    def opened(self) -> tuple[HeadFile, str]:
        """(the head that predicts, its name in messages). Raises what `load_head` does."""
        if isinstance(self.head, HeadFile):
            return self.head, "in memory"
        return load_head(self.head, expect_sha256=self.expect_sha256), printable(self.head)


@dataclass(frozen=True)
class PlannedPredictions:
    """A head and the items that it is to predict.

    chosen: item numbers, ascending. report: figures that are known before anything is predicted.
    """

    columns: PredictedColumns
    chosen: Int64
    report: dict[str, Any]

    @property
    def schema(self) -> pa.Schema:
        """The names and types of the columns."""
        return self.columns.schema

    def batches(self, progress: Progress) -> Iterator[pa.RecordBatch]:
        """Yield the predictions, in the order of the pool. Raises DataError for an unusable vector, when it is met."""
        progress.start(len(self.chosen), "predict")
        for batch in self.columns.batches(self.chosen):
            yield batch
            progress.advance(len(batch))

    def encoded(self, batches: Iterable[pa.RecordBatch], format: str) -> Iterator[bytes]:
        """Yield the bytes of a file of batches of predictions. format: a name of `ROW_FORMATS`."""
        return ROW_FORMATS[format](self.schema, batches, {"format": 1, "pool": self.report["pool"]})


def planned(items: Items, ask: PredictRequest, note: Note, *, out: Path | None) -> PlannedPredictions:
    """Read the head, and find the items to predict.

    out: where predictions will be written. Raises DataError, InputError, UsageError, NewerFormatError, and
    CannotCreateError where `out` cannot be written.
    """
    ask.checked()
    pool = items.pool
    if out is not None:
        check_creatable(out, inputs=[*pool.paths, *ask.files])
    if not ask.allow_empty:
        pool.require_rows("--allow-empty accepts a pool without rows")
    head, shown = ask.opened()
    if pool.n:
        check_pool(head, shown, pool, note)
    if pool.is_bad.any():
        one, several = "row without a usable vector was", "rows without a usable vector were"
        note(f"{counted(int(pool.is_bad.sum()), one, several)} left out")
    rows = rows_of_hashes(head.absorbed.id_L, pool.ids.hashes())
    labelled = rows[rows >= 0]
    closed_N = np.zeros(pool.n, bool)
    closed_N[labelled] = ask.labelled == "drop"
    items.remark(np.flatnonzero(closed_N), note)
    chosen = items.candidates(closed_N, np.empty(0, np.int64))
    columns = PredictedColumns.asked(items, head, probs=ask.probs, variance=ask.variance, note=note)
    report = {
        "pool": items.about(),
        "labelled": len(np.unique(items.of_rows(labelled))),
        "predicted": len(chosen),
        "columns": columns.schema.names,
    }
    return PlannedPredictions(columns, chosen, report)


def predict(
    items: Items,
    ask: PredictRequest,
    *,
    out: Path | None,
    format: str,
    emit: Callable[[bytes], None],
    progress: Progress,
    note: Note,
) -> dict[str, Any]:
    """Write the predictions to `out`, or hand their bytes to `emit` as they are computed; return figures.

    `out` appears whole or not at all, and replaces a file that is there. An error that is met on the way leaves what
    was handed to `emit` already. format: a name of `ROW_FORMATS`. Cost: one pass over the features, two where unusable
    vectors are left out. Memory: the ids, some 20 bytes an item, and a few blocks. Raises every AlcliError.
    """
    found = planned(items, ask, note, out=out)
    data = found.encoded(found.batches(progress), format)
    if out is None:
        for part in data:
            emit(part)
    else:
        with replacing(out) as file:
            file.writelines(data)
    return found.report
