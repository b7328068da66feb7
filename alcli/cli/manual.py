"""The manual page and the reference pages, written from the tree of commands, so that they say the same as `--help`.

`python -m alcli.cli.manual` prints the manual page, alcli.1. No command imports this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import typer.main

from alcli import __version__
from alcli.cli.app import app
from alcli.cli.helptext import HelpEntry, HelpPage, HelpPanel, HelpParagraph, HelpSection, page

EXIT_CODES = "Exit codes"

_ROFF = {"\\": "\\(rs", "-": "\\-", "'": "\\(aq", '"': "\\(dq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


def commands() -> dict[str, HelpPage]:
    """The page of every command by the name that is typed after `alcli`, in the order of `alcli --help`.

    The page of `alcli` itself comes first, under the name "".
    """
    group: Any = typer.main.get_command(app)
    above = group.make_context("alcli", [], resilient_parsing=True)
    found = {"": page(group, above)}
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        found[name] = page(command, command.make_context(name, [], parent=above, resilient_parsing=True))
    return found


def exit_codes() -> list[tuple[int, str]]:
    """(exit code, its meaning), ascending, as the help of alcli lists them."""
    listed = next((section for section in commands()[""].sections if section.title == EXIT_CODES), None)
    lines = [line for paragraph in listed.paragraphs for line in paragraph.lines] if listed else []
    return [(int(code), meaning.strip()) for code, _, meaning in (line.partition(" ") for line in lines)]


def manual() -> str:
    """Return the manual page of all commands, in the macros of man(7). It bears no date: the tree alone makes it."""
    return "\n".join(_roff()) + "\n"


def reference(command_name: str) -> str:
    """Return the reference page of a command (`query`) in Markdown, with options as definition lists.

    Raises ValueError for a name that is no command.
    """
    known = commands()
    if command_name not in known or not command_name:
        raise ValueError(f"no command '{command_name}'; there are {', '.join(name for name in known if name)}")
    one = known[command_name]
    beginning, *parts = one.parts
    assert isinstance(beginning, HelpSection)
    first, *others = beginning.paragraphs
    lines = [f"# {one.path}", "", *_markdown([first]), "```", one.usage, "```", "", *_markdown(others)]
    for part in parts:
        lines += [f"## {part.title}", ""]
        if isinstance(part, HelpSection):
            lines += _markdown(part.paragraphs)
        else:
            for entry in part.entries:
                lines += [f"`{entry.typed}`", f":   {_plain(entry.help)}", ""]
    return "\n".join(lines)


def _roff() -> Iterator[str]:
    known = commands()
    alcli = known[""]
    name = alcli.beginning.paragraphs[0].prose.rstrip(".")
    yield f'.TH ALCLI 1 "" "alcli {__version__}" "User Commands"'
    # Names such as learning-loss are not to be broken.
    yield from (".nh", ".ad l")
    yield from (".SH NAME", f"alcli \\- {_escaped(name)}")
    yield from (".SH SYNOPSIS", f"\\fB{_escaped(alcli.usage)}\\fR", ".SH DESCRIPTION")
    yield from _roff_paragraphs(alcli.beginning.paragraphs)
    yield ".SH OPTIONS"
    for panel in alcli.panels:
        yield from _roff_entries(panel.entries)
    yield ".SH COMMANDS"
    for name, one in known.items():
        if name:
            yield from (f'.SS "{_escaped(one.path)}"', f"\\fB{_escaped(one.usage)}\\fR")
            for part in one.parts:
                yield from _roff_part(part)
    yield ".SH EXIT STATUS"
    for code, meaning in exit_codes():
        yield from (".TP", f"\\fB{code}\\fR", _escaped(meaning))


def _roff_part(part: HelpPanel | HelpSection) -> Iterator[str]:
    if part.title:
        yield from (".PP", f"\\fB{_escaped(part.title)}\\fR")
    if isinstance(part, HelpSection):
        yield from _roff_paragraphs(part.paragraphs)
    else:
        yield from _roff_entries(part.entries)


def _roff_paragraphs(paragraphs: Sequence[HelpParagraph]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield ".PP"
        if paragraph.prose:
            yield _escaped(paragraph.prose)
        if paragraph.lines:
            yield from (".RS 4", ".nf", *map(_escaped, paragraph.lines), ".fi", ".RE")


def _roff_entries(entries: Sequence[HelpEntry]) -> Iterator[str]:
    for entry in entries:
        parts = [f"\\fB{_escaped(entry.names)}\\fR"] if entry.names else []
        parts += [f"\\fI{_escaped(entry.metavar)}\\fR"] if entry.metavar else []
        yield from (".TP", " ".join(parts), _escaped(entry.help))


def _escaped(text: str) -> str:
    """The text in ASCII, as roff prints it unchanged: quotes and hyphens as typed, and no line that is a request."""
    escaped = "".join(_ROFF.get(c, c if c.isascii() else f"\\[u{ord(c):04X}]") for c in text)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def _markdown(paragraphs: Sequence[HelpParagraph]) -> Iterator[str]:
    for paragraph in paragraphs:
        if paragraph.prose:
            yield from (_plain(paragraph.prose), "")
        if paragraph.lines:
            yield from ("```", *paragraph.lines, "```", "")


def _plain(text: str) -> str:
    """The text with the characters escaped that Markdown would read as markup."""
    return re.sub(r"([\\`*_{}\[\]#])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;")


if __name__ == "__main__":
    print(manual(), end="")
