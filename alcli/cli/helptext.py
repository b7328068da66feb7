"""The help of a command as a page: read from the command and its options, and written for a terminal.

A docstring of a command has a beginning (the first paragraphs) and sections. A section is a line that ends with a
colon, and indented text below it. Text indented by two is prose, and is wrapped; text indented by four or more keeps
its lines.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from typer.core import TyperCommand, TyperGroup

from alcli.cli.options import settings
from alcli.cli.options.declare import COMMON, GENERAL, PANELS

EXAMPLE = "Example"

# The widest names that share a line with their help.
_NAMES = 24


@dataclass(frozen=True)
class HelpEntry:
    """An option, an argument or a command. names: as they are typed ("-o, --out"), "" for an argument.

    metavar: the word for its value, "" for a flag. help: its sentences, with the default at the end.
    """

    names: str
    metavar: str
    help: str

    @property
    def typed(self) -> str:
        """Names and value, as they stand in a list: "-o, --out FILE"."""
        return f"{self.names} {self.metavar}".strip()


@dataclass(frozen=True)
class HelpParagraph:
    """A paragraph: prose, and below it lines that keep their breaks. One of the two may be empty."""

    prose: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class HelpSection:
    """Paragraphs under a title; "" is the title of the beginning."""

    title: str
    paragraphs: tuple[HelpParagraph, ...]


@dataclass(frozen=True)
class HelpPanel:
    """Entries under a title."""

    title: str
    entries: tuple[HelpEntry, ...]


@dataclass(frozen=True)
class HelpPage:
    """The help of a command. path: its name behind the names of the commands above it. example: None where it has none.

    commands: the commands below it, in the order in which they were added; None where it has none.
    """

    path: str
    usage: str
    beginning: HelpSection
    example: HelpSection | None
    commands: HelpPanel | None
    panels: tuple[HelpPanel, ...]
    sections: tuple[HelpSection, ...]

    @property
    def parts(self) -> list[HelpPanel | HelpSection]:
        """The parts of the page below its usage line, in the order in which they are read."""
        panels = [*([self.commands] if self.commands else []), *self.panels]
        example = [self.example] if self.example else []
        return [self.beginning, *panels[:1], *example, *panels[1:], *self.sections]


class PanelCommand(TyperCommand):
    """A command whose help is grouped in panels, and which takes settings from a file beside its pool."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return settings.parsed(self, ctx, args, super().parse_args)

    def invoke(self, ctx: Any) -> Any:
        from alcli.engine.limits import within_limits

        with within_limits():
            return super().invoke(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return _usage(self, ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write("\n".join(shown(page(self, ctx), formatter.width)))


class PanelGroup(TyperGroup):
    """A group of commands whose help is grouped in panels."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["COMMAND", "[OPTIONS]"]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write("\n".join(shown(page(self, ctx), formatter.width)))


def page(command: Any, context: Any) -> HelpPage:
    """Read the page of any command of click. context: the command's."""
    panels: dict[str, list[HelpEntry]] = {panel: [] for panel in PANELS}
    for parameter in command.get_params(context):
        if not getattr(parameter, "hidden", False):
            of_kind = COMMON if parameter.param_type_name == "argument" else GENERAL
            panels.setdefault(getattr(parameter, "rich_help_panel", None) or of_kind, []).append(_entry(parameter))
    below = [(name, known) for name, known in getattr(command, "commands", {}).items() if not known.hidden]
    first, *others = sections(command.help or "")
    example = next((section for section in others if section.title == EXAMPLE), None)
    return HelpPage(
        path=context.command_path,
        usage=" ".join([context.command_path, *command.collect_usage_pieces(context)]),
        beginning=first,
        example=example,
        commands=HelpPanel("Commands", tuple(HelpEntry(name, "", summary(known)) for name, known in below))
        if below
        else None,
        panels=tuple(HelpPanel(title, tuple(entries)) for title, entries in panels.items() if entries),
        sections=tuple(section for section in others if section is not example),
    )


def summary(command: Any) -> str:
    """The first sentence of a command's help."""
    return sections(command.help or "")[0].paragraphs[0].prose


def sections(text: str) -> list[HelpSection]:
    """The beginning of a help text, and its sections."""
    found: list[tuple[str, list[HelpParagraph]]] = [("", [])]
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        lines = block.split("\n")
        if lines[0].endswith(":") and len(lines) > 1 and lines[1].startswith("  "):
            found.append((lines[0].removesuffix(":"), []))
            lines = lines[1:]
        found[-1][1].append(_paragraph(lines))
    return [HelpSection(title, tuple(paragraphs)) for title, paragraphs in found]


def shown(one: HelpPage, width: int) -> list[str]:
    """The lines of a page on a terminal; prose is wrapped at `width`."""
    lines = wrapped(one.usage, width, "Usage: ", " " * 7)
    for part in one.parts:
        lines += ["", f"{part.title}:"] if part.title else []
        lines += panel_lines(part.entries, width) if isinstance(part, HelpPanel) else _section_lines(part, width)
    return lines


def _usage(command: Any, context: Any) -> list[str]:
    """The pieces of a usage line: arguments, options that must be given, and a word for the other options."""
    pieces = []
    for parameter in command.get_params(context):
        if parameter.param_type_name == "argument":
            pieces.append(parameter.metavar if parameter.required else f"[{parameter.metavar}]")
    for parameter in command.get_params(context):
        if parameter.param_type_name == "option" and parameter.required:
            pieces.append(f"{parameter.opts[0]} {parameter.metavar}")
    return [*pieces, "[OPTIONS]"]


def _entry(parameter: Any) -> HelpEntry:
    is_argument = parameter.param_type_name == "argument"
    metavar = parameter.metavar or ""
    if not is_argument and not metavar and not parameter.is_flag:
        metavar = parameter.name.upper()
    names = "" if is_argument else ", ".join(sorted(parameter.opts, key=len))
    facts = [f"default: {text}"] if (text := _default(parameter)) else []
    facts += ["required"] if parameter.required else []
    about = f"{parameter.help or ''}  [{'; '.join(facts)}]" if facts else parameter.help or ""
    return HelpEntry(names, metavar or parameter.name.upper() if is_argument else metavar, about)


def _default(parameter: Any) -> str:
    """The default in words, "" where there is none to tell."""
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.default
    is_told = parameter.show_default and isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return str(value) if is_told else ""


def _paragraph(lines: list[str]) -> HelpParagraph:
    kept = [line for line in lines if line.startswith("    ")]
    prose = " ".join(line.strip() for line in lines if not line.startswith("    "))
    return HelpParagraph(prose, tuple(line[4:] for line in kept))


def _section_lines(section: HelpSection, width: int) -> Iterator[str]:
    for i, paragraph in enumerate(section.paragraphs):
        if i or not section.title:
            yield ""
        if paragraph.prose:
            yield from wrapped(paragraph.prose, width, "  ", "  ")
        indent = "    " if paragraph.prose else "  "
        yield from (f"{indent}{line}" for line in paragraph.lines)


def panel_lines(entries: Sequence[HelpEntry], width: int) -> Iterator[str]:
    """Two columns: what is typed, and its help, each line of which is wrapped at `width`."""
    column = min(max(len(entry.typed) for entry in entries), _NAMES) + 4
    for entry in entries:
        begin = f"  {entry.typed}"
        if len(begin) > column - 2:
            yield begin
            begin = ""
        for line in entry.help.split("\n"):
            yield from wrapped(line, width, f"{begin:{column}}", " " * column)
            begin = ""


def wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    """Lines of at most `width` columns. first, others: what the first line begins with, and the other lines."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
        break_long_words=False,
    )
