"""`alcli update`: absorb new labels into a head, in place, in milliseconds, each label once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alcli.data.annotations.conflicts import Conflict, check_conflicts_file, write_conflicts
from alcli.data.head_file import HeadFile, load_head, save_head
from alcli.data.head_match import audited_rows, check_pool
from alcli.data.pool import Pool
from alcli.data.reading.data_file import check_readable
from alcli.data.text.rows import RowSource, paths_of
from alcli.data.writing.creatable import check_creatable
from alcli.data.writing.locks import lock
from alcli.errors import UsageError, printable
from alcli.remarks import Note, silence
from alcli.workflows.audit.figures import measured
from alcli.workflows.audit.reading import read_audit
from alcli.workflows.labelled import with_test_labels
from alcli.workflows.update.before_and_after import on_test_rows
from alcli.workflows.update.changes import find_changes
from alcli.workflows.update.learning import learn
from alcli.workflows.update.request import REFIT, UpdateRequest


@dataclass(frozen=True)
class Updated:
    """A head after an update, the figures of the update, and the items that got several labels."""

    head: HeadFile
    report: dict[str, Any]
    conflicts: tuple[Conflict, ...] = ()


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
    read = [*pool.paths, *paths_of(labels), *ask.paths]
    check_creatable(target, overwrite=in_place or force, inputs=read)
    check_conflicts_file(ask.conflicts, overwrite=force, inputs=[*read, path, target])
    pool.require_rows()
    with lock(target, ask.lock_timeout):
        head = load_head(path, expect_sha256=ask.expect_sha256)
        done = updated(head, printable(path), pool, labels, ask, note)
        write_conflicts(ask.conflicts, done.conflicts, text_ids=pool.ids.is_text, overwrite=force)
        if done.head is not head or not in_place:
            save_head(target, done.head, overwrite=in_place or force)
        return done


def updated(
    head: HeadFile, shown: str, pool: Pool, labels: Sequence[RowSource], ask: UpdateRequest, note: Note = silence
) -> Updated:
    """Return the head without the labels of `ask.remove`, and with the labels that it had not absorbed; write no file.

    The labels of an audit are not absorbed: of `ask.audit`, and of the audit that the head was measured by before.

    shown: the name of the head in messages. Raises DataError, UsageError, InputError.
    """
    _check(labels, ask)
    pool.require_rows()
    check_pool(head, shown, pool, note)
    if ask.normalize and head.classes is not None and not head.normalizes:
        head = replace(head, normalizes=True)
    pool = with_test_labels(pool, ask.test_labels, ignore_unknown=ask.ignore_unknown, normalize=head.normalizes)
    before, figures, regression = head, dict[str, Any](), head.classes is None
    ask.audit.check_predicts(regression=regression)
    answers = read_audit(pool, ask.audit.files, regression=regression, note=note) if ask.audit.files else None
    drawn = audited_rows(pool, head)
    drawn = drawn if answers is None else np.union1d(drawn, answers.drawn)
    head, changes = find_changes(pool, head, labels, ask, drawn, note)
    if changes.any or ask.method == REFIT:
        head, figures = learn(pool, head, changes, ask, shown, note)
        figures |= on_test_rows(pool, before, head, note)
    if answers is not None:
        found = measured(pool, head, answers, ask.audit.stop_at, note)
        head, figures = found.head, figures | found.report
    counts = {
        "new_labels": len(changes.new.labels),
        "corrected": changes.n_corrected,
        "already_absorbed": changes.n_known,
        "removed": changes.n_removed,
        "absorbed": len(head.absorbed),
        **({} if head.no_class.label is None else {"no_class": len(head.no_class.ids)}),
        "method": ask.method,
    }
    return Updated(head, counts | figures, changes.conflicts)


def _check(labels: Sequence[RowSource], ask: UpdateRequest) -> None:
    ask.checked()
    if not labels and not ask.remove and not ask.audit.files and ask.method != REFIT:
        hint = "-l FILE, or --remove FILE, or --method refit to fit the head again to the labels it has"
        raise UsageError("update needs labels to absorb or to give back", hint=hint)
