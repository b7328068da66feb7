"""`alcli query --stream`: ask for one item, absorb its label, ask for the next: JSON Lines in both directions.

Each item is written as soon as it is chosen, each label is absorbed before the next item is chosen. However the
stream ends (enough labels, end of input, a signal, a reader that left), the head that has absorbed the labels is
saved. A killed process leaves the head as it was, and every id that was given out in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from alcli.data.formats import own_format
from alcli.data.writing.creatable import check_creatable
from alcli.data.writing.locks import lock
from alcli.errors import AlcliError, UsageError, counted, printable
from alcli.remarks import Note
from alcli.workflows.items import Items
from alcli.workflows.query.request import IMPUTE, Query
from alcli.workflows.query.session import Session


def check_stream(ask: Query, out: Path | None) -> None:
    """Raise UsageError for options that do not go with a stream."""
    strategy, _ = ask.checked()
    if "-" in map(str, (*ask.labels, *ask.exclude)):
        raise UsageError("'-' is standard input, which --stream reads labels from", hint="name a file")
    if ask.impute is not None:
        raise UsageError(f"-p {IMPUTE} makes up labels, --stream asks for them", hint="use one of the two")
    if ask.conflicts is not None:
        raise UsageError("--conflicts is for batches, --stream reads one label at a time", hint="leave it out")
    if out is not None and own_format(out.suffix) is not None:
        raise UsageError(
            f"with --stream -o names the head to save, not a selection, got {printable(out)}",
            hint="name a .safetensors file",
        )
    if out is not None and ask.head is None and not strategy.needs_head:
        raise UsageError(
            f"--stream -o saves the updated head, and strategy '{ask.strategy}' needs none", hint="name a head with -H"
        )


def stream(
    items: Items,
    ask: Query,
    *,
    out: Path | None,
    source: BinaryIO,
    emit: Callable[[bytes], None],
    note: Note,
    allow_new_classes: bool = False,
) -> None:
    """Ask for ask.n items one at a time and absorb each label. Raises every AlcliError.

    source: the annotator's lines. emit: takes each line for the annotator. out: the file for the updated head. note:
    takes remarks. allow_new_classes: a label of a class that the head does not have adds the class; otherwise the
    answer is an error.
    """
    check_stream(ask, out)
    items.refuse_groups("--stream asks for rows one at a time")
    read: list[str | Path] = [*items.pool.paths, *ask.files]
    for path in filter(None, (out, ask.ledger)):
        check_creatable(path, inputs=[*read, *(p for p in (out, ask.ledger) if p and p is not path)])
    with lock(out, ask.lock_timeout) if out is not None else nullcontext():
        session = Session(items, replace(ask, stream=True), emit, note, allow_new_classes, saves=out is not None)
        with _in_ledger(session, note), _saved(session, out, note):
            session.run(source)


@contextmanager
def _in_ledger(session: Session, note: Note) -> Iterator[None]:
    """Write the journal of the stream into its ledger at the end of the block, however the block ends."""
    try:
        yield
    finally:
        try:
            session.close_ledger()
        except AlcliError as error:
            what = "the items are safe in the journal beside the ledger, and the next query writes them into the ledger"
            note(f"{error.message}; {what}")


@contextmanager
def _saved(session: Session, out: Path | None, note: Note) -> Iterator[None]:
    """Save the head at the end of the block, however the block ends."""
    where = ""
    try:
        yield
    finally:
        try:
            session.save(out)
            where = "" if out is None or session.head is None else f", saved in {printable(out)}"
        except BaseException as error:
            if isinstance(error, Exception):
                raise
            # A signal came while the head was being saved: save it again. A second signal of its kind would have
            # ended the process.
            session.save(out)
            where = "" if out is None or session.head is None else f", saved in {printable(out)}"
            raise
        finally:
            items, labels = counted(session.asked, "item"), counted(len(session.told), "label")
            note(f"{items} asked for, {session.answered} labelled; {labels} absorbed{where}")
