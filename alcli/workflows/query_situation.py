"""What a query is answered from: the head, the labelled rows, and the items that may be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alcli import plugins
from alcli.arrays import Array, Floats, Int64
from alcli.data.head_file import HeadFile, load_head
from alcli.data.head_match import check_pool, rows_of_hashes
from alcli.data.labels import read_labels
from alcli.data.pool import Pool
from alcli.data.tables import read_ids
from alcli.errors import DataError, UsageError, printable
from alcli.numerics.hashing import uniforms
from alcli.strategies._contract import Strategy
from alcli.strategies._needs import HEAD_NEEDS
from alcli.workflows.fit_head import fit_labelled
from alcli.workflows.items import Items, check_options
from alcli.workflows.labelled import LabelledRows, gather
from alcli.workflows.query_request import Query
from alcli.workflows.recipe import Recipe

_CANDIDATE_STREAM = 1
_LARGEST_POSTERIOR = 8192


@dataclass(frozen=True)
class Situation:
    """What a query is answered from. head: None where none is given or needed. labelled: rows. candidates: items.

    labels: of the labelled rows, class numbers of the head or targets; None where the strategy does not look at them.
    notes: remarks for the user so far, to be added to.
    """

    items: Items
    head: HeadFile | None
    labelled: Int64
    labels: Array | None
    candidates: Int64
    notes: list[str]


def situation(pool: Pool, ask: Query, strategy: Strategy, in_ledger: Sequence[Any]) -> Situation:
    """The head, the labelled rows and the items that may be chosen. in_ledger: ids that were given out before."""
    if not ask.allow_empty:
        pool.require_rows()
    check_options(pool, ask.options)
    items = Items(pool)
    notes = list(pool.notes)
    head, labelled_rows, labels = _head_and_labels(pool, ask, strategy, notes)
    if head is not None and ask.head is not None and pool.n:
        notes += check_pool(head, printable(ask.head), pool)
    if pool.is_bad.any():
        notes.append(f"{pool.is_bad.sum()} rows without a usable vector were left out")
    notes += items.notes(labelled_rows)
    closed_N = pool.is_test.copy()
    closed_N[labelled_rows] = True
    candidates = items.left(closed_N, _excluded(items, ask, in_ledger, notes))
    return Situation(items, head, labelled_rows, labels, _reduced(items, candidates, ask, notes), notes)


def targets_of(pool: Pool, ask: Query) -> Floats | None:
    """The features of the rows that the user named as targets. Raises DataError when there are none, or of another length."""
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


def _head_and_labels(pool: Pool, ask: Query, strategy: Strategy, notes: list[str]) -> tuple[HeadFile | None, Int64, Array | None]:
    """The head to ask, fitted now when none is given but needed; the rows that need no label any more, and their labels if looked at."""
    head = load_head(ask.head, expect_sha256=ask.expect_sha256) if ask.head is not None else None
    if head is None:
        labelled = gather(pool, ask.labels, ignore_unknown=ask.ignore_unknown)
        notes.extend(labelled.notes)
        if strategy.needs_head and not (strategy.cold and _too_few(labelled)):
            head = _fitted_now(pool, ask, strategy, labelled, notes)
            notes.append(f"fitted a {head.model.head.kind} head on {len(labelled.rows_L)} labels")
        looked_at = head is not None and "labelled_targets" in strategy.needs
        return head, labelled.rows_L, labelled.labels.arrays(labelled.classes)[0] if looked_at else None
    if strategy.needs_classes and head.classes is None:
        raise UsageError(
            f"strategy '{ask.strategy}' needs class probabilities, the head {printable(ask.head)} is a regression",
            hint=_without_head(),
        )
    if strategy.needs_posterior and head.model.posterior is None:
        raise UsageError(
            f"strategy '{ask.strategy}' looks at the posterior, the head {printable(ask.head)} has none",
            hint="fit it with --posterior laplace",
        )
    if "predicted_loss" in strategy.needs and head.model.head.branch is None:
        raise UsageError(
            f"strategy '{ask.strategy}' looks at the loss-prediction branch, the head {printable(ask.head)} has none",
            hint="fit it with --head mlp --aux-loss",
        )
    if ask.absorbs and (head.model.posterior is None or not head.model.posterior.absorbs):
        raise UsageError(
            f"the head {printable(ask.head)} has no posterior that absorbs labels one at a time",
            hint="fit it with --posterior laplace",
        )
    known = rows_of_hashes(head.absorbed.id_L, pool.ids.hashes())
    in_pool = known >= 0
    known, labels = known[in_pool], head.absorbed.label_L[in_pool]
    if ask.labels:
        said = read_labels(ask.labels, pool.ids, regression=head.classes is None, ignore_unknown=ask.ignore_unknown, groups=pool.groups)
        notes.extend(said.notes)
        said_rows = pool.ids.rows_of(list(said.by_id))
        before = ~np.isin(known, said_rows)
        if "labelled_targets" in strategy.needs:
            labels = np.concatenate([labels[before], said.arrays(head.classes)[0]])
        known = np.concatenate([known[before], said_rows])
    return head, known, labels if "labelled_targets" in strategy.needs else None


def _too_few(labelled: LabelledRows) -> bool:
    """Whether no head can be fitted yet."""
    return len(labelled.labels) == 0 or (not labelled.regression and len(labelled.labels.classes()) < 2)


def _fitted_now(pool: Pool, ask: Query, strategy: Strategy, labelled: LabelledRows, notes: list[str]) -> HeadFile:
    if not len(labelled.labels):
        raise DataError(
            f"strategy '{ask.strategy}' needs a head or labels, there are none",
            hint=f"give -H or -l; -s auto begins without labels; {_without_head()}",
        )
    if labelled.regression and strategy.needs_classes:
        raise UsageError(f"strategy '{ask.strategy}' needs class probabilities, the labels are numbers", hint=_without_head())
    if not labelled.regression and len(labelled.labels.classes()) < 2:
        raise DataError(
            f"strategy '{ask.strategy}' needs a head, and a head needs 2 classes; the {len(labelled.labels)} labels show one",
            hint=_without_head(),
        )
    calibrate = "temperature" if "trained_log_probs" in strategy.needs and not labelled.regression else "none"
    if pool.dim <= _LARGEST_POSTERIOR or strategy.needs_posterior:
        return fit_labelled(pool, labelled, Recipe(posterior="laplace" if ask.absorbs else strategy.posterior, calibrate=calibrate)).head
    notes.append(f"D={pool.dim} is too large for a covariance of D x D, so the confidence is that of the weights alone")
    return fit_labelled(pool, labelled, Recipe(posterior="none", calibrate=calibrate)).head


def _without_head() -> str:
    names = [n for n in plugins.names("strategies") if not HEAD_NEEDS.intersection(plugins.summary("strategies", n).needs)]
    return f"strategies that need no head: {', '.join(names)}"


def _excluded(items: Items, ask: Query, in_ledger: Sequence[Any], notes: list[str]) -> Int64:
    ids = [items.ids.parse(row.values["id"], row.where, from_text=row.from_text) for path in ask.exclude for row in read_ids(path)]
    ids += [items.ids.parse(id, f"{printable(ask.ledger)}: row {row}", from_text=False) for row, id in enumerate(in_ledger)]
    found = items.ids.rows_of(ids)
    if (found < 0).any():
        notes.append(f"{(found < 0).sum()} ids to leave out are not in the pool")
    return found[found >= 0]


def _reduced(items: Items, candidates: Int64, ask: Query, notes: list[str]) -> Int64:
    """At most --candidates of the items, drawn by a hash of seed and id, so that files and their order do not matter."""
    if ask.candidates is None or ask.candidates >= len(candidates):
        return candidates
    draws = uniforms(items.source.row_keys(candidates), ask.seed, _CANDIDATE_STREAM)
    notes.append(f"chose among {ask.candidates} random candidates of {len(candidates)}")
    return np.sort(candidates[np.argsort(draws, kind="stable")[: ask.candidates]])
