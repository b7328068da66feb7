"""`alcli update`: absorb new labels into a head, in place, in milliseconds, each label once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alcli.data.head_file import HeadFile, load_head, save_head
from alcli.data.head_match import check_pool
from alcli.data.pool import Pool
from alcli.data.reading.data_file import check_readable
from alcli.data.text.rows import RowSource, paths_of
from alcli.data.writing.creatable import check_creatable
from alcli.data.writing.locks import lock
from alcli.errors import UsageError, printable
from alcli.remarks import Note, silence
from alcli.workflows.update.before_and_after import on_test_rows
from alcli.workflows.update.changes import find_changes
from alcli.workflows.update.learning import learn
from alcli.workflows.update.request import REFIT, UpdateRequest


@dataclass(frozen=True)
class Updated:
    """A head after an update, and the figures of the update."""

    head: HeadFile
    report: dict[str, Any]


def update(
    path: Path,
    pool: Pool,
    labels: Sequence[RowSource],
    ask: UpdateRequest,
    *,
    out: Path | None = None,
    force: bool = False,
    note: Note = silence,
) -> Updated:
    """Absorb the labels that the head at `path` has not absorbed yet, and write the head to `out`; None replaces it.

    Labels of `ask.remove` are given back first. With nothing new and nothing to give back, the head in place stays byte
    for byte as it is, unless `ask.method` is refit. Raises every AlcliError.
    """
    _check(labels, ask)
    target = path if out is None else out
    in_place = out is None or out.resolve() == path.resolve()
    check_readable(str(path))
    check_creatable(target, overwrite=in_place or force, inputs=[*pool.paths, *paths_of([*labels, *ask.remove])])
    pool.require_rows()
    with lock(target, ask.lock_timeout):
        head = load_head(path, expect_sha256=ask.expect_sha256)
        done = updated(head, printable(path), pool, labels, ask, note)
        if done.head is not head or not in_place:
            save_head(target, done.head, overwrite=in_place or force)
        return done


def updated(
    head: HeadFile, shown: str, pool: Pool, labels: Sequence[RowSource], ask: UpdateRequest, note: Note = silence
) -> Updated:
    """Return the head without the labels of `ask.remove`, and with the labels that it had not absorbed; write no file.

    shown: the name of the head in messages. Raises DataError, UsageError, InputError.
    """
    _check(labels, ask)
    pool.require_rows()
    check_pool(head, shown, pool, note)
    before, figures = head, dict[str, Any]()
    head, changes = find_changes(pool, head, labels, ask, note)
    if changes.any or ask.method == REFIT:
        head, figures = learn(pool, head, changes, ask, shown, note)
        figures |= on_test_rows(pool, before, head, note)
    counts = {
        "new_labels": len(changes.new.labels),
        "corrected": changes.n_corrected,
        "already_absorbed": changes.n_known,
        "removed": changes.n_removed,
        "absorbed": len(head.absorbed),
        **({} if head.no_class.label is None else {"no_class": len(head.no_class.ids)}),
        "method": ask.method,
    }
    return Updated(head, counts | figures)


def _check(labels: Sequence[RowSource], ask: UpdateRequest) -> None:
    ask.checked()
    if not labels and not ask.remove and ask.method != REFIT:
        hint = "-l FILE, or --remove FILE, or --method refit to fit the head again to the labels it has"
        raise UsageError("update needs labels to absorb or to give back", hint=hint)
