"""What several embedders do with items, outputs and model files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Array
from alcli.errors import DataError, InputError, UsageError, printable


def read_text(item: Any) -> str:
    """`prepare` of text encoders: the text itself, or that of a file. Raises DataError for null or what is not UTF-8, InputError."""
    if item is None:
        raise DataError("the text is null")
    if not isinstance(item, Path):
        return str(item)
    try:
        return item.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"the file is not UTF-8 ({error.reason} at byte {error.start})", hint="convert it to UTF-8"
        ) from error
    except OSError as error:
        raise InputError(f"the file '{printable(item)}' cannot be opened ({error.strerror})") from error


def as_rows(output: Array, n: int, pool: str, owner: str) -> Array:
    """The output of a model as [n, D]: axes of length one are dropped, further ones pooled as asked.

    pool: "none", "mean" (over the middle axes of [B, T, D], or the last two of [B, C, H, W]), "first" (position 0 of [B, T, D])
    or "flatten". Raises DataError when rows do not match the batch or the axes are left over.
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
    """`prepare` of models that take arrays: the array itself, refusing null."""
    if item is None:
        raise DataError("the array is null")
    return np.asarray(item)


def stacked(items: list[Any]) -> Array:
    """Arrays of one shape as one array [B, ...]: integers stay int64, other numbers become float32. Raises DataError."""
    shapes = {np.shape(item) for item in items}
    if len(shapes) > 1:
        listed = " and ".join(str(s) for s in sorted(shapes)[:2])
        raise DataError(f"items of one batch differ in shape, {listed}", hint="for images, set -p image-size=SIZE")
    batch = np.stack(items)
    return batch.astype(np.int64 if batch.dtype.kind in "iu" and batch.dtype != np.uint8 else np.float32)


def padded_to(batch: Array, size: int | None) -> Array:
    """`batch` with its last row repeated up to `size` rows, for models exported with a fixed batch; None leaves it as it is."""
    if size is None or len(batch) >= size:
        return batch
    return np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])


def in_pieces(run: Callable[[Array], Array], batch: Array, size: int | None, pool: str, owner: str) -> Array:
    """Rows [n, D] of a model that takes `size` items at a time, None for any number. run: its output for one piece. Raises as `as_rows`."""
    step = size or len(batch)
    pieces = (batch[first : first + step] for first in range(0, len(batch), step))
    return np.concatenate(
        [as_rows(run(padded_to(piece, size)), size or len(piece), pool, owner)[: len(piece)] for piece in pieces]
    )


def digest_of(path: Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 over a file, or over the names and bytes of the files of a folder."""
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
    """The file a model is in. Raises UsageError without a name, InputError without a file."""
    if not argument:
        raise UsageError(
            f"{owner}: name a file ({suffixes}) after the colon",
            hint=f"for example -m {owner}:model{suffixes.split()[0]}",
        )
    path = Path(argument)
    if not path.is_file():
        raise InputError(f"{printable(argument)}: there is no such model file", hint=f"-m {owner}:FILE takes a path")
    return path
