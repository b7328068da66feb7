"""The batch of a report: the last one of a ledger, or that of a file; what the head says of it, and why it was chosen.

Cost: the file; one pass over the candidates for the reasons, as of `query --explain`. Memory: that of `explanations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Int64
from alcli.data.formats import Table
from alcli.data.head_file import HeadFile
from alcli.data.ledger.entries import Entry, read_ledger
from alcli.data.spellings.numbers import number_of
from alcli.data.tables import read_rows
from alcli.errors import counted, printable
from alcli.remarks import Note
from alcli.selection.strategy import Selection
from alcli.workflows.items import Items
from alcli.workflows.query.columns import predictions
from alcli.workflows.query.explain import explanations
from alcli.workflows.query.situation import Predicts, Situation

# Cards of a page.
MOST = 1000
_OPTIONAL = ("rank", "score", "strategy", "why")


@dataclass(frozen=True)
class ShownBatch:
    """The items of a batch by number, in the order in which they were chosen, and their rows in the file.

    source: where the batch comes from, in words. left_out: items beyond the most that a page shows.
    """

    chosen: Int64
    rows: Sequence[dict[str, Any]]
    source: str
    left_out: int = 0


NO_BATCH = ShownBatch(np.empty(0, np.int64), (), "")


def batches_of(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries of a ledger by batch, in order: a batch begins at rank 0."""
    found: list[list[Entry]] = []
    for entry in entries:
        if not found or entry.get("rank") == 0:
            found.append([])
        found[-1].append(entry)
    return found


def last_batch(items: Items, ledger: Path, entries: Sequence[Entry], note: Note) -> ShownBatch:
    """The last batch of a ledger that was read. Raises DataError for ids of another type."""
    rows = batches_of(entries)[-1] if entries else []
    places = [f"{printable(ledger)}: row {len(entries) - len(rows) + k}" for k in range(len(rows))]
    ids = [items.ids.parse(row["id"], where, from_text=False) for row, where in zip(rows, places)]
    return _shown(items, ids, rows, f"the last batch of {printable(ledger.name)}", note)


def batch_of_file(items: Items, path: str, note: Note) -> ShownBatch:
    """The batch in a file that `query` wrote, or any table with a column id. Raises what `read_rows` does."""
    rows, ids = [], []
    for row in read_rows(path, ["id"], optional=_OPTIONAL):
        ids.append(items.ids.parse(row.values["id"], row.where, from_text=row.from_text))
        rows.append(row.values)
    return _shown(items, ids, rows, f"the batch {printable(Path(path).name)}", note)


def _shown(
    items: Items, ids: Sequence[int | str], rows: Sequence[dict[str, Any]], source: str, note: Note
) -> ShownBatch:
    """Look the ids up; items that cannot be shown are left out with a remark."""
    chosen = items.ids.rows_of(list(ids)) if ids else np.empty(0, np.int64)
    usable = np.zeros(len(items.ids), bool)
    usable[items.of_rows(np.flatnonzero(~items.pool.is_bad))] = True
    missing = int((chosen < 0).sum())
    if missing:
        note(f"{source}: {counted(missing, 'item is', 'items are')} not in the pool and not shown")
    bad = int((~usable[chosen[chosen >= 0]]).sum())
    if bad:
        note(f"{source}: {counted(bad, 'item has', 'items have')} no usable vector and cannot be shown")
    # Of an item that stands twice, the first choice counts.
    first: dict[int, int] = {}
    for k, item in enumerate(chosen.tolist()):
        if item >= 0 and usable[item]:
            first.setdefault(item, k)
    kept = list(first.values())
    shown = kept[:MOST]
    return ShownBatch(chosen[shown], [rows[k] for k in shown], source, len(kept) - len(shown))


def told(items: Items, head: HeadFile, batch: ShownBatch, labelled: Int64, closed: Int64) -> Table:
    """Return the predictions for the items of a batch, and the reasons why they were chosen, as columns.

    labelled: rows with a label; those of the batch do not count. closed: items that cannot be chosen. A reason in the
    file of the batch comes before the one that is found now. See `predictions` and `explanations` for the columns.
    """
    scores = np.array([number_of(row.get("score")) for row in batch.rows], np.float32)
    selection = Selection(batch.chosen, scores)
    others = labelled[~np.isin(items.of_rows(labelled), batch.chosen)]
    is_open = np.ones(len(items.ids), bool)
    is_open[closed] = False
    is_open[batch.chosen] = True
    predicts: Predicts = "numbers" if head.classes is None else "classes"
    now = Situation(items, head, predicts, others, None, np.flatnonzero(is_open), 0)
    table, log_probs_KC = predictions(selection, now)
    names = [str(row.get("strategy") or "") for row in batch.rows]
    found = explanations(names, selection, now, log_probs_KC)
    found["why"] = [
        str(row.get("why") or why.replace(", score nan", "").removeprefix("; "))
        for row, why in zip(batch.rows, found["why"])
    ]
    return table | found


def entries_of(ledger: Path | None) -> list[Entry]:
    """The rows of a ledger; none without a ledger. Raises what `read_ledger` does."""
    return [] if ledger is None else read_ledger(ledger).entries()
