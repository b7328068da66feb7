"""Gather what a query is answered from: the head, the labelled rows, and the candidates.

A head that is not given is fitted last, once there is a candidate to ask it about.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from alcli.arrays import Array, Floats, Int64
from alcli.composition.alike import without_alike
from alcli.data.annotations.conflicts import Conflict
from alcli.data.class_names import ClassNames, read_class_names
from alcli.data.head_file import HeadFile, load_head
from alcli.data.head_match import audited_rows, check_pool, rows_of_hashes
from alcli.data.labels import Labels, read_labels
from alcli.data.ledger.entries import GivenOut
from alcli.data.pool import Pool
from alcli.data.spellings.classes import Spelling
from alcli.errors import DataError, counted
from alcli.remarks import Note
from alcli.selection.needs import FEATURE_NEEDS
from alcli.selection.strategy import Strategy
from alcli.workflows.items import Items
from alcli.workflows.labelled import LabelledRows, gather
from alcli.workflows.query.candidates import drawn_seed, excluded, reduced
from alcli.workflows.query.fitting import fitted_now, remark_on_models
from alcli.workflows.query.request import Query
from alcli.workflows.query.suitable import check_fit, check_suits, too_few

Predicts = Literal["classes", "numbers"]


@dataclass(frozen=True)
class Situation:
    """Everything that a query is answered from.

    head: None where no head is given or needed, or where no candidate is left to ask it about. predicts: the kind of
    labels that the head predicts, or would predict if it had been fitted; None where no head is given or needed.
    labelled: row numbers. labels: of the labelled rows, class numbers of the head or targets; None where the strategy
    does not read labels. candidates: item numbers. seed: see `drawn_seed`. conflicts: items of several labels.
    """

    items: Items
    head: HeadFile | None
    predicts: Predicts | None
    labelled: Int64
    labels: Array | None
    candidates: Int64
    seed: int
    conflicts: tuple[Conflict, ...] = ()


@dataclass(frozen=True)
class _Known:
    """The facts before a head is fitted.

    labelled: row numbers. fit_on: the rows to fit a head on; None where a head is given or none is needed. names: of
    classes, for that head. none: rows that belong to no class. audited: row numbers of the audit that the head was
    measured by.
    """

    labelled: Int64
    head: HeadFile | None = None
    labels: Array | None = None
    fit_on: LabelledRows | None = None
    names: ClassNames | None = None
    none: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    audited: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    conflicts: tuple[Conflict, ...] = ()

    @property
    def predicts(self) -> Predicts | None:
        """The kind of labels that the head predicts, or would predict once fitted; None without a head."""
        if self.fit_on is not None:
            return "numbers" if self.fit_on.regression else "classes"
        return None if self.head is None else "numbers" if self.head.classes is None else "classes"


def situation(
    items: Items, ask: Query, strategy: Strategy, in_ledger: GivenOut, note: Note, *, keeps_head: bool = False
) -> Situation:
    """Gather the head, the labelled rows and the candidates. Raises the errors of reading and of fitting.

    in_ledger: ids that were given out before. keeps_head: a head is fitted even where no candidate is left. For an
    audit, the candidates are all items but test rows, labelled or not.
    """
    pool = items.pool
    if not ask.allow_empty:
        pool.require_rows("--allow-empty accepts a pool without rows")
    items.check_options(ask.options)
    if ask.head is None:
        known = _gathered(pool, ask, strategy, in_ledger, note)
    else:
        known = _given(pool, ask, ask.head, strategy, in_ledger, note)
    if pool.is_bad.any():
        one, several = "row without a usable vector was", "rows without a usable vector were"
        note(f"{counted(int(pool.is_bad.sum()), one, several)} left out")
    items.remark(known.labelled, note)
    if known.head is None and FEATURE_NEEDS.intersection(strategy.needs):
        pool.watch_scales()
    if strategy.again:
        items.refuse_groups(f"-s {ask.strategy} judges the labels of rows one by one")
    left = items.candidates(_closed(pool, known, strategy), excluded(items, ask, in_ledger, note))
    if not (strategy.again or strategy.audits):
        left = _without_alike(items, left, known, ask.n, note)
    seed = drawn_seed(ask.seed, len(in_ledger))
    candidates = reduced(items, left, known.labelled, ask, seed, note)
    head, labels = known.head, known.labels
    if known.fit_on is not None and (len(candidates) or keeps_head):
        head, labels = fitted_now(pool, ask, strategy, known.fit_on, known.names, note)
    return Situation(items, head, known.predicts, known.labelled, labels, candidates, seed, known.conflicts)


def _without_alike(items: Items, candidates: Int64, known: _Known, n: int, note: Note) -> Int64:
    """The candidates that do not look like items of no class; a note says how many do. n: this many are kept."""
    none, labelled = (np.unique(items.of_rows(rows)) for rows in (known.none, known.labelled))
    kept = without_alike(items.source, candidates, labelled, none, n)
    if len(none) and len(labelled) and len(candidates):
        left_out = len(candidates) - len(kept)
        alike = counted(left_out, "candidate looks", "candidates look")
        of_none = counted(len(none), "item that belongs", "items that belong")
        note(f"{alike} like the {of_none} to no class and {'was' if left_out == 1 else 'were'} left out")
    return kept


def _closed(pool: Pool, known: _Known, strategy: Strategy) -> Array:
    """A mask [N] of the rows that the strategy may not choose. An audit is drawn from all rows but test rows."""
    if strategy.audits:
        return pool.is_test
    closed_N: Array = ~np.isin(np.arange(pool.n), known.labelled) if strategy.again else pool.is_test.copy()
    closed_N[known.labelled] = not strategy.again
    closed_N[known.none] = closed_N[known.audited] = True
    return closed_N


def targets_of(pool: Pool, ask: Query) -> Floats | None:
    """The features of the rows that the user named as targets.

    Raises DataError for a pool without rows or with another D.
    """
    if ask.targets is None:
        return None
    named = pool.read_alike(ask.targets)
    named.require_rows()
    if named.dim != pool.dim:
        raise DataError(
            f"{named.name}: its features have length {named.dim}, those of {pool.name} {pool.dim}",
            hint="targets need features of the same model",
        )
    return named.take(np.flatnonzero(~named.is_bad))


def _gathered(pool: Pool, ask: Query, strategy: Strategy, out: GivenOut, note: Note) -> _Known:
    """The rows that the user or the pool labels, and the rows to fit a head on.

    Raises DataError or UsageError where no head can be fitted.
    """
    names = None if ask.class_names is None else read_class_names(ask.class_names, pool, note)
    labelled = gather(
        pool,
        ask.labels,
        ignore_unknown=ask.ignore_unknown,
        corrections=ask.corrections,
        none_label=ask.none_label,
        spelling=Spelling(ask.normalize, () if names is None else names.names),
        given_out=out,
        note=note,
    )
    conflicts = labelled.labels.conflicts
    named = names is not None and not labelled.regression and len({*names.names, *labelled.labels.classes()}) > 1
    if not strategy.needs_head or (strategy.cold and too_few(labelled) and not named):
        return _Known(labelled.rows_L, none=labelled.none_rows, conflicts=conflicts)
    if not named:
        check_fit(ask, strategy, labelled)
    return _Known(labelled.rows_L, fit_on=labelled, names=names, none=labelled.none_rows, conflicts=conflicts)


def _given(pool: Pool, ask: Query, given: Path | HeadFile, strategy: Strategy, out: GivenOut, note: Note) -> _Known:
    """The given head, and the rows that the head or a label file labels, with labels where the strategy reads them.

    Raises UsageError or DataError for a head that does not suit the strategy or the pool.
    """
    head = given if isinstance(given, HeadFile) else load_head(given, expect_sha256=ask.expect_sha256)
    head = replace(head, normalizes=head.normalizes or (ask.normalize and head.classes is not None))
    check_suits(ask, head, strategy)
    known = rows_of_hashes(head.absorbed.id_L, pool.ids.hashes())
    in_pool = known >= 0
    known, labels = known[in_pool], head.absorbed.label_L[in_pool]
    none = rows_of_hashes(head.no_class.keys(), pool.ids.hashes())
    said = Labels()
    if ask.labels:
        said = read_labels(
            ask.labels,
            pool.ids,
            regression=head.classes is None,
            ignore_unknown=ask.ignore_unknown,
            groups=pool.groups,
            corrections=ask.corrections,
            none_label=head.no_class.label if ask.none_label is None else ask.none_label,
            spelling=Spelling(head.normalizes, head.classes or ()),
            given_out=out,
            note=note,
        )
        none = np.concatenate([none, pool.ids.rows_of(list(said.of_no_class))])
        said_rows = pool.ids.rows_of(list(said.by_id))
        before = ~np.isin(known, said_rows)
        if "labelled_targets" in strategy.needs:
            labels = np.concatenate([labels[before], said.arrays(head.classes)[0]])
        known = np.concatenate([known[before], said_rows])
    if pool.n:
        check_pool(head, ask.shown_head, pool, note)
    if strategy.needs_head and not strategy.again:
        remark_on_models(head, note)
    labels_L, audited = labels if "labelled_targets" in strategy.needs else None, audited_rows(pool, head)
    none = np.setdiff1d(none[none >= 0], known)
    return _Known(known, head, labels_L, none=none, audited=audited, conflicts=said.conflicts)
