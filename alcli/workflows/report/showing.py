"""The view that a person gets of an item: its texts and its picture, from the pool or from a file of the items.

Cost: one pass over the columns. Memory: the values of the items that are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alcli.arrays import Int64
from alcli.data.formats import Table
from alcli.data.sources.columns import IMAGE_NAMES, TEXT_NAMES
from alcli.data.tables import columns_of
from alcli.errors import AlcliError, UnavailableError, UsageError, counted, printable
from alcli.remarks import Note, silence
from alcli.workflows.items import Items
from alcli.workflows.query.shown.keeping import looked_up
from alcli.workflows.report.request import ReportRequest
from alcli.workflows.report.thumbnails import failure, thumbnailer

# Letters of a text on a card, and of all cards together; of a text that the pointer finds on the map.
_ON_CARD, _ON_CARDS = 500, 250_000
ON_MAP = 90
_NAMES = (*TEXT_NAMES, *IMAGE_NAMES, "title", "url", "link")
# Columns of a pool that hold no single values; but images as Hugging Face keeps them do.
_IMAGE = "struct<bytes: "
_NESTED = ("struct", "list", "large_list", "fixed_size_list", "map")


@dataclass(frozen=True)
class Shown:
    """The texts of items by name, and their image: bytes, a path, or None. of: the place of an item by its number."""

    of: dict[int, int]
    texts: dict[str, list[str]]
    images: list[Any]

    def lines(self, item: int, most: int) -> list[tuple[str, str]]:
        """(name, text) of an item, without empty texts, each of at most so many letters."""
        k = self.of[item]
        return [(name, shortened(values[k], most)) for name, values in self.texts.items() if values[k]]

    def first(self, item: int, most: int) -> str:
        """The first text of an item; empty without one."""
        return next((text for _, text in self.lines(item, most)), "")

    def image(self, item: int) -> Any:
        """The image of an item; None without one."""
        return self.images[self.of[item]]


def shown(items: Items, ask: ReportRequest, batch: Int64, others: Int64, note: Note) -> Shown:
    """Look up what is seen of the items of a batch, and of other items, in one pass.

    Raises UsageError for --items without a column to show, DataError for columns that are not there.
    """
    wanted = np.concatenate([batch, np.setdiff1d(others, batch)]).astype(np.int64)
    columns = _columns(items, ask)
    looked: Table = looked_up(items, wanted, columns, ask.items, silence) if columns else {}
    found = {name: [_content(value) for value in values] for name, values in looked.items()}
    of = {int(item): k for k, item in enumerate(wanted)}
    if ask.items is not None:
        empty = sum(all(found[name][k] is None for name in columns) for k in range(len(batch)))
        if empty:
            note(
                f"{printable(ask.items)}: {counted(empty, 'item')} of the batch not found; their cards show no content"
            )
    images: list[Any] = [None] * len(wanted)
    texts: dict[str, list[str]] = {}
    for name in columns:
        if _is_image(name, found[name], ask):
            images = [image if image is not None else value for image, value in zip(images, found[name])]
        if any(isinstance(value, str) for value in found[name]) or not _is_image(name, found[name], ask):
            texts[name] = ["" if value is None or isinstance(value, bytes) else str(value) for value in found[name]]
    if ask.images is not None and all(image is None for image in images):
        # `embed DIR` names the items of a folder by their paths.
        images = [str(id) for id in items.ids.arrow(wanted).to_pylist()]
    return Shown(of, texts, images)


def _content(value: Any) -> Any:
    """The value, or of an image as Hugging Face keeps it, {bytes, path}, the bytes or else the path."""
    if isinstance(value, dict) and value.keys() == {"bytes", "path"}:
        return value["bytes"] if value["bytes"] is not None else value["path"]
    return value


def _columns(items: Items, ask: ReportRequest) -> list[str]:
    """The columns that the user named, else those whose names say that people read them."""
    if ask.keep:
        return list(dict.fromkeys(ask.keep))
    if ask.items == "-":
        what = "--items looks at the columns of its file first, and standard input can be read once"
        raise UsageError(what, hint="name the columns to show, as --keep text")
    if ask.items is None:
        kinds = items.pool.column_types()
        there = [n for n, kind in kinds.items() if not kind.startswith(_NESTED) or kind.startswith(_IMAGE)]
    else:
        there = columns_of(ask.items)
    found = [name for name in there if name.lower() in _NAMES]
    if ask.items is not None and not found:
        listed = ", ".join(f"'{printable(name)}'" for name in there[:10])
        raise UsageError(
            f"{printable(ask.items)}: no column has a name of texts or images, there are {listed}",
            hint="name the columns to show, as --keep title",
        )
    return found


def _is_image(name: str, values: Sequence[Any], ask: ReportRequest) -> bool:
    """True for a column of bytes, and for a column of paths by its name, once a folder of pictures is named."""
    return any(isinstance(v, bytes) for v in values) or (ask.images is not None and name.lower() in IMAGE_NAMES)


def pictures(seen: Shown, batch: Int64, ask: ReportRequest, note: Note) -> list[tuple[str, str]]:
    """(data URI, why there is none) of each item of a batch; both empty for an item without an image.

    Remarks say how many images could not be shown, and that Pillow is not installed.
    """
    values = [seen.image(int(item)) for item in batch]
    n = sum(value is not None for value in values)
    if n == 0:
        return [("", "")] * len(values)
    try:
        picture = thumbnailer(n, ask.images)
    except UnavailableError as error:
        note(f"the cards have no pictures: {error}")
        return [("", failure(error) if value is not None else "") for value in values]
    found = [("", "") if value is None else _tried(picture, value) for value in values]
    failed = [why for uri, why in found if why]
    if failed:
        note(f"{counted(len(failed), 'image')} of {n} could not be shown, the first: {failed[0]}")
    return found


def _tried(picture: Callable[[Any], str], value: Any) -> tuple[str, str]:
    try:
        return picture(value), ""
    except AlcliError as error:
        return "", failure(error)


def letters_on_card(n: int) -> int:
    """The most letters of a text on each of n cards."""
    return min(_ON_CARD, _ON_CARDS // max(n, 1))


def shortened(text: str, most: int) -> str:
    """The text, or its beginning with the number of letters that it has."""
    return text if len(text) <= most else f"{text[:most].rstrip()} … ({len(text):,} letters)"
