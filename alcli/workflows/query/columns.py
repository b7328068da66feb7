"""The columns of a batch: ids, ranks and scores, and the predictions of the head for the chosen items."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from alcli import plugins
from alcli.arrays import Array, Float64
from alcli.data.formats import Table
from alcli.data.head_file import HeadFile
from alcli.selection.strategy import Selection
from alcli.workflows.query.situation import Situation


def choices(label: str, selection: Selection, now: Situation) -> Table:
    """The ids, ranks, scores and weights of the chosen items, and the strategies that picked them.

    label: the name of the strategy that was asked for.
    """
    table: Table = {
        "id": now.items.ids.arrow(selection.rows_K).to_pylist(),
        "rank": list(range(len(selection.rows_K))),
        "score": [shortest(s) for s in selection.scores_K],
        "strategy": [picked_by(name, label) for name in selection.taken_K or [""] * len(selection.rows_K)],
    }
    if selection.weights_K is not None:
        table["weight"] = [shortest(w) for w in selection.weights_K]
    return table


def picked_by(taken: str, label: str) -> str:
    """The strategy that picked an item, as files record it. taken: "" where the choice was not left to others."""
    return plugins.label(taken) if taken else label


def predictions(selection: Selection, now: Situation) -> tuple[Table, Float64 | None]:
    """The predicted class and its confidence of each chosen item, or the predicted number and its standard deviation.

    Also returns the log class probabilities, float64 [K, C]; None without classes. The columns are empty where nothing
    was chosen; without a head there are none.
    """
    if now.predicts is None:
        return {}, None
    if now.head is None or not len(selection.rows_K):
        return {"predicted": [], "confidence" if now.predicts == "classes" else "sd": []}, None
    if now.predicts == "numbers":
        mean_K, variance_K = now.items.numbers(now.head.predicts, selection.rows_K, selection.features_KD)
        sd_K = np.sqrt(variance_K)
        return {"predicted": [shortest(v) for v in mean_K], "sd": [shortest(v) for v in sd_K]}, None
    log_probs_KC = now.items.predictive(now.head.predicts, selection.rows_K, selection.features_KD)
    confidence = [shortest(np.float32(np.exp(v))) for v in log_probs_KC.max(axis=1)]
    return {"predicted": named(now.head, log_probs_KC.argmax(axis=1)), "confidence": confidence}, log_probs_KC


def named(head: HeadFile, classes: Iterable[int]) -> list[str | int | bool]:
    """The typed names of class numbers of a classification head."""
    assert head.classes is not None
    return [typed_class(head.classes[c], head.class_type) for c in classes]


def shortest(value: Array | np.float32) -> float:
    """The Python float with the shortest text that reads back to the same float32."""
    return float(str(np.float32(value)))


def typed_class(name: str, class_type: str) -> str | int | bool:
    """A class name as typed files hold it: an integer, a boolean or a string."""
    return int(name) if class_type == "integer" else name == "true" if class_type == "boolean" else name
