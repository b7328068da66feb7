"""Which rows of a seed are for testing, and which are labelled at the start.

Rows are given in the order of their ids, so the draws follow the ids however the files are laid out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Int64


def held_out(y_N: Array, rows: Int64, fraction: float, rng: np.random.Generator, *, classes: bool) -> Int64:
    """A random `fraction` of `rows`, in their order; of every class its share where there are classes.

    At least one row is held out and one is left. Shares are rounded down, and what is missing then comes from
    the classes with the largest remainders. A class with a single row is never held out.
    """
    target = min(max(1, round(fraction * len(rows))), len(rows) - 1)
    if not classes:
        return np.asarray(rows[np.sort(rng.permutation(len(rows))[:target])])
    codes, counts = np.unique(y_N[rows], return_counts=True)
    exact = counts * (target / len(rows))
    shares = np.minimum(np.floor(exact).astype(np.int64), counts - 1)
    order = np.argsort(-(exact - shares), kind="stable")
    order = order[shares[order] < counts[order] - 1]
    shares[order[: max(0, target - shares.sum())]] += 1
    chosen = [rng.permutation(np.flatnonzero(y_N[rows] == code))[:share] for code, share in zip(codes, shares)]
    return np.asarray(rows[np.sort(np.concatenate(chosen))])


def initial_rows(y_N: Array, rows: Int64, m: int, rng: np.random.Generator, *, classes: bool, stratified: bool) -> Int64:
    """m of `rows` at random. With classes at least two are among them (if rows has two and m > 1).

    stratified: the classes are taken in turn, the order of the turns drawn too.
    """
    order = rng.permutation(rows)
    if classes and stratified:
        order = order[np.argsort(_turns(y_N[order]), kind="stable")]
    chosen = order[:m].copy()
    if classes and m > 1 and (y_N[chosen] == y_N[chosen[0]]).all():
        others = order[y_N[order] != y_N[chosen[0]]]
        chosen[-1:] = others[:1] if len(others) else chosen[-1:]
    return chosen


def with_two_classes(chosen: Int64, items: Int64, labels_of: Callable[[Int64], Array], rng: np.random.Generator) -> Int64:
    """The chosen items, the last replaced by a random one of `items` that shows another class where they all show one and one does."""
    labels = labels_of(chosen)
    if len(chosen) < 2 or (labels != labels[0]).any():
        return chosen
    for item in rng.permutation(items):
        if (labels_of(np.array([item])) != labels[0]).any():
            return np.append(chosen[:-1], item)
    return chosen


def most_frequent(labels_R: Int64, groups_R: Int64, n_groups: int) -> Int64:
    """The most frequent label of each group, the smallest of several, shape [n_groups]; 0 for groups without rows."""
    C = labels_R.max(initial=0) + 1
    pairs, counts = np.unique(groups_R * C + labels_R, return_counts=True)
    order = np.lexsort((pairs, -counts, pairs // C))
    groups, first = np.unique(pairs[order] // C, return_index=True)
    out = np.zeros(n_groups, np.int64)
    out[groups] = pairs[order[first]] % C
    return out


def _turns(labels_N: Array) -> Int64:
    """For every entry, how many of its class come before it."""
    order = np.argsort(labels_N, kind="stable")
    _, starts, counts = np.unique(labels_N[order], return_index=True, return_counts=True)
    turns = np.empty(len(labels_N), np.int64)
    turns[order] = np.arange(len(labels_N)) - np.repeat(starts, counts)
    return turns
