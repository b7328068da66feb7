"""A pool that is asked and told one item at a time: each label moves the model, and the next choice sees the moved model.

No strategy is named here. A pointwise strategy ranks the open rows by logits that follow the model (_ranking.py). One that needs
what cannot be followed, such as draws of the posterior, scores every row from the model of the moment. A batch strategy is asked for
what is wanted on a view of the moment, unless it declares a pointwise one for batches of one.
Source: Huseljic et al., Efficient Bayesian Updates for Deep Active Learning via Laplace Approximations, ECML-PKDD 2025, section 5.2.
Cost: a label one update of the model; a choice that of _ranking.py, or of the strategy. Memory: the candidates' features, and
what the ranking follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, Keys
from alcli.heads._contract import Training
from alcli.heads._model import Model
from alcli.live.held import FOLLOWED, HeldRows, Now, last_hidden
from alcli.live.ranking import Moment, Ranking, can_rank
from alcli.numerics.blocks import workers
from alcli.numerics.last_layer.pool_logits import PoolLogits
from alcli.selection.select import select
from alcli.selection.source import Source
from alcli.selection.strategy import NOTHING, Selection, Strategy


class Live:
    """Candidates of a source, and a model that learns as they are labelled.

    candidates, labelled: row numbers; a row told or skipped is asked for no more. model: None for strategies that need none.
    labels: of the labelled rows, for strategies that look at them. Deterministic: the same labels in the same order give the same choices.
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
        strategy = strategy.suited(model is not None and model.n_classes is None)
        self._strategy, self._seed, self._options = strategy, seed, dict(options or {})
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
        """How many rows can still be chosen."""
        return int(self._open_M.sum())

    def next(self) -> tuple[int, float] | None:
        """The row to label next and its score; the same one until it is told or skipped. None when no row is left."""
        chosen = self.choose(1)
        return (int(chosen.rows_K[0]), float(chosen.scores_K[0])) if len(chosen.rows_K) else None

    def choose(self, k: int) -> Selection:
        """The min(k, n) rows that the strategy wants now. Changes nothing that can be seen."""
        k = min(k, self.n)
        if k == 0:
            return NOTHING
        labelled = np.array(self._labelled, np.int64)
        if self._ranking is not None and (k == 1 or self._strategy.pointwise):
            return self._ranking.best(k, Moment(self._open_M, labelled, self.model))
        if self._logits is not None and not self._logits.current:
            with workers() as spread:
                self._logits.visit(lambda a, b: None, spread)
        view = Now(self._held, np.flatnonzero(self._open_M), labelled, self.model, self._logits, self._labels_now())
        return select(self._strategy, view, k, seed=self._seed, options=self._options)

    def predictive(self, row: int) -> Float64:
        """Log class probabilities of a row, averaged over the posterior, by the model of the moment; shape [C]."""
        assert self.model is not None
        return self.model.predictive(self._held.take(np.array([row])))[0]

    def tell(self, row: int, y: float, weight: float = 1.0) -> None:
        """A row's label (class number, or target of a regression): the model absorbs it at once. The row may be any of the source.

        Raises DataError where the model cannot absorb labels.
        """
        if self.model is not None:
            X_1D = self._held.take(np.array([row]))
            n_classes = self.model.n_classes
            y_1: Array = np.array([y], np.float64 if n_classes is None else np.int64)
            before = self.model
            self.model = before.update(Training(X_1D, y_1, np.array([weight]), n_classes))
            if self._logits is not None:
                self._logits.move(before.head.W_CD1, self.model.head.W_CD1)
        if self._ranking is not None:
            self._ranking.tell(row)
        self._labelled.append(row)
        if self._labels is not None:
            self._labels.append(y)
        self.skip(row)

    def add_classes(self, n: int) -> None:
        """The model gets n classes more, behind the others; labels may be of them from now on. Raises DataError in a regression."""
        if self.model is not None:
            self.model = self.model.with_new_classes(n)
            if self._logits is not None:
                self._logits.add_classes(n)

    def features(self, rows: Int64) -> Floats:
        """The features of rows of the source, in that order; those of candidates come from memory."""
        return self._held.take(np.asarray(rows, np.int64))

    def row_keys(self, rows: Int64) -> Keys:
        """A 64-bit hash of the id of each of these rows of the source."""
        return self._held.row_keys(rows)

    def skip(self, row: int) -> None:
        """Do not choose this row again."""
        self._open_M[self._held.rows_M == row] = False

    def _labels_now(self) -> Array | None:
        """Of the rows in `_labelled`: class numbers, or targets of a regression."""
        is_class = self.model is not None and self.model.n_classes is not None
        return None if self._labels is None else np.array(self._labels, np.int64 if is_class else np.float64)

    def _followed(self, model: Model) -> PoolLogits:
        def exact(first: int, last: int) -> Float64:
            assert self.model is not None
            return self.model.logits(self._held.X_MD[first:last])

        H_MD = last_hidden(model, self._held.X_MD)
        return PoolLogits(H_MD, len(model.head.W_CD1), exact, 1.0 / model.temperature)
