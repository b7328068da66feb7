"""Read the lines that an annotation tool writes to a stream.

A line is one JSON object: an id with its label, or with `skip`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from alcli.data.head_file import HeadFile
from alcli.data.labels import is_of_type
from alcli.data.spellings.classes import look_alike
from alcli.data.spellings.labels import to_class
from alcli.errors import DataError, printable

LONGEST_LINE = 1 << 20
_EXPECTED = 'expected {"id": …, "label": …} or {"id": …, "skip": true}'


@dataclass(frozen=True)
class Reply:
    """One line of the annotator.

    where: the place, for messages. label: None for a skipped item. Values are as the line has them.
    """

    where: str
    id: Any
    label: Any
    weight: Any


def lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, bytes) of each line that is not blank, once it is complete; a line over a MiB is cut."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        rest = line
        while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(LONGEST_LINE + 1)
        if line.strip():
            yield number, line


def reply(line: bytes, number: int) -> Reply:
    """Parse a line. Raises DataError that says what is wrong with the line."""
    where = f"line {number}"
    if len(line) > LONGEST_LINE:
        raise DataError(f"{where}: is longer than {LONGEST_LINE} bytes", hint=_EXPECTED)
    try:
        found = json.loads(line.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not JSON ({printable(error)})", hint=_EXPECTED) from None
    if not isinstance(found, dict) or "id" not in found:
        raise DataError(f"{where}: {'has no id' if isinstance(found, dict) else 'is not an object'}", hint=_EXPECTED)
    skip, label = found.get("skip", False), found.get("label")
    if not isinstance(skip, bool):
        raise DataError(f"{where}: skip must be true or false, got {printable(json.dumps(skip))}", hint=_EXPECTED)
    if skip == (label is not None and label != ""):
        what = "both a label and skip" if skip else "neither a label nor skip"
        raise DataError(
            f"{where}: the id {printable(json.dumps(found['id'], ensure_ascii=False))} has {what}", hint=_EXPECTED
        )
    return Reply(where, found["id"], None if skip else label, found.get("weight"))


def class_of(said: Reply, classes: Sequence[str], head: HeadFile, *, allow_new: bool) -> str:
    """The class that a reply names; one that looks like it where the head takes such classes as one.

    classes: those of the head, and those that were added. Raises DataError for a class that the head does not have and
    that may not, or cannot, be added.
    """
    name = to_class(said.label, said.where, set())
    if name in classes:
        return name
    if head.normalizes and (other := look_alike(name, classes)) is not None:
        return other
    what = f"{said.where}: the head has no class '{printable(name)}'"
    if not allow_new:
        near = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
        raise DataError(what, hint=f"its classes are {printable(near)}; --allow-new-classes adds others")
    if not is_of_type(name, head.class_type):
        raise DataError(what, hint=f"a new one must be of type {head.class_type}, as its classes are")
    return name


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
