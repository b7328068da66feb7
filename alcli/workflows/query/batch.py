"""`alcli query`: choose which items of a pool to label next."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from alcli.composition.budget import select_within
from alcli.data.annotations.conflicts import Conflict, check_conflicts_file, write_conflicts
from alcli.data.formats import Table, encode
from alcli.data.ledger.entries import AUDIT, EMPTY, LEARNING, NOTHING_GIVEN_OUT, Ledger, read_ledger
from alcli.data.ledger.owed import Late, acknowledge, deliver, give_out, show_out
from alcli.data.writing.atomic import replacing
from alcli.data.writing.creatable import check_creatable, is_device
from alcli.data.writing.locks import lock
from alcli.errors import DataError, UsageError
from alcli.live.impute import impute_batch
from alcli.live.live import Live
from alcli.remarks import Note, silence
from alcli.selection.select import select
from alcli.selection.strategy import NOTHING, Selection, Strategy
from alcli.selection.view import View
from alcli.workflows.audit.draw import draw_audit
from alcli.workflows.items import Items
from alcli.workflows.query.columns import choices, named, predictions
from alcli.workflows.query.explain import explanations
from alcli.workflows.query.request import IMPUTE, Query
from alcli.workflows.query.shown.keeping import kept
from alcli.workflows.query.shown.suggesting import suggestion_of
from alcli.workflows.query.situation import Situation, situation, targets_of
from alcli.workflows.query.suspects import remark_on_suspects, suspicions


@dataclass
class Answer:
    """The selection as a table, and the figures of the query.

    conflicts: items that label files give several labels. suggestion: facts about the predictions that a labelling tool
    gets, empty where it gets none.
    """

    table: Table
    report: dict[str, Any]
    conflicts: tuple[Conflict, ...] = ()
    suggestion: dict[str, Any] = field(default_factory=dict)


def query(
    items: Items,
    ask: Query,
    *,
    out: Path | None,
    format: str,
    emit: Callable[[bytes], None],
    note: Note = silence,
    announce: Note | None = None,
    foretell: Note | None = None,
) -> Answer:
    """Select items, write them to `out` (or hand the bytes to `emit`), and append them to the ledger under its lock.

    An id stands in the ledger before anybody can read it. A batch in the ledger reaches `out` even when this process
    dies before its end: the next query with the same ledger writes it, and answers with it if its own `out` is the same
    file. A device or a pipe is opened first: the ledger is free while a pipe waits for its reader. note: takes remarks
    for the user. announce, foretell: take what a strategy says before its work, and how long that will take; None takes
    `note`. Raises every AlcliError.
    """
    strategy, options = ask.checked()
    items = items.tested(ask.test_labels, ignore_unknown=ask.ignore_unknown, normalize=ask.normalize)
    read: list[str | Path] = [*items.pool.paths, *ask.files, *filter(None, [ask.head_file])]
    if out is not None:
        check_creatable(out, inputs=[*read, *filter(None, [ask.ledger])])
    others = [*read, *filter(None, [ask.ledger, out])]
    check_conflicts_file(ask.conflicts, overwrite=True, inputs=others)
    with ExitStack() as held:
        pipe = held.enter_context(replacing(out)) if out is not None and is_device(out) else None
        show = emit if pipe is None else partial(_shown_on, pipe)
        if ask.ledger is not None:
            check_creatable(ask.ledger, inputs=read)
            held.enter_context(lock(ask.ledger, ask.lock_timeout))
        before = read_ledger(ask.ledger) if ask.ledger is not None else EMPTY
        late = _delivered(ask.ledger, before, out, note)
        if late is not None and out is not None and os.path.realpath(out) == os.fspath(late.out):
            acknowledge(late.owed)
            return _written_late(items, late)
        answer = _answer(items, ask, strategy, options, before, note, (announce or note, foretell or note))
        about = {
            "format": 1,
            "strategy": ask.strategy,
            "seed": ask.seed,
            "ledger_rows": len(before),
            "options": dict(ask.options),
            "pool": answer.report["pool"],
        }
        about |= {"kept": list(ask.keep)} if ask.keep else {}
        about |= {"suggestion": answer.suggestion} if answer.suggestion else {}
        if answer.suggestion and format == "doccano":
            note("doccano exports a suggestion that nobody looked at as a label: export approved documents alone")
        about |= {"origins": origins} if (origins := ask.origins) else {}
        text_ids = items.ids.is_text
        data = encode(answer.table, format, about, text_ids=text_ids)
        write_conflicts(ask.conflicts, answer.conflicts, text_ids=text_ids, overwrite=True)
        to_file = out if pipe is None else None
        if ask.ledger is not None and answer.table["id"]:
            purpose = AUDIT if strategy.audits else LEARNING
            if to_file is not None:
                acknowledge(
                    give_out(data, to_file, ask.ledger, before, answer.table, text_ids=text_ids, purpose=purpose)
                )
            else:
                with show_out(ask.ledger, before, answer.table, text_ids=text_ids, purpose=purpose):
                    show(data)
        elif to_file is not None:
            with replacing(to_file) as file:
                file.write(data)
        else:
            show(data)
    return answer


def _shown_on(pipe: BinaryIO, data: bytes) -> None:
    """Write to a pipe or a device past the buffer, so that the system refuses here what it refuses."""
    left = memoryview(data)
    while left:
        left = left[os.write(pipe.fileno(), left) :]


def _delivered(ledger: Path | None, before: Ledger, out: Path | None, note: Note) -> Late | None:
    """The batch of a run that did not end well, if there is one; unless it is the answer, its owed copy is removed."""
    late = None if ledger is None else deliver(ledger, before, out)
    if late is not None and out is not None and os.path.realpath(out) == os.fspath(late.out):
        note(f"{late.note}; none were chosen anew")
    elif late is not None:
        note(late.note)
        acknowledge(late.owed)
    return late


def _written_late(items: Items, late: Late) -> Answer:
    """Answer with the batch that a stopped run entered into the ledger and did not live to write, or to tell of."""
    table = {name: [row.get(name) for row in late.rows] for name in ("id", "rank", "score", "strategy")}
    return Answer(table, {"pool": items.about(), "candidates": 0, "labelled": 0, "selected": len(late.rows)})


def _answer(
    items: Items,
    ask: Query,
    strategy: Strategy,
    options: dict[str, Any],
    before: Ledger,
    note: Note,
    before_work: tuple[Note, Note],
) -> Answer:
    in_ledger = NOTHING_GIVEN_OUT if strategy.audits else before.ids
    now, pool = situation(items, ask, strategy, in_ledger, note), items.pool
    labelled_rows, candidates = now.labelled, now.candidates
    announced: list[str] = []

    def once(text: str, note: Note) -> None:
        if text not in announced:
            announced.append(text)
            note(text)

    if strategy.audits:
        selection, imputed = draw_audit(now, ask, strategy, before, note), None
    elif ask.impute is None:
        view = items.view(
            candidates,
            labelled_rows,
            None if now.head is None else now.head.predicts if strategy.again else now.head.model,
            targets=targets_of(pool, ask),
            labels=now.labels,
        )
        view.tell, view.tell_cost = (partial(once, note=one) for one in before_work)
        selection, imputed = _selected(now, ask, strategy, view, options), None
    else:
        selection, imputed = _imputed(now, strategy, ask, options)
        note(
            "the batch was chosen as if its items had the labels in column 'imputed', which the model made up "
            f"(impute={ask.impute}); nobody gave them"
        )
    for text in selection.notes:
        if text not in announced:
            note(text)
    if ask.cost_column is None:
        remark_on_shortage(len(selection.rows_K), ask, note)
    if len(labelled_rows) and not len(candidates) and ask.head is None and not ask.labels:
        note(
            f"the pool labels these rows itself, in column '{pool.label_column}'; to begin without labels, give -l a "
            "file with just the line id,label"
        )
    report = {
        "pool": items.about(),
        "candidates": len(candidates),
        "labelled": len(np.unique(items.of_rows(labelled_rows))),
        "selected": len(selection.rows_K),
    } | dict(selection.record)
    table = choices(ask.label, selection, now)
    if strategy.audits:
        table["population"] = [len(candidates)] * len(selection.rows_K)
    predicted, log_probs_KC = (suspicions(selection, now), None) if strategy.again else predictions(selection, now)
    table |= predicted
    if strategy.again:
        remark_on_suspects(selection, now, note)
    elif ask.explain:
        table |= explanations(table["strategy"], selection, now, log_probs_KC)
    table |= {} if imputed is None else {"imputed": imputed}
    table |= kept(items, selection.rows_K, ask.keep, ask.items, table, note)
    suggested = {} if ask.question is None else suggestion_of(ask, now, table)
    return Answer(table, report, now.conflicts, suggested)


def _selected(now: Situation, ask: Query, strategy: Strategy, view: View, options: dict[str, Any]) -> Selection:
    """Select ask.n items, or as many as a budget of ask.n buys."""
    if ask.cost_column is None:
        return select(strategy, view, ask.n, seed=now.seed, options=options)
    costs = now.items.costs(ask.cost_column)
    return select_within(strategy, ask.strategy, view, ask.n, costs, seed=now.seed, options=options)


def _imputed(now: Situation, strategy: Strategy, ask: Query, options: dict[str, Any]) -> tuple[Selection, list[Any]]:
    """Choose a batch one item at a time under made-up labels; return the batch and the labels."""
    now.items.refuse_groups(f"-p {IMPUTE} chooses rows one at a time")
    if now.predicts != "classes":
        why = "there is no head" if now.predicts is None else "the head is a regression"
        raise UsageError(
            f"-p {IMPUTE} makes up labels from class probabilities, {why}",
            hint="give a classification head with -H",
        )
    if now.head is None:
        return NOTHING, []
    head = now.head
    live = Live(
        now.items.pool,
        now.candidates,
        now.labelled,
        head.model,
        strategy,
        seed=now.seed,
        options=options,
        labels=now.labels,
    )
    selection, classes = impute_batch(live, ask.n, how=str(ask.impute), seed=now.seed)
    return selection, named(head, classes)


def remark_on_shortage(selected: int, ask: Query, note: Note) -> None:
    """Tell that fewer than ask.n items were left. Raises DataError where the user wants exactly as many (--strict)."""
    if selected == ask.n:
        return
    what = (
        "nothing is left to select"
        if selected == 0
        else f"only {selected} of {ask.n} items {'is' if selected == 1 else 'are'} left to select"
    )
    if ask.strict:
        raise DataError(what, hint="without --strict what is left is returned")
    note(what)
