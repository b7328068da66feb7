"""What options of several strategies must be; a wrong one is refused before any data is read."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from alcli.errors import UsageError
from alcli.numerics.segments import Aggregate

GROUP_OPTIONS = frozenset({"aggregate", "embed"})


def at_least(least: float, **options: float) -> None:
    """Raise UsageError for an option that is below `least`."""
    for name, value in options.items():
        if not value >= least:
            raise UsageError(f"parameter '{name.replace('_', '-')}' must be at least {least}, got {value}")


Count = Annotated[int, partial(at_least, 1)]


def positive(**options: float) -> None:
    """Raise UsageError for an option that is not a positive number."""
    for name, value in options.items():
        if not 0.0 < value < float("inf"):
            raise UsageError(f"parameter '{name.replace('_', '-')}' must be a positive number, got {value}")


def positive_where_given(**options: float | None) -> None:
    """Raise UsageError for an option that is given and not a positive number."""
    positive(**{name: value for name, value in options.items() if value is not None})


def kernel_radius(**options: float) -> None:
    """Raise UsageError for an option that is no radius among rows of length one, whose kernels are numbers."""
    for name, value in options.items():
        if not 1e-6 <= value <= 1e6:
            raise UsageError(f"parameter '{name}' must be at least 1e-6 and at most 1e6, got {value}")


def auto_or_positive(**options: str) -> None:
    """Raise UsageError for an option that is neither auto nor a positive number."""
    for name, value in options.items():
        try:
            good = value == "auto" or 0.0 < float(value) < float("inf")
        except ValueError:
            good = False
        if not good:
            raise UsageError(f"parameter '{name.replace('_', '-')}' must be a positive number or auto, got '{value}'")


AutoOrPositive = Annotated[str, auto_or_positive]


def count_or(word: str, **options: str) -> None:
    """Raise UsageError for an option that is neither this word nor a whole number of at least 1."""
    for name, value in options.items():
        if value != word and not (str(value).isdecimal() and int(value) >= 1):
            raise UsageError(
                f"parameter '{name.replace('_', '-')}' must be {word} or a whole number of at least 1, got '{value}'"
            )


AllOrCount = Annotated[str, partial(count_or, "all")]
AutoOrCount = Annotated[str, partial(count_or, "auto")]


def share(**options: float) -> None:
    """Raise UsageError for an option that is not a share above 0."""
    for name, value in options.items():
        if not 0.0 < value <= 1.0:
            raise UsageError(f"parameter '{name.replace('_', '-')}' must be above 0 and at most 1, got {value}")


# -- folded ------
# The options that every strategy has by what it looks at: the keyword-only parameters of these functions, which do nothing.


def sampling(*, samples: Count) -> None:
    """The option of every strategy that looks at draws of the posterior: how many."""


def modifying(*, prefilter: Annotated[float, share] = 1.0, balance: Literal["none", "predicted"] = "none") -> None:
    """Options of every strategy: choose among this share of the candidates, those of smallest margin; as many rows of each predicted class."""


def aggregating(*, aggregate: Aggregate = "mean") -> None:
    """The option of a strategy that scores rows, where rows make groups: how the score of a group follows from those of its rows."""


def embedding(*, embed: Literal["mean", "concat"] = "mean") -> None:
    """The option of a strategy that looks at features, where rows make groups: a group's are averaged, or put side by side."""


def _takes_rows(*, embed: str) -> None:
    if embed == "concat":
        raise UsageError(
            "embed=concat puts the features of a group side by side, and the head takes those of one row",
            hint="average them with embed=mean",
        )


def averaging(*, embed: Annotated[Literal["mean", "concat"], _takes_rows] = "mean") -> None:
    """`embedding` for a strategy that asks the head too."""
