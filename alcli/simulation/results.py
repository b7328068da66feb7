"""The results of a simulation as tidy rows: one row per round and one per pick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from alcli.simulation.plan import Cell

PHASES = ("seconds_fit", "seconds_select", "seconds_evaluate")
# The columns of curves.parquet beside the metrics.
COLUMNS = ("strategy", "seed", "round", "n_labels", "cost", *PHASES)


@dataclass(frozen=True)
class Point:
    """One point of a learning curve: round 0 has the initial labels.

    metrics: the metrics on the test rows, by name. cost: the cost of all labels up to this round; None where items
    have no costs.
    """

    round: int
    n_labels: int
    metrics: Mapping[str, float]
    seconds_fit: float
    seconds_select: float
    seconds_evaluate: float
    cost: float | None = None

    def row(self) -> dict[str, Any]:
        """Return the point as a flat dictionary, the metrics beside the other values."""
        times = {phase: getattr(self, phase) for phase in PHASES}
        spent = {} if self.cost is None else {"cost": self.cost}
        return {"round": self.round, "n_labels": self.n_labels, **spent, **self.metrics, **times}


@dataclass(frozen=True)
class Pick:
    """One item chosen in `round`. row: the number of the item, which is its row number where rows make no groups."""

    round: int
    rank: int
    row: int
    score: float


@dataclass(frozen=True)
class CellResult:
    """A finished cell. notes: the remarks of the strategy on its batches, as (round, text) in the order they came."""

    cell: Cell
    points: tuple[Point, ...]
    picks: tuple[Pick, ...]
    notes: tuple[tuple[int, str], ...] = ()

    def curve_rows(self) -> list[dict[str, Any]]:
        """Return one row per point: strategy, seed, round, n_labels, cost where items have costs, metrics, seconds."""
        return [{**asdict(self.cell), **point.row()} for point in self.points]

    def pick_rows(self, ids: Sequence[Any]) -> list[dict[str, Any]]:
        """Return one row per pick: strategy, seed, round, rank, id, score. ids: of the picks, in their order."""
        return [
            {**asdict(self.cell), "round": pick.round, "rank": pick.rank, "id": id, "score": pick.score}
            for pick, id in zip(self.picks, ids, strict=True)
        ]
