"""Take the module docstring of a strategy apart.

It opens with the summary, and holds paragraphs on the method, the sections `Source:`, `Deviations:`, `Cost:`,
`Passes:` and `Memory:`, and a section `Options:` with one entry an option, `    name: meaning`, whose further lines are
indented by eight. An option that takes words has an entry for each word, `        word: meaning`, whose further lines
are indented by twelve.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_WORD = re.compile(r"[a-z0-9-]+")
_SECTIONS = ("Source", "Deviations", "Deviation", "Cost", "Passes", "Memory", "Options")


@dataclass(frozen=True)
class OptionText:
    """The words on an option. choices: the meaning of each word that the option takes."""

    meaning: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModuleDocstring:
    """A module docstring in its parts. options: the meaning of each option of the section `Options:`, by name."""

    summary: str
    paragraphs: tuple[str, ...]
    sections: Mapping[str, str]
    options: Mapping[str, OptionText] = field(default_factory=dict)


def read(doc: str) -> ModuleDocstring:
    """Take a module docstring apart."""
    summary, _, rest = doc.partition("\n")
    paragraphs: list[str] = []
    sections: dict[str, list[str]] = {}
    section = ""
    begins = True
    for line in rest.splitlines():
        title, colon, text = line.partition(":")
        if colon and title in _SECTIONS:
            section = title
            sections[section] = [text.strip()]
        elif section and line.strip():
            sections[section].append(line)
        elif not line.strip():
            begins, section = True, section if section == "Options" else ""
        else:
            _add(paragraphs, line, begins)
            begins = False
    options = _entries(sections.pop("Options", []))
    joined = {title: " ".join(part.strip() for part in lines).strip() for title, lines in sections.items()}
    return ModuleDocstring(summary, tuple(paragraphs), joined, options)


def _add(paragraphs: list[str], line: str, begins: bool) -> None:
    """Add a line to the last paragraph, or begin one: after an empty line, at a list item, or at lines to keep."""
    kept, after_kept = line.startswith("    "), bool(paragraphs) and paragraphs[-1].startswith("    ")
    if begins or line.startswith("- ") or kept != after_kept:
        paragraphs.append(line)
    else:
        paragraphs[-1] += f"\n{line}" if kept else f" {line.strip()}"


def _entries(lines: Iterable[str]) -> dict[str, OptionText]:
    """`    name: meaning` entries, with further lines and `        word: meaning` entries."""
    texts: dict[tuple[str, str], str] = {}
    name = word = ""
    for line in lines:
        indent, (title, colon, meaning) = len(line) - len(line.lstrip()), line.strip().partition(": ")
        if indent == 4:
            name, word = title, ""
            texts[name, word] = meaning
        elif indent == 8 and colon and _WORD.fullmatch(title):
            word = title
            texts[name, word] = meaning
        elif name and line.strip():
            texts[name, word] += f" {line.strip()}"
    names = dict.fromkeys(name for name, _ in texts)
    return {
        name: OptionText(texts[name, ""], {word: text for (of, word), text in texts.items() if of == name and word})
        for name in names
    }
