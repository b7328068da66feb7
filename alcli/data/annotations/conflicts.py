"""Items that got different labels, from several annotators or from several files, as a table.

The table has a row for each label of such an item: `id`, `label`, `votes`, `annotators`, `files`, and `taken`, the
label that counts for the item; `taken` is empty where no label has a majority. With the right class in `taken`, the
table is a file of labels (`--labels-label-col taken`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alcli.data.annotations.said import Key, Label, LabelFile
from alcli.data.formats import FORMATS, encode, format_of, own_format
from alcli.data.writing.atomic import replacing
from alcli.data.writing.creatable import check_creatable
from alcli.errors import UsageError, counted, printable
from alcli.remarks import Note

# Formats that hold a table of any columns.
_TABLES = ("csv", "tsv", "jsonl", "parquet", "xlsx")
_BETWEEN = "; "


@dataclass(frozen=True)
class Conflict:
    """One label of an item that has several. taken: the label that counts for the item; None where none does.

    where: the place of the label, the first one where several annotators gave it.
    """

    id: Any
    label: Label
    votes: int
    annotators: tuple[str, ...]
    files: tuple[str, ...]
    taken: Label | None
    where: str = field(default="", compare=False)


def find_conflicts(files: Sequence[LabelFile], unknown: Collection[Key], note: Note) -> tuple[Conflict, ...]:
    """Return the labels of items that got several, item by item; the label with the most votes comes first.

    files: after `settle`. A vote is the label of one annotator in one file. unknown: items that the pool does not
    have. note: told where a later file says something else than an earlier one.
    """
    first: dict[Any, Label] = {}
    differ: set[Any] = set()
    taken: dict[Any, Label] = {}
    for file in files:
        name = printable(file.source)
        other = sum(key in taken and taken[key] != said.label for key, said in file.took.items())
        if other:
            what = counted(other, "item has another label", "items have other labels")
            note(f"{name}: {what} than in the files before it; the later file counts")
        for key, votes in file.votes.items():
            if any(first.setdefault(key, said.label) != said.label for said in votes.values()):
                differ.add(key)
        taken |= {key: said.label for key, said in file.took.items()}
    found: dict[Any, dict[Label, list[tuple[str | None, str, str]]]] = {}
    for file in files if differ else ():
        for key, votes in file.votes.items():
            for who, said in votes.items() if key in differ else ():
                found.setdefault(key, {}).setdefault(said.label, []).append((who, printable(file.source), said.where))
    return tuple(
        Conflict(
            key,
            label,
            len(votes),
            tuple(sorted({who for who, _, _ in votes if who is not None})),
            tuple(dict.fromkeys(file for _, file, _ in votes)),
            taken.get(key),
            votes[0][2],
        )
        for key, of_key in found.items()
        if key not in unknown
        for label, votes in sorted(of_key.items(), key=lambda item: (-len(item[1]), str(item[0])))
    )


def check_conflicts_file(path: Path | None, *, overwrite: bool, inputs: Collection[str | Path]) -> None:
    """Raise UsageError for a file whose extension is not that of a table, and what `check_creatable` raises."""
    if path is None:
        return
    if own_format(path.suffix) not in _TABLES:
        known = ", ".join(extension for name in _TABLES for extension in FORMATS[name].extensions)
        what = f"--conflicts {printable(path)}: no table has the extension '{printable(path.suffix)}'"
        raise UsageError(what, hint=f"known: {known}")
    format_of(path, None)
    check_creatable(path, overwrite=overwrite, inputs=inputs)


def write_conflicts(path: Path | None, conflicts: Sequence[Conflict], *, text_ids: bool, overwrite: bool) -> None:
    """Write the table of the conflicts, which may have no row; nothing without a path. Raises what `replacing` does.

    The order of the rows is that of the items in the files. text_ids: the ids of the pool are strings.
    """
    if path is None:
        return
    is_plain = all(isinstance(one.id, int) for one in conflicts) and not text_ids
    table: dict[str, list[Any]] = {
        "id": [one.id if is_plain else str(one.id) for one in conflicts],
        "label": [one.label for one in conflicts],
        "votes": [one.votes for one in conflicts],
        "annotators": [_BETWEEN.join(one.annotators) for one in conflicts],
        "files": [_BETWEEN.join(one.files) for one in conflicts],
        "taken": [one.taken for one in conflicts],
    }
    data = encode(table, own_format(path.suffix) or "csv", {"format": 1}, text_ids=not is_plain)
    with replacing(path, overwrite=overwrite) as file:
        file.write(data)


def written(conflicts: Sequence[Conflict]) -> str:
    """Say how many items the table has."""
    return counted(len({one.id for one in conflicts}), "item with different labels", "items with different labels")
