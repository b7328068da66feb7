"""Test rows after the last round, by class and by confidence: tables, the worst classes, and a picture.

Counts are summed over the seeds.
Cost: linear in the classes of all strategies and seeds; one drawing per format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from alcli.arrays import Int64
from alcli.report.pictures import COLOURS, Appearance, rendered, wrapped
from alcli.simulation.plan import Cell
from alcli.simulation.results import N_BINS, Details

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]
# Classes that a report names.
_WORST = 3
_WIDTH, _PANEL = 11.0, 2.6
_WRONG = "#D55E00"


def class_rows(details: Mapping[Cell, Details], classes: Sequence[str]) -> list[Row]:
    """Return the rows of classes.csv: strategy, class, test rows, rows predicted so, correct rows, accuracy.

    accuracy: the share of the test rows of the class that are predicted; None for a class without test rows.
    """
    found = []
    for strategy in dict.fromkeys(cell.strategy for cell in details):
        rows_C, predicted_C, correct_C = (_summed(details, strategy, name) for name in ("rows", "predicted", "correct"))
        for name, rows, predicted, correct in zip(classes, rows_C, predicted_C, correct_C, strict=True):
            counts = {"test_rows": int(rows), "predicted_rows": int(predicted), "correct_rows": int(correct)}
            share = round(float(correct / rows), 4) if rows else None
            found.append({"strategy": strategy, "class": name, **counts, "accuracy": share})
    return found


def worst_classes(rows: Sequence[Row], strategy: str) -> list[Row]:
    """Return the rows of the least accurate classes of a strategy, the worst first; ties in their order."""
    known = [row for row in rows if row["strategy"] == strategy and row["accuracy"] is not None]
    return sorted(known, key=lambda row: float(row["accuracy"]))[:_WORST]


def confidence_rows(details: Mapping[Cell, Details]) -> list[Row]:
    """Return the rows of confidence.csv: strategy, the bin (low, high] of the confidence, test rows, correct rows."""
    found = []
    for strategy in dict.fromkeys(cell.strategy for cell in details):
        rows_B, correct_B = (_summed(details, strategy, f"confidence_{name}") for name in ("rows", "correct"))
        for i in range(N_BINS):
            place = {"strategy": strategy, "low": round(i / N_BINS, 4), "high": round((i + 1) / N_BINS, 4)}
            found.append({**place, "test_rows": int(rows_B[i]), "correct_rows": int(correct_B[i])})
    return found


def largest_share(details: Mapping[Cell, Details]) -> float:
    """Return the share of the largest class among the test rows, mean over the cells."""
    return float(np.mean([max(one.rows) / sum(one.rows) for one in details.values()]))


def _summed(details: Mapping[Cell, Details], strategy: str, name: str) -> Int64:
    return np.sum([getattr(one, name) for cell, one in details.items() if cell.strategy == strategy], axis=0)


def draw(details: Mapping[Cell, Details], names: Mapping[str, str], title: str, look: Appearance) -> dict[str, bytes]:
    """Return the histograms of the confidence as the bytes of a file, by format.

    names: of the strategies, as the picture shows them.
    """
    return rendered(lambda: figure_of(details, names, title, look.width or _WIDTH), look)


def figure_of(details: Mapping[Cell, Details], names: Mapping[str, str], title: str, width: float) -> Figure:
    """Return the picture at a width in inches, one panel for each strategy. Its texts are not broken into lines yet."""
    from matplotlib.figure import Figure

    strategies = list(dict.fromkeys(cell.strategy for cell in details))
    columns = max(1, min(len(strategies), int(width / _PANEL)))
    lines = -(-len(strategies) // columns)
    figure = Figure(figsize=(width, 0.8 + 1.9 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    middles = (np.arange(N_BINS) + 0.5) / N_BINS
    for axes, strategy in zip(panels, strategies):
        rows_B, correct_B = (_summed(details, strategy, f"confidence_{name}") for name in ("rows", "correct"))
        right_B, all_B = 100 * correct_B / rows_B.sum(), 100 * rows_B / rows_B.sum()
        axes.bar(middles, right_B, 0.9 / N_BINS, color=COLOURS[1])
        axes.bar(middles, all_B - right_B, 0.9 / N_BINS, bottom=right_B, color=_WRONG)
        axes.set_title(wrapped(names[strategy]), fontsize=9, loc="left")
        axes.set_xlim(0, 1)
    for axes in panels[len(strategies) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel("test rows (%)")
    # The last row may be shorter: the panels above its gap are the last of their columns.
    for axes in panels[: len(strategies)][-columns:]:
        axes.set_xlabel("confidence")
        axes.tick_params(labelbottom=True)
    figure.suptitle(
        f"{title}\nconfidence of the prediction: blue where it is right, red where it is wrong",
        fontsize=10,
        x=0.01,
        ha="left",
    )
    return figure
