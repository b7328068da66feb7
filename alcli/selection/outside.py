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

from alcli.arrays import Float32, Float64
from alcli.errors import DataError, suggestion
from alcli.extensions import guarded
from alcli.selection.needs import FEATURE_NEEDS, OF_IDS
from alcli.selection.strategy import Selection, Strategy
from alcli.selection.view import View

# What a view gives as a whole, and not an item at a time.
OF_VIEW = {"labelled", "labelled_targets", "targets", "network", "posterior"}
NEEDS = FEATURE_NEEDS | OF_IDS | {"labelled", "targets"}


def checked(strategy: Strategy, owner: str) -> Strategy:
    """Return the strategy with every answer checked.

    Raises DataError for needs that do not exist and for options without a default.
    """
    _check_needs(strategy, owner)
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


def _check_needs(strategy: Strategy, owner: str) -> None:
    """Raise DataError for needs that do not exist, or that a strategy of its kind cannot have."""
    everything = [*strategy.needs, *(need for _, several in strategy.needs_with for need in several)]
    for need in everything:
        if need not in NEEDS:
            raise DataError(f"{owner} needs '{need}', which is not offered", hint=suggestion(need, sorted(NEEDS)))
        if strategy.pointwise and need in OF_VIEW:
            raise DataError(f"{owner} scores items and needs '{need}'", hint="a strategy with @batch may need it")
    if strategy.pointwise and not strategy.needs:
        raise DataError(f"{owner} scores items and needs nothing of them", hint='name a need, as needs=["row_key"]')
    if "sample_log_probs" in everything and strategy.samples < 1:
        what = f"{owner} needs 'sample_log_probs' and does not say how many draws"
        raise DataError(what, hint="add samples=20 to its decorator")


def _scoring(run: Callable[..., Any], owner: str) -> Callable[..., Float64]:
    @functools.wraps(run)
    def scores(*blocks: Any, **options: Any) -> Float64:
        expected = (len(blocks[0]),)
        scores_B = _numbers(run(*blocks, **options), "scores", owner)
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
        _numbers(chosen.rows_K, "rows", owner)
        rows_K, scores_K = np.asarray(chosen.rows_K), _finite(chosen.scores_K, "scores", owner)
        if rows_K.shape != (k,) or scores_K.shape != (k,):
            shapes = f"rows of shape {rows_K.shape} and scores of shape {scores_K.shape}"
            raise DataError(f"{owner}: it returned {shapes} where {k} were asked for")
        if rows_K.dtype.kind not in "iu" or len(np.unique(rows_K)) != k or not np.isin(rows_K, view.rows).all():
            raise DataError(f"{owner}: its rows are not distinct candidates", hint="take row numbers from view.rows")
        weights_K = None if chosen.weights_K is None else _finite(chosen.weights_K, "weights", owner)
        if weights_K is not None and weights_K.shape != (k,):
            raise DataError(f"{owner}: its weights have shape {weights_K.shape}, expected {(k,)}")
        if not isinstance(chosen.notes, (tuple, list)) or not all(isinstance(note, str) for note in chosen.notes):
            raise DataError(f"{owner}: its notes are no tuple of texts", hint="give notes as ('a text',)")
        # Its features are left aside: the pool has them.
        return Selection(rows_K.astype(np.int64), scores_K, weights_K, None, tuple(chosen.notes), chosen.record)

    return choose


def _numbers(values: Any, name: str, owner: str) -> Float64:
    """Values as an array of real numbers. name: of the values in messages. Raises DataError for other values."""
    try:
        array = np.asarray(values)
        if array.dtype.kind != "c":
            return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise DataError(f"{owner}: its {name} are no array of numbers", hint="return one number for each row")


def _finite(values: Any, name: str, owner: str) -> Float32:
    """Values as an array of finite numbers. Raises DataError for other values."""
    with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite
        array = _numbers(values, name, owner).astype(np.float32)
    if not np.isfinite(array).all():
        raise DataError(f"{owner}: one of its {name} is not a finite number in float32")
    return array
