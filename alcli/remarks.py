"""Tell the user what goes on: remarks, and progress.

Work that has parts of its own takes both as arguments; the command line decides where they appear. Loops deep inside,
which read blocks, pick rows or fit, count their steps by `steps`: under `showing` these appear too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeAlias, TypeVar

T = TypeVar("T")

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


class _Shown:
    """A progress that shows one loop at a time: the outer one, or a loop inside it whose steps alone are counted.

    what: the name of the work that is shown; "" for none. is_counted: its number of steps is known.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress, self.what, self.is_counted = progress, "", False


_shown: ContextVar[_Shown | None] = ContextVar("_shown", default=None)


@contextmanager
def showing(progress: Progress) -> Iterator[None]:
    """Show the steps of loops inside by a progress."""
    token = _shown.set(_Shown(progress))
    try:
        yield
    finally:
        _shown.reset(token)


def steps(
    items: Iterable[T], what: str, total: int | None = None, size: Callable[[T], int] = lambda _: 1
) -> Iterator[T]:
    """Yield the items of a loop and count them. A loop inside another one is shown where it alone has a total.

    what: the name of the work. total: the number of steps; None where it is not known. size: the steps that an item is.
    """
    shown = _shown.get()
    if shown is None or shown.is_counted or (shown.what and total is None):
        yield from items
        return
    outer, shown.what, shown.is_counted = shown.what, what, total is not None
    shown.progress.start(total, f"{outer}: {what}" if outer else what)
    try:
        for item in items:
            yield item
            shown.progress.advance(size(item))
    finally:
        shown.what, shown.is_counted = outer, False
        if outer:
            shown.progress.start(None, outer)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that work goes on whose steps nobody counts."""
    for _ in steps((None,), what):
        yield
