"""The columns that say why labels are suspect, of a query that asks about labels again."""

from __future__ import annotations

import numpy as np

from alcli.data.formats import Table
from alcli.errors import counted
from alcli.remarks import Note
from alcli.selection.strategy import Selection
from alcli.workflows.query.columns import named, shortest
from alcli.workflows.query.situation import Situation


def suspicions(selection: Selection, now: Situation) -> Table:
    """The columns of suspect labels.

    label: the given class; with another one in its place, the file corrects the label. label_confidence: its
    probability. predicted, confidence: the likeliest class and its probability. The head of all of them was fitted
    without the label. why: a sentence.
    """
    names = ("label", "label_confidence", "predicted", "confidence", "why")
    if now.head is None or not len(selection.rows_K):
        return {name: [] for name in names}
    log_probs_KC, label_K, twin_K = (selection.details[name] for name in ("log_probs", "label", "twin"))
    rows, best_K = np.arange(len(label_K)), log_probs_KC.argmax(axis=1)
    given, predicted = named(now.head, label_K), named(now.head, best_K)
    of_label, of_best = np.exp(log_probs_KC[rows, label_K]), np.exp(log_probs_KC[rows, best_K])
    all_labels = dict(zip(now.labelled.tolist(), [] if now.labels is None else now.labels.tolist()))
    why = []
    for k, twin in enumerate(twin_K.tolist()):
        if twin >= 0:
            other = named(now.head, [all_labels[twin]])[0]
            why.append(f"near-duplicate of {now.items.ids[twin]} labelled {other}")
        elif selection.scores_K[k] > 0:
            why.append(f"without this label the head says {predicted[k]} ({of_best[k]:.2f}), not {given[k]}")
        else:
            why.append(f"without this label the head says {predicted[k]} too, with probability {of_best[k]:.2f}")
    columns = (given, list(map(shortest, of_label)), predicted, list(map(shortest, of_best)), why)
    return dict(zip(names, columns))


def remark_on_suspects(selection: Selection, now: Situation, note: Note) -> None:
    """Say how many labels were judged, and how many of them are suspect."""
    if not selection.record:
        return
    n, contradicted, twins = (
        len(now.candidates),
        *(int(selection.record[k]) for k in ("contradicted", "near-duplicates")),
    )
    told = f"{contradicted} of {counted(n, 'label')} {'is' if contradicted == 1 else 'are'} contradicted"
    doubt = counted(twins, "label is", "labels are")
    note(f"{told} by the head fitted without the label; {doubt} in doubt by a near-duplicate with another label")
