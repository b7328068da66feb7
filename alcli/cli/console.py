"""What a command says and where: data on stdout, talk on stderr, progress only on a terminal. The only user of rich."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alcli.errors import OutputError, printable
from alcli.remarks import NoProgress, Progress


class Console:
    """The streams of one command. data: file descriptor of the real stdout. quiet: no notes. verbose: details. as_json: a one-object
    summary on stdout instead of data."""

    def __init__(self, data: int, *, quiet: bool, verbose: bool, as_json: bool) -> None:
        self._data = data
        self.quiet = quiet
        self.verbose = verbose
        self.as_json = as_json
        self._remarks: list[str] = []

    def emit(self, data: bytes) -> None:
        """Write data to stdout, whole. Nothing (b"") asks whether that is possible. Raises OutputError when stdout is closed or full,
        BrokenPipeError when its reader has left."""
        left = memoryview(data)
        try:
            while written := os.write(self._data, left):
                left = left[written:]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write to standard output: {os.strerror(error.errno or 0)}", hint="name a file with -o") from error

    def note(self, text: str) -> None:
        """Write a remark to stderr at once, unless quiet."""
        self.tell_remarks()
        if not self.quiet:
            tell(f"alcli: {printable(text)}")

    def remark(self, text: str) -> None:
        """Keep a remark until the command has something to report or has succeeded: a command that refuses says one line alone."""
        if text not in self._remarks:
            self._remarks.append(text)

    def tell_remarks(self) -> None:
        """Write the remarks kept so far to stderr, each once."""
        remarks, self._remarks = self._remarks, []
        for text in remarks:
            self.note(text)

    def say(self, text: str) -> None:
        """Write a plain line of a report to stderr, unless quiet."""
        self.tell_remarks()
        if not self.quiet:
            tell(text)

    def detail(self, text: str) -> None:
        """A remark for those who asked with -v."""
        if self.verbose:
            tell(f"alcli: {printable(text)}")

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
        self.tell_remarks()
        if self.quiet:
            return
        if is_fancy():
            from rich.console import Console as Rich
            from rich.table import Table

            table = Table(*header)
            for row in rows:
                table.add_row(*row)
            return Rich(stderr=True).print(table)
        widths = [max(len(str(row[i])) for row in (header, *rows)) for i in range(len(header))]
        for row in (header, *rows):
            self.say("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths)).rstrip())

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A progress bar with rate and time left on a terminal; nothing elsewhere."""
        if self.quiet or not is_fancy():
            yield NoProgress()
            return
        from rich.console import Console as Rich
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
        with Bar(*columns, console=Rich(stderr=True), transient=True) as bar:
            yield _Bar(bar)


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
    """Whether stderr is a terminal that can show bars and colours, and its user wants them."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def tell(text: str) -> None:
    """A line on stderr. That nobody can read it is no reason to stop."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # else Python would fail on what is left in its buffer when it ends


@contextmanager
def console(*, quiet: bool = False, verbose: bool = False, as_json: bool = False) -> Iterator[Console]:
    """The console of one command. While it is open, everything else that is printed to stdout (by C code, by a model, by a child
    process) goes to stderr, so that it cannot get into the data."""
    sys.stdout.flush()
    data = os.dup(1)
    os.dup2(2, 1)
    try:
        talk = Console(data, quiet=quiet, verbose=verbose, as_json=as_json)
        yield talk
        talk.tell_remarks()
    finally:
        try:
            sys.stdout.flush()
        finally:
            os.dup2(data, 1)
            os.close(data)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
