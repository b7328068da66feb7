"""Groups: the items of a pool whose rows are parts of items, such as patches of an image or sentences of a document.

A label file names rows or groups. An `id` that only a row has means the row, and an `id` that only a group has means
the group. An `id` that both have is refused, unless a column `group` tells them apart: in place of `id` it names
groups, and beside `id` every `id` names a row. The label of a group is the label of each of its rows, but for rows
that the same file labels by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alcli.arrays import Array, Int64
from alcli.data.ids import Id, Ids, to_ids
from alcli.data.text.rows import Row
from alcli.errors import DataError, printable
from alcli.selection.group_source import Grouping

T = TypeVar("T")
# The name of a group column that means: every row is an item.
NO_GROUPS = "none"


@dataclass(frozen=True)
class Groups:
    """The groups of a pool.

    ids: of the groups, ascending. of_N: the number of each row's group. column: its name in the pool.
    """

    ids: Ids
    of_N: Int64
    column: str

    def __len__(self) -> int:
        return len(self.ids)

    def grouping(self, left_out_N: Array) -> Grouping:
        """Return the groups as a view sees them, without the rows of the mask `left_out_N`."""
        everything = np.arange(len(self))
        return Grouping(np.where(left_out_N, -1, self.of_N), self.ids.keys(everything), self.ids.hashes())

    @cached_property
    def _by_group(self) -> tuple[Int64, Int64]:
        """All rows, group by group, and the position at which each group begins."""
        order = np.argsort(self.of_N, kind="stable")
        return order, np.searchsorted(self.of_N[order], np.arange(len(self) + 1))

    def rows_of(self, group: int) -> Int64:
        """The rows of a group."""
        order, starts = self._by_group
        return order[starts[group] : starts[group + 1]]


class Name(NamedTuple):
    """An id in a file, which may name a row or a group.

    row: the id as the pool types the ids of rows; group: as it types the ids of groups; None where it cannot be one.
    """

    row: Id | None
    group: Id | None

    def __str__(self) -> str:
        return str(self.row if self.row is not None else self.group)


def find_groups(column: pa.Array, name: str, where: Callable[[int], str]) -> Groups:
    """Return the groups of a whole column, which is called `name`. where: names a row for messages.

    Raises DataError for a null, and for a column that holds neither strings nor integers.
    """
    try:
        column = to_ids(column, where, "group")
    except DataError as error:
        raise DataError(error.message, hint=f"--group-col {NO_GROUPS} makes every row an item") from None
    found = pc.unique(column)
    ids = Ids(found.take(pc.sort_indices(found)))
    return Groups(ids, ids.rows_of(column), name)


def name_of(row: Row, ids: Ids, groups: Groups) -> Name:
    """Read the name of a row or a group from a row of a file, by its columns `id` and `group`.

    Raises DataError for a name that can be neither, and for a file with neither column.
    """
    if "id" not in row.values and "group" not in row.values:
        raise DataError(f"{row.where}: no column 'id', and no column 'group' in its place")
    if "id" not in row.values:
        return Name(None, groups.ids.parse(row.values["group"], row.where, from_text=row.from_text))
    if "group" in row.values:
        return Name(ids.parse(row.values["id"], row.where, from_text=row.from_text), None)
    as_group = _parsed(groups.ids, row)
    if as_group is not None:
        return Name(_parsed(ids, row), as_group)
    return Name(ids.parse(row.values["id"], row.where, from_text=row.from_text), None)


def _parsed(ids: Ids, row: Row) -> Id | None:
    """The column `id` of a row as one of `ids`, None where its type does not allow it."""
    try:
        return ids.parse(row.values["id"], row.where, from_text=row.from_text)
    except DataError:
        return None


def rows_named(names: Mapping[Name, str], ids: Ids, groups: Groups) -> list[tuple[Int64, bool]]:
    """Return for each name the rows that it means, and True where it names a group.

    names: each with its place in the file. A name that is no row's and no group's has no rows. Raises DataError for a
    name that both a row and a group have, unless the group consists of that row.
    """
    rows = _found(ids, [name.row for name in names])
    found = _found(groups.ids, [name.group for name in names])
    out = []
    for (name, where), row, group in zip(names.items(), rows.tolist(), found.tolist()):
        of_group = groups.rows_of(group) if group >= 0 else np.empty(0, np.int64)
        if row >= 0 and group >= 0 and of_group.tolist() != [row]:
            groups_meant = "name the column 'group' in place of 'id' where groups are meant"
            raise DataError(
                f"{where}: the id '{printable(str(name))}' is that of a row and that of a group",
                hint=f"{groups_meant}, or give --group-col {NO_GROUPS} where rows are",
            )
        out.append((np.array([row]), False) if row >= 0 else (of_group, group >= 0))
    return out


def _found(ids: Ids, wanted: Sequence[Id | None]) -> Int64:
    """The positions of ids, int64; -1 for an id that is None or not there."""
    out = np.full(len(wanted), -1)
    given = [i for i, id in enumerate(wanted) if id is not None]
    out[given] = ids.rows_of([wanted[i] for i in given])
    return out


def by_row(
    said: Mapping[Name, T], where: Callable[[T], str], ids: Ids, groups: Groups
) -> tuple[dict[Id, T], list[Name]]:
    """Spread values of rows and groups over rows; return the values by id of row, and the names that are unknown.

    A value of a row itself comes before the value of its group. where: names a value's place in its file. Raises
    DataError.
    """
    found = rows_named({name: where(value) for name, value in said.items()}, ids, groups)
    of_row: dict[int, T] = {}
    for wanted in (True, False):
        for value, (rows, is_group) in zip(said.values(), found):
            if is_group == wanted:
                of_row |= dict.fromkeys(rows.tolist(), value)
    unknown = [name for name, (rows, _) in zip(said, found) if not len(rows)]
    rows = np.fromiter(of_row, np.int64, len(of_row))
    return dict(zip(ids.arrow(rows).to_pylist(), of_row.values())), unknown
