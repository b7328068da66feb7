"""The candidates of a query: ids that are left out, and a part of the others: random ones, or neighbours of labels."""

from __future__ import annotations

import numpy as np

from alcli.arrays import Int64
from alcli.data.ids import Id
from alcli.data.ledger.entries import GivenOut
from alcli.data.tables import read_ids
from alcli.data.text.dialect import DELIMITERS
from alcli.data.text.rows import RowSource
from alcli.errors import DataError, counted, printable
from alcli.remarks import Note
from alcli.selection.subsets import some_items
from alcli.workflows.items import Items
from alcli.workflows.query.neighbours import near_labelled
from alcli.workflows.query.request import Query


def excluded(items: Items, ask: Query, in_ledger: GivenOut, note: Note) -> Int64:
    """The item numbers of ids that --exclude and the ledger name."""
    ids = [id for path in ask.exclude for id in _ids_in(path, items)]
    given_out = items.ids.parsed(in_ledger.column, lambda row: f"{printable(ask.ledger)}: row {row}")
    found = np.concatenate([items.ids.rows_of(ids), items.ids.rows_of(given_out)])
    if (found < 0).any():
        note(f"{counted(int((found < 0).sum()), 'id to leave out is', 'ids to leave out are')} not in the pool")
    return found[found >= 0]


def drawn_seed(seed: int, n_in_ledger: int) -> int:
    """The seed of the draws of a query: another one for every length of the ledger.

    So a strategy that looks at random candidates looks at others every night. Without a ledger it is the seed itself.
    """
    if n_in_ledger == 0:
        return seed
    drawn = np.random.SeedSequence(seed, spawn_key=(n_in_ledger,)).generate_state(1, np.uint64)
    return int(drawn[0] >> np.uint64(1))


def _ids_in(path: RowSource, items: Items) -> list[Id]:
    """The ids that a file names. Raises DataError where they look like lines of a table and none is in the pool."""
    rows = list(read_ids(path))
    ids = [items.ids.parse(row.values["id"], row.where, from_text=row.from_text) for row in rows]
    like_tables = [row.is_line and any(d in row.values["id"] for d in DELIMITERS) for row in rows]
    if like_tables and all(like_tables) and (items.ids.rows_of(ids) < 0).all():
        what = f"{rows[0].where}: the line '{printable(ids[0])}' is taken for an id, and no such id is in the pool"
        raise DataError(what, hint="expected one id a line, or a table whose header has a column 'id'")
    return ids


def reduced(items: Items, candidates: Int64, labelled: Int64, ask: Query, seed: int, note: Note) -> Int64:
    """The candidates of --candidates: at most M, or the nearest of each labelled item; ascending.

    The M items are drawn by a hash of seed and id, so that the order of rows and files does not matter.
    labelled: row numbers. Raises the errors of `near_labelled`.
    """
    if ask.knn is not None:
        return near_labelled(items, candidates, labelled, ask, seed, note)
    most = len(candidates) if ask.candidates is None else int(ask.candidates)
    if most >= len(candidates):
        return candidates
    note(f"chose among {counted(most, 'random candidate')} of {len(candidates)}")
    return some_items(candidates, items.source.row_keys(candidates), most, seed)
