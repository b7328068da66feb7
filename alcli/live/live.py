"""A loop over single labels: each label updates the model, and the next choice is made with the updated model.

The loop works with every strategy. There are three cases:

- A pointwise strategy whose needs can be followed: ranking.py ranks the open rows by logits that follow the model. The
  same holds for one row of a batch strategy that declares a pointwise strategy for batches of one (`single`).
- A pointwise strategy with other needs, such as draws of the posterior: it scores every open row with the present
  model.
- A batch strategy: it chooses from a view of the open rows with the present model (held.py).

Source: Huseljic et al., Efficient Bayesian Updates for Deep Active Learning via Laplace Approximations, ECML-PKDD 2025,
section 5.2.
Cost: one update of the model for each label; a choice costs as much as in ranking.py, or as the strategy.
Memory: the features of the candidates, and the logits and numbers that the ranking keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, Keys
from alcli.heads._contract import Training
from alcli.heads._model import Model
from alcli.live.held import FOLLOWED, HeldRows, HeldView, last_hidden
from alcli.live.ranking import Moment, Ranking, can_rank
from alcli.numerics.blocks import workers
from alcli.numerics.last_layer.pool_logits import PoolLogits
from alcli.selection.conditions import idle_remarks
from alcli.selection.select import select
from alcli.selection.source import Source
from alcli.selection.strategy import NOTHING, Selection, Strategy


class Live:
    """The candidates of a source, and a model that absorbs their labels one by one.

    candidates, labelled: int64 row numbers. A row is no longer chosen once it was told or skipped. model: None for a
    strategy that needs no model. labels: of the labelled rows, in the order of `labelled`, for strategies that read
    them: class numbers, or targets of a regression. options: of the strategy, by argument name.
    The same labels in the same order give the same choices.
    """

    def __init__(
        self,
        source: Source,
        candidates: Int64,
        labelled: Int64,
        model: Model | None,
        strategy: Strategy,
        *,
        seed: int = 0,
        options: Mapping[str, Any] | None = None,
        labels: Array | None = None,
    ) -> None:
        self.model = model
        self._strategy, self._seed, self._options, self._taken = strategy, seed, dict(options or {}), ""
        strategy = strategy.suited(model is not None and model.n_classes is None)
        self._is_pointwise = strategy.pointwise
        known = np.asarray(labelled, np.int64)
        self._held = HeldRows(
            source, np.concatenate([candidates, known]) if "labelled" in strategy.needs else candidates
        )
        self._open_M = ~np.isin(self._held.rows_M, known)
        self._labelled = known.tolist()
        self._labels = None if labels is None else list(labels)
        scorer = strategy if strategy.pointwise else strategy.single
        ranked = scorer if scorer is not None and can_rank(scorer) else None
        looked_at = {*(ranked.needs if ranked else ()), *(() if strategy.pointwise else strategy.needs)}
        self._logits = self._followed(model) if model is not None and FOLLOWED & looked_at else None
        self._ranking: Ranking | None = None
        if ranked is not None:
            rounded = strategy.pointwise or ranked.needs_head
            self._ranking = Ranking(self._held, ranked, self._logits, seed=seed, options=self._options, rounded=rounded)

    @property
    def n(self) -> int:
        """The number of open rows, which can still be chosen."""
        return int(self._open_M.sum())

    def next(self) -> tuple[int, float] | None:
        """The row to label next and its score; None where no row is open.

        The row is the same at every call until a row is told or skipped.
        """
        chosen = self.choose(1)
        self._taken = chosen.taken_K[0] if chosen.taken_K else ""
        return (int(chosen.rows_K[0]), float(chosen.scores_K[0])) if len(chosen.rows_K) else None

    @property
    def taken(self) -> str:
        """The name of the strategy that picked the row of the last `next`, where the choice was left to it; else ""."""
        return self._taken

    def choose(self, k: int) -> Selection:
        """Choose min(k, n) open rows with the present model. A choice has no effect on later choices."""
        k = min(k, self.n)
        if k == 0:
            return NOTHING
        if self._ranking is not None and (k == 1 or self._is_pointwise):
            labelled = np.array(self._labelled, np.int64)
            return self._ranking.best(k, Moment(self._open_M, labelled, self.model))
        if self._logits is not None and not self._logits.current:
            with workers() as spread:
                self._logits.visit(lambda a, b: None, spread)
        return select(self._strategy, self._view(), k, seed=self._seed, options=self._options)

    def remarks(self) -> tuple[str, ...]:
        """A sentence on each option that does nothing where one row is chosen at a time."""
        return idle_remarks(self._strategy, self._view(), 1, self._options)

    def _view(self) -> HeldView:
        labelled, open_rows = np.array(self._labelled, np.int64), np.flatnonzero(self._open_M)
        return HeldView(self._held, open_rows, labelled, self.model, self._logits, self._labels_now())

    def predictive(self, row: int) -> Float64:
        """Log class probabilities of a row, averaged over the posterior of the present model, float64 [C]."""
        assert self.model is not None
        return self.model.predictive(self._held.take(np.array([row])))[0]

    def number(self, row: int) -> tuple[float, float]:
        """Mean and variance of the label of a row in a regression; the noise is in the variance."""
        assert self.model is not None
        X_1D = self._held.take(np.array([row]))
        return float(self.model.mean(X_1D)[0]), float(self.model.label_variance(X_1D)[0])

    def tell(self, row: int, y: float, weight: float = 1.0) -> None:
        """Take the label of a row, which the model absorbs at once. The row may be any row of the source.

        y: a class number, or the target of a regression. Raises DataError where the model cannot absorb labels.
        """
        if self.model is not None:
            X_1D = self._held.take(np.array([row]))
            n_classes = self.model.n_classes
            y_1: Array = np.array([y], np.float64 if n_classes is None else np.int64)
            before = self.model
            self.model = before.update(Training(X_1D, y_1, np.array([weight]), n_classes))
            if self._logits is not None:
                self._logits.move(_logit_weights(before), _logit_weights(self.model))
        if self._ranking is not None:
            self._ranking.tell(row)
        self._labelled.append(row)
        if self._labels is not None:
            self._labels.append(y)
        self.skip(row)

    def adopt(self, model: Model) -> None:
        """Take another model with the same classes and hidden layers. The followed logits go with it at once."""
        before, self.model = self.model, model
        if self._logits is not None and before is not None:
            self._logits.move(_logit_weights(before), _logit_weights(model))
            with workers() as spread:
                self._logits.visit(lambda a, b: None, spread)

    def add_classes(self, n: int) -> None:
        """Add n classes to the model, numbered after the known ones; labels can be of the new classes from now on.

        Raises DataError in a regression.
        """
        if self.model is not None:
            self.model = self.model.with_new_classes(n)
            if self._logits is not None:
                self._logits.add_classes(n)

    def features(self, rows: Int64) -> Floats:
        """The features of rows of the source, in the order of `rows`; the features of candidates come from memory."""
        return self._held.take(np.asarray(rows, np.int64))

    def row_keys(self, rows: Int64) -> Keys:
        """A 64-bit hash of the id of each of `rows`, uint64."""
        return self._held.row_keys(rows)

    def skip(self, row: int) -> None:
        """Close a row, so that it is not chosen again."""
        self._open_M[self._held.rows_M == row] = False

    def _labels_now(self) -> Array | None:
        """The labels of the rows in `_labelled`: int64 class numbers, or float64 targets; None where none are known."""
        is_class = self.model is not None and self.model.n_classes is not None
        return None if self._labels is None else np.array(self._labels, np.int64 if is_class else np.float64)

    def _followed(self, model: Model) -> PoolLogits:
        """The logits of all held rows, which follow the model from label to label."""

        def exact(first: int, last: int) -> Float64:
            assert self.model is not None
            return self.model.logits(self._held.X_MD[first:last])

        H_MD = last_hidden(model, self._held.X_MD)
        return PoolLogits(H_MD, len(model.head.W_CD1), exact)


def _logit_weights(model: Model) -> Float64:
    """The last layer whose outputs are the logits: divided by the temperature, [C, D1]."""
    return model.head.W_CD1 if model.temperature == 1.0 else model.head.W_CD1 / model.temperature
