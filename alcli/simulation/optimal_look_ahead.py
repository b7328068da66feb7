"""Optimal look-ahead, an upper baseline: of many batches, the one whose true labels improve the head most.

It knows the true labels of its candidates and of the rows by which it judges, so it is an oracle and not a strategy
for real work. It is strongest one label at a time, as `optimal-look-ahead+update`: it then tries thousands of single
rows, where a batch can be made in many more ways than it can try. Cross-entropy tells rows apart where accuracy ties.
It is the best of what it tries, so a good strategy can still be better. The judging rows are drawn once a seed from
the rows to choose from. They are not asked for while other candidates are left, and are never test rows.
Source: Huseljic et al. 2025, section 5.3 (2,000 random batches, accuracy). From its published code: cross-entropy, and
the mixed proposal of a third random, a third one row per k-means cluster, a third from the rows whose margin is more
uncertain than the mean.
Cost: 2 J N D1 + 2 B J K C flops in float32 for B batches of K rows, J judging rows and N distinct candidates in the
batches, after (J + N) D1^2 in float64; memory N J + (N + J) D1 floats.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Literal

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.errors import UsageError
from alcli.numerics.diversity.kmeans import k_means
from alcli.numerics.last_layer.implicit_shared import implicit_shared
from alcli.numerics.last_layer.many_batches import Score, Step, batch_coefficients, judge, whitened
from alcli.numerics.logistic import one_hot
from alcli.posteriors._contract import Link, mean_of
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.options import Count, at_least
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection
from alcli.simulation.round import RoundState
from alcli.strategies.margin import margin

Proposal = Literal["random", "mixed"]
Rng = np.random.Generator


def optimal_look_ahead(
    state: RoundState,
    k: int,
    *,
    rng: Rng,
    batches: Count = 2000,
    proposal: Proposal = "random",
    score: Score = "cross-entropy",
) -> Selection:
    """Choose the best of `batches` batches of k candidates; every row has the score of the batch.

    All batches are judged if there are no more than `batches`. If fewer than k candidates are left beside the judging
    rows, those candidates are chosen first, then judging rows, which are in random order.
    """
    at_least(1, batches=batches)
    candidates = state.candidates
    open_N = state.source.sorted_by_id(candidates[~np.isin(candidates, state.judges)])
    if len(open_N) <= k or len(state.judges) == 0:
        rows = np.concatenate([open_N, state.judges[np.isin(state.judges, candidates)]])[:k]
        return Selection(rows, np.zeros(len(rows), np.float32))
    drawn_BK = proposals(state, open_N, k, batches, proposal, rng)
    scores_B = score_batches(state, open_N, drawn_BK, score)
    best = int(scores_B.argmax())
    return Selection(open_N[drawn_BK[best]], finite32(np.full(k, scores_B[best])))


def score_batches(
    state: RoundState, rows_N: Int64, batches_BK: Int64, score: Score, dtype: type[np.floating] = np.float32
) -> Float64:
    """Score the head on the judging rows after it absorbs each batch, one row after another, float64 [B].

    batches_BK: indices into rows_N.
    """
    model, posterior = state.model, shared_posterior(state)
    used, where = np.unique(batches_BK, return_inverse=True)
    batches_BK = where.reshape(batches_BK.shape)
    X_ND, X_JD = state.source.take(rows_N[used]), state.source.take(state.judges)
    root_ND, root_JD = (whitened(posterior.factor, model.head.last_layer(X), dtype) for X in (X_ND, X_JD))
    y_N, y_J = state.oracle.truth(rows_N[used]), state.oracle.truth(state.judges)
    logits_NC, targets_NC = model.head.logits(X_ND), one_hot(y_N, model.head.W_CD1.shape[0])
    roots_BKD = root_ND[batches_BK]
    coefficients_BKC = batch_coefficients(
        np.matmul(roots_BKD, roots_BKD.transpose(0, 2, 1)).astype(np.float64),
        logits_NC[batches_BK],
        targets_NC[batches_BK],
        posterior.curvature,
        _step(model.head.link, model.gamma, posterior.curvature),
    )
    logits_CJ = np.ascontiguousarray(model.logits(X_JD).T, dtype=dtype)
    return judge(batches_BK, coefficients_BKC / model.temperature, root_ND @ root_JD.T, logits_CJ, y_J, score)


def proposals(state: RoundState, rows_N: Int64, k: int, n_batches: int, proposal: Proposal, rng: Rng) -> Int64:
    """Draw the batches to try, int64 [B, k]: indices into rows_N, which are in the order of the ids.

    All batches are returned when there are no more than n_batches.
    """
    n = len(rows_N)
    if math.comb(n, k) <= n_batches:
        return np.array(list(combinations(range(n), k)), np.int64)
    if proposal == "random":
        return _random_batches(np.arange(n), k, n_batches, rng)
    X_ND = state.source.take(rows_N)
    clusters_N = k_means(X_ND, k, rng).labels_N
    uncertainty_N = margin(state.model.log_probs(X_ND))
    uncertain = np.flatnonzero(uncertainty_N > uncertainty_N.mean())
    uncertain = uncertain if len(uncertain) >= k else np.argsort(-uncertainty_N, kind="stable")[:k]
    third = n_batches // 3
    return np.concatenate(
        [
            _random_batches(np.arange(n), k, n_batches - 2 * third, rng),
            _one_per_cluster(clusters_N, k, third, rng),
            _random_batches(uncertain, k, third, rng),
        ]
    )


def shared_posterior(state: RoundState) -> LaplaceShared:
    """Return the posterior of the head. Raises UsageError for a form whose classes do not share one covariance."""
    if not isinstance(state.model.posterior, LaplaceShared):
        what = "optimal-look-ahead needs one covariance for all classes"
        raise UsageError(what, hint="use --posterior laplace --covariance shared")
    return state.model.posterior


def _step(link: Link, gamma: float | None, curvature: float) -> Step:
    """Return the rule by which `Model.update` moves the mean: implicit without a gamma, linearised otherwise."""
    if gamma is None and link == "softmax":
        return implicit_shared
    size = 1.0 if gamma is None else gamma
    return lambda logits_BC, targets_BC, s_B: (
        size * (targets_BC - mean_of(link, logits_BC)) / (1.0 + curvature * s_B[:, None])
    )


def _random_batches(pool: Int64, k: int, n_batches: int, rng: Rng) -> Int64:
    batches = [rng.choice(pool, k, replace=False, shuffle=False) for _ in range(n_batches)]
    return np.array(batches, np.int64).reshape(-1, k)


def _one_per_cluster(clusters_N: Array, k: int, n_batches: int, rng: Rng) -> Int64:
    members = [np.flatnonzero(clusters_N == cluster) for cluster in range(k)]
    return np.stack([rng.choice(m, n_batches) for m in members], axis=1)
