"""Folders of .npy files, with the table of their rows in Parquet files beside them, as clip-retrieval writes them."""

from __future__ import annotations

import re
from pathlib import Path

from alcli.data.sources.arrays.npy import NpyFiles, open_npy
from alcli.data.sources.base import Asked
from alcli.data.sources.folder import files_in
from alcli.data.sources.parquet import ParquetReader
from alcli.data.sources.windows import Beside, Reader
from alcli.errors import DataError, printable
from alcli.remarks import Note


def open_array_folder(folder: Path, names: list[str], asked: Asked, note: Note) -> tuple[Reader, str]:
    """Return (reader, name of the inputs) of a folder of .npy files, in the order of the numbers in their names.

    names: their paths below the folder. Files of one folder are one array, which is called as that folder; with
    several, --input-col names one. Parquet files hold the other columns: one for each .npy file, and each has as many
    rows as its .npy file. Raises DataError, InputError.
    """
    where = printable(folder)
    by_folder: dict[str, list[Path]] = {}
    for name in sorted(names, key=numbered):
        by_folder.setdefault(name.rpartition("/")[0] or "array", []).append(folder / name)
    there = ", ".join(f"'{printable(name)}'" for name in by_folder)
    wanted = asked.input if asked.input is not None else next(iter(by_folder)) if len(by_folder) == 1 else None
    if wanted is None:
        hint = f"name one by --input-col, for example --input-col {printable(min(by_folder))}"
        raise DataError(f"{where}: there are .npy files in several folders ({there})", hint=hint)
    if wanted not in by_folder:
        raise DataError(f"{where}: there are no .npy files in the folder '{printable(wanted)}', only in {there}")
    arrays = by_folder[wanted]
    reader = open_npy(arrays, wanted)
    tables = [folder / name for name in sorted(files_in(folder, frozenset({".parquet"})), key=numbered)]
    if not tables:
        return reader, wanted
    if len(tables) != len(arrays):
        what = f"there are {len(arrays)} .npy files in '{printable(wanted)}' and {len(tables)} Parquet files"
        raise DataError(f"{where}: {what}", hint="expected one Parquet file for each .npy file")
    about = ParquetReader(tables, asked.hive, note)
    for array, n, table, rows in zip(arrays, NpyFiles(arrays).rows, tables, about.rows):
        if n != rows:
            what = f"{printable(array)} has {n} rows, {printable(table)} has {rows}"
            raise DataError(what, hint="one row of both is one item")
    return Beside(reader, about), wanted


def numbered(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts names by the numbers in them: `part_2` before `part_10`."""
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in re.findall(r"\d{1,18}|\D+", name)]
