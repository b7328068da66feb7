"""Tell the user what goes on: remarks, and progress.

Work takes both as arguments; the command line decides where they appear.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

Note: TypeAlias = Callable[[str], None]  # takes one remark, a sentence without a full stop


def silence(text: str) -> None:
    """Take a remark and tell nobody."""


class Progress(Protocol):
    """Show how much of some work is done."""

    def start(self, total: int | None, what: str) -> None:
        """Begin a piece of work named `what`: `total` items, None where the number is not known."""

    def advance(self, n: int) -> None:
        """Count n more items as done."""


class NoProgress:
    """Show nothing."""

    def start(self, total: int | None, what: str) -> None:
        return

    def advance(self, n: int) -> None:
        return
