"""The memory of the head and the ledger: the accuracy that audits found, and the batches that were given out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alcli.data.head_file import HeadFile
from alcli.data.ledger.entries import Entry
from alcli.errors import counted, printable
from alcli.report.page.chart import CurvePoint, chart
from alcli.report.page.contents import Grid, PageSection
from alcli.workflows.items import Items
from alcli.workflows.report.batch import batches_of

_NO_AUDIT = (
    "The head has not been measured by an audit. Items that a strategy chose cannot tell how good it is: they are "
    "harder than the rest. To measure it, draw a random sample by query -s audit, label it, and give it to --audit of "
    "fit-head or update."
)


def over_time(
    items: Items, head: HeadFile, ledger: Path | None, entries: Sequence[Entry], labelled: set[int]
) -> PageSection:
    """The section on accuracy over time. entries: of the ledger. labelled: item numbers."""
    rounds, grids = head.audited.rounds, []
    sentences, drawn = [_NO_AUDIT], None
    if rounds:
        last = rounds[-1]
        sentences = [
            f"The last of {counted(len(rounds), 'look')} at the audit found an accuracy of {last.accuracy:.1%} over "
            f"the items that the head has not learned from, with a 95% interval of {last.low:.1%} to {last.high:.1%}."
        ]
        points = [CurvePoint(one.labels, one.accuracy, one.low, one.high) for one in rounds]
        # A curve has one value at a number of labels: the last look, which has the most audit labels.
        curve = list({point.x: point for point in points}.values())
        words = "Accuracy by number of labels, with the 95% intervals of the audit"
        drawn = chart({"audit": curve}, x_label="labels", y_label="accuracy", words=words, share=True)
        rows = [
            (str(k), f"{one.labels:,}", f"{one.audit:,}", f"{one.accuracy:.1%}", f"{one.low:.1%} to {one.high:.1%}")
            for k, one in enumerate(rounds, 1)
        ]
        header = ("look", "labels of the head", "audit labels", "accuracy", "95% interval")
        grids.append(Grid("Each look at the head through an audit", header, rows, frozenset({1, 2, 3, 4})))
    elif len(head.audited):
        n = counted(len(head.audited), "audited item")
        sentences = [f"The head remembers {n}. The file of a head that predicts numbers keeps no figures of audits."]
    if entries:
        grids.append(_batches(items, printable(ledger), entries, labelled))
    return PageSection("accuracy", "Accuracy over time", sentences, drawn, grids)


def _batches(items: Items, ledger: str, entries: Sequence[Entry], labelled: set[int]) -> Grid:
    """The batches of a ledger. Items of an audit are not learned from, so that their labels are not counted."""
    places = (f"{ledger}: row {number}" for number in range(len(entries)))
    ids = [items.ids.parse(entry["id"], where, from_text=False) for entry, where in zip(entries, places)]
    item_of, rows = iter(items.ids.rows_of(ids).tolist()), []
    for number, batch in enumerate(batches_of(entries), 1):
        known = sum(next(item_of) in labelled for _ in batch)
        strategies = ", ".join(sorted({str(entry.get("strategy") or "") for entry in batch}))
        is_audit = batch[0]["purpose"] == "audit"
        purpose = "to measure" if is_audit else "to learn from"
        rows.append((str(number), strategies, purpose, f"{len(batch):,}", "" if is_audit else f"{known:,}"))
    header = ("batch", "strategy", "given out", "items", "labelled")
    return Grid("The batches of the ledger", header, rows, frozenset({3, 4}))
