"""Options about running a command: what it writes, what it may replace, what it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from alcli import __version__
from alcli.cli.console import Console, console
from alcli.cli.options.declare import GENERAL, OUTPUT, SAFETY, option
from alcli.cli.options.settings import Taken, taken
from alcli.cli.options.values import MOST_SEED, number, whole_number


def print_version(wanted: bool) -> None:
    """Print the version and end the command, where --version is given."""
    if wanted:
        typer.echo(f"alcli {__version__}")
        raise typer.Exit


Version = Annotated[bool, option("--version", GENERAL, "Print the version and exit.", on_sight=print_version)]
Seed = Annotated[int, option("--seed N", GENERAL, "Seed of every random draw.", parse=whole_number(0, MOST_SEED))]
Force = Annotated[bool, option("--force", OUTPUT, "Replace an output that exists.")]
LockTimeout = Annotated[
    float,
    option(
        "--lock-timeout SECONDS",
        SAFETY,
        "How long to wait for another alcli process that writes the same file.",
        default="0",
        parse=number(0),
    ),
]
Quiet = Annotated[bool, option("-q, --quiet", GENERAL, "Say nothing but errors.")]
Verbose = Annotated[bool, option("-v, --verbose", GENERAL, "Say more.")]
Json = Annotated[bool, option("--json", GENERAL, "Print a summary as one JSON object on stdout.")]


@dataclass(frozen=True)
class TalkOptions:
    """The options on how much a command says."""

    quiet: Quiet = False
    verbose: Verbose = False
    json: Json = False

    @contextmanager
    def console(self) -> Iterator[Console]:
        """Open the console of the command; with -v, say which options were set by a file or the environment."""
        with console(quiet=self.quiet, verbose=self.verbose, as_json=self.json) as opened:
            found = taken.get(Taken())
            for text in found.told:
                opened.detail(text)
            for text in found.remarks:
                opened.remark(text)
            yield opened
