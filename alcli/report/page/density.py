"""The map of the page: points in its frame, and how many items its cells hold.

Cost: linear in the points. Memory: some 70 bytes a point.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.errors import counted
from alcli.report.page.contents import Level

WIDTH, HEIGHT = 960, 600
_CELL = 8
_MARGIN = 16
_LEVELS = 6
# Points beyond these quantiles do not widen the frame; they stand at its edge.
_OUTSIDE = 0.001
# Of fewer points every one counts for the frame.
_FEW = 1000


def framed(xy_N2: Floats) -> tuple[Float64, int]:
    """Return the points in pixels, float64 [N, 2], and how many of them stand at the edge, since they lie beyond it.

    Both axes have the same scale, so that distances of the map are those of the two axes.
    """
    if not len(xy_N2):
        return np.zeros((0, 2)), 0
    share = 0.0 if len(xy_N2) < _FEW else _OUTSIDE
    low_2, high_2 = np.quantile(xy_N2, [share, 1 - share], axis=0)
    wide, high = high_2 - low_2
    room = WIDTH - 2 * _MARGIN, HEIGHT - 2 * _MARGIN
    scale = min((r / s for r, s in zip(room, (wide, high)) if s > 0), default=0.0)
    out_N2 = (xy_N2 - (low_2 + high_2) / 2) * scale * np.array([1.0, -1.0]) + np.array([WIDTH, HEIGHT]) / 2
    kept_N2 = np.clip(out_N2, _MARGIN / 2, [WIDTH - _MARGIN / 2, HEIGHT - _MARGIN / 2])
    return kept_N2, int((kept_N2 != out_N2).any(axis=1).sum())


def levels(xy_N2: Float64) -> list[Level]:
    """Return the cells of the map that hold points, by how many: up to 6 levels, the emptiest cells first.

    xy_N2: in pixels. The bounds of the levels grow by the same factor, since a few cells hold most items.
    """
    columns, rows = WIDTH // _CELL, HEIGHT // _CELL
    cell_N2 = np.minimum((xy_N2 // _CELL).astype(np.int64), [columns - 1, rows - 1])
    counts_RC = np.bincount(cell_N2[:, 1] * columns + cell_N2[:, 0], minlength=rows * columns).reshape(rows, columns)
    most = int(counts_RC.max())
    if most == 0:
        return []
    bounds = _bounds(most)
    level_RC: Int64 = np.where(counts_RC > 0, np.searchsorted(bounds, counts_RC, side="left"), -1)
    found = []
    for number, high in enumerate(bounds):
        low = 1 if number == 0 else bounds[number - 1] + 1
        found.append(Level(_path(level_RC == number), _counted(low, high)))
    return [level for level in found if level.path]


def _counted(low: int, high: int) -> str:
    return counted(low, "item") if low == high == 1 else f"{low:,}{f' to {high:,}' if high > low else ''} items"


def _bounds(most: int) -> list[int]:
    """The largest count of each level, ascending; the last one is `most`."""
    steps = np.geomspace(1, most, _LEVELS)
    return sorted({*np.ceil(steps[:-1]).astype(int).tolist(), most}) if most > 1 else [1]


def _path(is_in_RC: Array) -> str:
    """A path around the cells of a mask: a rectangle for each run of cells in a row."""
    parts = []
    for row, is_in_C in enumerate(is_in_RC):
        edges = np.flatnonzero(np.diff(is_in_C, prepend=False, append=False))
        parts += [
            f"M{a * _CELL} {row * _CELL}h{(b - a) * _CELL}v{_CELL}h-{(b - a) * _CELL}z"
            for a, b in zip(edges[::2].tolist(), edges[1::2].tolist())
        ]
    return "".join(parts)
