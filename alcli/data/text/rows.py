"""Rows of small files: where they come from, one row, and the columns that a reader wants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from alcli.data.text.dialect import near
from alcli.errors import DataError, printable


@dataclass(frozen=True)
class Row:
    """One row of a file.

    where: its place, for messages. from_text: its values are text, which may stand for a typed value. is_line: the
    value is a whole line of a file without a header.
    """

    where: str
    values: dict[str, Any]
    from_text: bool
    is_line: bool = False


@dataclass(frozen=True)
class GivenRows:
    """Rows that a Python program holds in memory, in the place of a file.

    name: of the rows, in messages. columns: lists of equal length, by name.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class NamedColumns:
    """A file of labels whose columns the user named. id, label: the names; None where it has the usual one."""

    path: str
    id: str | None = None
    label: str | None = None

    def __str__(self) -> str:
        return self.path


# The path of a file, with or without names of its columns, or rows in memory.
RowSource: TypeAlias = str | NamedColumns | GivenRows


class Export(Protocol):
    """The knowledge of the exports of labelling tools; see `ExportReader` in exports/answers.py."""

    def columns(self, names: Sequence[str], where: str) -> Mapping[str, str]:
        """Return the columns of a table with another name than the usual one, by the usual one."""

    def check(self, id: Any, names: Sequence[str], where: str) -> None:
        """Raise DataError for an id in a row of a table that may be a number of the tool's own."""

    def rows(self, where: str, value: Mapping[str, Any]) -> Iterator[Row] | None:
        """Return the rows in one JSON object; None for an object that no tool writes."""

    def end(self) -> None:
        """Raise DataError for a file that turns out to lack what is wanted, after its last row."""


def paths_of(sources: Iterable[RowSource]) -> list[str]:
    """The sources that are files."""
    return [str(source) for source in sources if not isinstance(source, GivenRows)]


@dataclass(frozen=True)
class Wanted:
    """The columns to read: those that must be there, and those that may be. export: see `read_rows`."""

    columns: Sequence[str]
    optional: Sequence[str] = ()
    export: Export | None = None

    def places(self, names: Sequence[str], where: str, called: str = "column") -> dict[str, str]:
        """The names in a file of the columns that are there, by the wanted name. Raises DataError for a missing one.

        where: the place of the names, for messages. called: the word for a column there.
        """
        named = {} if self.export is None else self.export.columns(names, where)
        found = {c: named.get(c) or near(names, c) for c in (*self.columns, *self.optional)}
        missing = next((c for c in self.columns if found[c] is None), None)
        if missing is not None:
            listed = ", ".join(f"'{printable(h)}'" for h in names[:10])
            hint = f"expected a header line with {quoted(self.columns)}" if called == "column" else ""
            if self.export is not None and missing in ("id", "label"):
                hint += f"{'; ' if hint else ''}name another {called} by --labels-{missing}-col"
            raise DataError(f"{where}: no {called} '{printable(missing)}' among {listed}", hint=hint)
        return {c: there for c, there in found.items() if there is not None}

    def fit(self, names: Sequence[str]) -> bool:
        """True for a header that has all columns that must be there."""
        try:
            return bool(self.places(names, ""))
        except DataError:
            return False


def quoted(columns: Sequence[str]) -> str:
    """Column names as messages list them."""
    return " and ".join(f"'{c}'" for c in columns)
