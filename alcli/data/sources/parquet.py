"""Parquet as a table of embed: one file, or the files of a folder, read a window at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from alcli.data.reading import hive
from alcli.data.reading.data_file import DataFile
from alcli.data.reading.pages import check_pages
from alcli.data.reading.parquet import count_rows, open_parquet, reading
from alcli.data.reading.uuids import is_uuid, uuid_columns, uuid_text
from alcli.data.sources.columns import TRAVELLERS
from alcli.data.sources.windows import in_windows, place_in
from alcli.errors import DataError, printable
from alcli.remarks import Note, silence


class ParquetReader:
    """Files of one schema. Opening reads the footers. Memory: one window, and one page of a column.

    rows: of each file. use_hive: the `key=value` folders above the files make columns of strings.
    """

    def __init__(self, files: list[Path], use_hive: bool = False, note: Note = silence) -> None:
        self.files = files
        self._files = [DataFile(str(path)) for path in files]
        self._hive = [hive.values(file) if use_hive else {} for file in self._files]
        if not use_hive:
            hive.remark_on_folders(self._files, ("id", *TRAVELLERS), note)
        self.rows: list[int] = []
        self._uuids: set[str] = set()
        self.schema = pa.schema([])
        for file in self._files:
            with reading(file), open_parquet(file) as parquet:
                schema = parquet.schema_arrow
                if self.rows and not schema.equals(self.schema):
                    raise DataError(f"{file.name}: its columns differ from those of {printable(files[0])}")
                self.schema = schema
                self.rows.append(count_rows(parquet, file))
                self._uuids |= uuid_columns(parquet)
        for i, field in enumerate(self.schema):
            if field.name in self._uuids or is_uuid(field.type):
                self._uuids.add(field.name)
                self.schema = self.schema.set(i, pa.field(field.name, pa.string(), metadata=field.metadata))
        for key in dict.fromkeys(key for found in self._hive for key in found):
            if key in self.schema.names:
                what = f"'{printable(key)}' is both a column and a partition folder, expected one of them"
                raise DataError(f"{printable(files[0])}: {what}")
            self.schema = self.schema.append(pa.field(key, pa.string()))
        self.n = sum(self.rows)

    def windows(self, names: list[str], rows: int, start: int) -> Iterator[pa.Table]:
        """Yield tables of `rows` rows with the columns `names`, from window number `start` on."""
        return in_windows(self._tables(names, rows, rows * start), rows)

    def place(self, row: int) -> str:
        """Name the file and the row in it, for messages."""
        return place_in(zip(map(printable, self.files), self.rows), row)

    def _tables(self, names: list[str], rows: int, skip: int) -> Iterator[pa.Table]:
        """Yield tables of at most `rows` rows, without the first `skip` rows; whole row groups are skipped unread."""
        for file, values in zip(self._files, self._hive):
            with reading(file), open_parquet(file) as parquet:
                # Where the folders give all columns, the first column of the file still tells the number of rows.
                stored = [n for n in names if n in parquet.schema_arrow.names] or parquet.schema_arrow.names[:1]
                sizes = [parquet.metadata.row_group(i).num_rows for i in range(parquet.metadata.num_row_groups)]
                wanted = list(range(len(sizes)))
                while wanted and skip >= sizes[wanted[0]]:
                    skip -= sizes[wanted.pop(0)]
                for name in stored:
                    check_pages(file, parquet, name, wanted, None)
                for batch in parquet.iter_batches(rows, row_groups=wanted, columns=stored, use_threads=False):
                    batch.validate(full=True)
                    passed = min(skip, len(batch))
                    skip -= passed
                    if passed < len(batch):
                        table = _with_uuids(pa.Table.from_batches([batch.slice(passed)]), self._uuids)
                        yield _with_folders(table, values, names)


def _with_uuids(table: pa.Table, uuids: set[str]) -> pa.Table:
    """Return the table with the text of UUIDs in the columns `uuids`."""
    for i, name in enumerate(table.column_names):
        if name in uuids:
            table = table.set_column(i, name, uuid_text(table[name].combine_chunks()).cast(pa.string()))
    return table


def _with_folders(table: pa.Table, values: dict[str, str | None], names: list[str]) -> pa.Table:
    """Return the columns `names`; a column that the table lacks has the value of its folder, in every row."""
    for name in names:
        if name not in table.column_names:
            table = table.append_column(name, pa.repeat(pa.scalar(values.get(name), pa.string()), len(table)))
    return table.select(names)
