"""Several strategies filter the pool, then uherding picks.

In each round every strategy picks some batches, each from a random part of the candidates. The union of all
picks are the candidates of the next round; a part is then the share `alpha` of the candidates. After the last
round `uherding` picks the batch from the candidates.

Source: Huseljic et al. 2026, "Cleaning the pool: progressive filtering of unlabeled pools in deep active
learning" (REFINE), with the defaults of its code: 5 rounds, parts of 5,000 at first, then the share 0.4 of
the candidates, at most 10,000 candidates between rounds.
Deviations: four strategies of the code's nine by default, and 3 batches of each a round where the code makes
100 in all. Union and time grow with the number of batches; -p batches=25 is the published number. Parts are
drawn from the whole pool, and a part that would be larger than the candidates is all of them.
Cost: rounds * batches selections by each strategy from a part of the pool. Memory: the features and class
probabilities of all candidates and of a part.
Passes: 1.

Options:
    filters: names of the strategies that filter, joined by +.
    rounds: number of rounds of filtering.
    batches: number of batches that each strategy picks in a round.
    alpha: share of the candidates that a part holds, from the second round on.
    candidates: number of candidates that a part holds in the first round, at least the batch size.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np

from alcli.arrays import Int64
from alcli.errors import UsageError
from alcli.selection.conditions import where
from alcli.selection.options import Count, at_least, share
from alcli.selection.select import select
from alcli.selection.strategy import Selection, batch, strategy_of
from alcli.selection.view import View
from alcli.strategies import (
    badge,
    coreset,
    dropquery,
    entropy,
    falcun,
    kmeans,
    least_confident,
    margin,
    maxherding,
    random,
    tcm,
    typiclust,
    uherding,
)

_FILTERS = {
    module.__name__.rpartition(".")[2].replace("_", "-"): strategy_of(module)
    for module in (
        badge,
        coreset,
        dropquery,
        entropy,
        falcun,
        kmeans,
        least_confident,
        margin,
        maxherding,
        random,
        tcm,
        typiclust,
        uherding,
    )
}
_MOST = 10_000  # candidates between rounds


@batch(needs=["features", "labelled", "hidden", "log_probs", "row_key"], random=True, of_means=True)
def refine(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    filters: Annotated[str, _known] = "margin+badge+typiclust+dropquery",
    rounds: Count = 5,
    batches: Count = 3,
    alpha: Annotated[float, share, where("with rounds above 1", lambda now: now.options["rounds"] > 1, "rounds")] = 0.4,
    candidates: Count = 5000,
) -> Selection:
    """Pick k of the rows that remain after filtering. Scores: as in `uherding`."""
    at_least(1, rounds=rounds, batches=batches, candidates=candidates)
    _known(filters=filters)
    share(alpha=alpha)
    rows, size, record = view.rows, max(k, candidates), {}
    # All parts share the features and the probabilities, which are computed once here.
    for need in ("features", "log_probs"):
        view.matrix(need)
    for i in range(rounds):
        rows = _filtered(view, rows, k, min(size, len(rows)), filters.split("+"), batches, rng)
        size = max(k, int(alpha * len(rows)))
        record[f"candidates-{i + 1}"] = len(rows)
    chosen = select(_FILTERS["uherding"], view.among(rows), k, seed=_seed(rng), options={})
    return replace(chosen, record={**chosen.record, **record})


def _known(*, filters: str) -> None:
    """Raise UsageError for a list with a name of no strategy that can filter."""
    for name in filters.split("+"):
        if name not in _FILTERS:
            raise UsageError(
                f"parameter 'filters': '{name}' cannot filter", hint=f"join some of {', '.join(_FILTERS)} by +"
            )


def _filtered(
    view: View, rows: Int64, k: int, size: int, filters: list[str], batches: int, rng: np.random.Generator
) -> Int64:
    """The union of the rows that the strategies pick from random parts of the candidates, in the order of their ids."""
    picked = [
        select(_FILTERS[name], view.among(rng.permutation(rows)[:size]), k, seed=_seed(rng), options={}).rows_K
        for name in filters
        for _ in range(batches)
    ]
    union = rows[np.isin(rows, np.concatenate(picked))]
    return union if len(union) <= _MOST else union[np.sort(rng.permutation(len(union))[:_MOST])]


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 62))
