"""One window of a source through a model: batches, order, threads, bad items, dtype."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from alcli.arrays import Array, Floats
from alcli.data.sources.base import InputSource, Window
from alcli.data.writing.shards import Shard
from alcli.embedders._contract import Encoder
from alcli.errors import AlcliError, DataError, InputError, MemoryLimitError, printable

LARGEST_FLOAT16 = 65504.0


@dataclass(frozen=True)
class Settings:
    """How vectors are made and stored."""

    model: str
    batch_size: int
    dtype: str
    normalize: bool
    skip_bad: bool


@dataclass(frozen=True)
class _Batch:
    """rows: positions in the window that could be read. bad: (position, error) of the others."""

    rows: list[int]
    X_BD: Array | None
    bad: list[tuple[int, AlcliError]]


class WindowEncoder:
    """Encodes windows. The batches of a window depend on the window and the batch size alone, never on what was done before."""

    def __init__(self, source: InputSource, encoder: Encoder, settings: Settings, advance: Callable[[int], None]) -> None:
        self._source, self._encoder, self._settings, self._advance = source, encoder, settings, advance
        self._workers = len(os.sched_getaffinity(0)) if encoder.concurrent else 1

    def encode(self, window: Window, dim: int | None) -> Shard:
        """The window as a shard. dim: D of the shards before, None for the first. Raises DataError, InputError, MemoryLimitError."""
        batches = []
        for batch in self._batches(window):
            if batch.bad and not self._settings.skip_bad:
                self._refuse(window, *min(batch.bad, key=lambda pair: pair[0]))
            self._advance(len(batch.rows) + len(batch.bad))
            batches.append(batch)
        bad = sorted(((row, error) for b in batches for row, error in b.bad), key=lambda pair: pair[0])
        rows_B, X_BD = self._joined(window, batches, dim)
        X_BD, underflow = self._stored(window, rows_B, X_BD)
        skipped = tuple((_id(window, row), error.message) for row, error in bad)
        return Shard(window.columns.take(pa.array(rows_B, pa.int64())), X_BD, skipped, underflow)

    def _batches(self, window: Window) -> Iterator[_Batch]:
        run = self._run_sorted(window) if self._encoder.length else self._run_in_order(window)
        if self._workers == 1:
            yield from (job() for job in run)
            return
        threads = ThreadPoolExecutor(self._workers)
        try:
            yield from threads.map(lambda job: job(), run)
        finally:
            threads.shutdown(cancel_futures=True)  # after an error or a signal, do not finish what nobody will read

    def _run_in_order(self, window: Window) -> Iterator[Callable[[], _Batch]]:
        """Batches of consecutive rows; items are prepared with their batch, so few images are in memory at once."""
        size = self._settings.batch_size
        for first in range(0, len(window.items), size):
            rows = range(first, min(first + size, len(window.items)))
            yield lambda rows=rows: self._encode_batch(window, *self._prepare(window, rows))  # type: ignore[misc]

    def _run_sorted(self, window: Window) -> Iterator[Callable[[], _Batch]]:
        """Batches of like length, longest first, so that little is padded and memory runs out at once or never."""
        rows, items, bad = self._prepare(window, range(len(window.items)))
        assert self._encoder.length is not None
        lengths = [self._encoder.length(item) for item in items]
        order = sorted(range(len(items)), key=lambda i: -lengths[i])
        if bad:
            yield lambda: _Batch([], None, bad)
        for first in range(0, len(order), self._settings.batch_size):
            chosen = order[first : first + self._settings.batch_size]
            yield lambda chosen=chosen: self._encode_batch(window, [rows[i] for i in chosen], [items[i] for i in chosen], [])  # type: ignore[misc]

    def _prepare(self, window: Window, rows: Sequence[int]) -> tuple[list[int], list[Any], list[tuple[int, AlcliError]]]:
        good: list[int] = []
        items: list[Any] = []
        bad: list[tuple[int, AlcliError]] = []
        for row in rows:
            try:
                items.append(self._encoder.prepare(window.items[row]))
                good.append(row)
            except (DataError, InputError) as error:
                bad.append((row, error))
        return good, items, bad

    def _encode_batch(self, window: Window, rows: list[int], items: list[Any], bad: list[tuple[int, AlcliError]]) -> _Batch:
        if not rows or (bad and not self._settings.skip_bad):
            return _Batch(rows, None, bad)
        try:
            X_BD = np.asarray(self._encoder.encode(items))
        except AlcliError as error:
            raise type(error)(f"{self._span(window, rows)}: {error.message}", hint=error.hint) from error
        except MemoryError as error:
            raise MemoryLimitError(f"{self._span(window, rows)}: out of memory", hint="use a smaller --batch-size") from error
        except Exception as error:  # a model is foreign code, and may raise anything
            if "out of memory" in str(error).lower():
                raise MemoryLimitError(f"{self._span(window, rows)}: out of memory on the device", hint="use a smaller --batch-size") from error
            what = f"{self._settings.model} failed with {type(error).__name__}: {_first_line(error)}"
            raise DataError(f"{self._span(window, rows)}: {what}", hint="does the model take such inputs? --debug shows where it failed") from error
        if X_BD.ndim != 2 or len(X_BD) != len(rows) or X_BD.dtype.kind not in "fiu":
            what = f"{self._settings.model} returned {X_BD.dtype} of shape {X_BD.shape}"
            raise DataError(f"{self._span(window, rows)}: {what}, expected numbers of shape [{len(rows)}, D]")
        return _Batch(rows, X_BD, bad)

    def _joined(self, window: Window, batches: list[_Batch], dim: int | None) -> tuple[list[int], Floats]:
        """Batches in the order of their rows, float32 unless the model gave float64."""
        parts = [b for b in batches if b.X_BD is not None]
        for part in parts:
            assert part.X_BD is not None
            dim = dim or part.X_BD.shape[1]
            if part.X_BD.shape[1] != dim or dim == 0:
                what = f"the model returned {part.X_BD.shape[1]} values, {dim} before"
                raise DataError(f"{self._span(window, part.rows)}: {what}", hint="every item must give a vector of the same length D >= 1")
        if not parts:
            return [], np.empty((0, dim or 1), np.float32)
        rows = np.concatenate([p.rows for p in parts])
        order = np.argsort(rows, kind="stable")
        wide = any(p.X_BD is not None and p.X_BD.dtype == np.float64 for p in parts)
        X_BD: Floats = np.concatenate([p.X_BD for p in parts if p.X_BD is not None], dtype=np.float64 if wide else np.float32, casting="unsafe")
        return [int(r) for r in rows[order]], X_BD[order]

    def _stored(self, window: Window, rows: list[int], X_BD: Floats) -> tuple[Floats, int]:
        """Normalised if asked, in the dtype of the pool. Raises DataError for values that are not finite, or too large for it."""
        self._check_finite(window, rows, X_BD, "the model returned a value that is not a finite number", "")
        if self._settings.normalize:
            norms = np.sqrt(np.einsum("bd,bd->b", X_BD, X_BD, dtype=np.float64))
            X_BD = (X_BD / np.where(norms > 0, norms, 1.0)[:, None]).astype(X_BD.dtype)
        with np.errstate(over="ignore"):
            stored = X_BD.astype(self._settings.dtype)
        hint = "use --dtype float32, or --normalize" if self._settings.dtype == "float16" else ""
        self._check_finite(window, rows, stored, f"a value is beyond the range of {self._settings.dtype}", hint)
        return stored, int(np.count_nonzero((stored == 0) & (X_BD != 0)))

    def _check_finite(self, window: Window, rows: list[int], X_BD: Floats, what: str, hint: str) -> None:
        bad = np.argwhere(~np.isfinite(X_BD))
        if len(bad):
            row = rows[int(bad[0, 0])]
            raise DataError(f"{self._where(window, row)}: {what} (dimension {bad[0, 1]})", hint=hint)

    def _refuse(self, window: Window, row: int, error: AlcliError) -> None:
        hint = error.hint or "--skip-bad leaves such items out"
        raise type(error)(f"{self._where(window, row)}: {error.message}", hint=hint) from error

    def _where(self, window: Window, row: int) -> str:
        return f"{self._source.place(window.first + row)} (id '{_id(window, row)}')"

    def _span(self, window: Window, rows: list[int]) -> str:
        return f"{self._where(window, min(rows))} and {len(rows) - 1} more" if len(rows) > 1 else self._where(window, rows[0])


def _id(window: Window, row: int) -> str:
    return printable(window.columns["id"][row].as_py())


def _first_line(error: Exception) -> str:
    return printable(next(iter(str(error).strip().splitlines()), ""))[:300]
