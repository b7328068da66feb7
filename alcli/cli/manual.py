"""The manual page and the reference pages, written from the tree of commands, so that they say what `--help` says.

`python -m alcli.cli.manual` prints the manual page, alcli.1. No command imports this module.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer.main

from alcli import __version__
from alcli.cli.app import app

_ROFF = {"\\": "\\(rs", "-": "\\-", "'": "\\(aq", '"': "\\(dq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


@dataclass(frozen=True)
class Entry:
    """An option or an argument: `names` as they are typed ("-o, --out"), what stands for its value (`metavar`, "" for a flag), its help."""

    names: str
    metavar: str
    help: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of a help text: prose, and below it lines that keep their breaks. One of the two may be empty."""

    prose: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Command:
    """A command: its name with those of the commands above it, its usage line, its help, and what can be given to it."""

    path: str
    usage: str
    paragraphs: tuple[Paragraph, ...]
    arguments: tuple[Entry, ...]
    options: tuple[Entry, ...]


def commands() -> dict[str, Command]:
    """Every command by the name that is typed after `alcli`, in the order of `alcli --help`; `alcli` itself comes first, as ""."""
    group: Any = typer.main.get_command(app)
    above = group.make_context("alcli", [], resilient_parsing=True)
    found = {"": _command(group, above)}
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        found[name] = _command(command, command.make_context(name, [], parent=above, resilient_parsing=True))
    return found


def exit_codes() -> list[tuple[int, str]]:
    """(exit code, its meaning), ascending, as the help of alcli lists them behind "Exit codes:"."""
    listed = next((p.prose.partition("Exit codes:")[2] for p in commands()[""].paragraphs if "Exit codes:" in p.prose), "")
    return [(int(code), meaning) for code, meaning in re.findall(r"(\d+) ([^,.]+)", listed)]


def manual() -> str:
    """Return the manual page of all commands, in the macros of man(7). It bears no date, so that the same tree gives the same page."""
    return "\n".join(_roff()) + "\n"


def reference(command_name: str) -> str:
    """Return the reference page of a command (`query`) in Markdown. Its lists are definition lists, an extension of Markdown.

    Raises ValueError for a name that is no command.
    """
    known = commands()
    if command_name not in known or not command_name:
        raise ValueError(f"no command '{command_name}'; there are {', '.join(name for name in known if name)}")
    command = known[command_name]
    first, *others = command.paragraphs
    lines = [f"# {command.path}", "", *_markdown(first), "```", command.usage, "```", ""]
    for paragraph in others:
        lines += _markdown(paragraph)
    for title, entries in (("Arguments", command.arguments), ("Options", command.options)):
        if entries:
            lines += [f"## {title}", ""]
        for entry in entries:
            lines += [f"`{f'{entry.names} {entry.metavar}'.strip()}`", f":   {_plain(entry.help)}", ""]
    return "\n".join(lines)


def _command(command: Any, context: Any) -> Command:
    entries: dict[str, list[Entry]] = {"argument": [], "option": []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:  # a hidden option has none
            entries[parameter.param_type_name].append(_entry(parameter, *record))
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    return Command(context.command_path, usage, tuple(_paragraphs(command.help or "")), tuple(entries["argument"]), tuple(entries["option"]))


def _entry(parameter: Any, names: str, help: str) -> Entry:
    """An entry from what `--help` prints in its two columns."""
    if parameter.param_type_name == "argument":
        return Entry("", names.partition(" <")[0], help)  # without the type that is said behind it: SOURCE <path>
    typed, metavar = re.findall(r"(-\S+(?:, -\S+)*) ?(.*)", names)[0]
    return Entry(typed, metavar, help)


def _paragraphs(text: str) -> Iterator[Paragraph]:
    """Paragraphs of a help text; one that begins with a backspace keeps its lines, and of these a first one with a colon is prose."""
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if lines[0] != "\b":
            yield Paragraph(" ".join(lines))
        elif lines[1].endswith(":"):
            yield Paragraph(lines[1], tuple(textwrap.dedent("\n".join(lines[2:])).split("\n")))
        else:
            yield Paragraph("", tuple(lines[1:]))


def _roff() -> Iterator[str]:
    known = commands()
    alcli = known[""]
    first, *others = alcli.paragraphs
    yield f'.TH ALCLI 1 "" "alcli {__version__}" "User Commands"'
    yield from (".nh", ".ad l")  # names such as learning-loss are not to be broken
    yield from (".SH NAME", f"alcli \\- {_escaped(first.prose.rstrip('.'))}")
    yield from (".SH SYNOPSIS", f"\\fB{_escaped(alcli.usage)}\\fR", ".SH DESCRIPTION")
    yield _escaped(first.prose)
    for paragraph in others:
        yield from _roff_paragraph(Paragraph(paragraph.prose.partition("Exit codes:")[0].rstrip(), paragraph.lines))
    yield ".SH OPTIONS"
    yield from _roff_entries(alcli.options)
    yield ".SH COMMANDS"
    for name, command in known.items():
        if name:
            yield from (f'.SS "{_escaped(command.path)}"', f"\\fB{_escaped(command.usage)}\\fR")
            for paragraph in command.paragraphs:
                yield from _roff_paragraph(paragraph)
            yield from _roff_entries(command.arguments + command.options)
    yield ".SH EXIT STATUS"
    for code, meaning in exit_codes():
        yield from (".TP", f"\\fB{code}\\fR", _escaped(meaning))


def _roff_paragraph(paragraph: Paragraph) -> Iterator[str]:
    yield ".PP"
    if paragraph.prose:
        yield _escaped(paragraph.prose)
    if paragraph.lines:
        yield from (".RS 4", ".nf", *map(_escaped, paragraph.lines), ".fi", ".RE")


def _roff_entries(entries: tuple[Entry, ...]) -> Iterator[str]:
    for entry in entries:
        parts = [f"\\fB{_escaped(entry.names)}\\fR"] if entry.names else []
        parts += [f"\\fI{_escaped(entry.metavar)}\\fR"] if entry.metavar else []
        yield from (".TP", " ".join(parts), _escaped(entry.help))


def _escaped(text: str) -> str:
    """`text` in ASCII, as roff prints it unchanged: quotes and hyphens as they are typed, and no line that is a request."""
    escaped = "".join(_ROFF.get(c, c if c.isascii() else f"\\[u{ord(c):04X}]") for c in text)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped


def _markdown(paragraph: Paragraph) -> Iterator[str]:
    if paragraph.prose:
        yield from (_plain(paragraph.prose), "")
    if paragraph.lines:
        yield from ("```", *paragraph.lines, "```", "")


def _plain(text: str) -> str:
    """`text` with what Markdown would read as markup escaped."""
    return re.sub(r"([\\`*_{}\[\]#])", r"\\\1", text).replace("&", "&amp;").replace("<", "&lt;")


if __name__ == "__main__":
    print(manual(), end="")
