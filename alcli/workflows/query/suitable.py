"""Refuse a head, or labels to fit one on, that do not suit the strategy of a query."""

from __future__ import annotations

from collections.abc import Callable

from alcli import plugins
from alcli.composition.modifiers import OF_PREDICTIONS
from alcli.data.head_file import HeadFile
from alcli.errors import DataError, UsageError
from alcli.selection.needs import HEAD_NEEDS
from alcli.selection.strategy import Strategy
from alcli.workflows.labelled import LabelledRows
from alcli.workflows.query.request import Query
from alcli.workflows.suited import strategies_for_numbers


def check_suits(ask: Query, head: HeadFile, strategy: Strategy) -> None:
    """Raise UsageError where the strategy needs something that the head does not have."""
    if strategy.needs_classes and head.classes is None:
        who, hint = _who_needs_classes(ask)
        raise UsageError(f"{who} needs class probabilities, the head {ask.shown_head} is a regression", hint=hint)
    suited = strategy.suited(head.classes is None)
    if suited.needs_posterior and head.model.posterior is None:
        value, hint = suited.posterior_asked_by, "fit it with --posterior laplace"
        raise UsageError(
            f"strategy '{ask.strategy}'{value and f' with {value}'} looks at the posterior, the head {ask.shown_head} "
            "has none",
            hint=f"{hint}, or leave out {value}" if value else hint,
        )
    if "predicted_loss" in strategy.needs and head.model.head.branch is None:
        raise UsageError(
            f"strategy '{ask.strategy}' looks at the loss-prediction branch, the head {ask.shown_head} has none",
            hint="fit it with --head mlp --aux-loss",
        )
    if ask.absorbs and (head.model.posterior is None or not head.model.posterior.absorbs):
        raise UsageError(
            f"the head {ask.shown_head} has no posterior that absorbs labels one at a time",
            hint="fit it with --posterior laplace",
        )


def too_few(labelled: LabelledRows) -> bool:
    """True while there are too few labels to fit a head: no label, or labels of one class."""
    return len(labelled.labels) == 0 or (not labelled.regression and len(labelled.labels.classes()) < 2)


def check_fit(ask: Query, strategy: Strategy, labelled: LabelledRows) -> None:
    """Raise DataError or UsageError where the labels cannot make a head that the strategy needs."""
    by_itself = _needs_head_now(ask.found)
    who, hint = _who_asks(ask, _needs_head_now)
    if not len(labelled.labels):
        what = f"; {hint}" if by_itself else f", or {hint}"
        auto = "" if any(key in ask.options for key in OF_PREDICTIONS) else "; -s auto begins without labels"
        raise DataError(f"{who} needs a head or labels, there are none", hint=f"give -H or -l{auto}{what}")
    if labelled.regression and strategy.needs_classes:
        who, hint = _who_needs_classes(ask)
        raise UsageError(f"{who} needs class probabilities, the labels are numbers", hint=hint)
    if not labelled.regression and len(labelled.labels.classes()) < 2:
        n = len(labelled.labels)
        labels = "the label shows" if n == 1 else f"the {n} labels show"
        raise DataError(f"{who} needs a head, and a head needs 2 classes; {labels} one", hint=hint)


def _needs_head_now(strategy: Strategy) -> bool:
    """True for a strategy that cannot choose without a head."""
    return strategy.needs_head and not strategy.cold


def _who_needs_classes(ask: Query) -> tuple[str, str]:
    """Say in words which part of a query needs classes, and what a regression can use; return both."""
    who, hint = _who_asks(ask, lambda one: one.needs_classes)
    return who, strategies_for_numbers() if ask.found.needs_classes else hint


def _who_asks(ask: Query, asks: Callable[[Strategy], bool]) -> tuple[str, str]:
    """Say in words which part of a query needs a head, and what the user can do without one; return both.

    The part is the strategy, or else the options that look at predictions.
    """
    if asks(ask.found):
        names = [
            n
            for n in plugins.names("strategies")
            if not HEAD_NEEDS.intersection(plugins.summary("strategies", n).needs)
        ]
        return f"strategy '{ask.strategy}'", f"strategies that need no head: {', '.join(names)}"
    given = [f"-p {key}" for key in OF_PREDICTIONS if key in ask.options]
    return " with ".join(given), "leave it out" if len(given) == 1 else "leave them out"
