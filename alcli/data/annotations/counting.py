"""A column of ids that only counts the rows of its file: the index that a program wrote, and no ids of the pool.

Where the ids of a pool are row numbers, such a column names other items, and each label would land on a wrong row.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from alcli.data.annotations.said import LabelFile
from alcli.data.exports.answers import is_export
from alcli.data.ids import Id, Ids
from alcli.data.spellings.labels import is_blank
from alcli.data.tables import columns_of, first_object, read_rows
from alcli.data.text.dialect import near
from alcli.data.text.rows import GivenRows, NamedColumns, RowSource
from alcli.errors import DataError, printable

_NUMBER = re.compile(r"[0-9]{1,9}")
_NAME = re.compile(r"(^|[^a-z])(id|ids|uid|uuid|key|item|sample|record|task|row|index|idx)($|[^a-z])")
# Fewer rows look like a count, and another column like ids, by chance.
_FEWEST = 5


def check_counting(file: LabelFile, unknown: Collection[Any], ids: Ids, given_out: Collection[Id] | None) -> None:
    """Raise DataError for ids that count the rows of a file, and are no ids of the pool.

    Unless the user named the column, they are refused where most are not in the pool, where a ledger has none of them,
    and where another column of the file holds ids of the pool. unknown: ids that the pool does not have. given_out: the
    ids of the ledger; None or empty without one. Cost: where they count, the file is read once more.
    """
    span = _span(file)
    if span is None:
        return
    source, n = file.source, len(file.took)
    names = _names(source)
    if near(names, "id") is None or _is_export(source, names):
        return
    column = _better(source, names, ids)
    if 2 * len(unknown) > n:
        why = f"{'none' if len(unknown) == n else f'only {n - len(unknown)}'} of these ids is in the pool"
    elif given_out and not any(key in given_out for key in file.took):
        why = "none of these ids was given out, as the ledger of --selections says"
    elif column is not None and n >= _FEWEST:
        why = f"the column '{printable(column)}' holds ids of the pool, too"
    else:
        return
    what = f"{printable(source)}: the column 'id' counts the rows, {span}, and {why}"
    named = "no other column of the file holds ids of the pool"
    if column is not None:
        named = f"name the column of your ids, as --labels-id-col {printable(column)}"
    raise DataError(what, hint=f"{named}; --labels-id-col id takes the numbers as they are")


def better_column(source: RowSource, ids: Ids) -> str | None:
    """The column of a file, other than its `id`, whose values are ids of the pool; None without one."""
    return _better(source, _names(source), ids)


def _span(file: LabelFile) -> str | None:
    """The numbers that the ids of a file count, in words; None where they do not count from 0 or 1 on."""
    texts = [str(key) for key in file.took]
    is_named = isinstance(file.source, NamedColumns) and file.source.id is not None
    if is_named or not _count(texts):
        return None
    numbers = sorted(map(int, texts))
    return f"{numbers[0]} to {numbers[-1]}"


def _names(source: RowSource) -> list[str]:
    """The columns of a file; none for standard input, which was read."""
    if isinstance(source, GivenRows):
        return list(source.columns)
    return [] if str(source) == "-" else columns_of(str(source))


def _is_export(source: RowSource, names: list[str]) -> bool:
    """True for the export of a tool, whose reader knows the numbers of the tool."""
    return not isinstance(source, GivenRows) and is_export(names, first_object(str(source)))


def _better(source: RowSource, names: list[str], ids: Ids) -> str | None:
    """The first column whose values differ from row to row, are ids of the pool, and do not count themselves.

    Numbers are ids of a pool of row numbers by chance, as an age is, so the name of their column has to say that they
    are ids.
    """
    label = source.label if isinstance(source, NamedColumns) and source.label else "label"
    others = [name for name in names if name not in (near(names, "id"), near(names, label))]
    if not others:
        return None
    columns: dict[str, list[Id]] = {name: [] for name in others}
    for row in read_rows(str(source) if isinstance(source, NamedColumns) else source, [], optional=others):
        for name in list(columns):
            found = _parsed(ids, row.values.get(name), row.where, row.from_text)
            if found is None:
                del columns[name]
            else:
                columns[name].append(found)
    for name, values in columns.items():
        differ = len(set(values)) == len(values) > 1
        if all(_NUMBER.fullmatch(str(value)) for value in values) and not _NAME.search(name.lower()):
            continue
        if differ and not _count([str(value) for value in values]) and (ids.rows_of(values) >= 0).all():
            return name
    return None


def _count(texts: Sequence[str]) -> bool:
    """True for the numbers from 0 or 1 on, in any order, without a gap."""
    if len(texts) < 2 or not all(_NUMBER.fullmatch(text) for text in texts):
        return False
    numbers = sorted(map(int, texts))
    return numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _parsed(ids: Ids, value: Any, where: str, from_text: bool) -> Id | None:
    """The value as an id of the pool; None where it cannot be one."""
    try:
        return None if is_blank(value) else ids.parse(value, where, from_text=from_text)
    except DataError:
        return None
