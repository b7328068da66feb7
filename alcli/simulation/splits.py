"""The split of a seed: the items held out for testing, and the items labelled at the start.

Items are given in the order of their ids, so that the draws follow the ids, whatever the layout of the files.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Int64
from alcli.simulation.oracle import no_class_N


def held_out(y_N: Array, rows: Int64, fraction: float, rng: np.random.Generator, *, classes: bool) -> Int64:
    """Draw a random `fraction` of `rows`, and return it in the order of `rows`. With classes, draw it from each class.

    At least one row is held out, and at least one is not. The shares of the classes are rounded down; the rows missing
    from the total then come from the classes with the largest remainders. A class with a single row is never held out.
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


def initial_rows(
    y_N: Array, rows: Int64, m: int, rng: np.random.Generator, *, classes: bool, stratified: bool
) -> Int64:
    """Draw m of `rows` at random. With classes, at least two classes are among them if `rows` has two and m > 1.

    stratified: take the classes in turn; the order of the turns is random too, and rows of no class come last.
    """
    order = rng.permutation(rows)
    if classes and stratified:
        turns = np.where(no_class_N(y_N[order]), len(order), _turns(y_N[order]))
        order = order[np.argsort(turns, kind="stable")]
    chosen = order[:m].copy()
    if not classes or m < 2:
        return chosen
    for _ in range(2):  # two places at most: where all rows drawn belong to no class
        found, counts = np.unique(y_N[chosen], return_counts=True)
        spare = found[(counts > 1) | no_class_N(found)]
        others = order[~np.isin(y_N[order], found) & ~no_class_N(y_N[order])]
        if (~no_class_N(found)).sum() >= 2 or not len(others):
            break
        chosen[np.flatnonzero(np.isin(y_N[chosen], spare))[-1]] = others[0]
    return chosen


def with_two_classes(
    chosen: Int64, items: Int64, labels_of: Callable[[Int64], Array], rng: np.random.Generator
) -> Int64:
    """Return `chosen` with two classes among its labels, if two classes can be had.

    Where all chosen items show one class, the last one makes room for a random item of `items` that shows another
    class.
    labels_of(items): the labels of the rows of items.
    """
    labels = labels_of(chosen)
    if len(chosen) < 2 or (labels != labels[0]).any():
        return chosen
    for item in rng.permutation(items):
        if (labels_of(np.array([item])) != labels[0]).any():
            return np.append(chosen[:-1], item)
    return chosen


def most_frequent(labels_R: Int64, groups_R: Int64, n_groups: int) -> Int64:
    """Return the most frequent label of each group, int64 [n_groups], from the label and the group of R rows.

    Ties go to the smallest label. A group without rows gets 0.
    """
    C = labels_R.max(initial=0) + 1
    pairs, counts = np.unique(groups_R * C + labels_R, return_counts=True)
    order = np.lexsort((pairs, -counts, pairs // C))
    groups, first = np.unique(pairs[order] // C, return_index=True)
    out = np.zeros(n_groups, np.int64)
    out[groups] = pairs[order[first]] % C
    return out


def _turns(labels_N: Array) -> Int64:
    """Return for every entry the number of entries of the same class before it."""
    order = np.argsort(labels_N, kind="stable")
    _, starts, counts = np.unique(labels_N[order], return_index=True, return_counts=True)
    turns = np.empty(len(labels_N), np.int64)
    turns[order] = np.arange(len(labels_N)) - np.repeat(starts, counts)
    return turns
