"""Helpers for the items, outputs and model files of embedders.

T is the number of tokens of an item; C, H and W are the channels, height and width of a feature map.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Array
from alcli.embedders._vectors import vector_of
from alcli.errors import DataError, InputError, UsageError, printable


def read_text(item: Any) -> str:
    """Prepare an item of a text encoder: return the text itself, or the text of the file at a Path.

    Raises DataError for null and for a file that is not UTF-8, and InputError for a file that cannot be opened.
    """
    if item is None:
        raise DataError("the text is null")
    if not isinstance(item, Path):
        return str(item)
    try:
        return read_file(item).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"the file is not UTF-8 ({error.reason} at byte {error.start})", hint="convert it to UTF-8"
        ) from error


def read_file(path: Path) -> bytes:
    """Read a file. Raises InputError for a file that cannot be read, and for a pipe or device, which could block."""
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for good, and no signal would end it.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"'{printable(path)}' is a pipe or a device, expected a file")
            return file.read()
    except OSError as error:
        raise InputError(f"the file '{printable(path)}' cannot be opened ({error.strerror})") from error


def as_rows(output: Array, n: int, pool: str, owner: str) -> Array:
    """Turn the output of a model into [n, D]: pool further axes as `pool` says, and drop axes of length one.

    pool: "none"; "mean" over the middle axis of [n, T, D], or over the last two axes of [n, C, H, W]; "first" for
    position 0 of [n, T, D]; or "flatten". Raises DataError when the output has not n rows, and when a row still has
    more than one axis longer than 1.
    """
    if output.ndim == 0 or len(output) != n:
        raise DataError(f"{owner} returned an array of shape {output.shape} for a batch of {n}, expected [{n}, D]")
    if output.ndim == 1:
        return output[:, None]
    if pool == "mean" and output.ndim > 2:
        output = output.mean(axis=1 if output.ndim == 3 else tuple(range(2, output.ndim)), dtype=np.float64)
    elif pool == "first" and output.ndim > 2:
        output = output[:, 0]
    if pool != "flatten" and int(np.prod(output.shape[1:])) != max(output.shape[1:]):
        raise DataError(
            f"{owner} returned an array of shape {output.shape}, expected [{n}, D]",
            hint="choose -p pool=mean, first or flatten, or another --layer",
        )
    return output.reshape(n, -1)


def read_array(item: Any) -> Array:
    """Prepare an item of a model that takes arrays: return the array. Raises DataError for null, and as `vector_of`."""
    if item is None:
        raise DataError("the array is null")
    return vector_of(item)


def check_shapes(items: list[Any], hint: str = "") -> None:
    """Raise DataError unless all arrays have one shape. hint: the user's way out."""
    shapes = {np.shape(item) for item in items}
    if len(shapes) > 1:
        listed = " and ".join(str(s) for s in sorted(shapes)[:2])
        raise DataError(f"items of one batch differ in shape, {listed}", hint=hint)


def stacked(items: list[Any]) -> Array:
    """Stack arrays of one shape to one array [B, ...].

    Integers become int64; other numbers, and 8-bit unsigned integers, become float32. Raises DataError where the shapes
    differ.
    """
    check_shapes(items, "for images, set -p image-size=SIZE")
    batch = np.stack(items)
    return batch.astype(np.int64 if batch.dtype.kind in "iu" and batch.dtype != np.uint8 else np.float32)


def padded_to(batch: Array, size: int | None) -> Array:
    """Repeat the last row of `batch` up to `size` rows, for a model with a fixed batch size; None returns `batch`."""
    if size is None or len(batch) >= size:
        return batch
    return np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])


def in_pieces(run: Callable[[Array], Array], batch: Array, size: int | None, pool: str, owner: str) -> Array:
    """Run a model on `batch` in pieces of `size` items and return the rows [n, D].

    run: the model, from a piece to its output. size: the fixed batch size of the model, None for any number of items.
    Raises DataError as `as_rows` does.
    """
    step = size or len(batch)
    pieces = (batch[first : first + step] for first in range(0, len(batch), step))
    return np.concatenate(
        [as_rows(run(padded_to(piece, size)), size or len(piece), pool, owner)[: len(piece)] for piece in pieces]
    )


def digest_of(path: Path) -> str:
    """Compute the SHA-256 of a file, or of the names and bytes of a folder's files; return its first 16 hex digits."""
    total = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            total.update(file.relative_to(path).as_posix().encode("utf-8", "surrogateescape") + b"\0")
        with open(file, "rb") as stream:
            while piece := stream.read(1 << 20):
                total.update(piece)
    return total.hexdigest()[:16]


def model_file(argument: str, owner: str, suffixes: str) -> Path:
    """The path of a model file. Raises UsageError for an empty name, and InputError where there is no such file."""
    if not argument:
        raise UsageError(
            f"{owner}: name a file ({suffixes}) after the colon",
            hint=f"for example -m {owner}:model{suffixes.split()[0]}",
        )
    path = Path(argument)
    if not path.is_file():
        raise InputError(f"{printable(argument)}: there is no such model file", hint=f"-m {owner}:FILE takes a path")
    return path
