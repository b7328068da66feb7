"""Class counts, and labels that are suspect, as sections of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from alcli.data.head_file import HeadFile
from alcli.errors import counted
from alcli.remarks import Note
from alcli.report.page.contents import Grid, Part
from alcli.workflows.items import Items
from alcli.workflows.query.batch import query
from alcli.workflows.query.request import Query
from alcli.workflows.report.request import ReportRequest
from alcli.workflows.report.survey import Survey

# Suspect labels that a page lists.
SUSPECTS = 20


def class_counts(head: HeadFile, labels: Sequence[str], picks: Sequence[int], seen: Survey) -> Part:
    """The section on classes: labels, predictions for the pool, and the batch. labels: of all labelled items.

    picks: the numbers of the items of the batch.
    """
    if head.classes is None:
        return Part("classes", "Labels and predictions", grids=[_numbers(labels, picks, seen)])
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
    return Part("classes", "Classes", told, grids=[grid])


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
    return Grid("Labels and predictions", ("of", "items", "least", "median", "most"), rows, frozenset({1, 2, 3, 4}))


def suspects(items: Items, head: HeadFile, ask: ReportRequest, note: Note) -> tuple[Part, int | None]:
    """The section on labels that are likely to be wrong, and how many are contradicted; None where none was judged.

    The labels that the head has absorbed are judged by `query -s suspect`. Raises what `query` does.
    """
    why = _not_judged(items, head)
    if why:
        return Part("suspect", "Suspect labels", [why]), None
    answer = query(items, Query("suspect", SUSPECTS, head=head), out=None, format="jsonl", emit=lambda data: None)
    n, contradicted, twins = (int(answer.report.get(k, 0)) for k in ("candidates", "contradicted", "near-duplicates"))
    table = answer.table
    rows = [
        (str(id), str(label), f"{label_p:.2f}", str(predicted), f"{p:.2f}", why)
        for id, score, label, label_p, predicted, p, why in zip(
            *(table[c] for c in ("id", "score", "label", "label_confidence", "predicted", "confidence", "why"))
        )
        if score > 0 or why.startswith("near-duplicate")
    ]
    told = (
        f"Of {counted(n, 'label')} of the head, {contradicted} {'is' if contradicted == 1 else 'are'} contradicted by "
        f"the head that it would be without the label, and {counted(twins, 'label is', 'labels are')} in doubt by a "
        "near-duplicate with another label."
    )
    header = ("item", "label", "its probability", "predicted", "probability", "why")
    grid = Grid(f"The labels to look at first, at most {SUSPECTS}", header, rows, frozenset({2, 4}))
    check = "To correct them: query -s suspect writes a file in which you put the right classes."
    return Part(
        "suspect", "Suspect labels", [told, check] if rows else [told], grids=[grid] if rows else []
    ), contradicted


def _not_judged(items: Items, head: HeadFile) -> str:
    """Why no label can be judged; empty where labels can."""
    if head.classes is None:
        return "Labels that are numbers are not judged: a head for numbers has no class that contradicts a label."
    if items.groups is not None:
        return "Labels of groups are not judged: a group has one label and several rows."
    if not len(head.absorbed):
        return "The head has absorbed no label, so there is none to judge."
    return ""
