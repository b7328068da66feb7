"""The labels of a report by item: those that the head has absorbed, and those of label files, which come after.

Memory: the labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Int64
from alcli.data.head_file import HeadFile
from alcli.data.head_match import rows_of_hashes
from alcli.data.labels import read_labels
from alcli.data.spellings.classes import Spelling
from alcli.errors import counted
from alcli.remarks import Note
from alcli.workflows.items import Items
from alcli.workflows.report.request import ReportRequest


@dataclass(frozen=True)
class KnownLabels:
    """labels: the label of each labelled item as text, by item number, ascending. rows: the labelled rows.

    in_head: the labels of the head whose items the pool has. new: labels of files that the head has not absorbed.
    """

    labels: dict[int, str]
    rows: Int64
    in_head: int
    new: int


def known_labels(items: Items, head: HeadFile, ask: ReportRequest, note: Note) -> KnownLabels:
    """Gather the labels. Raises what `read_labels` does; remarks on labels of the head that the pool does not have."""
    pool, absorbed = items.pool, head.absorbed
    rows = rows_of_hashes(absorbed.id_L, pool.ids.hashes())
    missing = int((rows < 0).sum())
    if missing:
        note(f"{pool.name} lacks {counted(missing, 'labelled item')} of the head")
    values = absorbed.label_L[rows >= 0].tolist()
    names = [f"{value:g}" for value in values] if head.classes is None else [head.classes[value] for value in values]
    by_row = dict(zip(rows[rows >= 0].tolist(), names))
    in_head, new = len(by_row), 0
    if ask.labels:
        said = read_labels(
            ask.labels,
            pool.ids,
            regression=head.classes is None,
            ignore_unknown=ask.ignore_unknown,
            groups=pool.groups,
            corrections=ask.corrections,
            none_label=head.no_class.label,
            spelling=Spelling(ask.normalize or head.normalizes, head.classes or ()),
            note=note,
        )
        said_rows = pool.ids.rows_of(list(said.by_id)).tolist()
        new = sum(row not in by_row for row in said_rows)
        by_row |= {
            row: f"{one.label:g}" if isinstance(one.label, float) else one.label
            for row, one in zip(said_rows, said.by_id.values())
        }
    all_rows = np.array(sorted(by_row), np.int64)
    item_of = items.of_rows(all_rows).tolist()
    labels = {item: by_row[row] for item, row in zip(item_of, all_rows.tolist())}
    return KnownLabels(dict(sorted(labels.items())), all_rows, in_head, new)
