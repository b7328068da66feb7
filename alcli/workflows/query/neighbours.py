"""The candidates of --candidates knn:K: the K nearest neighbours of each labelled item.

Source: Coleman et al. 2022, "Similarity search for efficient active learning and search of rare concepts" (SEALS).
Deviations: neighbours are looked up once a query, from all labelled items, and not added after each label. They are
exact, found in one pass over the pool, where that costs less than an index: for up to 4 sqrt(N) labelled items, and at
least 1,000.
Cost: 2 N L D flops for L labelled items, or an index of faiss. Memory: 60 bytes for each of K L pairs, or the index.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Floats, Int64
from alcli.errors import DataError, UsageError, counted
from alcli.numerics.blocks import workers
from alcli.numerics.neighbours.faiss_index import NeighbourIndex, index_bytes, n_lists
from alcli.numerics.neighbours.nearest_rows import NearestRows
from alcli.remarks import Note
from alcli.workflows.items import Items
from alcli.workflows.query.request import Query

# From k to the places of the candidates, in the order of their ids, that are among the k nearest of any labelled item.
Search = Callable[[int], Int64]


def near_labelled(items: Items, candidates: Int64, labelled: Int64, ask: Query, seed: int, note: Note) -> Int64:
    """The candidates among the K nearest of any labelled item, ascending; K is doubled until ask.n are found.

    labelled: row numbers. With a budget, K stays as it is. Raises UsageError where no label was given, DataError where
    no labelled item is in the pool.
    """
    k = ask.knn or 1
    anchors = items.source.sorted_by_id(np.unique(items.of_rows(labelled)))
    if not len(anchors):
        _refuse(items, ask, k)
    if k >= len(candidates):
        return candidates
    by_id = items.source.sorted_by_id(candidates)
    centres_LD = items.source.take(anchors)
    search = _exact(items, by_id, centres_LD) if len(anchors) <= _by_passes(len(by_id)) else None
    if search is None:
        size = max(1, index_bytes(len(by_id), items.source.dim) >> 20)
        note(f"looked up neighbours by an index of {size:,} MiB, which may miss some")
        search = _by_index(items, by_id, centres_LD, seed)
    wanted = 1 if ask.cost_column is not None else min(ask.n, len(candidates))
    found, asked = search(k), k
    while len(found) < wanted and k < len(candidates):
        k *= 2
        found = search(k)
    if k > asked:
        note(f"the {asked} nearest of each labelled item are too few candidates for -n {ask.n}, so {k} were taken")
    near = f"the {k} nearest" if k > 1 else "the nearest"
    note(
        f"chose among {counted(len(found), 'candidate')} of {len(candidates)}, {near} of each of "
        f"{counted(len(anchors), 'labelled item')}"
    )
    return np.sort(by_id[found])


def _by_passes(n: int) -> int:
    """The number of labelled items up to which products with n rows cost less than an index of the rows."""
    return max(1000, n_lists(n))


def _refuse(items: Items, ask: Query, k: int) -> None:
    what = f"--candidates knn:{k} looks at the neighbours of labelled items, and no item of the pool is labelled"
    if ask.labels or ask.head is not None or items.pool.column(items.pool.label_column) is not None:
        raise DataError(what, hint="label some items first, or use --candidates M")
    raise UsageError(what, hint="give labels with -l, or use --candidates M")


def _exact(items: Items, by_id: Int64, centres_LD: Floats) -> Search:
    """Search in one pass over the pool for each k."""
    place_N = np.full(items.source.n, -1, np.int64)
    place_N[by_id] = np.arange(len(by_id))

    def search(k: int) -> Int64:
        nearest = NearestRows(centres_LD, k)
        with workers() as spread:
            for first, X_BD in items.source.blocks():
                places_B = place_N[first : first + len(X_BD)]
                is_candidate_B = places_B >= 0
                nearest.see(places_B[is_candidate_B], X_BD[is_candidate_B], spread)
        return nearest.keys()

    return search


def _by_index(items: Items, by_id: Int64, centres_LD: Floats, seed: int) -> Search:
    """Search in an index of the candidates."""
    index = NeighbourIndex(items.source.stored(by_id), np.random.default_rng(seed))

    def search(k: int) -> Int64:
        found = np.unique(index.nearest(centres_LD, k)[0])
        return found[found >= 0]

    return search
