"""The ranking of rows by a pointwise strategy while labels come one at a time.

Every open row is scored from logits that follow the model by rank-one moves (numerics/last_layer/pool_logits.py), and
from numbers that are kept from label to label (row_values.py). Then the best few rows are scored again from the model's
own weights. So the chosen rows and their scores are what a selection from scratch would give.

A strategy may declare a bound on how far its score moves with the class probabilities (`modulus` in
selection/strategy.py). An old score plus the bound is then an upper bound on the present score, and only the rows whose
upper bound reaches the best scores are scored at all.

N is the number of held rows; a place is an index into `HeldRows.rows_M`.

Source: lazy evaluation as in Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions", with
bounds that moves of the model widen (numerics/last_layer/probability_drift.py).
Cost: one pass over features and logits, 2 N (D + 2 C) flops, and the cost of the strategy for the rows that it scores.
Memory: N (D + 2 C) numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.errors import DataError
from alcli.heads._model import Model
from alcli.live.held import FOLLOWED, HeldRows
from alcli.live.row_values import LASTING, ROW_VALUES, RowValue
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.last_layer.pool_logits import PoolLogits
from alcli.numerics.last_layer.probability_drift import ProbabilityDrift
from alcli.selection.order import best_first, finite32, tie_keys
from alcli.selection.strategy import Selection, Strategy
from alcli.selection.view import View

# The needs that a loop can follow
_RANKED = FOLLOWED | {"features", "row_key"} | ROW_VALUES.keys()
# By the size of a number in bytes: the allowance for errors of scores from followed logits, relative to a score of 1.
_SLACK = {4: 1e-4, 8: 1e-9}
# Rows that are scored again from the weights, unless more are asked for.
_MOST_CONTENDERS = 4096
# Rows of largest upper bound that are scored first, to find the score that other rows must reach.
_FIRST = 256


@dataclass(frozen=True)
class Moment:
    """The state of the loop that a choice depends on.

    open_M: a mask of the open rows among the held rows. labelled: row numbers. model: the present model.
    """

    open_M: Array
    labelled: Int64
    model: Model | None


def can_rank(scorer: Strategy | None) -> bool:
    """True for a pointwise strategy whose needs a loop can follow."""
    return scorer is not None and scorer.pointwise and _RANKED.issuperset(scorer.needs)


def _is_bounded(scorer: Strategy) -> bool:
    """True where old scores bound new scores: the strategy has a modulus, and labels change only its `log_probs`."""
    return (
        scorer.modulus is not None
        and "log_probs" in scorer.needs
        and LASTING.issuperset(set(scorer.needs) - {"log_probs"})
    )


class Ranking:
    """Ranks held rows by a strategy for which `can_rank` is true.

    logits: the followed logits of the held rows; None where the strategy reads none. rounded: scores are compared as
    float32, as in selection/order.py.
    """

    def __init__(
        self,
        held: HeldRows,
        scorer: Strategy,
        logits: PoolLogits | None,
        *,
        seed: int,
        options: Mapping[str, Any],
        rounded: bool,
    ) -> None:
        self._held, self._scorer, self._logits, self._rounded = held, scorer, logits, rounded
        if logits is not None and _is_bounded(scorer):
            n, n_classes = logits.Z_NC.shape
            logits.drift = ProbabilityDrift(n, n_classes, logits.Z_NC.dtype)
        self._options = {**options, **({"seed": seed} if scorer.random else {})}
        self._tie_keys = tie_keys(held, seed=seed, drawn=scorer.ties_drawn)
        self._row_values: dict[str, RowValue] = {}
        self._scores_M: Float64 = np.full(len(held.rows_M), np.inf)

    def tell(self, row: int) -> None:
        """Take note that a row of the source was labelled."""
        for value in self._row_values.values():
            value.tell(row)

    def best(self, k: int, now: Moment) -> Selection:
        """Choose the best k open rows.

        Scores that depend on the head are always computed again from the model. Scores without a head are exact, unless
        more than k rows are within rounding of the kth score.
        """
        for need in ROW_VALUES.keys() & set(self._scorer.needs) - self._row_values.keys():
            self._row_values[need] = ROW_VALUES[need](self._held, now.labelled, now.model)
        places = self._contenders(k, self._update_scores(k, now))
        if self._scorer.needs_head or len(places) > k:
            return self._rescored(k, places, now)
        return self._ordered(k, places, self._scores_M[places])

    # -- scores from followed logits and kept numbers --------------------------------------------------------------

    def _update_scores(self, k: int, now: Moment) -> Int64:
        """Bring the scores up to date at least for every open row that can be among the best k; return their places."""
        with workers() as spread:
            if self._logits is not None and self._logits.drift is not None:
                return self._update_by_bounds(k, now, self._logits, self._logits.drift, spread)

            def look(a: int, b: int) -> None:
                self._scores_M[a:b] = self._followed_scores(slice(a, b))

            if self._logits is None:
                spread(len(self._scores_M), look)
            else:
                self._logits.visit(look, spread)
        return np.flatnonzero(now.open_M)

    def _update_by_bounds(
        self, k: int, now: Moment, logits: PoolLogits, drift: ProbabilityDrift, spread: Spread
    ) -> Int64:
        """Update the scores of the open rows whose upper bound reaches the kth best score; return their places.

        The rows of largest upper bound are scored first. The kth best of their scores is the score that other rows must
        reach. A row whose probabilities have not moved keeps its old score.
        """
        logits.visit(lambda a, b: None, spread)
        modulus = self._scorer.modulus
        assert modulus is not None
        others = (self._row_values[need].of(slice(None)) for need in self._scorer.needs if need in self._row_values)
        reach_M = np.where(now.open_M, self._scores_M + modulus(drift.l1_N, logits.Z_NC.shape[1], *others), -np.inf)

        def scored(least: float) -> Int64:
            can_win = np.flatnonzero(reach_M >= least)
            places = can_win[drift.l1_N[can_win] > 0.0]

            def work(first: int, last: int) -> None:
                for a in range(first, last, BLOCK_ROWS):
                    part = places[a : min(a + BLOCK_ROWS, last)]
                    log_probs_BC = logits.log_probs(part)
                    self._scores_M[part] = self._followed_scores(part, log_probs_BC)
                    drift.note(part, log_probs_BC)

            spread(len(places), work)
            return can_win

        first = scored(_largest(max(k, _FIRST), reach_M))
        kth = _largest(k, self._scores_M[first[now.open_M[first]]])
        return scored(kth - self._slack(kth))

    def _followed_scores(self, places: slice | Int64, log_probs_BC: Floats | None = None) -> Float64:
        """The scores of held rows from followed logits and kept numbers. log_probs_BC: given where they are known."""

        def made(need: str) -> Any:
            if need in self._row_values:
                return self._row_values[need].of(places)
            if need == "features" or self._logits is None:
                return self._held.X_MD[places]
            if need == "logits":
                return self._logits.logits(places)
            return self._logits.log_probs(places) if log_probs_BC is None else log_probs_BC

        return self._score(self._held.rows_M[places], made)

    def _score(self, rows_B: Int64, made: Callable[[str], Any]) -> Float64:
        """The scores of rows of the source. made: from a need to its array for the rows; `row_key` is made here.

        Raises DataError for a score that is not finite.
        """
        block = (self._held.row_keys(rows_B) if need == "row_key" else made(need) for need in self._scorer.needs)
        scores_B: Float64 = self._scorer.run(*block, **self._options)
        if not np.isfinite(scores_B).all():
            row = int(rows_B[~np.isfinite(scores_B)][0])
            raise DataError(f"{self._held.describe(row)}: the score is not a finite number")
        return scores_B

    # -- the best rows, exactly ------------------------------------------------------------------------------------

    def _slack(self, kth: float) -> float:
        """A bound on the errors of scores: one of the best k rows may have a score below `kth` by this much."""
        # Scores that differ by less than the rounding to float32 can be a tie.
        slack = abs(kth) * 2.0**-23
        if self._logits is not None:
            slack += _SLACK[self._logits.Z_NC.dtype.itemsize] * max(1.0, abs(kth))
        return slack + sum(self._row_values[need].error(kth) for need in self._scorer.needs if need in self._row_values)

    def _contenders(self, k: int, places: Int64) -> Int64:
        """The places of the rows that can be among the best k, given the errors of scores, in the order of their ids.

        Where very many rows have equal scores, the first by id are enough. Where ties are drawn, all of them take part
        in the draw.
        """
        kth = _largest(k, self._scores_M[places])
        places = places[self._scores_M[places] >= kth - self._slack(kth)]
        if len(places) > (most := max(k, _MOST_CONTENDERS)) and not self._scorer.ties_drawn:
            places = np.sort(places[np.argsort(-self._scores_M[places], kind="stable")[:most]])
        return places

    def _rescored(self, k: int, places: Int64, now: Moment) -> Selection:
        """Choose the best k of the rows at `places`, scored again from the model's own weights and a new view."""
        rows = self._held.rows_M[places]

        def made(need: str) -> Any:
            if need in self._row_values:
                return View(self._held, rows, now.labelled, now.model).matrix(need)
            X_BD, model = self._held.X_MD[places], now.model
            if need == "features" or model is None:
                return X_BD
            return model.logits(X_BD) if need == "logits" else model.log_probs(X_BD)

        return self._ordered(k, places, self._score(rows, made))

    def _ordered(self, k: int, places: Int64, scores: Float64) -> Selection:
        """The best k of the rows at `places`, in the order of selection/order.py."""
        rounded = finite32(scores)
        best = best_first(rounded if self._rounded else scores, self._tie_keys(self._held.rows_M[places]))[:k]
        return Selection(self._held.rows_M[places[best]], rounded[best])


def _largest(k: int, values: Floats) -> float:
    """The kth largest of `values`; the least where there are fewer than k."""
    place = max(len(values) - k, 0)
    return float(np.partition(values, place)[place])
