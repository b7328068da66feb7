"""Run a strategy on a view: the one place where a batch is chosen.

A pointwise strategy is streamed over the candidates and the best rows are kept, in the order of `order.py`. A batch
strategy gets a view that refuses to read a need that the strategy does not declare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from alcli.selection.conditions import idle_remarks
from alcli.selection.needs import FEATURE_NEEDS
from alcli.selection.options import GROUP_OPTIONS
from alcli.selection.order import TopK, finite32, tie_keys
from alcli.selection.presets import expanded
from alcli.selection.scoring import found_apart
from alcli.selection.strategy import NOTHING, Selection, Strategy
from alcli.selection.view import View

MOST_KEPT = 1 << 24  # numbers: features of the best rows are kept up to 64 MiB


def select(strategy: Strategy, view: View, k: int, *, seed: int, options: Mapping[str, Any]) -> Selection:
    """Choose min(k, n) of the view's n candidates.

    The same inputs give the same picks at any block size and thread count.
    options: values of the strategy's own options and of the common ones in `options.py`, by argument name.
    """
    k = min(k, view.n)
    if k == 0:
        return NOTHING
    if strategy.compound is not None:
        return strategy.compound(view, k, seed, options)
    suited = strategy.suited(view.regression).under(options)
    remarks = idle_remarks(strategy, view, k, options) + _of_means(suited, view)
    # A strategy for numbers can lack options of the strategy for classes.
    lacking = strategy.options - suited.options
    own = expanded(suited, {name: value for name, value in options.items() if name not in lacking})
    chosen = _chosen(suited, view, k, seed, own)
    return replace(chosen, notes=(*remarks, *chosen.notes)) if remarks else chosen


def _of_means(strategy: Strategy, view: View) -> tuple[str, ...]:
    """The remark on a strategy that looks at mean rows, where there are groups of several rows."""
    if not strategy.of_means or view.parts()[0].n == view.n:
        return ()
    return (f"{strategy.name} looks at the mean row of each group: its mean features and mean probabilities",)


def _chosen(strategy: Strategy, view: View, k: int, seed: int, options: dict[str, Any]) -> Selection:
    if strategy.samples:
        view = view.sampling(options.pop("samples", strategy.samples), seed)
    if combination := {name: options.pop(name) for name in GROUP_OPTIONS & options.keys()}:
        view = view.combining(**combination)
    if strategy.pointwise:
        return _best_scores(strategy, view, k, seed, options)
    view = view.restricted_to(strategy.needs)
    extra = {"rng": np.random.default_rng(np.random.SeedSequence(seed))} if strategy.takes_rng else {}
    return strategy.run(view, k, **extra, **options)


def _best_scores(strategy: Strategy, view: View, k: int, seed: int, options: Mapping[str, Any]) -> Selection:
    """Stream the blocks and keep the k best rows, with their features where the blocks hold them."""
    extra = {"seed": seed} if strategy.random else {}
    with_features = bool(FEATURE_NEEDS.intersection(strategy.needs)) and k * view.dim <= MOST_KEPT
    best = TopK(k, tie_keys(view, seed=seed, drawn=strategy.ties_drawn))
    score = partial(strategy.run, **extra, **options)
    found = found_apart(view, score, strategy.needs, k, features=with_features)
    if found is not None:
        for part in found:
            best.offer(*part)
    else:
        for rows_B, scores_B, X_BD in view.scores(score, strategy.needs, features=with_features):
            best.offer(rows_B, finite32(scores_B), X_BD)
    rows_K, scores_K, features_KD = best.best()
    return Selection(rows_K, scores_K, features_KD=features_KD)
