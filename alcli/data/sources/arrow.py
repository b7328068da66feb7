"""Arrow files as a table of embed: the IPC file format, which Feather is too, and the IPC stream format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from alcli.data.sources.base import head_of, opened
from alcli.data.sources.windows import in_windows, place_in
from alcli.errors import AlcliError, DataError, MemoryLimitError, printable

_MAGIC = b"ARROW1"
_OLD_FEATHER = b"FEA1"


class ArrowReader:
    """Files of one schema. Opening reads them once, to count rows. Memory: one record batch and one window.

    constants: for each file, columns of one value that the file lacks. note: Raises InputError and DataError.
    """

    def __init__(self, files: Sequence[Path], constants: Sequence[Mapping[str, str]] = ()) -> None:
        self.files = list(files)
        self._constants = list(constants) or [{} for _ in files]
        self.schema = pa.schema([])
        self._rows: list[int] = []
        for path in self.files:
            with _reading(path):
                schema = _schema(path)
                if self._rows and not schema.equals(self.schema):
                    raise DataError(f"{printable(path)}: its columns differ from those of {printable(files[0])}")
                self.schema = schema
                self._rows.append(sum(len(batch) for batch in _batches(path, schema.names[:1])))
        for name in self._constants[0]:
            self.schema = self.schema.append(pa.field(name, pa.string()))
        self.n = sum(self._rows)

    def windows(self, names: list[str], rows: int, start: int) -> Iterator[pa.Table]:
        """Yield tables of `rows` rows with the columns `names`, from window number `start` on."""
        return in_windows(self._tables(names, rows * start), rows)

    def place(self, row: int) -> str:
        """Name the file and the row in it, for messages."""
        return place_in(zip(map(printable, self.files), self._rows), row)

    def _tables(self, names: list[str], skip: int) -> Iterator[pa.Table]:
        """Yield a table for each record batch, without the first `skip` rows."""
        for path, n, constants in zip(self.files, self._rows, self._constants):
            if skip >= n:
                skip -= n
                continue
            # Where constants are all that is wanted, the first column still tells the number of rows.
            stored = [name for name in names if name not in constants] or self.schema.names[:1]
            with _reading(path):
                for batch in _batches(path, stored):
                    # The format trusts its offsets: a damaged file could make pyarrow read beyond its buffers.
                    batch.validate(full=True)
                    passed = min(skip, len(batch))
                    skip -= passed
                    if passed < len(batch):
                        table = _decoded(pa.Table.from_batches([batch.slice(passed)]))
                        for name, value in constants.items():
                            table = table.append_column(name, pa.repeat(pa.scalar(value, pa.string()), len(table)))
                        yield table.select(names)


def _schema(path: Path) -> pa.Schema:
    """The schema of a file, with decoded dictionaries. Raises what pyarrow does."""
    with _mapped(path) as source:
        schema = (ipc.open_file if _is_file(path) else ipc.open_stream)(source).schema
    for i, field in enumerate(schema):
        if pa.types.is_dictionary(field.type):
            schema = schema.set(i, pa.field(field.name, field.type.value_type, metadata=field.metadata))
    return schema


def _mapped(path: Path) -> pa.NativeFile:
    """Open a file for reading, memory-mapped where its path is UTF-8, since pyarrow takes no other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return pa.PythonFile(open(path, "rb"), mode="r")
    return pa.memory_map(str(path))


def _batches(path: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of a file, with the columns `names` alone."""
    with _mapped(path) as source:
        schema = _schema(path)
        options = ipc.IpcReadOptions(included_fields=sorted(schema.get_field_index(name) for name in names))
        if _is_file(path):
            reader = ipc.open_file(source, options=options)
            for i in range(reader.num_record_batches):
                yield reader.get_batch(i)
        else:
            yield from ipc.open_stream(source, options=options)


def _decoded(table: pa.Table) -> pa.Table:
    """Return the table without dictionaries, which may differ from one record batch to the next."""
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, pc.cast(table[i], field.type.value_type))
    return table


def _is_file(path: Path) -> bool:
    """True for the file format, False for the stream format. Raises InputError, DataError for an empty file."""
    head = head_of(path)
    if head.startswith(_OLD_FEATHER):
        hint = "write it again with a present version, for example by pandas.read_feather and to_parquet"
        raise DataError(f"{printable(path)}: is a Feather file of version 1, which is not read", hint=hint)
    if not head:
        raise DataError(f"{printable(path)}: the file is empty, expected an Arrow file")
    return head.startswith(_MAGIC)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever pyarrow raises over a file into a sentence."""
    opened(path).close()
    try:
        yield
    except (AlcliError, GeneratorExit):
        raise
    except MemoryError as error:  # a damaged length may ask for any amount
        hint = "it is damaged, or written in record batches that are too large"
        what = f"{printable(path)}: not readable as Arrow: more memory is asked for than there is ({printable(error)})"
        raise MemoryLimitError(what, hint=hint) from error
    except Exception as error:  # over damaged metadata, pyarrow raises IndexError and UnicodeDecodeError too
        text = printable(next(iter(str(error).strip().splitlines()), type(error).__name__)).rstrip(". ")
        raise DataError(f"{printable(path)}: not readable as Arrow: {text}") from error
