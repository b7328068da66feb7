"""The output of a command: data on stdout, messages on stderr, progress only on a terminal. The only user of rich."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from alcli.errors import OutputError, printable
from alcli.remarks import NoProgress, Progress, showing

# Entries of a list that a report shows.
_LISTED = 5
# Seconds before a progress bar appears.
_PATIENCE = 2.0


class Console:
    """The streams of one command.

    data: the file descriptor of the real stdout. quiet: write no remarks. verbose: write details.
    as_json: write a summary as one JSON object on stdout, in place of data.
    """

    def __init__(self, data: int, *, quiet: bool, verbose: bool, as_json: bool) -> None:
        self._data = data
        self.quiet = quiet
        self.verbose = verbose
        self.as_json = as_json
        self._remarks: list[str] = []
        self._announced: set[str] = set()

    def emit(self, data: bytes) -> None:
        """Write all of the data to stdout. b"" writes nothing, and finds out whether stdout can be written.

        Raises OutputError where stdout is closed or full, BrokenPipeError where its reader has left.
        """
        left = memoryview(_harmless(data) if os.isatty(self._data) else data)
        try:
            while written := os.write(self._data, left):
                left = left[written:]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"cannot write to standard output: {os.strerror(error.errno or 0)}", hint="name a file with -o"
            ) from error

    def note(self, text: str) -> None:
        """Write a remark to stderr at once, unless quiet."""
        self.tell_remarks()
        if not self.quiet:
            tell(_wrapped(f"alcli: {printable(text)}"))

    def remark(self, text: str) -> None:
        """Keep a remark until the command reports something or has succeeded.

        A command that refuses thus writes one line alone. A remark that is kept already is kept once.
        """
        if text not in self._remarks and text not in self._announced:
            self._remarks.append(text)

    def tell_remarks(self) -> None:
        """Write the kept remarks to stderr."""
        remarks, self._remarks = self._remarks, []
        for text in remarks:
            self.note(text)

    def say(self, text: str) -> None:
        """Write a plain line of a report to stderr, unless quiet."""
        self.tell_remarks()
        if not self.quiet:
            tell(_wrapped(text))

    def detail(self, text: str) -> None:
        """Write a remark to stderr if the user asked for details with -v."""
        if self.verbose:
            tell(f"alcli: {printable(text)}")

    def summary(self, report: dict[str, Any]) -> None:
        """Write the report as one JSON object to stdout, with --json; else write nothing."""
        if self.as_json:
            self.emit((json.dumps(report, sort_keys=True, ensure_ascii=False) + "\n").encode())

    def report(self, report: dict[str, Any]) -> None:
        """Write the report: one JSON object on stdout with --json, else aligned lines on stderr."""
        if self.as_json:
            return self.summary(report)
        width = max((len(k) for k in report), default=0)
        for key, value in report.items():
            self.say(f"{key.replace('_', ' '):{width}}  {_shown(value)}")

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table to stderr: with rules and colour on a terminal, else in plain aligned columns."""
        self.tell_remarks()
        if self.quiet:
            return
        if is_fancy():
            from rich.console import Console as Rich
            from rich.table import Table

            # Where the terminal is too narrow, titles are broken between words; cells are never cut.
            stderr, texts = Rich(stderr=True), [[row[i] for row in rows] for i in range(len(header))]
            whole = [max(map(len, [title, *cells])) for title, cells in zip(header, texts)]
            least = [max(map(len, [*title.split(), *cells])) for title, cells in zip(header, texts)]
            widths = whole if sum(whole) + len(whole) <= stderr.width else least
            table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
            for title, width in zip(header, widths):
                table.add_column(title, width=width, vertical="bottom")
            for row in rows:
                table.add_row(*row)
            return stderr.print(table, crop=False)
        widths = [max(len(str(row[i])) for row in (header, *rows)) for i in range(len(header))]
        for row in (header, *rows):
            self.say("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths)).rstrip())

    def announce(self, text: str) -> None:
        """Say a remark before the work on a terminal, where somebody waits; elsewhere keep it as `remark` does."""
        if is_fancy():
            self._announced.add(text)
            self.note(text)
        else:
            self.remark(text)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Show the steps of loops inside by `progress`."""
        with self.progress() as progress, showing(progress):
            yield

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show a progress bar with rate and time left on a terminal once 2 s have gone by, and nothing elsewhere."""
        if self.quiet or not is_fancy():
            yield NoProgress()
            return
        from rich.console import Console as Rich
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        bar = _Bar(Bar(*columns, console=Rich(stderr=True), transient=True))
        try:
            yield bar
        finally:
            bar.close()


class _Bar:
    """A bar that appears once the work has taken a while. A timer shows it, as a step may take long."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task = None
        self._timer = threading.Timer(_PATIENCE, bar.start)
        self._timer.daemon = True
        self._timer.start()

    def start(self, total: int | None, what: str) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(what, total=total, rate="")

    def advance(self, n: int) -> None:
        self._bar.advance(self._task, n)
        self._bar.update(self._task, rate=_rate(self._bar.tasks[-1].speed))

    def close(self) -> None:
        self._timer.cancel()
        self._timer.join()
        if self._bar.live.is_started:
            self._bar.stop()


def _rate(speed: float | None) -> str:
    """Steps a second, or the seconds of a step where it takes longer than one; nothing where it is not known."""
    if not speed:
        return ""
    return f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.1f}/s" if speed >= 1 else f"{1 / speed:,.1f} s each"


def _harmless(data: bytes) -> bytes:
    """Data as a terminal may show them: control characters in ids and labels, which could move its cursor or set its
    title, are escaped. A file or a program gets the bytes as they are.
    """
    text = data.decode("utf-8", "surrogateescape")
    return "".join(c if c in "\n\t" else printable(c) for c in text).encode("utf-8", "surrogateescape")


def is_fancy() -> bool:
    """True where stderr is a terminal that shows bars and tables. NO_COLOR takes their colour only, as rich does."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _wrapped(text: str) -> str:
    """The text with long lines broken between words, on a terminal; elsewhere as it is."""
    if not is_fancy():
        return text
    fold = textwrap.TextWrapper(
        shutil.get_terminal_size().columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(fold.fill(line) for line in text.split("\n"))


def tell(text: str) -> None:
    """Write a line to stderr. A stderr that is closed or full does not stop the command."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # The line is still in Python's buffer, and flushing it at exit would fail too: it goes to the null device.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@contextmanager
def console(*, quiet: bool = False, verbose: bool = False, as_json: bool = False) -> Iterator[Console]:
    """Open the console of one command.

    While it is open, file descriptor 1 stands for stderr. Text that C code, a model or a child process prints to stdout
    thus cannot get into the data. Kept remarks are written when the command succeeds.
    """
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
    """A value on one line: of many numbers by name the extremes, of a list its beginning. --json has the whole."""
    if isinstance(value, Mapping):
        return _range(value)
    if isinstance(value, list):
        more = f" and {len(value) - _LISTED} more" if len(value) > _LISTED else ""
        shown = [f"{one:.4g}" if isinstance(one, float) else printable(one) for one in value[:_LISTED]]
        return (", ".join(shown) or "none") + more
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _range(numbers: Mapping[str, float]) -> str:
    """The least, the median and the most of numbers, each of the extremes with its name."""
    ranked = sorted(numbers, key=lambda name: numbers[name])
    least, most = (f"{numbers[name]:.4g} ({printable(name)})" for name in (ranked[0], ranked[-1]))
    return f"least {least}, median {median(numbers.values()):.4g}, most {most}"
