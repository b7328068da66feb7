"""What a command says and where: data on stdout, talk on stderr, progress only on a terminal. The only user of rich."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol

from alcli.errors import OutputError


class Progress(Protocol):
    """How a workflow reports work done; `total` items in all, None when that is not known."""

    def start(self, total: int | None, what: str) -> None: ...
    def advance(self, n: int) -> None: ...


class Console:
    """The streams of one command. quiet: no notes. verbose: details. as_json: a one-object summary on stdout instead of data."""

    def __init__(self, data: BinaryIO | None, *, quiet: bool, verbose: bool, as_json: bool) -> None:
        self._data = data
        self.quiet = quiet
        self.verbose = verbose
        self.as_json = as_json

    def emit(self, data: bytes) -> None:
        """Write data to stdout, whole. Raises OutputError when stdout is closed or full; a reader that left is no error."""
        if self._data is None:
            raise OutputError("standard output is closed", hint="name a file with -o")
        try:
            self._data.write(data)
            self._data.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write to standard output: {os.strerror(error.errno or 0)}") from error

    def note(self, text: str) -> None:
        """A remark on stderr, unless quiet."""
        if not self.quiet:
            print(f"alcli: {text}", file=sys.stderr)

    def say(self, text: str) -> None:
        """A plain line of a report on stderr, unless quiet."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def detail(self, text: str) -> None:
        """A remark for those who asked with -v."""
        if self.verbose:
            print(f"alcli: {text}", file=sys.stderr)

    def summary(self, report: dict[str, Any]) -> None:
        """With --json, the report as one JSON object on stdout."""
        if self.as_json:
            self.emit((json.dumps(report, sort_keys=True, ensure_ascii=False) + "\n").encode())

    def report(self, report: dict[str, Any]) -> None:
        """A report for the reader: the JSON object, or aligned lines on stderr."""
        if self.as_json:
            return self.summary(report)
        width = max((len(k) for k in report), default=0)
        for key, value in report.items():
            self.say(f"{key.replace('_', ' '):{width}}  {_shown(value)}")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table on stderr; on a terminal with rules and colour, else plain aligned columns."""
        if self.quiet:
            return
        if is_fancy():
            from rich.console import Console as Rich
            from rich.table import Table

            table = Table(*header)
            for row in rows:
                table.add_row(*row)
            return Rich(stderr=True, no_color=bool(os.environ.get("NO_COLOR"))).print(table)
        widths = [max(len(str(row[i])) for row in (header, *rows)) for i in range(len(header))]
        for row in (header, *rows):
            self.say("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths)).rstrip())

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A progress bar with rate and time left on a terminal; nothing elsewhere."""
        if self.quiet or not is_fancy():
            yield _Silent()
            return
        from rich.console import Console as Rich
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
        with Bar(*columns, console=Rich(stderr=True, no_color=bool(os.environ.get("NO_COLOR"))), transient=True) as bar:
            yield _Bar(bar)


class _Silent:
    def start(self, total: int | None, what: str) -> None:
        return

    def advance(self, n: int) -> None:
        return


class _Bar:
    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = None

    def start(self, total: int | None, what: str) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(what, total=total, rate="")

    def advance(self, n: int) -> None:
        self._bar.advance(self._task, n)
        speed = self._bar.tasks[-1].speed
        self._bar.update(self._task, rate=f"{speed:,.0f}/s" if speed else "")


def is_fancy() -> bool:
    """Whether stderr is a terminal that can show bars."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def console(*, quiet: bool = False, verbose: bool = False, as_json: bool = False) -> Iterator[Console]:
    """The console of one command. While it is open, everything else that is printed to stdout (by C code, by a model, by a child
    process) goes to stderr, so that it cannot get into the data."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(kept, "wb", closefd=False) as data:
            closed = os.environ.pop("ALCLI_STDOUT_CLOSED", None) is not None
            yield Console(None if closed else data, quiet=quiet, verbose=verbose, as_json=as_json)
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
