"""Run the console blocks of a page of the documentation, and compare what they print with what the page shows.

A page is README.md, CONTRIBUTING.md or a file of docs/. Its ```console blocks run in order, in one folder that holds a
copy of sample_data.
A block with a title, such as ```python title="mine.py", is a file: it is written before the blocks after it run.

`python -m tests.pages PAGE...` puts the present output into the blocks of the pages whose output has changed.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
# The page on Python has blocks of two languages that go on with each other: test_python_page.py runs it.
PAGES = [p for p in DOCUMENTS if re.search("^```console$", p.read_text(), re.MULTILINE) and p.name != "python.md"]
# Times differ from run to run: with a unit, or in the last two columns of a simulation's table.
VARYING = re.compile(r"\d+(\.\d+)? ?(ms|s)\b|( +\d+\.\d\d){2}$")
_BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. start, end: the place of its text in the page."""

    language: str
    title: str | None
    text: str
    start: int
    end: int

    def commands(self) -> list[tuple[str, str]]:
        """(command, expected output) of each line that begins with a dollar sign."""
        found = []
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            # A line that begins with `> ` goes on with the command, as a shell shows it.
            while output.startswith("> "):
                more, _, output = output.partition("\n")
                command += "\n" + more.removeprefix("> ")
            found.append((command, output))
        return found


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return [Block(m["language"], m["title"], m["text"], m.start("text"), m.end("text")) for m in _BLOCK.finditer(text)]


def ran(page: Path, folder: Path) -> Iterator[tuple[Block, str, str, str]]:
    """Run a page in an empty folder; yield (block, command, expected output, printed output) of each command."""
    shutil.copytree(ROOT / "sample_data", folder / "sample_data", ignore=shutil.ignore_patterns("__pycache__"))
    programs, path = Path(sys.executable).parent, os.environ["PATH"]
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{path}", "COLUMNS": "110", "NO_COLOR": "1"}
    for block in blocks(page.read_text()):
        if block.title is not None:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text)
        if block.language != "console":
            continue
        for command, expected in block.commands():
            done = subprocess.run(
                command,
                shell=True,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=300,
            )
            # A terminal shows both streams, in the order in which a reader would meet them.
            yield block, command, expected, done.stdout + done.stderr


# -- what agrees ------------------------------------------------------------------------------------------------------


def agrees(expected: str, printed: str) -> bool:
    """True where the output is what the page shows, but for times and for the last digit of fractions."""
    return _lines_agree(_normal(expected), _normal(printed))


def _normal(text: str) -> list[str]:
    """Lines without times, trailing spaces and empty ends."""
    return [VARYING.sub("TIME", line).rstrip() for line in text.strip().splitlines()]


def _lines_agree(expected: list[str], printed: list[str]) -> bool:
    """Line by line; a line of three dots stands for any number of lines."""
    if not expected:
        return not printed
    if expected[0].strip() == "...":
        return any(_lines_agree(expected[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and _same_line(expected[0], printed[0]) and _lines_agree(expected[1:], printed[1:])


def _same_line(expected: str, printed: str) -> bool:
    words = [re.split(r"([\s,]+)", line) for line in (expected, printed)]
    return len(words[0]) == len(words[1]) and all(same_word(a, b) for a, b in zip(*words))


def same_word(expected: str, printed: str) -> bool:
    """True for equal words, and for fractions that differ by one unit of the last digit shown and 1 % at most."""
    if expected == printed:
        return True
    fractions = [re.fullmatch(r"([(+-]*)(\d+\.\d+)(\W*)", word) for word in (expected, printed)]
    if not all(fractions) or fractions[0][1] != fractions[1][1] or fractions[0][3] != fractions[1][3]:
        return False
    shown, got = (match[2] for match in fractions if match)
    unit = 10.0 ** -len(shown.partition(".")[2])
    # The small addition is for rounding: 0.3 - 0.2 is more than 0.1 in binary numbers.
    return math.isclose(float(shown), float(got), rel_tol=0.01, abs_tol=unit * (1 + 1e-9))


# -- bringing a page up to date ---------------------------------------------------------------------------------------


def rewrite(page: Path) -> bool:
    """Put the present output into the console blocks whose output has changed. Return True where any has."""
    new: dict[Block, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for block, command, expected, printed in ran(page, Path(folder)):
            output = (
                expected
                if agrees(expected, printed)
                else "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
            )
            new[block] = new.get(block, "") + "$ " + command.replace("\n", "\n> ") + "\n" + output
    text = page.read_text()
    for block in sorted(new, key=lambda block: block.start, reverse=True):
        text = text[: block.start] + new[block] + text[block.end :]
    is_changed = text != page.read_text()
    page.write_text(text)
    return is_changed


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, "changed" if rewrite(Path(name)) else "is as it was")
