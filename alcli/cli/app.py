"""The commands.

This module and the modules it imports load Typer and the standard library alone, so that help starts at once.
"""

from __future__ import annotations

import typer

from alcli.cli.embed import embed
from alcli.cli.fit_head import fit_head
from alcli.cli.helptext import PanelCommand, PanelGroup
from alcli.cli.inspect import inspect
from alcli.cli.options import general
from alcli.cli.predict import predict
from alcli.cli.query import query
from alcli.cli.report import report
from alcli.cli.simulate import simulate
from alcli.cli.update import update

app = typer.Typer(
    name="alcli",
    cls=PanelGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback()
def alcli(version: general.Version = False) -> None:
    """Choose what to label next: active learning on frozen embeddings.

    Data goes to stdout, messages go to stderr. `alcli COMMAND --help` explains a command.

    Example:
        alcli query sample_data/digits-features.parquet -s random -n 10

    Exit codes:
        0   done
        2   usage: the command line is wrong
        65  bad data in a file that was read
        66  no such input
        69  something optional is missing
        70  a bug of alcli
        71  not enough memory, or too many open files, threads or processes
        73  an output cannot be created
        74  reading or writing failed
        75  busy: a file is in use, or changed while it was read
        78  a file of a newer format, or a cluster of other versions
    """


app.command("embed", cls=PanelCommand)(embed)
app.command("fit-head", cls=PanelCommand)(fit_head)
app.command("query", cls=PanelCommand)(query)
app.command("update", cls=PanelCommand)(update)
app.command("predict", cls=PanelCommand)(predict)
app.command("simulate", cls=PanelCommand)(simulate)
app.command("inspect", cls=PanelCommand)(inspect)
app.command("report", cls=PanelCommand)(report)
