"""Class counts, and labels that are suspect, as sections of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from alcli.arrays import Int64
from alcli.data.head_file import HeadFile
from alcli.errors import counted
from alcli.report.page.contents import Grid, PageSection
from alcli.workflows.items import Items
from alcli.workflows.query.batch import query
from alcli.workflows.query.request import Query
from alcli.workflows.report.survey import Survey

# Suspect labels that a page lists.
MOST_SUSPECTS = 20


def class_counts(head: HeadFile, labels: Sequence[str], picks: Sequence[int], seen: Survey) -> PageSection:
    """The section on classes: labels, predictions for the pool, and the batch. labels: of all labelled items.

    picks: the numbers of the items of the batch.
    """
    if head.classes is None:
        return PageSection("classes", "Labels and predictions", grids=[_numbers(labels, picks, seen)])
    C, chosen = len(head.classes), seen.chosen
    counts = Counter(labels)
    pool_C = np.bincount(seen.predicted_N[chosen], minlength=C)
    sure_C = np.bincount(seen.predicted_N[chosen], seen.sure_N[chosen], minlength=C) / np.maximum(pool_C, 1)
    batch_C = np.bincount(seen.predicted_N[np.array(picks, np.int64)], minlength=C)
    rows = []
    for c, name in enumerate(head.classes):
        confidence = f"{sure_C[c]:.2f}" if pool_C[c] else ""
        rows.append((name, f"{counts[name]:,}", f"{batch_C[c]:,}", confidence, f"{pool_C[c]:,}"))
    unknown = sorted(set(counts) - set(head.classes))
    rows += [(f"{name} (new to the head)", f"{counts[name]:,}", "", "", "") for name in unknown]
    most = max(1, int(pool_C.max()))
    header = ("class", "labels", "predicted in the batch", "mean confidence", "predicted in the pool")
    bars = [*(float(n) / most for n in pool_C), *[0.0] * len(unknown)]
    grid = Grid("Labels and predictions of each class", header, rows, frozenset({1, 2, 3, 4}), bars)
    never = [name for name in head.classes if not counts[name]]
    told = [f"{counted(len(never), 'class has', 'classes have')} no label yet."] if never else []
    return PageSection("classes", "Classes", told, grids=[grid])


def _numbers(labels: Sequence[str], picks: Sequence[int], seen: Survey) -> Grid:
    """The ranges of labels and predictions that are numbers."""

    def row(name: str, values: Sequence[float]) -> tuple[str, ...]:
        if not len(values):
            return (name, "0", "", "", "")
        low, middle, high = np.quantile(np.asarray(values, np.float64), [0.0, 0.5, 1.0])
        return (name, f"{len(values):,}", f"{low:.4g}", f"{middle:.4g}", f"{high:.4g}")

    rows = [
        row("labels", [float(label) for label in labels]),
        row("predicted in the batch", seen.predicted_N[np.array(picks, np.int64)].tolist()),
        row("predicted in the pool", seen.predicted_N[seen.chosen].tolist()),
    ]
    return Grid(
        "Ranges of labels and predictions", ("of", "items", "least", "median", "most"), rows, frozenset({1, 2, 3, 4})
    )


@dataclass(frozen=True)
class Suspects:
    """The labels that are likely to be wrong. rows: of `query -s suspect`, by column. told: sentences on them.

    contradicted: how many labels are; None where none was judged. chosen: the numbers of the items in `rows`.
    """

    told: Sequence[str]
    rows: Sequence[dict[str, Any]] = ()
    contradicted: int | None = None
    chosen: Int64 = field(default_factory=lambda: np.empty(0, np.int64))


def suspects(items: Items, head: HeadFile) -> Suspects:
    """Judge the labels that the head has absorbed, by `query -s suspect`. Raises what `query` does."""
    why = _not_judged(items, head)
    if why:
        return Suspects([why])
    answer = query(items, Query("suspect", MOST_SUSPECTS, head=head), out=None, format="jsonl", emit=lambda data: None)
    n, contradicted, twins = (int(answer.report.get(k, 0)) for k in ("candidates", "contradicted", "near-duplicates"))
    found = [dict(zip(answer.table, values)) for values in zip(*answer.table.values())]
    rows = [row for row in found if row["score"] > 0 or str(row["why"]).startswith("near-duplicate")]
    told = [
        f"Of {counted(n, 'label')} of the head, {contradicted} {'is' if contradicted == 1 else 'are'} contradicted by "
        f"the head that it would be without the label, and {counted(twins, 'label is', 'labels are')} in doubt by a "
        "near-duplicate with another label."
    ]
    told += ["To correct them: query -s suspect writes a file in which you put the right classes."] if rows else []
    return Suspects(told, rows, contradicted, items.ids.rows_of([row["id"] for row in rows]))


def suspect_labels(found: Suspects, text_of: Callable[[int], str]) -> PageSection:
    """The section on suspect labels. text_of: what a person reads of an item; empty where there is nothing."""
    texts = [text_of(int(item)) for item in found.chosen]
    rows = [
        (
            str(row["id"]),
            _text(row["label"]),
            f"{row['label_confidence']:.2f}",
            _text(row["predicted"]),
            f"{row['confidence']:.2f}",
            str(row["why"]),
            *([text] if any(texts) else []),
        )
        for row, text in zip(found.rows, texts)
    ]
    more = ("text",) if any(texts) else ()
    header = ("item", "label", "its probability", "predicted", "probability", "why", *more)
    grid = Grid(f"The labels to look at first, at most {MOST_SUSPECTS}", header, rows, frozenset({2, 4}))
    return PageSection("suspect", "Suspect labels", found.told, grids=[grid] if rows else [])


def _text(label: object) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)


def _not_judged(items: Items, head: HeadFile) -> str:
    """Say why no label can be judged; empty where labels can be."""
    if head.classes is None:
        return "Labels that are numbers are not judged: a head for numbers has no class that contradicts a label."
    if items.groups is not None:
        return "Labels of groups are not judged: a group has one label and several rows."
    if not len(head.absorbed):
        return "The head has absorbed no label, so there is none to judge."
    return ""
