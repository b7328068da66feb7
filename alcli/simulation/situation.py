"""What a batch is chosen in: the rows, the annotator, and the head of the moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from alcli.arrays import Int64
from alcli.heads._contract import Training
from alcli.heads._model import Model
from alcli.simulation.oracle import Oracle
from alcli.strategies._contract import Selection, Strategy, select
from alcli.strategies._groups import GroupedView, GroupSource
from alcli.strategies._live import Live
from alcli.strategies._view import Source, View


class Situation:
    """One round of one cell. model: the head, which moves when labels are absorbed. n_classes: None in a regression.

    judges: rows set aside for oracles to judge batches by; never test rows. groups: of the rows; None where every row is an item.
    """

    def __init__(
        self, source: Source, oracle: Oracle, model: Model, n_classes: int | None, judges: Int64, groups: GroupSource | None = None
    ) -> None:
        self.source, self.oracle, self.model, self.n_classes, self.judges = source, oracle, model, n_classes, judges
        self.groups = groups
        self._has_absorbed = False
        self._live: Live | None = None

    def pick(self, strategy: Strategy, k: int, seed: int, options: Mapping[str, Any]) -> Selection:
        """What the strategy selects now: as `alcli query` does, and once labels of rows were absorbed as `alcli query --stream` does."""
        open_rows, labelled = self.oracle.candidates, self.oracle.labelled
        if self.groups is not None:
            groups = GroupedView(self.groups, open_rows, labelled, self.model, labels=self.oracle.labels())
            return select(strategy, groups, k, seed=seed, options=options)
        if not self._has_absorbed:
            view = View(self.source, open_rows, labelled, self.model, labels=self.oracle.labels())
            return select(strategy, view, k, seed=seed, options=options)
        if self._live is None:
            labels = self.oracle.labels()
            self._live = Live(self.source, open_rows, labelled, self.model, strategy, seed=seed, options=options, labels=labels)
        return self._live.choose(k)

    def absorb(self, items: Int64) -> None:
        """Move the head by the labels of items that were asked for, one row after another, in closed form."""
        rows = self.oracle.rows_of(items)
        labels = self.oracle.labels_of(rows)
        self._has_absorbed = True
        if self._live is None:
            self.model = self.model.update(Training(self.source.take(rows), labels, np.ones(len(rows)), self.n_classes))
            return
        for row, label in zip(rows, labels):
            self._live.tell(int(row), label)
        assert self._live.model is not None
        self.model = self._live.model
