"""A pool that is asked and told one item at a time: each label moves the model, and the next choice sees the moved model.

No strategy is named here. A pointwise strategy scores every open row from logits that follow the model by rank-one moves
(numerics/pool_logits.py); the best few are then scored anew from the model's own weights, so what is chosen, and its score, is
what a selection from scratch would give. What else a strategy needs of each row is kept from label to label (_kept.py). A batch
strategy is asked for what is wanted on a view of the moment, unless it declares a pointwise one for batches of one.
Source: Huseljic et al., Efficient Bayesian Updates for Deep Active Learning via Laplace Approximations, ECML-PKDD 2025, section 5.2.
Cost: a label one update of the model; a choice one pass over features and logits for strategies that score, 2 N (D + C) flops and
the strategy's own; a batch strategy's own cost otherwise. Memory: features and logits of the candidates, N (D + C).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.errors import DataError
from alcli.heads._contract import Training
from alcli.heads._model import Model
from alcli.numerics.blocks import workers
from alcli.numerics.pool_logits import PoolLogits
from alcli.strategies._contract import Selection, Strategy, finite32, select
from alcli.strategies._held import HeldRows
from alcli.strategies._kept import KEPT, Kept
from alcli.strategies._now import Now, last_hidden
from alcli.strategies._view import Source, View

_NOTHING = Selection(np.empty(0, np.int64), np.empty(0, np.float32))
_SLACK = {4: 1e-4, 8: 1e-9}  # by bytes of a number: how far the followed logits may be from the model's own
_MOST_CONTENDERS = 4096


class Live:
    """Candidates of a source, and a model that learns as they are labelled.

    candidates, labelled: row numbers; a row told or skipped is asked for no more. model: None for strategies that need none.
    n_classes: of the labels that will be told. Deterministic: the same labels in the same order give the same choices.
    """

    def __init__(
        self, source: Source, candidates: Int64, labelled: Int64, model: Model | None, strategy: Strategy, *,
        seed: int = 0, options: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self._strategy, self._seed, self._options = strategy, seed, dict(options or {})
        self._scorer = strategy if strategy.pointwise else strategy.single
        known = np.asarray(labelled, np.int64)
        self._held = HeldRows(source, np.concatenate([candidates, known]) if "labelled" in strategy.needs else candidates)
        self._open_M = ~np.isin(self._held.rows_M, known)
        self._labelled = known.tolist()
        self._kept: dict[str, Kept] = {}
        self._logits = self._followed(model) if model is not None and strategy.needs_head else None

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
            return _NOTHING
        if self._scorer is not None and (k == 1 or self._strategy.pointwise):
            return self._best(k, self._scorer)
        if self._logits is not None and not self._logits.current:
            self._pass(lambda a, b: None)
        view = Now(self._held, np.flatnonzero(self._open_M), np.array(self._labelled, np.int64), self.model, self._logits)
        return select(self._strategy, view, k, seed=self._seed, options=self._options)

    def predictive(self, row: int) -> Float64:
        """Log class probabilities of a row, averaged over the posterior, by the model of the moment; shape [C]."""
        assert self.model is not None
        return self.model.predictive(self._held.take(np.array([row])))[0]  # type: ignore[no-any-return]

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
        for kept in self._kept.values():
            kept.tell(row)
        self._labelled.append(row)
        self.skip(row)

    def features(self, rows: Int64) -> Floats:
        """The features of rows of the source, in that order; those of candidates come from memory."""
        return self._held.take(np.asarray(rows, np.int64))

    def skip(self, row: int) -> None:
        """Do not choose this row again."""
        self._open_M[self._held.rows_M == row] = False

    def _followed(self, model: Model) -> PoolLogits:
        def exact(first: int, last: int) -> Float64:
            assert self.model is not None
            return self.model.logits(self._held.X_MD[first:last])

        H_MD = last_hidden(model, self._held.X_MD)
        return PoolLogits(H_MD, len(model.head.W_CD1), exact, 1.0 / model.temperature)

    def _pass(self, look: Callable[[int, int], None]) -> None:
        """Call look(first, last) for blocks of rows that cover the pool, their logits up to date."""
        with workers() as spread:
            if self._logits is None:
                spread(len(self._open_M), look)
            else:
                self._logits.visit(look, spread)

    def _scores(self, scorer: Strategy) -> Float64:
        """A pointwise strategy's score of every held row by the followed logits; -inf for rows that are closed."""
        scores_M = np.empty(len(self._open_M))
        logits = self._logits
        for need in KEPT.keys() & set(scorer.needs) - self._kept.keys():
            self._kept[need] = KEPT[need](self._held, np.array(self._labelled, np.int64))

        def look(a: int, b: int) -> None:
            def made(need: str) -> Any:
                if need in self._kept:
                    return self._kept[need].of(slice(a, b))
                if need == "features" or logits is None:
                    return self._held.X_MD[a:b]
                return logits.logits(a, b) if need == "logits" else logits.log_probs(a, b)

            scores_M[a:b] = self._score(scorer, self._held.rows_M[a:b], made)

        self._pass(look)
        scores_M[~self._open_M] = -np.inf
        return scores_M

    def _score(self, scorer: Strategy, rows_B: Int64, made: Callable[[str], Any]) -> Float64:
        """The score of rows. made: what the strategy needs of them, by name."""
        extra = {"seed": self._seed} if scorer.random else {}
        block = (self._held.row_keys(rows_B) if need == "row_key" else made(need) for need in scorer.needs)
        scores_B: Float64 = scorer.run(*block, **extra, **self._options)
        if not np.isfinite(scores_B).all():
            row = int(rows_B[~np.isfinite(scores_B)][0])
            raise DataError(f"{self._held.describe(row)}: the score is not a finite number")
        return scores_B

    def _best(self, k: int, scorer: Strategy) -> Selection:
        """The best k open rows. Those of scores that follow no head are known unless others are as near as rounding."""
        scores_M = self._scores(scorer)
        places = self._contenders(k, scores_M, scorer)
        if scorer.needs_head or len(places) > k:
            return self._rescored(k, places, scorer)
        return self._ordered(k, places, scores_M[places], scorer)

    def _contenders(self, k: int, scores_M: Floats, scorer: Strategy) -> Int64:
        """Places of the rows that can be among the best k, given how exact the scores are, in the order of their ids."""
        kth = float(-np.partition(-scores_M, k - 1)[k - 1])
        slack = abs(kth) * 2.0**-23  # what is compared as float32 can be a tie
        if self._logits is not None:
            slack += _SLACK[self._logits.Z_NC.dtype.itemsize] * max(1.0, abs(kth))
        slack += sum(self._kept[need].error(kth) for need in scorer.needs if need in self._kept)
        places = np.flatnonzero(scores_M >= kth - slack)
        if len(places) > (most := max(k, _MOST_CONTENDERS)):  # a plateau: the best, then the first by id
            places = np.sort(places[np.argsort(-scores_M[places], kind="stable")[:most]])
        return places

    def _rescored(self, k: int, places: Int64, scorer: Strategy) -> Selection:
        """The best k of these rows by the model's own weights and a view of the moment."""
        rows = self._held.rows_M[places]

        def made(need: str) -> Any:
            if need in self._kept:
                return View(self._held, rows, np.array(self._labelled, np.int64)).matrix(need)
            X_BD, model = self._held.X_MD[places], self.model
            if need == "features" or model is None:
                return X_BD
            return model.logits(X_BD) if need == "logits" else model.log_probs(X_BD)

        return self._ordered(k, places, self._score(scorer, rows, made), scorer)

    def _ordered(self, k: int, places: Int64, scores: Float64, scorer: Strategy) -> Selection:
        """The best k, ties by id. Scores are compared as float32, but those of a batch strategy without a head as they are, as it does."""
        rounded = finite32(scores)
        compared = rounded if self._strategy.pointwise or scorer.needs_head else scores
        best = np.argsort(-compared, kind="stable")[:k]
        return Selection(self._held.rows_M[places[best]], rounded[best])
