"""The commands. This module and those it imports load only Typer and the standard library, so help and completion start at once."""

from __future__ import annotations

from typing import Annotated

import typer

from alcli import __version__
from alcli.cli.embed import embed
from alcli.cli.fit_head import fit_head
from alcli.cli.query import query
from alcli.cli.simulate import simulate
from alcli.cli.update import update

app = typer.Typer(
    name="alcli",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alcli {__version__}")
        raise typer.Exit


@app.callback()
def alcli(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Choose what to label next: active learning on frozen embeddings.

    \b
    embed     run an upstream model once, keep its features in Parquet
    fit-head  learn a last-layer model with uncertainty from a few labels
    query     choose the items to label next
    update    absorb new labels in milliseconds
    simulate  find out beforehand which strategy pays off

    Data goes to stdout, talk to stderr. Exit codes: 0 done, 2 usage, 65 bad data, 66 no such input, 69 something
    optional is missing, 70 a bug of alcli, 71 memory, 73 cannot create, 74 I/O error, 75 busy, 78 newer format.
    """


app.command("embed")(embed)
app.command("fit-head")(fit_head)
app.command("query")(query)
app.command("update")(update)
app.command("simulate")(simulate)
