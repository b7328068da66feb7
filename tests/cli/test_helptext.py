"""Help pages: 80 columns, the beginning on one screen, panels that hold every option once."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import typer.main

from alcli.cli import helptext
from alcli.cli.app import app
from alcli.cli.helptext import HelpEntry, HelpParagraph, HelpSection
from alcli.cli.options.declare import COMMON, GENERAL, PANELS

TREE: Any = typer.main.get_command(app)
NAMES = list(TREE.commands)


@pytest.fixture
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def help_of(alcli, name: str) -> list[str]:
    return alcli(*([name] if name else []), "--help").done().lines


@pytest.mark.parametrize("name", ["", *NAMES])
def test_no_line_is_wider_than_80_columns(alcli, narrow, name):
    assert [line for line in help_of(alcli, name) if len(line) > 80] == []


@pytest.mark.parametrize("name", ["", *NAMES])
def test_the_beginning_fits_on_one_screen(alcli, narrow, name):
    """Usage, one paragraph, the common options and an example take at most 40 lines."""
    lines = help_of(alcli, name)
    assert lines[0].startswith("Usage: alcli")
    titles = [(i, line) for i, line in enumerate(lines) if re.fullmatch(r"\S.*:", line)]
    assert [title for _, title in titles[:2]] == ["Commands:" if not name else f"{COMMON}:", "Example:"]
    assert titles[2][0] <= 40
    assert any(line.startswith("  alcli ") for line in lines[titles[1][0] : titles[2][0]])


@pytest.mark.parametrize("name", NAMES)
def test_panels_come_in_order_and_hold_each_option_once(alcli, narrow, name):
    lines = help_of(alcli, name)
    panels = [line[:-1] for line in lines if line[:-1] in PANELS and line.endswith(":")]
    assert panels == [panel for panel in PANELS if panel in panels]
    assert panels[0] == COMMON
    for parameter in TREE.commands[name].params:
        names = ", ".join(parameter.opts) if parameter.param_type_name == "option" else ""
        typed = f"{names} {parameter.metavar or ''}".strip()
        assert len([line for line in lines if re.match(rf"  {re.escape(typed)}(  |$)", line)]) == 1, typed


def test_help_lists_the_commands_with_their_first_sentence(alcli, narrow):
    text = " ".join(" ".join(help_of(alcli, "")).split())
    for name, command in TREE.commands.items():
        assert f"{name} {inspect.cleandoc(command.help).splitlines()[0]}" in text


def test_usage_names_what_must_be_given(alcli, narrow):
    assert help_of(alcli, "fit-head")[0] == "Usage: alcli fit-head POOL -o HEAD [OPTIONS]"
    assert help_of(alcli, "query")[0] == "Usage: alcli query [POOL] [OPTIONS]"


def test_a_docstring_in_its_parts():
    text = """Do it.

    More of it,
    on two lines.

    Example:
        alcli one \\
          --two

    A title:
      Prose that
      is wrapped:
        kept  as it is

      Another paragraph.
    """
    first, example, section = helptext.sections(text)
    assert first == HelpSection("", (HelpParagraph("Do it."), HelpParagraph("More of it, on two lines.")))
    assert example == HelpSection("Example", (HelpParagraph("", ("alcli one \\", "  --two")),))
    prose = HelpParagraph("Prose that is wrapped:", ("kept  as it is",))
    assert section == HelpSection("A title", (prose, HelpParagraph("Another paragraph.")))


def test_defaults_stand_behind_the_help():
    def command(
        a: str = typer.Option("x", help="A."),
        b: int = typer.Option(0, "-b", help="B."),
        c: bool = typer.Option(False, "--c", help="C."),
        d: str = typer.Option(None, help="D.", show_default="as it comes"),
        e: str = typer.Option(..., metavar="E", help="E."),
        f: str = typer.Argument(None, help="F."),
    ) -> None:
        """Go."""

    odd = typer.Typer(rich_markup_mode=None, add_completion=False)
    odd.command()(command)
    built: Any = typer.main.get_command(odd)
    page = helptext.page(built, built.make_context("odd", ["--e", "1"]))
    assert [panel.title for panel in page.panels] == [COMMON, GENERAL]
    assert page.panels[0].entries == (HelpEntry("", "F", "F."),)
    assert page.panels[1].entries[:5] == (
        HelpEntry("--a", "A", "A.  [default: x]"),
        HelpEntry("-b", "B", "B.  [default: 0]"),
        HelpEntry("--c", "", "C."),
        HelpEntry("--d", "D", "D.  [default: as it comes]"),
        HelpEntry("--e", "E", "E.  [required]"),
    )


def test_long_names_stand_on_a_line_of_their_own():
    entries = [HelpEntry("--a", "X", "word " * 12), HelpEntry("--a-very-long-name", "[ALIAS=]NAME", "Short.")]
    assert list(helptext.panel_lines(entries, 60)) == [
        "  --a X                     word word word word word word",
        "                            word word word word word word",
        "  --a-very-long-name [ALIAS=]NAME",
        "                            Short.",
    ]


def test_words_with_hyphens_are_not_broken():
    assert helptext.wrapped("see --allow-new-classes", 20, "", "") == ["see", "--allow-new-classes"]
