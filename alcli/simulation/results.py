"""The results of a simulation as tidy rows: one row per round and one per pick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from alcli.simulation.plan import Cell

# Bins of the confidence, of equal width.
N_BINS = 15

PHASES = ("seconds_fit", "seconds_select", "seconds_evaluate")
# The columns of curves.parquet beside the metrics.
COLUMNS = ("strategy", "seed", "round", "n_labels", "cost", "none", *PHASES)


@dataclass(frozen=True)
class Point:
    """One point of a learning curve: round 0 has the initial labels.

    metrics: the metrics on the test rows, by name. cost: the cost of all labels up to this round; None where items
    have no costs. none: how many of the items belong to no class; None where every label is a class.
    """

    round: int
    n_labels: int
    metrics: Mapping[str, float]
    seconds_fit: float
    seconds_select: float
    seconds_evaluate: float
    cost: float | None = None
    none: int | None = None

    def row(self) -> dict[str, Any]:
        """Return the point as a flat dictionary, the metrics beside the other values."""
        times = {phase: getattr(self, phase) for phase in PHASES}
        spent = {name: value for name, value in (("cost", self.cost), ("none", self.none)) if value is not None}
        return {"round": self.round, "n_labels": self.n_labels, **spent, **self.metrics, **times}


@dataclass(frozen=True)
class Pick:
    """One item chosen in `round`.

    row: the number of the item, which is its row number where rows make no groups. weight: of its label, where heads
    are trained with weights and the strategy gives them.
    """

    round: int
    rank: int
    row: int
    score: float
    weight: float | None = None


@dataclass(frozen=True)
class Details:
    """Test rows of a classification after the last round, counted by class and by confidence.

    rows, predicted, correct: by class number: rows of the class, rows predicted to be of it, and rows that are both.
    confidence_rows, confidence_correct: by the bin of the confidence (`N_BINS`): rows, and correctly predicted rows.
    """

    rows: tuple[int, ...]
    predicted: tuple[int, ...]
    correct: tuple[int, ...]
    confidence_rows: tuple[int, ...]
    confidence_correct: tuple[int, ...]


@dataclass(frozen=True)
class CellResult:
    """A finished cell.

    notes: the remarks of the strategy on its batches, as (round, text) in the order they came. details: None in a
    regression. used_up: the cell ended since no item was left, or none that a round can pay for.
    """

    cell: Cell
    points: tuple[Point, ...]
    picks: tuple[Pick, ...]
    notes: tuple[tuple[int, str], ...] = ()
    details: Details | None = None
    used_up: bool = False

    @classmethod
    def of_rows(
        cls,
        cell: Cell,
        curve: Sequence[Mapping[str, Any]],
        picks: Sequence[Mapping[str, Any]],
        items: Sequence[int],
        notes: Sequence[tuple[int, str]],
    ) -> Self:
        """Return a cell from what `curve_rows` and `pick_rows` gave. items: the numbers of the picks, in their order.

        Raises KeyError and TypeError for rows that lack something. details and used_up are left out.
        """
        own = {field.name for field in fields(Point)}
        points = [
            Point(
                metrics={name: row[name] for name in row if name not in COLUMNS}, **{k: row[k] for k in own & set(row)}
            )
            for row in curve
        ]
        chosen = [
            Pick(row["round"], row["rank"], int(item), row["score"], row.get("weight"))
            for row, item in zip(picks, items, strict=True)
        ]
        return cls(cell, tuple(points), tuple(chosen), tuple((int(number), str(text)) for number, text in notes))

    def curve_rows(self) -> list[dict[str, Any]]:
        """Return one row per point: strategy, seed, round, n_labels, cost and none if any, metrics, seconds."""
        return [{**asdict(self.cell), **point.row()} for point in self.points]

    def pick_rows(self, ids: Sequence[Any]) -> list[dict[str, Any]]:
        """Return one row per pick: strategy, seed, round, rank, id, score, and its weight if it has one.

        ids: of the picks, in their order.
        """
        rows = []
        for pick, id in zip(self.picks, ids, strict=True):
            weight = {} if pick.weight is None else {"weight": pick.weight}
            place = {"round": pick.round, "rank": pick.rank}
            rows.append({**asdict(self.cell), **place, "id": id, "score": pick.score, **weight})
        return rows
