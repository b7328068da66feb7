"""The map of a pool: how many items lie where, with labelled items and the batch on top.

Cost: linear in the items that are placed. Memory: some 80 bytes an item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.errors import counted
from alcli.report.page.contents import SHAPES, Legend, Map, Mark
from alcli.report.page.density import HEIGHT, WIDTH, framed, levels

# Labelled items that are drawn, and items without a label that the pointer finds.
LABELLED, FOUND = 2000, 1500
# Of more picks, smaller symbols hide less of the map.
CLEAR = 150
_OTHER = SHAPES[-1]


@dataclass(frozen=True)
class Points:
    """The items on a map, by number. picks: in the order of their cards. labels: of the labelled items, as text.

    others: the items that the pointer finds beside these. labelled: the number of all labelled items that have a place.
    """

    picks: Sequence[int]
    labels: dict[int, str]
    others: Sequence[int]
    labelled: int


def map_of(
    placed: Int64, xy_M2: Float64, points: Points, words: str, said: Callable[[int], tuple[str, tuple[str, ...]]]
) -> Map:
    """Return the map. placed: the items that have a place, ascending. words: how they were placed.

    said: from an item to its id and the lines that are told of it.
    """
    in_pixels, beyond = framed(xy_M2)
    in_pixels = in_pixels.round(1)

    def mark(item: int, shape: str, number: int = 0) -> Mark:
        x, y = in_pixels[np.searchsorted(placed, item)].tolist()
        return Mark(x, y, shape, *said(item), number)

    shapes = _shapes(points.labels)
    as_picks = points.labels.keys() & set(points.picks)
    drawn = [(item, label) for item, label in points.labels.items() if item not in as_picks]
    labelled = [mark(item, shapes[label]) for item, label in drawn]
    pick = "pick" if len(points.picks) <= CLEAR else "small"
    picks = [mark(item, pick, number) for number, item in enumerate(points.picks, 1)]
    legend = [Legend(pick, f"an item of the batch ({len(picks):,})")] if picks else []
    counts = Counter(shapes[label] for _, label in drawn)
    legend += [
        Legend(shape, f"labelled {label} ({counts[shape]:,})")
        for label, shape in shapes.items()
        if shape != _OTHER and counts[shape]
    ]
    if counts[_OTHER]:
        n = sum(shape == _OTHER for shape in shapes.values())
        legend.append(
            Legend(_OTHER, f"labelled with one of {counted(n, 'other class', 'other classes')} ({counts[_OTHER]:,})")
        )
    notes = [f"{counted(beyond, 'item lies', 'items lie')} beyond the frame and stand at its edge."] if beyond else []
    if points.labelled > len(points.labels):
        notes.append(f"Of {points.labelled:,} labelled items, {len(points.labels):,} are drawn.")
    hidden = [mark(item, _OTHER) for item in points.others]
    return Map(WIDTH, HEIGHT, levels(in_pixels), labelled, picks, hidden, legend, words, notes)


def _shapes(labels: dict[int, str]) -> dict[str, str]:
    """The symbol of each label: the most frequent ones have their own."""
    ranked = [label for label, _ in sorted(Counter(labels.values()).items(), key=lambda pair: (-pair[1], pair[0]))]
    own = ranked if len(ranked) < len(SHAPES) else ranked[: len(SHAPES) - 1]
    return {label: SHAPES[k] if k < len(own) else _OTHER for k, label in enumerate(ranked)}
