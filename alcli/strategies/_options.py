"""The options that every strategy has by what it looks at: the keyword-only parameters of these functions, which do nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from alcli.errors import UsageError
from alcli.numerics.segments import Aggregate
from alcli.strategies._checks import Count, share

GROUP_OPTIONS = frozenset({"aggregate", "embed"})


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
