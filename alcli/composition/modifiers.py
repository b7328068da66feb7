"""Strategies made of other strategies: two options that modify a strategy, and mixes of several strategies.

- `prefilter=SHARE`: the strategy chooses among the candidates of smallest margin, a share of all.
- `balance=predicted`: the strategy chooses equally many rows of each predicted class, and the batch takes the classes
  in turn. A batch of fewer rows than predicted classes takes some of the classes; the next batch goes on with the
  classes after them, as the number of labels tells.
- A mix NAME:SHARE,NAME:SHARE...: each strategy chooses its share of the batch, among the rows that the strategies
  before it left.

Each is a `Strategy` whose `compound` calls `select` with the strategies that it is made of, on views of fewer
candidates. So it works wherever a strategy works (a query, a stream, a simulation, under `+update`), and on top of any
other strategy: first prefilter, then balance, then the strategy.

Cost: prefilter and balance each add one pass for the predictions. balance calls the strategy once for each predicted
class.
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

# Options that need class probabilities, whatever the strategy needs
OF_PREDICTIONS = ("prefilter", "balance")

_MARGIN = strategy_of(margin)
_NEEDS = ("log_probs",)


def modified(strategy: Strategy, options: Mapping[str, Any]) -> tuple[Strategy, dict[str, Any]]:
    """Apply the options `prefilter` and `balance` to a strategy.

    Return the modified strategy, with the needs that it has under the options, and the other options.
    """
    strategy, own = strategy.under(options), dict(options)
    share, balance = own.pop("prefilter", 1.0), own.pop("balance", "none")
    if balance == "predicted":
        strategy = _around(strategy, partial(_balanced, strategy))
    if share < 1.0:
        strategy = _around(strategy, partial(_prefiltered, strategy, share))
    return strategy, own


def mixed(name: str, look_up: Callable[[str], Strategy]) -> Strategy:
    """The mix that the name NAME:SHARE,NAME:SHARE... means.

    look_up: from the name of a strategy to the strategy. Raises UsageError for shares that are not positive numbers, or
    do not sum to 1.
    """
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
        raise UsageError(f"the shares of a mix must sum to 1, the shares of '{name}' sum to {sum(shares):g}")
    strategies = [look_up(part) for part in parts]
    choose = partial(_mixed, strategies, parts, np.array(shares))
    needs_classes = any(one.needs_classes for one in strategies)
    return replace(
        _together(strategies, choose),
        numbers=None if needs_classes else _together([one.suited(True) for one in strategies], choose),
    )


def _together(strategies: Sequence[Strategy], choose: Callable[..., Selection]) -> Strategy:
    """Declare several strategies as one.

    It has the needs of all of them. It works without a head where each of them does.
    """
    return replace(
        _around(strategies[0], choose),
        needs=tuple(dict.fromkeys(need for one in strategies for need in one.needs)),
        random=any(one.random for one in strategies),
        posterior=next((one.posterior for one in strategies if one.needs_posterior), strategies[0].posterior),
        parts=tuple(strategies),
        cold=all(one.cold or not one.needs_head for one in strategies),
    )


def _around(strategy: Strategy, compound: Callable[..., Selection]) -> Strategy:
    """A strategy that chooses by `compound`, with the needs of `strategy` and of class probabilities."""
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
        of_means=False,
    )


def _prefiltered(
    strategy: Strategy, share: float, view: View, k: int, seed: int, options: Mapping[str, Any]
) -> Selection:
    """Choose among the share of the candidates that have the smallest margin, and at least k of them."""
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
    """Choose in each predicted class by itself; merge the choices with the classes in turn."""
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
    """Choose by each strategy in turn among the rows that are left.

    P is the number of strategies. A draw decides how shares are rounded to numbers of rows; it follows from the seed
    and the number of labelled rows, so it differs from batch to batch.
    """
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
    batch = joined(chosen, names=took, note=", ".join(said), within="part")
    who = [name for part, name in zip(chosen, took) for _ in part.rows_K]
    return replace(batch, taken_K=tuple(inner or name for inner, name in zip(batch.taken_K or [""] * len(who), who)))


def equal_shares(sizes_C: Int64, k: int) -> Int64:
    """Divide k rows among classes as evenly as their sizes allow; k is at most the sum of the sizes.

    Rows that do not divide evenly go to the classes with the most rows to spare; of equal classes, to the first.
    """
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
    """The classes that have a turn in a batch of k < n_classes rows: 1 or 0 for each class.

    The turns go round the classes and begin at n_labelled, so over several batches every class has its turn.
    """
    quotas_C = np.zeros(n_classes, np.int64)
    quotas_C[(n_labelled + np.arange(k)) % n_classes] = 1
    return quotas_C


def quotas(shares_P: Array, k: int, draw: float) -> Int64:
    """Round shares of k to whole numbers that sum to k, by systematic sampling.

    Each number is its share of k, rounded up or down; the mean over uniform draws is the share itself. draw: in [0, 1).
    """
    ends_P = np.floor(np.round(np.cumsum(shares_P) * k, 9) + draw).astype(np.int64)
    ends_P[-1] = k
    return np.diff(ends_P, prepend=0)


def in_turn(parts: Mapping[str, Selection], note: str) -> Selection:
    """Merge the selections of classes: the first pick of each class, then the second picks, and so on.

    parts: by the name of the class. note: as in `joined`.
    """
    whole = joined(list(parts.values()), names=list(parts), note=note, within="class")
    ranks = np.concatenate([np.arange(len(part.rows_K)) for part in parts.values()])
    order = np.argsort(ranks, kind="stable")
    weights_K = None if whole.weights_K is None else whole.weights_K[order]
    taken_K = tuple(whole.taken_K[i] for i in order) if whole.taken_K else ()
    return replace(
        whole, rows_K=whole.rows_K[order], scores_K=whole.scores_K[order], weights_K=weights_K, taken_K=taken_K
    )


def joined(parts: Sequence[Selection], *, names: Sequence[str] = (), note: str = "", within: str = "") -> Selection:
    """Join several selections, one after another.

    names: of the parts; the record of the batch has the entries of each part as NAME.ENTRY. Without names the records
    are left out. Weights are kept where every part that chose a row gives weights. Otherwise the batch cannot be
    weighted, and a note says so. note: a remark for the user, which gets the addition that scores and weights compare
    only inside a part; within: the word for a part, such as "class".
    """
    rows_K, scores_K = (np.concatenate([getattr(part, field) for part in parts]) for field in ("rows_K", "scores_K"))
    weights = [part.weights_K for part in parts if len(part.rows_K)]
    given = [weights_K for weights_K in weights if weights_K is not None]
    kept = bool(given) and len(given) == len(weights)
    said = list(dict.fromkeys(text for part in parts for text in part.notes))
    if given and not kept:
        weighted = dict.fromkeys(name for name, part in zip(names, parts) if part.weights_K is not None)
        said.append(f"weights of {', '.join(weighted)} are left out: the rest of the batch has no weights")
    if note:
        said.append(f"{note}; scores {'and weights ' if kept else ''}can be compared only within a {within}")
    record = {f"{name}.{key}": value for name, part in zip(names, parts) for key, value in part.record.items()}
    taken_K = tuple(name for part in parts for name in part.taken_K or [""] * len(part.rows_K))
    return Selection(
        rows_K,
        scores_K,
        np.concatenate(given) if kept else None,
        notes=tuple(said),
        record=record,
        taken_K=taken_K if any(taken_K) else (),
    )
