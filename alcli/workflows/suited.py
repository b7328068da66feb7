"""The strategies that suit labels which are numbers, for the messages of those that need classes."""

from __future__ import annotations

from alcli import plugins
from alcli.selection.needs import CLASSIFICATION_NEEDS

# They read no class probabilities, but boundaries between classes, or labels that are classes.
_FOR_CLASSES = {"feature-margin", "suspect"}


def strategies_for_numbers() -> str:
    """Name the strategies that a regression can use, as the hint of an error."""
    summaries = [plugins.summary("strategies", name) for name in plugins.names("strategies")]
    suited = [
        one.name
        for one in summaries
        if one.name not in _FOR_CLASSES and (one.numbers or not CLASSIFICATION_NEEDS.intersection(one.needs))
    ]
    return f"strategies for numbers: {', '.join(suited)}"
