"""Strategies made of others: one that chooses among the most uncertain rows, one that takes predicted classes in turn, a mix of several.

Where fewer rows are asked for than there are predicted classes, the classes have their turn from batch to batch, by the number of labels.
Each is a `Strategy` whose `compound` calls `select` on parts, with a view of fewer candidates, so that it goes wherever a strategy goes
(a query, a stream, a simulation, under `+update`), and goes on top of any other: prefilter first, then balance, then the strategy.
Cost: prefilter and balance one pass for the predictions beside the strategy's own; balance asks it once for each class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from alcli.arrays import Array, Int64
from alcli.errors import UsageError
from alcli.selection.select import select
from alcli.selection.strategy import Selection, Strategy, strategy_of
from alcli.selection.view import View
from alcli.strategies import margin

OF_PREDICTIONS = ("prefilter", "balance")  # options that look at class probabilities, whatever the strategy

_MARGIN = strategy_of(margin)
_NEEDS = ("log_probs",)


def modified(strategy: Strategy, options: Mapping[str, Any]) -> tuple[Strategy, dict[str, Any]]:
    """The strategy that the options `prefilter` and `balance` make of this one, and the other options, which are its own."""
    own = dict(options)
    share, balance = own.pop("prefilter", 1.0), own.pop("balance", "none")
    if balance == "predicted":
        strategy = _around(strategy, partial(_balanced, strategy))
    if share < 1.0:
        strategy = _around(strategy, partial(_prefiltered, strategy, share))
    return strategy, own


def mixed(name: str, look_up: Callable[[str], Strategy]) -> Strategy:
    """The strategy NAME:SHARE,NAME:SHARE... that has each part choose its share of a batch, one after another. Raises UsageError."""
    parts, shares = [], []
    for text in name.split(","):
        part, _, share = text.strip().rpartition(":")
        try:
            value = float(share)
        except ValueError:
            value = np.nan
        if not part or not 0.0 < value < np.inf:
            raise UsageError(
                f"a mix is made of NAME:SHARE with positive shares, got '{text}'",
                hint="for instance margin:0.8,random:0.2",
            )
        parts.append(part)
        shares.append(value)
    if abs(sum(shares) - 1.0) > 1e-6:
        raise UsageError(f"the shares of a mix sum to 1, those of '{name}' to {sum(shares):g}")
    strategies = [look_up(part) for part in parts]
    choose = partial(_mixed, strategies, parts, np.array(shares))
    needs_classes = any(one.needs_classes for one in strategies)
    return replace(
        _together(strategies, choose),
        numbers=None if needs_classes else _together([one.suited(True) for one in strategies], choose),
    )


def _together(strategies: Sequence[Strategy], choose: Callable[..., Selection]) -> Strategy:
    """What several strategies are as one: it needs what any of them does, and does without a head where all do."""
    return replace(
        _around(strategies[0], choose),
        needs=tuple(dict.fromkeys(need for one in strategies for need in one.needs)),
        random=any(one.random for one in strategies),
        posterior=next((one.posterior for one in strategies if one.needs_posterior), strategies[0].posterior),
        parts=tuple(strategies),
        cold=all(one.cold or not one.needs_head for one in strategies),
    )


def _around(strategy: Strategy, compound: Callable[..., Selection]) -> Strategy:
    """A strategy that chooses by `compound`, with the head that this one and its predictions need."""
    needs = tuple(dict.fromkeys([*strategy.needs, *_NEEDS]))
    return replace(
        strategy,
        needs=needs,
        pointwise=False,
        single=None,
        samples=0,
        numbers=None,
        compound=compound,
        parts=(strategy,),
        cold=False,
    )


def _prefiltered(
    strategy: Strategy, share: float, view: View, k: int, seed: int, options: Mapping[str, Any]
) -> Selection:
    most = max(k, ceil(round(share * view.n, 9)))
    kept = select(_MARGIN, view, most, seed=seed, options={}).rows_K
    chosen = select(strategy, view.among(kept), k, seed=seed, options=options)
    return replace(
        chosen,
        notes=(
            *chosen.notes,
            f"chose among the {most} of {view.n} candidates of smallest margin (prefilter={share:g})",
        ),
    )


def _balanced(strategy: Strategy, view: View, k: int, seed: int, options: Mapping[str, Any]) -> Selection:
    classes_N = view.reduced(lambda log_probs_BC: log_probs_BC.argmax(axis=1), "log_probs")
    found, sizes = np.unique(classes_N, return_counts=True)
    chosen = {
        f"class-{c}": select(strategy, view.among(view.rows[classes_N == c]), int(quota), seed=seed, options=options)
        for c, quota in zip(found, equal_shares(sizes, k) if k >= len(found) else turns(len(found), k, view.n_labelled))
        if quota
    }
    return in_turn(chosen, f"predicted classes in turn: {len(chosen)} (balance=predicted)")


def _mixed(
    strategies: Sequence[Strategy],
    names: Sequence[str],
    shares_P: Array,
    view: View,
    k: int,
    seed: int,
    options: Mapping[str, Any],
) -> Selection:
    draw = float(np.random.default_rng(np.random.SeedSequence([seed, view.n_labelled])).random())
    left, chosen, took, said = view.rows, [], [], []
    for strategy, name, quota in zip(strategies, names, quotas(shares_P, k, draw)):
        if quota == 0:
            continue
        own = {key: value for key, value in options.items() if key in strategy.options}
        chosen.append(select(strategy, view.among(left), int(quota), seed=seed, options=own))
        left = left[~np.isin(left, chosen[-1].rows_K)]
        took.append(name)
        said.append(f"{quota} by {name}")
    return joined(chosen, names=took, note=", ".join(said), within="part")


def equal_shares(sizes_C: Int64, k: int) -> Int64:
    """k <= sum of sizes, shared out as evenly as the sizes allow; what does not divide goes to the largest, the first of equals."""
    quotas_C = np.zeros(len(sizes_C), np.int64)
    while (left := k - int(quotas_C.sum())) > 0:
        is_open_C = quotas_C < sizes_C
        each = left // int(is_open_C.sum())
        if each:
            quotas_C = np.minimum(sizes_C, quotas_C + each * is_open_C)
        else:
            by_room = np.argsort(-(sizes_C - quotas_C), kind="stable")
            quotas_C[by_room[:left]] += 1
    return quotas_C


def turns(n_classes: int, k: int, n_labelled: int) -> Int64:
    """Which k < n_classes classes have a turn, 1 or 0 each: those that follow where the labels so far left off, so that all have their turn."""
    quotas_C = np.zeros(n_classes, np.int64)
    quotas_C[(n_labelled + np.arange(k)) % n_classes] = 1
    return quotas_C


def quotas(shares_P: Array, k: int, draw: float) -> Int64:
    """Whole numbers that sum to k, each its share of k rounded up or down, and its share in the mean over uniform draws (systematic sampling)."""
    ends_P = np.floor(np.round(np.cumsum(shares_P) * k, 9) + draw).astype(np.int64)
    ends_P[-1] = k
    return np.diff(ends_P, prepend=0)


def in_turn(parts: Mapping[str, Selection], note: str) -> Selection:
    """Selections of classes, by name, with their first picks first, then their second, and so on."""
    whole = joined(list(parts.values()), names=list(parts), note=note, within="class")
    ranks = np.concatenate([np.arange(len(part.rows_K)) for part in parts.values()])
    order = np.argsort(ranks, kind="stable")
    weights_K = None if whole.weights_K is None else whole.weights_K[order]
    return replace(whole, rows_K=whole.rows_K[order], scores_K=whole.scores_K[order], weights_K=weights_K)


def joined(parts: Sequence[Selection], *, names: Sequence[str] = (), note: str = "", within: str = "") -> Selection:
    """Several selections, one after another. names: of the parts, which stand before the names in their records; without, these are left out.

    Weights stay where every part that chose a row gives them; a batch of which a part has none cannot be weighted, and the notes say so.
    note: what else to say, of parts within which scores and weights compare.
    """
    rows_K, scores_K = (np.concatenate([getattr(part, field) for part in parts]) for field in ("rows_K", "scores_K"))
    weights = [part.weights_K for part in parts if len(part.rows_K)]
    given = [weights_K for weights_K in weights if weights_K is not None]
    kept = bool(given) and len(given) == len(weights)
    said = list(dict.fromkeys(text for part in parts for text in part.notes))
    if given and not kept:
        weighted = dict.fromkeys(name for name, part in zip(names, parts) if part.weights_K is not None)
        said.append(f"weights of {', '.join(weighted)} are left out: the rest of the batch has none")
    if note:
        said.append(f"{note}; scores {'and weights ' if kept else ''}compare within a {within}")
    record = {f"{name}.{key}": value for name, part in zip(names, parts) for key, value in part.record.items()}
    return Selection(rows_K, scores_K, np.concatenate(given) if kept else None, notes=tuple(said), record=record)
