"""Check a strategy that is not part of alcli: what it declares, and each answer that it gives.

A strategy of the package is tested for all that stands here; a strategy from a file or from another package is
checked while it runs, so that a slip in it is reported as a sentence and never as a wrong batch.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from alcli.arrays import Float64
from alcli.errors import DataError, suggestion
from alcli.extensions import guarded
from alcli.selection.needs import FEATURE_NEEDS, OF_IDS
from alcli.selection.strategy import Selection, Strategy
from alcli.selection.view import View

NEEDS = FEATURE_NEEDS | OF_IDS | {"labelled", "targets"}


def checked(strategy: Strategy, owner: str) -> Strategy:
    """Return the strategy with every answer checked. Raises DataError for needs that do not exist and options without
    a default.
    """
    for need in strategy.needs:
        if need not in NEEDS:
            raise DataError(f"{owner} needs '{need}', which is not offered", hint=suggestion(need, sorted(NEEDS)))
    for parameter in inspect.signature(strategy.run).parameters.values():
        is_option = parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in ("rng", "seed")
        if is_option and parameter.default is parameter.empty:
            raise DataError(
                f"{owner}: its option '{parameter.name}' has no default", hint="give each option a default value"
            )
    run = guarded(strategy.run, owner)
    return replace(
        strategy,
        run=_scoring(run, owner) if strategy.pointwise else _choosing(run, owner),
        single=None if strategy.single is None else checked(strategy.single, owner),
        numbers=None if strategy.numbers is None else checked(strategy.numbers, owner),
    )


def _scoring(run: Callable[..., Any], owner: str) -> Callable[..., Float64]:
    @functools.wraps(run)
    def scores(*blocks: Any, **options: Any) -> Float64:
        expected = (len(blocks[0]),)
        try:
            scores_B = np.asarray(run(*blocks, **options), np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{owner}: its scores are no array of numbers", hint="return one float a row") from error
        if scores_B.shape != expected:
            raise DataError(
                f"{owner}: its scores have shape {scores_B.shape}, expected {expected}", hint="return one float a row"
            )
        return scores_B

    return scores


def _choosing(run: Callable[..., Any], owner: str) -> Callable[..., Selection]:
    @functools.wraps(run)
    def choose(view: View, k: int, **options: Any) -> Selection:
        chosen = run(view, k, **options)
        if not isinstance(chosen, Selection):
            raise DataError(f"{owner}: it returned {type(chosen).__name__}, expected a Selection from alcli.selection")
        rows_K, scores_K = np.asarray(chosen.rows_K), np.asarray(chosen.scores_K)
        if rows_K.shape != (k,) or scores_K.shape != (k,):
            raise DataError(
                f"{owner}: it returned {len(rows_K)} rows and {len(scores_K)} scores where {k} were asked for"
            )
        if rows_K.dtype.kind not in "iu" or len(np.unique(rows_K)) != k or not np.isin(rows_K, view.rows).all():
            raise DataError(f"{owner}: its rows are not distinct candidates", hint="take row numbers from view.rows")
        if not np.isfinite(scores_K).all():
            raise DataError(f"{owner}: a score is not a finite number")
        return replace(chosen, rows_K=rows_K.astype(np.int64), scores_K=scores_K.astype(np.float32))

    return choose
