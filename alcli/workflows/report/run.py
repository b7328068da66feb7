"""`alcli report`: one page that shows a batch, a map of the pool, accuracy over time, classes and suspect labels.

Cost: a pass over the features for the axes of the map, one for predictions and places, one for the reasons of the
batch, and what `query -s suspect` takes.
Memory: the ids; about 100 bytes an item, whatever D is; two matrices of D x D; the features of the batch and of
labelled items; a few blocks; and the page with its pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.data.head_file import HeadFile
from alcli.data.head_match import check_pool
from alcli.data.reading.head_header import contents_of
from alcli.data.writing.atomic import replacing
from alcli.data.writing.creatable import check_creatable
from alcli.errors import counted, printable
from alcli.remarks import Note, Progress
from alcli.report.page.contents import Card, Fact, Map, Page
from alcli.report.page.render import html_of
from alcli.workflows.items import Items
from alcli.workflows.report.batch import NO_BATCH, ShownBatch, batch_of_file, entries_of, last_batch, told
from alcli.workflows.report.counts import Suspects, class_counts, suspect_labels, suspects
from alcli.workflows.report.known import KnownLabels, known_labels
from alcli.workflows.report.mapping import FOUND, LABELLED, Points, map_of
from alcli.workflows.report.meanings import meanings
from alcli.workflows.report.over_time import over_time
from alcli.workflows.report.placing import check_projection, lowest_hashes, principal_axes, umap_places
from alcli.workflows.report.request import ReportRequest
from alcli.workflows.report.showing import ON_MAP, Shown, letters_on_card, pictures, shortened, shown
from alcli.workflows.report.simulated import simulated
from alcli.workflows.report.survey import Survey, survey

# Letters of a reason that always have room.
_REASON = 350


def report(
    items: Items, ask: ReportRequest, *, out: Path, overwrite: bool, progress: Progress, note: Note
) -> dict[str, Any]:
    """Write the page to `out`, whole or not at all, and return its figures. Raises every AlcliError."""
    ask.checked()
    inputs = [*items.pool.paths, *ask.files, *filter(None, [ask.simulation])]
    check_creatable(out, overwrite=overwrite, inputs=inputs)
    check_projection(ask.projection)
    items.pool.require_rows()
    head = ask.opened()
    check_pool(head, printable(ask.head), items.pool, note)
    page, figures = _page(items, head, ask, progress, note)
    data = html_of(page)
    with replacing(out, overwrite=overwrite) as file:
        file.write(data)
    return figures | {"bytes": len(data), "out": str(out)}


def _page(
    items: Items, head: HeadFile, ask: ReportRequest, progress: Progress, note: Note
) -> tuple[Page, dict[str, Any]]:
    entries = entries_of(ask.ledger)
    batch = NO_BATCH
    if ask.ledger is not None:
        batch = last_batch(items, ask.ledger, entries, note)
    elif ask.batch is not None:
        batch = batch_of_file(items, ask.batch, note)
    # What needs no pass over the pool comes first, so that a wrong file is told before the work.
    parts = [] if ask.simulation is None else [simulated(ask.simulation)]
    known = known_labels(items, head, ask, note)
    usable = items.candidates(np.zeros(items.pool.n, bool), np.empty(0, np.int64))
    labelled = np.array(list(known.labels), np.int64)
    placeable = np.intersect1d(labelled, usable)
    drawn = lowest_hashes(items, placeable, LABELLED)
    others = lowest_hashes(items, np.setdiff1d(usable, np.concatenate([labelled, batch.chosen])), FOUND)
    doubts = suspects(items, head)
    look = shown(items, ask, batch.chosen, np.concatenate([drawn, others, doubts.chosen]), note)

    axes = principal_axes(items, usable, progress) if ask.projection == "pca" else None
    seen = survey(items, head, usable, axes, progress)
    if axes is not None:
        placed, xy_M2 = usable, seen.xy_N2[usable].astype(np.float64)
        share = " and ".join(f"{share:.0%}" for share in axes.share_2)
        words = f"Map of {len(usable):,} items by two principal components, which hold {share} of the variance"
    else:
        placed, xy_M2 = umap_places(items, usable, np.union1d(drawn, batch.chosen), ask.seed, note)
        others = np.intersect1d(others, placed)
        some = f"{len(placed):,} of " if len(placed) < len(usable) else ""
        words = f"Map of {some}{len(usable):,} items by UMAP, seed {ask.seed}"
    map = _map(placed, xy_M2, words, items, head, batch, known, (drawn, len(placeable)), others, seen, look)

    numbers = head.classes is None
    of_time = over_time(items, head, ask.ledger, entries, set(known.labels))
    classes = class_counts(head, list(known.labels.values()), batch.chosen.tolist(), seen)
    cards = _cards(items, head, ask, batch, known, look, note)
    about = items.about()
    page = Page(
        f"Report on {printable(about['name'])}",
        _overview(about, head, batch, known, seen, doubts),
        _about_batch(ask, batch),
        cards,
        map,
        [of_time, *parts, classes, suspect_labels(doubts, lambda item: look.first(item, ON_MAP))],
        meanings(numbers=numbers, simulation=bool(parts)),
        _origin(about, ask),
    )
    pictured = sum(bool(card.image) for card in cards)
    figures = {"pool": about, "items": len(usable), "labelled": len(known.labels), "batch": len(cards)}
    figures |= {"pictures": pictured}
    return page, figures | ({} if doubts.contradicted is None else {"contradicted": doubts.contradicted})


def _map(
    placed: Int64,
    xy_M2: Float64,
    words: str,
    items: Items,
    head: HeadFile,
    batch: ShownBatch,
    known: KnownLabels,
    drawn_of: tuple[Int64, int],
    others: Int64,
    seen: Survey,
    look: Shown,
) -> Map:
    def said(item: int) -> tuple[str, tuple[str, ...]]:
        lines = [_predicted(head, seen, item)]
        lines += [f"label {known.labels[item]}"] if item in known.labels else []
        lines += filter(None, [look.first(item, ON_MAP)])
        return shortened(str(items.ids[item]), ON_MAP), tuple(shortened(line, ON_MAP) for line in lines)

    drawn, n_labelled = drawn_of
    # A number is no class with a symbol of its own.
    labels = {item: "with a number" if head.classes is None else known.labels[item] for item in drawn.tolist()}
    return map_of(placed, xy_M2, Points(batch.chosen.tolist(), labels, others.tolist(), n_labelled), words, said)


def _predicted(head: HeadFile, seen: Survey, item: int) -> str:
    if head.classes is None:
        return f"predicted {seen.predicted_N[item]:.4g}, sd {seen.sure_N[item]:.2g}"
    return f"predicted {head.classes[seen.predicted_N[item]]} ({seen.sure_N[item]:.2f})"


def _cards(
    items: Items, head: HeadFile, ask: ReportRequest, batch: ShownBatch, known: KnownLabels, look: Shown, note: Note
) -> list[Card]:
    """The cards of a batch, in the order of its choices."""
    if not len(batch.chosen):
        return []
    closed = items.of_rows(np.union1d(known.rows, np.flatnonzero(items.pool.is_test | items.pool.is_bad)))
    table = told(items, head, batch, known.rows, closed)
    images = pictures(look, batch.chosen, ask, note)
    cards, most = [], letters_on_card(len(batch.chosen))
    for k, (item, row, (image, missing)) in enumerate(zip(batch.chosen.tolist(), batch.rows, images)):
        sure = f" (sd {table['sd'][k]:.3g})" if "sd" in table else f" ({table['confidence'][k]:.2f})"
        facts = [Fact("predicted", f"{_name(table['predicted'][k])}{sure}")]
        if table.get("second"):
            facts.append(Fact("next", f"{_name(table['second'][k])} ({table['second_confidence'][k]:.2f})"))
        if item in known.labels:
            facts.append(Fact("label", _name(known.labels[item])))
        facts += [Fact(name, _name(row[name])) for name in ("strategy", "score") if row.get(name) not in (None, "")]
        facts.append(Fact("stands for", f"{table['stands_for'][k]:,}"))
        texts = tuple(Fact(name, text) for name, text in look.lines(item, most))
        id = shortened(str(items.ids[item]), ON_MAP)
        cards.append(
            Card(k + 1, id, image, missing, texts, tuple(facts), shortened(table["why"][k], max(most, _REASON)))
        )
    return cards


def _name(value: Any) -> str:
    """A class, a number or a text, as files of labels write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else shortened(str(value), ON_MAP)


def _about_batch(ask: ReportRequest, batch: ShownBatch) -> list[str]:
    if ask.ledger is None and ask.batch is None:
        return ["No batch was given. --selections shows the last batch of a ledger, --batch that of a file."]
    if not len(batch.chosen):
        return ["The batch is empty."]
    more = f" {batch.left_out:,} more are left out." if batch.left_out else ""
    what = counted(len(batch.chosen), "item")
    return [
        f"{what} of {batch.source}, in the order in which they were chosen. Predictions are those of the head.{more}"
    ]


def _overview(
    about: dict[str, Any], head: HeadFile, batch: ShownBatch, known: KnownLabels, seen: Survey, doubts: Suspects
) -> list[Fact]:
    """The figures at the top of the page."""
    size = f"{len(seen.chosen):,}"
    facts = [Fact("items in the pool", size), Fact("labelled items", f"{len(known.labels):,}")]
    facts += [Fact("labels that the head has not absorbed", f"{known.new:,}")] if known.new else []
    facts.append(Fact("items of the batch", f"{len(batch.chosen):,}"))
    if head.audited.rounds:
        last = head.audited.rounds[-1]
        facts.append(Fact("accuracy by the last audit", f"{last.accuracy:.1%} ({last.low:.1%} to {last.high:.1%})"))
    else:
        facts.append(Fact("accuracy by an audit", "not measured"))
    if head.classes is not None and len(seen.chosen):
        facts.append(Fact("mean confidence over the pool", f"{float(seen.sure_N[seen.chosen].mean()):.2f}"))
    if doubts.contradicted is not None:
        facts.append(Fact("labels that are contradicted", f"{doubts.contradicted:,}"))
    return facts


def _origin(about: dict[str, Any], ask: ReportRequest) -> list[Fact]:
    """The inputs of the page by their names, without their folders."""
    sizes = f"{about['rows']:,} rows of {about['dim']:,} features"
    groups = f", {about['groups']:,} groups" if "groups" in about else ""
    facts = [Fact("pool", f"{printable(about['name'])}, {sizes}{groups}")]
    facts.append(Fact("head", _of_file(ask.head)))
    named: Sequence[tuple[str, Any]] = (
        ("labels", [Path(str(source)).name for source in ask.labels]),
        ("ledger", [ask.ledger.name] if ask.ledger else []),
        ("batch", [Path(ask.batch).name] if ask.batch else []),
        ("items", [Path(ask.items).name] if ask.items else []),
        ("simulation", [ask.simulation.name] if ask.simulation else []),
    )
    return facts + [Fact(name, ", ".join(map(printable, files))) for name, files in named if files]


def _of_file(head: Path) -> str:
    return f"{printable(head.name)}, SHA-256 {hashlib.sha256(contents_of(head)).hexdigest()[:16]}…"
