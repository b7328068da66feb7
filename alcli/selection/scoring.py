"""Scores of a pointwise strategy over ranges of rows, in other processes, which read the rows from files themselves.

A shard scores its candidates block by block and keeps those that can be among the best, with all that tie at the
border. The caller ranks what the shards found, and resolves ties by the ids, which no shard reads. The blocks are those
of a pass over all rows, so no score depends on the shards.

Where rows cannot be read from local files, where rows make groups, where a strategy reads ids alone, and where the
strategy or the head is of a file that other processes cannot import, the rows are scored in this process.
Memory: a bit for each row, 8 bytes more where the strategy reads `row_key`, and two blocks of features a shard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from alcli.arrays import Array, Float32, Floats, Int64
from alcli.engine.sending import can_be_sent
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.teams import Blueprint, current_engine
from alcli.remarks import steps
from alcli.selection.needs import OF_IDS, Answers
from alcli.selection.order import TopK, finite32
from alcli.selection.view import View

# The shards report so many times, so that the progress shows.
_ROUNDS = 32

# Rows that can be among the best, their scores, and their features or None.
Found: TypeAlias = tuple[Int64, Float32, Floats | None]


def found_apart(
    view: View, score: Callable[..., Any], needs: tuple[str, ...], k: int, *, features: bool
) -> list[Found] | None:
    """Score all candidates of a view in the processes of the engine; return what each shard found.

    score, needs: a pointwise strategy with its options. None where this process is to score them. Raises what
    `View.scores` does.
    """
    answers, engine = view._answers, current_engine()
    if not engine.apart or OF_IDS.issuperset(needs) or answers.row_keys is not None:
        return None
    cuts = answers.source.cuts()
    if cuts is None or len(cuts) < 3 or not can_be_sent(score, answers.head):
        return None
    source, with_keys = answers.source, "row_key" in needs
    is_candidate_N = np.zeros(source.n, bool)
    is_candidate_N[view._candidates] = True
    sent = answers.for_needs(needs)

    def part(first: int, last: int) -> Blueprint:
        # A piece between two cuts counts as a block of rows.
        a, b = cuts[first // BLOCK_ROWS], cuts[last // BLOCK_ROWS]
        rows = source.part(a, b, with_keys=with_keys)
        mask = np.packbits(is_candidate_N[a:b])
        return Blueprint(ScoreShard, (replace(sent, source=rows), a, b, mask, score, needs, k, features))

    with engine.team((len(cuts) - 1) * BLOCK_ROWS, part) as team:
        for round in steps(range(_ROUNDS), "scoring", _ROUNDS):
            team.tell("advance", round)
        answers_of_shards = team.ask("found")
    source.hear([told for _, told in answers_of_shards])
    return [found for found, _ in answers_of_shards]


class ScoreShard:
    """Rows a..b of a source, of which the best candidates are kept. mask: bits of the candidates among them."""

    def __init__(
        self,
        spread: Spread,
        answers: Answers,
        a: int,
        b: int,
        mask: Array,
        score: Callable[..., Any],
        needs: tuple[str, ...],
        k: int,
        features: bool,
    ) -> None:
        rows = np.flatnonzero(np.unpackbits(mask, count=b - a)) + a
        view = View(answers.source, rows, rows[:0])
        view._answers = answers
        self._source: Any = answers.source
        self._n = len(rows)
        self._best = TopK(k, view.row_keys)
        self._scores: Iterator[Any] = view.scores(score, needs, features=features)
        self._n_done = 0

    def advance(self, round: int) -> None:
        """Score a share of the candidates, all that are left in the last round."""
        goal = self._n * (round + 1) // _ROUNDS if round + 1 < _ROUNDS else self._n + 1
        while self._n_done < goal:
            block = next(self._scores, None)
            if block is None:
                return
            rows_B, scores_B, X_BD = block
            self._best.offer(rows_B, finite32(scores_B), X_BD)
            self._n_done += len(rows_B)

    def found(self) -> tuple[Found, dict[str, str]]:
        """The rows that can be among the best, and what the source found odd, by kind."""
        return self._best.open(), self._source.told
