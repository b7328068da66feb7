"""The state of a round that a batch is chosen in: the rows, the annotator, and the current head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.composition.budget import select_within
from alcli.errors import UsageError
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec
from alcli.heads._model import Model
from alcli.heads._polish import polished
from alcli.live.impute import impute_batch
from alcli.live.live import Live
from alcli.selection.group_source import GroupSource
from alcli.selection.group_view import GroupedView
from alcli.selection.select import select
from alcli.selection.source import Source
from alcli.selection.strategy import Selection, Strategy
from alcli.selection.view import View
from alcli.simulation.oracle import Oracle


class RoundState:
    """One round of one cell.

    model: the head, which changes as labels are absorbed. n_classes: None in a regression.
    judges: rows by which oracles judge batches; never test rows. groups: the groups of rows; None where every row is an
    item. costs_N: the costs of items, by item number, where a batch is chosen within a budget. spec: what the head was
    fitted by, for `polish`. offered: the items that the round may choose; None offers all that can be asked for.
    """

    def __init__(
        self,
        source: Source,
        oracle: Oracle,
        model: Model,
        n_classes: int | None,
        judges: Int64,
        groups: GroupSource | None = None,
        costs_N: Float64 | None = None,
        spec: FitSpec | None = None,
        offered: Int64 | None = None,
    ) -> None:
        self.source, self.oracle, self.model, self.n_classes, self.judges = source, oracle, model, n_classes, judges
        self.groups, self.costs_N, self._spec, self._offered = groups, costs_N, spec, offered
        self._has_absorbed = False
        self._live: Live | None = None

    @property
    def candidates(self) -> Int64:
        """The items that can still be chosen in the round, ascending."""
        left = self.oracle.candidates
        return left if self._offered is None else left[np.isin(left, self._offered)]

    def pick(self, strategy: Strategy, k: int, seed: int, options: Mapping[str, Any]) -> Selection:
        """Select k items as `alcli query` does; once rows were absorbed, as `alcli query --stream` does."""
        if self.groups is not None or not self._has_absorbed:
            return select(strategy, self._view(), k, seed=seed, options=options)
        if self._live is None:
            open_rows, labelled, labels = self.candidates, self.oracle.labelled, self.oracle.labels()
            self._live = Live(
                self.source, open_rows, labelled, self.model, strategy, seed=seed, options=options, labels=labels
            )
        return self._live.choose(k)

    def impute(self, strategy: Strategy, k: int, how: str, seed: int, options: Mapping[str, Any]) -> Selection:
        """Select k rows as `alcli query -p impute=HOW` does. The head forgets the labels that it made up.

        Raises UsageError where rows make groups.
        """
        if self.groups is not None:
            raise UsageError("-p impute chooses rows one at a time, and the rows of the pool make groups")
        open_rows, labelled, labels = self.candidates, self.oracle.labelled, self.oracle.labels()
        live = Live(self.source, open_rows, labelled, self.model, strategy, seed=seed, options=options, labels=labels)
        return impute_batch(live, k, how=how, seed=seed)[0]

    def buy(self, name: str, strategy: Strategy, budget: float, seed: int, options: Mapping[str, Any]) -> Selection:
        """Select items within a budget as `alcli query -p cost-col=C` does. name: the strategy's, for messages."""
        assert self.costs_N is not None
        return select_within(strategy, name, self._view(), budget, self.costs_N, seed=seed, options=options)

    def _view(self) -> View:
        open_items, labelled, labels = self.candidates, self.oracle.labelled, self.oracle.labels()
        if self.groups is not None:
            return GroupedView(self.groups, open_items, labelled, self.model, labels=labels)
        return View(self.source, open_items, labelled, self.model, labels=labels)

    def absorb(self, items: Int64) -> None:
        """Update the head by the labels of items that were asked for, one row after another, in closed form."""
        rows, none = self.oracle.have_class(self.oracle.rows_of(items)), self.oracle.none
        labels, weights = self.oracle.labels_of(rows), self.oracle.weights_of(rows)
        self._has_absorbed = True
        if self._live is None and not len(rows):
            return
        if self._live is None:
            self.model = self.model.update(Training(self.source.take(rows), labels, weights, self.n_classes))
            return
        for row in none[np.isin(none, items)]:
            self._live.skip(int(row))
        for row, label, weight in zip(rows, labels, weights):
            self._live.tell(int(row), label, float(weight))
        assert self._live.model is not None
        self.model = self._live.model

    def polish(self) -> None:
        """Take the head to the MAP of all labels that were asked for so far."""
        assert self._spec is not None
        rows = self.oracle.labelled
        weights_L = self.oracle.weights_of(rows)
        everything = Training(self.source.take(rows), self.oracle.labels(), weights_L, self.n_classes)
        self.model = polished(self.model, everything, self._spec)
        if self._live is not None:
            self._live.adopt(self.model)
