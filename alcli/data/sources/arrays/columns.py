"""Arrays of numbers as a table: an array of one axis is a column, one of more axes a column of vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from alcli.arrays import Array
from alcli.data.schema import FEATURE_NAMES
from alcli.data.sources.windows import place_in
from alcli.errors import DataError, printable, suggestion

# Arrays that a message names.
_EXAMPLES = 8


class StoredArray(Protocol):
    """An array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, first: int, last: int) -> Array:
        """Return rows `first` to `last`. Raises DataError where the file is damaged."""


class ArraysReader:
    """Arrays of as many rows as the inputs have. Memory: one window.

    name: of the source, for messages. files: with their numbers of rows. input: the name of the inputs; a column too
    where the array has one axis. arrays: by name.
    """

    def __init__(self, files: Sequence[tuple[Path, int]], arrays: Mapping[str, StoredArray], input: str) -> None:
        self.files = [path for path, _ in files]
        self._places = [(printable(path), n) for path, n in files]
        self.input = input
        self.n = arrays[input].shape[0]
        self._arrays = {name: array for name, array in arrays.items() if array.shape[0] == self.n}
        self.schema = pa.schema([(name, self._type(name)) for name in self._arrays])

    def windows(self, names: list[str], rows: int, start: int) -> Iterator[pa.Table]:
        """Yield tables of `rows` rows with the columns `names`, from window number `start` on."""
        schema = pa.schema([self.schema.field(name) for name in names])
        for first in range(rows * start, self.n, rows):
            last = min(first + rows, self.n)
            columns = [self._column(name, self._arrays[name].read(first, last), first) for name in names]
            yield pa.Table.from_arrays(columns, schema=schema)

    def place(self, row: int) -> str:
        """Name the file and the row in it, for messages."""
        return place_in(self._places, row)

    def _type(self, name: str) -> pa.DataType:
        """The Arrow type of the column of an array."""
        array = self._arrays[name]
        if array.dtype.kind in "SU":
            return pa.string()
        if self._is_flat(name):
            return pa.from_numpy_dtype(_plain(array.dtype))
        # Arrow has no tensors of booleans.
        item = pa.uint8() if array.dtype.kind == "b" else pa.from_numpy_dtype(_plain(array.dtype))
        shape = array.shape[1:]
        return pa.list_(item, shape[0]) if len(shape) == 1 else pa.fixed_shape_tensor(item, shape)

    def _is_flat(self, name: str) -> bool:
        """True for a column of single values; [N, 1] is one unless it is the inputs."""
        shape = self._arrays[name].shape
        return len(shape) == 1 or (name != self.input and shape[1:] == (1,))

    def _column(self, name: str, block: Array, first: int) -> pa.Array:
        """Rows of an array as a column of its type. first: the number of the first row."""
        kind = self.schema.field(name).type
        if self._is_flat(name):
            block = block.reshape(-1)
        if pa.types.is_string(kind):
            try:
                return pa.array(block.tolist(), pa.binary() if block.dtype.kind == "S" else None).cast(kind)
            except (pa.ArrowException, UnicodeEncodeError) as error:
                what = f"'{printable(name)}' is not text in UTF-8 ({printable(error)})"
                raise DataError(f"{self.place(first)}: {what}") from error
        if self._is_flat(name):
            return pa.array(block.astype(_plain(block.dtype), copy=False))
        values = pa.array(np.ascontiguousarray(block).astype(_number(block.dtype), copy=False).reshape(-1))
        stored = pa.FixedSizeListArray.from_arrays(values, int(np.prod(block.shape[1:])))
        return stored if pa.types.is_fixed_size_list(kind) else pa.ExtensionArray.from_storage(kind, stored)


def reader_of(
    path: Path, arrays: Mapping[str, StoredArray], wanted: str | None, others: Sequence[str], as_column: bool
) -> ArraysReader:
    """Return a reader of the arrays in one file that holds several.

    wanted: the name of the inputs that the user gave; None takes the only array of numbers [N, D], or one that is
    called as features are. others: names of columns that the user gave. as_column: one column is wanted, such as ids,
    in the place of inputs. Raises DataError that lists the arrays.
    """
    usable = {name: array for name, array in arrays.items() if array.shape and _is_known(array.dtype)}
    if wanted is None:
        wide = [n for n, a in usable.items() if _could_be_input(a)]
        flat = [n for n, a in usable.items() if len(a.shape) == 1]
        possible = flat if as_column else ([n for n in wide if np.prod(usable[n].shape[1:]) > 1] or wide)
        usual = [name for name in (("id", "ids") if as_column else FEATURE_NAMES) if name in possible]
        wanted = usual[0] if usual else possible[0] if len(possible) == 1 else None
        if wanted is None:
            what = "several arrays could be" if possible else "no array can be"
            role = "ids" if as_column else "the features"
            hint = f"name one as {printable(path.name)}:NAME" if possible or not arrays else "expected numbers [N, D]"
            raise DataError(f"{printable(path)}: {what} {role}, there are {listed(arrays)}", hint=hint)
    for name in (wanted, *others):
        if name not in arrays:
            hint = suggestion(name, list(arrays)[:_EXAMPLES])
            what = f"there is no array '{printable(name)}', there are {listed(arrays)}"
            raise DataError(f"{printable(path)}: {what}", hint=hint)
        if name not in usable:
            what = f"'{printable(name)}' holds {described(arrays[name])}, expected numbers or text"
            raise DataError(f"{printable(path)}: {what}")
        rows, n = usable[name].shape[0], usable[wanted].shape[0]
        if rows != n:
            what = f"'{printable(name)}' has {rows} rows, '{printable(wanted)}' has {n}"
            raise DataError(f"{printable(path)}: {what}", hint="one row of both is one item")
    if not as_column:
        check_input(printable(path), usable[wanted], f"'{printable(wanted)}'")
    return ArraysReader([(path, usable[wanted].shape[0])], usable, wanted)


def check_input(where: str, array: StoredArray, what: str = "") -> None:
    """Raise DataError unless an array can be inputs: numbers [N, D] or [N, ...]. what: names the array in its file."""
    if not _could_be_input(array):
        found = f"{array.dtype} of shape {tuple(array.shape)}"
        shown = f" in {what}" if what else ""
        hint = "NumPy saved Python objects, which are never read; save numbers or text" if array.dtype.hasobject else ""
        raise DataError(f"{where}: expected numbers of shape [N, D] or [N, ...]{shown}, got {found}", hint=hint)


def listed(arrays: Mapping[str, StoredArray]) -> str:
    """The first arrays with their types and shapes, for messages."""
    shown = ", ".join(f"'{printable(n)}' ({described(a)})" for n, a in list(arrays.items())[:_EXAMPLES])
    more = len(arrays) - _EXAMPLES
    return shown + (f" and {more} more" if more > 0 else "") if arrays else "none"


def described(array: StoredArray) -> str:
    """The type and the shape of an array, for messages."""
    return f"{'text' if array.dtype.kind in 'SU' else array.dtype} {list(array.shape)}"


def _is_known(dtype: np.dtype) -> bool:
    """True for numbers and text."""
    return dtype.kind in "fiubSU" and dtype.names is None


def _could_be_input(array: StoredArray) -> bool:
    return len(array.shape) > 1 and array.dtype.kind in "fiub" and 0 not in array.shape[1:]


def _plain(dtype: np.dtype) -> np.dtype:
    """The same type in the byte order of this machine; long doubles become float64."""
    if dtype.kind == "f" and dtype.itemsize > 8:
        return np.dtype(np.float64)
    return dtype.newbyteorder("=")


def _number(dtype: np.dtype) -> np.dtype:
    return np.dtype(np.uint8) if dtype.kind == "b" else _plain(dtype)
