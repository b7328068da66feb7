"""Write rows that come in one order to a file in another order, in bounded memory.

Rows that come in nearly the order of the file are written where they belong. Rows in any other order would be as many
small writes, and a disk is slow at these. So they are put into buckets of neighbouring places first, each bucket a file
that only grows, and every bucket is then sorted in memory and written in one piece.
Cost: one write of all rows; with buckets two writes and one read. Memory: a bucket.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import numpy as np

from alcli.arrays import Array, Floats, Int64
from alcli.data.cached.file_array import FileArray, no_room
from alcli.remarks import steps

# Rows that lie side by side in both orders, on average, from which on they are written at once.
_LONG = 8
_MOST_BUCKETS = 256
# A bucket of this size costs few bytes of memory and is large enough for a disk.
BUCKET_BYTES = 64 << 20


def write_in_order(
    out: FileArray, place_N: Int64, blocks: Iterable[tuple[int, Floats]], bucket_bytes: int = BUCKET_BYTES
) -> None:
    """Write each row of `blocks` to its place in `out`. place_N: -1 for a row that has no place.

    blocks: (number of the first row, rows). Every place must come once. Raises OutputError.
    """
    placed = place_N[place_N >= 0]
    n_runs = 1 + int(np.count_nonzero(np.diff(placed) != 1))
    if n_runs * _LONG <= len(placed):
        for places_B, X_BD in _in_place(place_N, blocks):
            _write_runs(out, places_B, X_BD)
        return
    per_bucket = max(1, bucket_bytes // max(1, out.nbytes // max(len(out), 1)), -(-len(out) // _MOST_BUCKETS))
    with TemporaryDirectory(prefix="alcli-order-", dir=os.path.dirname(out.path)) as folder:
        buckets = _Buckets(Path(folder), out, per_bucket)
        for places_B, X_BD in _in_place(place_N, blocks):
            buckets.add(places_B, X_BD)
        for first, rows in steps(buckets.sorted(), "sorting features", len(out), lambda bucket: len(bucket[1])):
            out.write(first, rows)


def _in_place(place_N: Int64, blocks: Iterable[tuple[int, Floats]]) -> Iterator[tuple[Int64, Floats]]:
    """(places, rows) of each block, ascending, without the rows that have no place."""
    for first, X_BD in blocks:
        places_B = place_N[first : first + len(X_BD)]
        order = np.argsort(places_B, kind="stable")
        order = order[places_B[order] >= 0]
        if len(order):
            is_all = len(order) == len(X_BD) and bool((np.diff(order) == 1).all())
            yield places_B[order], X_BD if is_all else X_BD[order]


def _write_runs(out: FileArray, places_B: Int64, X_BD: Floats) -> None:
    cuts = [0, *(np.flatnonzero(np.diff(places_B) != 1) + 1).tolist(), len(places_B)]
    for a, b in itertools.pairwise(cuts):
        out.write(int(places_B[a]), X_BD[a:b])


class _Buckets:
    """Files of rows with their places, each for `per_bucket` neighbouring places."""

    def __init__(self, folder: Path, out: FileArray, per_bucket: int) -> None:
        self._out, self._per_bucket = out, per_bucket
        n = -(-len(out) // per_bucket)
        self._paths = [(folder / f"{b}.places", folder / f"{b}.rows") for b in range(n)]

    def add(self, places_B: Int64, X_BD: Floats) -> None:
        """Add rows at ascending places."""
        bucket_B = places_B // self._per_bucket
        cuts = np.flatnonzero(np.diff(bucket_B)) + 1
        for places, rows in zip(np.split(places_B, cuts), np.split(X_BD, cuts)):
            to_places, to_rows = self._paths[int(places[0]) // self._per_bucket]
            self._append(to_places, places)
            self._append(to_rows, rows.astype(self._out.stored, copy=False))

    def sorted(self) -> Iterator[tuple[int, Array]]:
        """(the first place, the rows in order) of each bucket; its files are removed."""
        for b, (of_places, of_rows) in enumerate(self._paths):
            if not of_places.exists():
                continue
            places = np.fromfile(of_places, np.int64)
            rows = np.fromfile(of_rows, self._out.stored).reshape(len(places), *self._out.shape[1:])
            of_places.unlink()
            of_rows.unlink()
            ordered = np.empty_like(rows)
            ordered[places - b * self._per_bucket] = rows
            yield b * self._per_bucket, ordered

    def _append(self, path: Path, values: Array) -> None:
        try:
            with open(path, "ab") as file:
                _write(file, values)
        except OSError as error:
            raise no_room(self._out.path, self._out.nbytes, error) from error


def _write(file: IO[bytes], values: Array) -> None:
    file.write(np.ascontiguousarray(values).data)
