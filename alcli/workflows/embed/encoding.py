"""Encode one window of a source with a model: batches, order, threads, bad items, dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from alcli.arrays import Array, Floats
from alcli.data.sources.base import InputSource, Window
from alcli.data.writing.shards import Shard
from alcli.embedders._contract import Encoder
from alcli.errors import AlcliError, DataError, InputError, MemoryLimitError, printable
from alcli.numerics.blocks import n_processors
from alcli.numerics.standardization import Standardization

# Bytes of the inputs that a model gets at once, beside one more. A batch of large images is handed over in parts.
_MOST_BYTES = 1 << 29


@dataclass(frozen=True)
class Settings:
    """The options for vectors.

    model: as the user named it, for messages. skip_bad: leave out items that cannot be read. standardization: what
    columns are standardised by, before rows are normalised.
    """

    model: str
    batch_size: int
    dtype: str
    normalize: bool
    skip_bad: bool
    standardization: Standardization | None = None


@dataclass(frozen=True)
class _Batch:
    """One encoded batch.

    rows: positions in the window of items that could be read. bad: (position, error) of other items.
    """

    rows: list[int]
    X_BD: Array | None
    bad: list[tuple[int, AlcliError]]


class WindowEncoder:
    """An encoder of windows. advance: told of the number of items of each finished batch.

    The batches of a window depend on the window and the batch size alone, so that a resumed run makes the same vectors.
    """

    def __init__(
        self, source: InputSource, encoder: Encoder, settings: Settings, advance: Callable[[int], None]
    ) -> None:
        self._source, self._encoder, self._settings, self._advance = source, encoder, settings, advance
        self._workers = n_processors() if encoder.concurrent else 1

    def encode(self, window: Window, dim: int | None) -> Shard:
        """Encode a window as a shard. dim: D of the shards before, None for the first.

        Raises DataError, InputError, MemoryLimitError.
        """
        rows_B, X_BD, skipped = self.vectors(window, dim)
        X_BD, underflow = self._stored(window, rows_B, X_BD)
        return Shard(window.columns.take(pa.array(rows_B, pa.int64())), X_BD, skipped, underflow)

    def vectors(self, window: Window, dim: int | None) -> tuple[list[int], Floats, tuple[tuple[str, str], ...]]:
        """Return (rows of the window that could be read, what the model makes of them, (id, why) of each other row).

        The vectors are finite. Raises DataError, InputError, MemoryLimitError.
        """
        batches = []
        for batch in self._batches(window):
            if batch.bad and not self._settings.skip_bad:
                self._refuse(window, *min(batch.bad, key=lambda pair: pair[0]))
            self._advance(len(batch.rows) + len(batch.bad))
            batches.append(batch)
        bad = sorted(((row, error) for b in batches for row, error in b.bad), key=lambda pair: pair[0])
        rows_B, X_BD = self._joined(window, batches, dim)
        self._check_finite(window, rows_B, X_BD, "the model returned a value that is not a finite number", "")
        return rows_B, X_BD, tuple((_id(window, row), error.message) for row, error in bad)

    def _batches(self, window: Window) -> Iterator[_Batch]:
        """Yield the batches of a window, encoded in threads where the model allows it."""
        run = self._run_sorted(window) if self._encoder.length else self._run_in_order(window)
        if self._workers == 1:
            yield from (job() for job in run)
            return
        threads = ThreadPoolExecutor(self._workers)
        try:
            yield from threads.map(lambda job: job(), run)
        finally:
            # After an error or a signal, nobody reads the batches that have not begun.
            threads.shutdown(cancel_futures=True)

    def _run_in_order(self, window: Window) -> Iterator[Callable[[], _Batch]]:
        """Yield jobs of consecutive rows.

        Items are prepared with their batch, so that few images are in memory at once.
        """
        size = self._settings.batch_size
        for first in range(0, len(window.items), size):
            rows = range(first, min(first + size, len(window.items)))
            yield partial(self._read_and_encode, window, rows)

    def _run_sorted(self, window: Window) -> Iterator[Callable[[], _Batch]]:
        """Yield jobs of items of like length, so that little is padded.

        The longest come first, so that a model that needs too much memory fails at once.
        """
        rows, items, bad = self._prepare(window, range(len(window.items)))
        assert self._encoder.length is not None
        lengths = [self._encoder.length(item) for item in items]
        order = sorted(range(len(items)), key=lambda i: -lengths[i])
        if bad:
            yield lambda: _Batch([], None, bad)
        for first in range(0, len(order), self._settings.batch_size):
            chosen = order[first : first + self._settings.batch_size]
            yield partial(self._encode_batch, window, [rows[i] for i in chosen], [items[i] for i in chosen], [])

    def _read_and_encode(self, window: Window, rows: Sequence[int]) -> _Batch:
        """Read the inputs of `rows` and encode them as one batch, or in parts where they are large.

        The parts follow from the inputs alone.
        """
        parts = [self._encode_batch(window, *part) for part in self._parts(window, rows)]
        if len(parts) == 1:
            return parts[0]
        vectors = [part.X_BD for part in parts if part.X_BD is not None]
        if len({len(X_BD[0]) for X_BD in vectors}) > 1:
            what = f"{self._settings.model} returned vectors of different lengths"
            raise DataError(f"{self._span(window, list(rows))}: {what}")
        return _Batch(
            [row for part in parts for row in part.rows],
            np.concatenate(vectors) if vectors else None,
            [pair for part in parts for pair in part.bad],
        )

    def _parts(
        self, window: Window, rows: Sequence[int]
    ) -> Iterator[tuple[list[int], list[Any], list[tuple[int, AlcliError]]]]:
        """Yield what `_prepare` returns for the rows, in as few parts as the limit on bytes allows."""
        good: list[int] = []
        items: list[Any] = []
        bad: list[tuple[int, AlcliError]] = []
        held = 0
        for row in rows:
            if held > _MOST_BYTES:
                yield good, items, bad
                good, items, bad, held = [], [], [], 0
            more, found, faults = self._prepare(window, [row])
            good += more
            items += found
            bad += faults
            held += sum(map(_n_bytes, found))
        yield good, items, bad

    def _prepare(
        self, window: Window, rows: Sequence[int]
    ) -> tuple[list[int], list[Any], list[tuple[int, AlcliError]]]:
        """Read the inputs of `rows`: (rows that could be read, their items, (row, error) of each other row)."""
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

    def _encode_batch(
        self, window: Window, rows: list[int], items: list[Any], bad: list[tuple[int, AlcliError]]
    ) -> _Batch:
        """Run the model over the items of one batch. Raises DataError, MemoryLimitError."""
        if not rows or (bad and not self._settings.skip_bad):
            return _Batch(rows, None, bad)
        smaller = "use a smaller --batch-size"
        try:
            X_BD = np.asarray(self._encoder.encode(items))
        except AlcliError as error:
            raise type(error)(f"{self._span(window, rows)}: {error.message}", hint=error.hint) from error
        except MemoryError as error:
            raise MemoryLimitError(f"{self._span(window, rows)}: out of memory", hint=smaller) from error
        except Exception as error:
            # A model is code of other people, and may raise anything.
            if "out of memory" in str(error).lower():
                what = f"{self._span(window, rows)}: out of memory on the device"
                raise MemoryLimitError(what, hint=smaller) from error
            what = f"{self._settings.model} failed with {type(error).__name__}: {_first_line(error)}"
            hint = "does the model take such inputs? ALCLI_DEBUG=1 shows the traceback"
            raise DataError(f"{self._span(window, rows)}: {what}", hint=hint) from error
        if X_BD.ndim != 2 or len(X_BD) != len(rows) or X_BD.dtype.kind not in "fiu":
            what = f"{self._settings.model} returned {X_BD.dtype} of shape {X_BD.shape}"
            raise DataError(f"{self._span(window, rows)}: {what}, expected numbers of shape [{len(rows)}, D]")
        return _Batch(rows, X_BD, bad)

    def _joined(self, window: Window, batches: list[_Batch], dim: int | None) -> tuple[list[int], Floats]:
        """Return (rows, X_BD) of all batches in the order of their rows; float32 unless the model gave float64.

        Raises DataError for vectors of another length than `dim`.
        """
        parts = [b for b in batches if b.X_BD is not None]
        for part in parts:
            assert part.X_BD is not None
            dim = dim or part.X_BD.shape[1]
            if part.X_BD.shape[1] != dim or dim == 0:
                what = f"the model returned {part.X_BD.shape[1]} values, {dim} before"
                hint = "every item must give a vector of the same length D >= 1"
                raise DataError(f"{self._span(window, part.rows)}: {what}", hint=hint)
        if not parts:
            return [], np.empty((0, dim or 1), np.float32)
        rows = np.concatenate([p.rows for p in parts])
        order = np.argsort(rows, kind="stable")
        blocks = [p.X_BD for p in parts if p.X_BD is not None]
        dtype = np.float64 if any(block.dtype == np.float64 for block in blocks) else np.float32
        X_BD: Floats = np.concatenate(blocks, dtype=dtype, casting="unsafe")
        return [int(r) for r in rows[order]], X_BD[order]

    def _stored(self, window: Window, rows: list[int], X_BD: Floats) -> tuple[Floats, int]:
        """Return the vectors in the dtype of the pool, and the number of values that became 0.

        They are standardised and normalised if asked. Raises DataError for values that are too large for the dtype, and
        for vectors of another length than the columns that standardise them.
        """
        by = self._settings.standardization
        if by is not None and rows:
            if X_BD.shape[1] != len(by.mean_D):
                what = f"the vector has {X_BD.shape[1]} values, the pool of --standardize-like has {len(by.mean_D)}"
                raise DataError(f"{self._where(window, rows[0])}: {what}", hint="use features of the same columns")
            X_BD = by.apply(X_BD)
        if self._settings.normalize:
            norms = np.sqrt(np.einsum("bd,bd->b", X_BD, X_BD, dtype=np.float64))
            X_BD = (X_BD / np.where(norms > 0, norms, 1.0)[:, None]).astype(X_BD.dtype)
        with np.errstate(over="ignore"):
            stored = X_BD.astype(self._settings.dtype)
        hint = "use --dtype float32, or --normalize" if self._settings.dtype == "float16" else ""
        self._check_finite(window, rows, stored, f"a value is beyond the range of {self._settings.dtype}", hint)
        return stored, int(np.count_nonzero((stored == 0) & (X_BD != 0)))

    def _check_finite(self, window: Window, rows: list[int], X_BD: Floats, what: str, hint: str) -> None:
        """Raise DataError, with `what` and the place, for the first value that is not finite."""
        bad = np.argwhere(~np.isfinite(X_BD))
        if len(bad):
            row = rows[int(bad[0, 0])]
            raise DataError(f"{self._where(window, row)}: {what} (dimension {bad[0, 1]})", hint=hint)

    def _refuse(self, window: Window, row: int, error: AlcliError) -> None:
        """Raise the error of an item again, with the place of the item."""
        hint = error.hint or "--skip-bad leaves such items out"
        raise type(error)(f"{self._where(window, row)}: {error.message}", hint=hint) from error

    def _where(self, window: Window, row: int) -> str:
        """Name a row of a window for messages."""
        return f"{self._source.place(window.first + row)} (id '{_id(window, row)}')"

    def _span(self, window: Window, rows: list[int]) -> str:
        """Name the rows of a batch for messages: the first, and the number of others."""
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        return self._where(window, min(rows)) + more


def _id(window: Window, row: int) -> str:
    return printable(window.columns["id"][row].as_py())


def _first_line(error: Exception) -> str:
    return printable(next(iter(str(error).strip().splitlines()), ""))[:300]


def _n_bytes(item: Any) -> int:
    """The memory of a decoded image or an array; 0 for other inputs, which are small."""
    if isinstance(item, np.ndarray):
        return item.nbytes
    size = getattr(item, "size", None)
    return size[0] * size[1] * len(item.getbands()) if isinstance(size, tuple) and hasattr(item, "getbands") else 0
