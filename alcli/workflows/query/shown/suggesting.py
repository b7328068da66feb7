"""The prediction of the head as a suggestion in a labelling tool."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from alcli.data.formats import SUGGESTING, Table
from alcli.errors import UsageError, counted
from alcli.workflows.query.request import Query
from alcli.workflows.query.situation import Situation


def check_suggested(ask: Query, shape: str, *, stream: bool) -> None:
    """Raise UsageError where a prediction is to be suggested and the output, or the strategy, has no place for it.

    shape: the name of the format.
    """
    if ask.question is None:
        return
    strategy = ask.found
    if stream:
        raise UsageError("--pre-annotate is for batches, --stream tells what is predicted", hint="leave it out")
    if strategy.audits or strategy.again:
        why = "an audit" if strategy.audits else "a label in doubt"
        what = f"--pre-annotate shows people what the head says, and {why} must be judged without it"
        raise UsageError(what, hint="leave it out")
    if shape not in SUGGESTING:
        what = f"--pre-annotate: --format {shape} has no place for a suggestion"
        tables = "tables have the prediction in the column predicted"
        raise UsageError(what, hint=f"use --format {', '.join(SUGGESTING[:-1])} or {SUGGESTING[-1]}; {tables}")


def suggestion_of(ask: Query, now: Situation, batch: Table) -> dict[str, Any]:
    """Return the facts that a format needs: the question, the model, and its classes.

    Raises UsageError without a head, and for a head that predicts numbers. batch: has the predictions.
    """
    if now.predicts == "numbers":
        raise UsageError("--pre-annotate suggests classes, and the head predicts numbers", hint="leave it out")
    if "predicted" not in batch:
        what = f"--pre-annotate needs a head, and strategy '{ask.strategy}' was given none and fits none"
        raise UsageError(what, hint="give one with -H, or labels with -l to a strategy that looks at predictions")
    head = now.head
    facts: dict[str, Any] = {"question": ask.question, "model": "", "classes": []}
    if head is None or head.classes is None:
        return facts
    # A tool may take no other characters in the name of a model.
    name = "alcli" if ask.head_file is None else re.sub(r"[^A-Za-z0-9_.-]", "_", Path(ask.head_file).name)[:100]
    learned = counted(len(head.absorbed), "label")
    return facts | {"model": f"{name}: {learned}", "classes": list(head.classes)}
