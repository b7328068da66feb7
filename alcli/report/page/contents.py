"""The contents of a page of `alcli report`, as the template takes them: plain texts and numbers, nothing of files.

Coordinates are pixels of a picture, from its upper left corner. No text is escaped here: the template does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# The symbols of classes, in the order in which classes get them; the last one is for all other classes.
SHAPES = ("circle", "square", "up", "diamond", "down", "plus", "cross", "dot")


@dataclass(frozen=True)
class Fact:
    """A name and a value."""

    name: str
    value: str


@dataclass(frozen=True)
class Grid:
    """A table. numbers: the columns that hold numbers, which stand at the right. bars: per row a share of 0 to 1, which
    a bar shows beside the last column.
    """

    caption: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: frozenset[int] = frozenset()
    bars: Sequence[float] = ()


@dataclass(frozen=True)
class Card:
    """An item of the batch. image: a data URI, empty without a picture. missing: why there is no picture."""

    number: int
    id: str
    image: str = ""
    missing: str = ""
    texts: tuple[Fact, ...] = ()
    facts: tuple[Fact, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Mark:
    """A point of the map that can be asked about. shape: of `SHAPES`, "pick", or "small" for a pick
    among many. said: lines of text.

    number: of the card, for a pick; else 0.
    """

    x: float
    y: float
    shape: str
    id: str
    said: tuple[str, ...]
    number: int = 0


@dataclass(frozen=True)
class Level:
    """Cells of the map with about as many items. path: of all of them. words: how many items a cell has."""

    path: str
    words: str


@dataclass(frozen=True)
class Legend:
    """A symbol of the map and its meaning."""

    shape: str
    words: str


@dataclass(frozen=True)
class Map:
    """The map of the pool. levels: from the emptiest cells to the fullest. picks, labelled: drawn. hidden: points that
    are not drawn, and that the pointer finds.
    """

    width: int
    height: int
    levels: Sequence[Level]
    labelled: Sequence[Mark]
    picks: Sequence[Mark]
    hidden: Sequence[Mark]
    legend: Sequence[Legend]
    words: str
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Tick:
    """A line across a chart, with its text."""

    at: float
    text: str


@dataclass(frozen=True)
class Dot:
    """A point of a curve. low, high: the ends of its interval; None without one."""

    x: float
    y: float
    words: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Drawing:
    """A curve of a chart. style: its number, which decides colour and dashes."""

    name: str
    style: int
    shape: str
    dash: str
    path: str
    dots: Sequence[Dot]


@dataclass(frozen=True)
class Chart:
    """Curves over labels. words: what they show, for those who do not see them."""

    width: int
    height: int
    box: tuple[float, float, float, float]
    across: Sequence[Tick]
    up: Sequence[Tick]
    drawings: Sequence[Drawing]
    x_label: str
    y_label: str
    words: str


@dataclass(frozen=True)
class PageSection:
    """A section of the page: sentences, then a chart, then tables."""

    anchor: str
    title: str
    sentences: Sequence[str] = ()
    chart: Chart | None = None
    grids: Sequence[Grid] = ()


@dataclass(frozen=True)
class Page:
    """All that a page shows. meanings: figures and what they mean. about: where the page comes from."""

    title: str
    overview: Sequence[Fact]
    batch: Sequence[str]
    cards: Sequence[Card]
    map: Map | None
    parts: Sequence[PageSection]
    meanings: Sequence[Fact]
    about: Sequence[Fact]
