"""The draw of an audit: calibrate the head's confidence, draw from all items, leave out what was drawn before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alcli.arrays import Int64
from alcli.data.head_file import HeadFile
from alcli.data.head_match import audited_rows, rows_of_hashes
from alcli.data.ledger.entries import AUDIT, Ledger
from alcli.data.pool import Pool
from alcli.errors import printable
from alcli.heads._fitting import fit
from alcli.heads._model import Model
from alcli.remarks import Note
from alcli.selection.select import select
from alcli.selection.strategy import NOTHING, Selection, Strategy
from alcli.workflows.query.request import Query
from alcli.workflows.query.situation import Situation
from alcli.workflows.recipe import POOL, Recipe
from alcli.workflows.update.learning import labelled


def draw_audit(now: Situation, ask: Query, strategy: Strategy, before: Ledger, note: Note) -> Selection:
    """Draw the next ask.n rows of an audit.

    before: the ledger. Rows that it gave out for an audit are left out, and so are those of the audit
    that the head remembers. The seed is the user's, whatever the ledger holds: so the batch goes on where the last one
    ended. Raises UsageError where rows make groups.
    """
    now.items.refuse_groups("an audit draws rows")
    if now.head is None:
        return NOTHING
    pool = now.items.pool
    drawn = np.union1d(_drawn_before(pool, before, ask), audited_rows(pool, now.head))
    view = now.items.view(now.candidates, now.labelled, calibrated(pool, now.head, ask.shown_head, note))
    found = select(strategy, view, ask.n + len(drawn), seed=ask.seed, options={})
    assert found.weights_K is not None
    kept = np.flatnonzero(~np.isin(found.rows_K, drawn))[: ask.n]
    return replace(found, rows_K=found.rows_K[kept], scores_K=found.scores_K[kept], weights_K=found.weights_K[kept])


def _drawn_before(pool: Pool, before: Ledger, ask: Query) -> Int64:
    """The rows of the pool that the ledger gave out for an audit."""
    ids = before.given_out_for(AUDIT).column
    rows = pool.ids.rows_of(pool.ids.parsed(ids, lambda row: f"{printable(ask.ledger)}: item {row} of audits"))
    return rows[rows >= 0]


def calibrated(pool: Pool, head: HeadFile, shown: str, note: Note) -> Model:
    """Return the model that predicts, at a temperature that fits held-out labels.

    A head that was calibrated when it was fitted stays as it is, and so does one that learnt from the pool too. Others
    are fitted to folds of their labels, for the temperature alone. A remark says where the pool lacks these.
    """
    model, recipe = head.predicts, Recipe.from_json(head.recipe, shown)
    if head.classes is None or not len(head.absorbed) or recipe.prior == POOL or recipe.calibrate != "none":
        return model
    if (rows_of_hashes(head.absorbed.id_L, pool.ids.hashes()) < 0).any():
        note(f"{pool.name} lacks labelled items of the head, so the audit follows a confidence that is not calibrated")
        return model
    spec = replace(recipe.spec(regression=False), calibrate="temperature", prior_precision=model.head.prior_precision)
    fitted = fit(labelled(pool, head, head.absorbed), spec, start=model, tune_update=False)
    return replace(model, temperature=fitted.temperature, predictive_temperature=fitted.predictive_temperature)
