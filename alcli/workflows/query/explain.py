"""The reasons for each choice of a batch, as columns of the batch: `alcli query --explain`.

Cost: one pass over the candidates, with the distance of each one to every chosen and every labelled item. Memory: the
features of the chosen and the labelled items, and a tile of distances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alcli import plugins
from alcli.arrays import Float64, Floats, Int64
from alcli.data.formats import Table
from alcli.errors import UsageError
from alcli.numerics.diversity.nearest import nearest_centres
from alcli.selection.strategy import Selection
from alcli.workflows.query.columns import named, shortest
from alcli.workflows.query.situation import Situation


def explanations(names: Sequence[str], selection: Selection, now: Situation, log_probs_KC: Float64 | None) -> Table:
    """The columns of the reasons. names: of the strategy of each choice. log_probs_KC: None where the head predicts no
    classes.

    second, second_confidence: the class that comes next after the predicted one. nearest_labelled, nearest_distance:
    the labelled item whose features lie nearest. stands_for: the number of candidates, the item among them, to which no
    other chosen item and no labelled item lies nearer. why: a sentence.
    """
    K = len(selection.rows_K)
    source, labelled = now.items.source, np.unique(now.items.of_rows(now.labelled))
    labelled = source.sorted_by_id(labelled)
    chosen_KD = source.take(selection.rows_K) if selection.features_KD is None else selection.features_KD
    labelled_LD = source.take(labelled)
    nearest_K, distance_K = nearest_centres(chosen_KD, labelled_LD)
    stands_for_K = _stands_for(now, selection.rows_K, chosen_KD, labelled_LD)
    table: Table = {} if now.predicts != "classes" else _second(now, log_probs_KC)
    table["nearest_labelled"] = [None if at < 0 else now.items.ids[int(labelled[at])] for at in nearest_K]
    table["nearest_distance"] = [None if np.isinf(d) else shortest(d) for d in distance_K]
    table["stands_for"] = stands_for_K.tolist()
    table["why"] = [_why(names[k], k, selection, now, table, log_probs_KC) for k in range(K)]
    return table


def _stands_for(now: Situation, rows_K: Int64, chosen_KD: Floats, labelled_LD: Floats) -> Int64:
    """Count the candidates that lie nearest to each chosen item. A chosen item counts for itself."""
    is_candidate_N = np.zeros(now.items.source.n, bool)
    is_candidate_N[now.candidates] = True
    is_candidate_N[rows_K] = False
    counts_K = np.ones(len(rows_K), np.int64)
    centres = np.concatenate([chosen_KD, labelled_LD.astype(chosen_KD.dtype)])
    for first, X_BD in now.items.source.blocks() if len(rows_K) else ():
        X_BD = X_BD[is_candidate_N[first : first + len(X_BD)]]
        nearest_B, _ = nearest_centres(X_BD, centres)
        counts_K += np.bincount(nearest_B[nearest_B < len(rows_K)], minlength=len(rows_K))
    return counts_K


def _second(now: Situation, log_probs_KC: Float64 | None) -> Table:
    """The class that comes after the predicted one, and its probability."""
    if now.head is None or log_probs_KC is None:
        return {"second": [], "second_confidence": []}
    second_K = np.argsort(-log_probs_KC, axis=1, kind="stable")[:, 1]
    confidence_K = np.exp(np.take_along_axis(log_probs_KC, second_K[:, None], axis=1)[:, 0])
    return {"second": named(now.head, second_K), "second_confidence": [shortest(p) for p in confidence_K]}


def _why(name: str, k: int, selection: Selection, now: Situation, table: Table, log_probs_KC: Float64 | None) -> str:
    """A sentence on the k-th choice: the score and what the strategy looks for, the classes, the item's place."""
    parts = [f"{_aim(name)}, score {selection.scores_K[k]:.3g}"]
    if log_probs_KC is not None and now.head is not None:
        best = int(log_probs_KC[k].argmax())
        first, probability = named(now.head, [best])[0], np.exp(log_probs_KC[k, best])
        second = f"{table['second'][k]} ({table['second_confidence'][k]:.2f})"
        parts.append(f"the head says {first} ({probability:.2f}) before {second}")
    near, n = table["nearest_labelled"][k], table["stands_for"][k]
    parts.append("no item is labelled yet" if near is None else f"the nearest labelled item is {near}")
    parts.append(f"it stands for {n:,} of {len(now.candidates):,} candidates")
    return "; ".join(parts)


def _aim(name: str) -> str:
    """The name of a strategy with the line that says what it looks for; a pair or a mix has no such line."""
    if name not in plugins.names("strategies"):
        return name
    line = plugins.summary("strategies", name).line.rstrip(".")
    return f"{name} ({line[:1].lower()}{line[1:]})"


def check_explained(explain: bool, shape: str, *, stream: bool, as_json: bool) -> None:
    """Raise UsageError where the reasons have no place. shape: the format of the batch."""
    if explain and stream:
        raise UsageError("--explain is for a batch, --stream asks for one item at a time", hint="leave one of them out")
    if explain and shape == "ids" and not as_json:
        raise UsageError("--explain adds columns, and a list of ids has none", hint="give -o FILE.csv or --format csv")
