"""The best rows by a pointwise strategy while labels come one at a time.

Every open row is scored from what follows the model by rank-one moves (numerics/last_layer/pool_logits.py) or is kept from label to label
(_kept.py); the best few are then scored anew from the model's own weights, so what is chosen, and its score, is what a
selection from scratch would give. Where the strategy says how far its score can move with the probabilities (_continuous.py), only
rows that can have become one of the best are scored at all: a score that is old, and what may have been added since, bounds it.
Source: lazy evaluation as in Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions", with bounds that
moves of the model widen (numerics/last_layer/probability_drift.py).
Cost: one pass over features and logits, 2 N (D + 2 C) flops, and the strategy's own for the rows that it scores. Memory: N (D + 2 C).
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
from alcli.live.row_values import KEPT, LASTING, Kept
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.last_layer.pool_logits import PoolLogits
from alcli.numerics.last_layer.probability_drift import ProbabilityDrift
from alcli.selection.order import best_first, finite32, tie_keys
from alcli.selection.strategy import Selection, Strategy
from alcli.selection.view import View

_RANKED = FOLLOWED | {"features", "row_key"} | KEPT.keys()
_SLACK = {4: 1e-4, 8: 1e-9}  # by bytes of a number: how far the followed logits may be from the model's own
_MOST_CONTENDERS = 4096
_FIRST = 256  # rows that are scored to learn what the others must reach


@dataclass(frozen=True)
class Moment:
    """What a choice depends on beside the rows: which of those held are open, which rows are labelled, the model."""

    open_M: Array
    labelled: Int64
    model: Model | None


def can_rank(scorer: Strategy | None) -> bool:
    """Whether a strategy is pointwise and asks for nothing that a loop cannot follow."""
    return scorer is not None and scorer.pointwise and _RANKED.issuperset(scorer.needs)


def _is_bounded(scorer: Strategy) -> bool:
    """Whether old scores bound new ones: the strategy says how, and looks at nothing else that labels change."""
    return (
        scorer.modulus is not None
        and "log_probs" in scorer.needs
        and LASTING.issuperset(set(scorer.needs) - {"log_probs"})
    )


class Ranking:
    """Ranks held rows by a strategy for which `can_rank`. rounded: scores are compared as float32."""

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
        self._kept: dict[str, Kept] = {}
        self._scores_M: Float64 = np.full(len(held.rows_M), np.inf)

    def tell(self, row: int) -> None:
        """This row of the source was labelled."""
        for kept in self._kept.values():
            kept.tell(row)

    def best(self, k: int, now: Moment) -> Selection:
        """The best k open rows. Those of scores that follow no head are known unless others are as near as rounding."""
        for need in KEPT.keys() & set(self._scorer.needs) - self._kept.keys():
            self._kept[need] = KEPT[need](self._held, now.labelled, now.model)
        places = self._contenders(k, self._scored(k, now))
        if self._scorer.needs_head or len(places) > k:
            return self._rescored(k, places, now)
        return self._ordered(k, places, self._scores_M[places])

    # -- scores by what is followed and kept ------------------------------------------------------------------------------------

    def _scored(self, k: int, now: Moment) -> Int64:
        """Bring _scores_M up to date for the open rows that can be among the best k, at least; their places."""
        with workers() as spread:
            if self._logits is not None and self._logits.drift is not None:
                return self._those_that_can_win(k, now, self._logits, self._logits.drift, spread)

            def look(a: int, b: int) -> None:
                self._scores_M[a:b] = self._followed_scores(slice(a, b))

            if self._logits is None:
                spread(len(self._scores_M), look)
            else:
                self._logits.visit(look, spread)
        return np.flatnonzero(now.open_M)

    def _those_that_can_win(
        self, k: int, now: Moment, logits: PoolLogits, drift: ProbabilityDrift, spread: Spread
    ) -> Int64:
        """A few rows that reach farthest say what the others must reach; those that do are scored, where they are not as they were."""
        logits.visit(lambda a, b: None, spread)
        modulus = self._scorer.modulus
        assert modulus is not None
        others = (self._kept[need].of(slice(None)) for need in self._scorer.needs if need in self._kept)
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
        def made(need: str) -> Any:
            if need in self._kept:
                return self._kept[need].of(places)
            if need == "features" or self._logits is None:
                return self._held.X_MD[places]
            if need == "logits":
                return self._logits.logits(places)
            return self._logits.log_probs(places) if log_probs_BC is None else log_probs_BC

        return self._score(self._held.rows_M[places], made)

    def _score(self, rows_B: Int64, made: Callable[[str], Any]) -> Float64:
        """The score of rows. made: what the strategy needs of them, by name."""
        block = (self._held.row_keys(rows_B) if need == "row_key" else made(need) for need in self._scorer.needs)
        scores_B: Float64 = self._scorer.run(*block, **self._options)
        if not np.isfinite(scores_B).all():
            row = int(rows_B[~np.isfinite(scores_B)][0])
            raise DataError(f"{self._held.describe(row)}: the score is not a finite number")
        return scores_B

    # -- the best of them, exactly ----------------------------------------------------------------------------------------------

    def _slack(self, kth: float) -> float:
        """How far below the kth score that of one of the best k may be, given how exact the scores are."""
        slack = abs(kth) * 2.0**-23  # what is compared as float32 can be a tie
        if self._logits is not None:
            slack += _SLACK[self._logits.Z_NC.dtype.itemsize] * max(1.0, abs(kth))
        return slack + sum(self._kept[need].error(kth) for need in self._scorer.needs if need in self._kept)

    def _contenders(self, k: int, places: Int64) -> Int64:
        """The places of rows that can be among the best k, given how exact the scores are, in the order of their ids.

        On a plateau the first by id are enough; where ties are drawn, every row of the plateau takes part in the draw.
        """
        kth = _largest(k, self._scores_M[places])
        places = places[self._scores_M[places] >= kth - self._slack(kth)]
        if len(places) > (most := max(k, _MOST_CONTENDERS)) and not self._scorer.ties_drawn:
            places = np.sort(places[np.argsort(-self._scores_M[places], kind="stable")[:most]])
        return places

    def _rescored(self, k: int, places: Int64, now: Moment) -> Selection:
        """The best k of these rows by the model's own weights and a view of the moment."""
        rows = self._held.rows_M[places]

        def made(need: str) -> Any:
            if need in self._kept:
                return View(self._held, rows, now.labelled, now.model).matrix(need)
            X_BD, model = self._held.X_MD[places], now.model
            if need == "features" or model is None:
                return X_BD
            return model.logits(X_BD) if need == "logits" else model.log_probs(X_BD)

        return self._ordered(k, places, self._score(rows, made))

    def _ordered(self, k: int, places: Int64, scores: Float64) -> Selection:
        """The best k of these places, in the order of `selection/order.py`."""
        rounded = finite32(scores)
        best = best_first(rounded if self._rounded else scores, self._tie_keys(self._held.rows_M[places]))[:k]
        return Selection(self._held.rows_M[places[best]], rounded[best])


def _largest(k: int, values: Floats) -> float:
    """The kth largest; the least where there are fewer."""
    place = max(len(values) - k, 0)
    return float(np.partition(values, place)[place])
