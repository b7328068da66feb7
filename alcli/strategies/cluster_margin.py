"""Rows of small margin, one of each cluster in turn, small clusters first.

The margins of all candidates are looked at; clusters are those of average linkage among the factor * K rows of smallest margin and random
others, so many as `candidates` says.

Source: Citovsky, DeSalvo, Gentile, Karydas, Rajagopalan, Rostamizadeh & Kumar 2021, "Batch active learning at scale" (Cluster-Margin), Alg. 1
and 2. Deviations: the paper clusters the whole pool once for all rounds, here the clusters follow from each query alone; without eps, which
the paper sets to leave enough clusters, merging stops at as many clusters as rows asked for, and never goes on beyond that.
Cost: the head's predictions for N rows, then M^2 D flops and M^2 steps for M = min(N, candidates) rows; memory 8 M^2 bytes (0.8 GB for 10,000).
Passes: 1.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from alcli.errors import UsageError
from alcli.numerics.linkage import average_clusters, in_turns
from alcli.strategies._checks import positive, positive_where_given
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._view import View
from alcli.strategies.margin import margin

_MOST = 20_000


def _linked(**options: int) -> None:
    """Raise UsageError for a number of rows that cannot be linked."""
    for name, value in options.items():
        if not 1 <= value <= _MOST:
            raise UsageError(f"parameter '{name}' must be at least 1 and at most {_MOST:,}, as the distances of all pairs are held, got {value}")


@batch(needs=["features", "log_probs"], random=True)
def cluster_margin(
    view: View, k: int, *, rng: np.random.Generator, factor: Annotated[float, positive] = 10.0, eps: Annotated[float | None, positive_where_given] = None,
    candidates: Annotated[int, _linked] = 10_000,
) -> Selection:
    """Scores: 1 - (p_1 - p_2). factor: so many times the batch are rows of small margin. eps: mean distance up to which clusters merge.

    candidates: rows that are clustered, at least those of small margin. Raises UsageError where these are too many.
    """
    positive(factor=factor)
    positive_where_given(eps=eps)
    _linked(candidates=candidates)
    scores_N = finite32(view.reduced(margin, "log_probs"))
    order_N = np.argsort(-scores_N, kind="stable")
    small_M = order_N[: max(k, round(min(factor * k, view.n)))]
    if len(small_M) > _MOST:
        raise UsageError(f"{len(small_M):,} rows of small margin are too many to cluster (at most {_MOST:,})", hint="lower -p factor, or ask for fewer rows")
    others = rng.permutation(order_N[len(small_M) :])[: max(candidates - len(small_M), 0)]
    labels = average_clusters(view.matrix("features")[np.append(small_M, others)], at_least=k, eps=eps)
    picks_K = small_M[in_turns(labels[: len(small_M)], k, rng)]
    return Selection(view.rows[picks_K], scores_N[picks_K], record={"clusters": int(labels.max()) + 1})
