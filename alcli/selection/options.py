"""Checks of options, and the options that many strategies share.

An option of a strategy is a keyword-only parameter of its function. Its annotation may name checks, as in
`Annotated[float, positive]`. A check takes the option by name and raises UsageError for a wrong value, before any data
is read.

The functions at the end declare the options that a strategy has by what it needs: their keyword-only parameters are the
options, and the functions do nothing else.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from alcli.errors import UsageError
from alcli.numerics.segments import Aggregate

# The options of strategies where rows make groups
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


def not_negative(**options: float | None) -> None:
    """Raise UsageError for an option that is given and below 0, or infinite."""
    given = {name: value for name, value in options.items() if value is not None}
    at_least(0, **given)
    positive(**{name: value for name, value in given.items() if value == float("inf")})


def kernel_radius(**options: float) -> None:
    """Raise UsageError for a kernel radius outside [1e-6, 1e6].

    The kernel compares rows of length one. For every radius in the range its values are finite numbers.
    """
    for name, value in options.items():
        if not 1e-6 <= value <= 1e6:
            raise UsageError(f"parameter '{name}' must be at least 1e-6 and at most 1e6, got {value}")


def auto_or_positive(**options: str) -> None:
    """Raise UsageError for an option that is neither `auto` nor a positive number."""
    for name, value in options.items():
        try:
            good = value == "auto" or 0.0 < float(value) < float("inf")
        except ValueError:
            good = False
        if not good:
            raise UsageError(f"parameter '{name.replace('_', '-')}' must be a positive number or auto, got '{value}'")


AutoOrPositive = Annotated[str, auto_or_positive]


def count_or(word: str, **options: str) -> None:
    """Raise UsageError for an option that is neither `word` nor a whole number of at least 1."""
    for name, value in options.items():
        if value != word and not (str(value).isdecimal() and int(value) >= 1):
            raise UsageError(
                f"parameter '{name.replace('_', '-')}' must be {word} or a whole number of at least 1, got '{value}'"
            )


AllOrCount = Annotated[str, partial(count_or, "all")]
AutoOrCount = Annotated[str, partial(count_or, "auto")]


def share(**options: float) -> None:
    """Raise UsageError for an option that is not above 0 and at most 1."""
    for name, value in options.items():
        if not 0.0 < value <= 1.0:
            raise UsageError(f"parameter '{name.replace('_', '-')}' must be above 0 and at most 1, got {value}")


def fraction(**options: float) -> None:
    """Raise UsageError for an option that is not from 0 to 1."""
    for name, value in options.items():
        if not 0.0 <= value <= 1.0:
            raise UsageError(f"parameter '{name.replace('_', '-')}' must be from 0 to 1, got {value}")


# Options that a strategy has by its needs


def sampling(*, samples: Count) -> None:
    """The option of every strategy that needs posterior draws. samples: the number of draws."""


def modifying(*, prefilter: Annotated[float, share] = 1.0, balance: Literal["none", "predicted"] = "none") -> None:
    """Options of every strategy.

    prefilter: the share of the candidates that the strategy chooses among, the candidates of smallest margin.
    balance: `predicted` chooses equally many rows of each predicted class, as far as the classes have rows.
    """


def aggregating(*, aggregate: Aggregate = "mean") -> None:
    """The option of a pointwise strategy where rows make groups.

    aggregate: the score of a group is the mean, maximum or sum of the scores of its rows.
    """


def embedding(*, embed: Literal["mean", "concat"] = "mean") -> None:
    """The option of a batch strategy that reads features alone, where rows make groups.

    embed: the features of a group are the mean of its rows' features, or all of them side by side.
    """


def _takes_rows(*, embed: str) -> None:
    if embed == "concat":
        raise UsageError(
            "embed=concat puts the features of a group side by side, and the head takes the features of one row",
            hint="average them with embed=mean",
        )


def averaging(*, embed: Annotated[Literal["mean", "concat"], _takes_rows] = "mean") -> None:
    """The option `embed` of a batch strategy that reads the head or targets too. Only `mean` suits the head."""


def imputing(*, impute: Literal["none", "argmax", "sample"] = "none") -> None:
    """The option of a batch that is chosen row by row, under labels that the model makes up.

    impute: the label of a row is the likeliest class, or a drawn one.
    """
