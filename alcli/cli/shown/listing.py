"""`alcli query --list`: the strategies, one line each, and one strategy explained."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

from alcli import plugins
from alcli.cli.console import Console
from alcli.cli.helptext import HelpEntry, panel_lines, wrapped
from alcli.composition import pairs
from alcli.described import OVERVIEW, PAIR, Kind, StrategyDescription, StrategyOption, described, kind_of
from alcli.errors import AlcliError, DataError

DEFAULT = "auto"
GROUPS: tuple[tuple[Kind, str], ...] = (
    ("rows", "From the features, without a head"),
    ("head", "From the predictions of a head"),
    ("posterior", "From the posterior of a head"),
)
MODIFIERS = ("prefilter", "balance", "impute", "cost-col")

_MODELS = (
    "A head that fit-head --prior pool made without names of classes holds two models: the strategy looks at the plain "
    "one, and the other predicts."
)
_MOST_WIDE = 110
_NAMES = 16


def list_strategies(console: Console) -> None:
    """Write every strategy on a line of its own, by what it looks at; with --json a list of objects."""
    found = [_summary(name) for name in plugins.known_strategies()]
    own = set(plugins.names("strategies"))
    if console.as_json:
        return _emit_json(console, [*map(_row, found), _pairs_row()])
    lines = ["The default:", *(_line(s.name, s.line) for s in found if s.name == DEFAULT)]
    for kind, title in GROUPS:
        lines += ["", f"{title}:"]
        of_kind = [s for s in found if s.name in own and s.name != DEFAULT and kind_of(s.needs) == kind]
        lines += [_line(s.name, s.line) for s in of_kind]
    if installed := [s for s in found if s.name not in own]:
        lines += ["", "Of installed packages:", *(_line(s.name, s.line) for s in installed)]
    _emit(console, [*lines, *_ending()])


def _summary(name: str) -> plugins.Summary:
    """The summary of a strategy. A package that cannot be read spoils its own line alone."""
    try:
        return plugins.summary("strategies", name)
    except DataError as error:
        return plugins.Summary(name, error.message, {}, ())


def explain(console: Console, name: str) -> None:
    """Write what a strategy is, a pair or a mix too; with --json an object. Raises UsageError with the nearest name."""
    if name == OVERVIEW:
        return _emit_json(console, _pairs_row()) if console.as_json else _emit(console, _overview())
    found = described(name)
    if console.as_json:
        return _emit_json(console, dataclasses.asdict(found))
    _emit(console, _explained(found))


def _explained(found: StrategyDescription) -> Iterator[str]:
    yield from wrapped(f"{found.name}: {found.summary}", _width(), "", "  ")
    for i, paragraph in enumerate(found.paragraphs):
        if not (i and paragraph.startswith("- ")):
            yield ""
        if paragraph.startswith("    "):
            yield from paragraph.splitlines()
        else:
            yield from wrapped(paragraph, _width(), "  ", "    " if paragraph.startswith("- ") else "  ")
    needs = "; ".join(found.needs) + ("" if found.kind == "rows" else f". {_MODELS}")
    for title, text in (("Needs", needs), *found.sections.items()):
        heading = "Passes over the pool" if title == "Passes" else title
        yield from ("", f"{heading}:", *wrapped(text, _width(), "  ", "  "))
    yield from ("", "Options, each given as -p NAME=VALUE:")
    yield from panel_lines([_entry(option) for option in found.options], _width())


def _entry(option: StrategyOption) -> HelpEntry:
    takes = " | ".join(option.choices) or option.kind
    default = f", default {option.default}" if option.default else ""
    counts = f" Counts only {option.counts}." if option.counts else ""
    words = "".join(f"\n{word}: {meaning}" for word, meaning in option.meanings.items())
    return HelpEntry(option.name, "", f"{takes}{default}\n{option.meaning}{counts}{words}")


def _ending() -> Iterator[str]:
    """The strategies that are made of parts, and the options of every strategy."""
    refused = ", ".join("/".join(pair) for pair in pairs.REFUSED)
    yield from ("", f"{OVERVIEW}, such as grad/kmeanspp:")
    yield from wrapped(f"EMBEDDING: {', '.join(pairs.EMBEDDINGS)}", _width(), "  ", "    ")
    yield from wrapped(f"SELECTOR: {', '.join(pairs.SELECTORS)}; not {refused}", _width(), "  ", "    ")
    yield from ("", "Several strategies, each for its share of a batch:", "  --mix margin:0.8,random:0.2")
    values = {"prefilter": "F", "balance": "predicted", "impute": "argmax|sample", "cost-col": "C"}
    yield from ("", "Options of every strategy:")
    yield from wrapped(" ".join(f"-p {key}={values[key]}" for key in MODIFIERS), _width(), "  ", "  ")
    yield from ("", "alcli query --list NAME explains a strategy and its options;")
    yield f"alcli query --list {OVERVIEW} explains embeddings and selectors."


def _overview() -> Iterator[str]:
    """The embeddings and the selectors."""
    yield from wrapped(f"{OVERVIEW}: {PAIR}", _width(), "", "  ")
    yield from ("", "EMBEDDING:")
    yield from panel_lines([HelpEntry(name, "", f"{line}.") for name, (_, line) in pairs.EMBEDDINGS.items()], _width())
    yield from ("", "SELECTOR:")
    yield from panel_lines([HelpEntry(name, "", f"{line}.") for name, line in pairs.SELECTORS.items()], _width())
    yield from ("", "Pairs that make no sense:")
    yield from panel_lines(
        [HelpEntry("/".join(pair), "", f"{why}.") for pair, (why, _) in pairs.REFUSED.items()], _width()
    )


def _line(name: str, summary: str) -> str:
    """A name and a summary on one line; a summary that does not fit is cut."""
    line = f"{name:{_NAMES}} {summary}".rstrip()
    width = shutil.get_terminal_size().columns
    return line if len(line) <= width else f"{line[: width - 3].rstrip()}..."


def _row(found: plugins.Summary) -> dict[str, Any]:
    """A strategy as an object, with its options. A package that cannot be read spoils its own options alone."""
    try:
        options = [dataclasses.asdict(option) for option in described(found.name).options]
    except AlcliError:
        options = []
    row = {"name": found.name, "summary": found.line, "needs": list(found.needs), "options": options}
    return row | {title.lower(): text for title, text in found.sections.items()}


def _pairs_row() -> dict[str, Any]:
    return {
        "name": OVERVIEW,
        "summary": "Any embedding with any selector, but for those that are refused.",
        "selectors": dict(pairs.SELECTORS),
        "embeddings": {
            name: {"needs": list(needs), "summary": line} for name, (needs, line) in pairs.EMBEDDINGS.items()
        },
        "refused": ["/".join(pair) for pair in pairs.REFUSED],
    }


def _width() -> int:
    return min(shutil.get_terminal_size().columns, _MOST_WIDE) - 2


def _emit(console: Console, lines: Iterable[str]) -> None:
    console.emit("".join(f"{line}\n" for line in lines).encode())


def _emit_json(console: Console, value: Any) -> None:
    console.emit((json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode())
