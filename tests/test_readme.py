"""README tells the truth: its console blocks run, in order, in one folder, and print what it shows."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alcli import plugins
from alcli.cli.helptext import HelpSection
from alcli.cli.manual import commands

ROOT = Path(__file__).parents[1]
# Times differ from run to run: with a unit, or in the last two columns of a simulation's table.
VARYING = re.compile(r"\d+(\.\d+)? ?(ms|s)\b|( +\d+\.\d\d){2}$")


def console_blocks(text: str) -> list[tuple[str, str]]:
    """(command, expected output) of every ```console block."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            while command.endswith("\\"):
                more, _, output = output.partition("\n")
                command = command[:-1] + more.removeprefix("> ")
            found.append((command, output))
    return found


def normal(text: str) -> list[str]:
    """Lines without times, trailing space and empty ends."""
    return [VARYING.sub("TIME", line).rstrip() for line in text.strip().splitlines()]


def agree(expected: list[str], got: list[str]) -> bool:
    """Line by line; a line of three dots stands for any number of lines."""
    if not expected:
        return not got
    if expected[0].strip() == "...":
        return any(agree(expected[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and same_line(expected[0], got[0]) and agree(expected[1:], got[1:])


def same_line(expected: str, got: str) -> bool:
    """Word by word; numbers with a fraction to 2 %, since their last digits differ between processors."""
    words = [re.split(r"([\s,]+)", line) for line in (expected, got)]
    return len(words[0]) == len(words[1]) and all(same_word(a, b) for a, b in zip(*words))


def same_word(expected: str, got: str) -> bool:
    if expected == got:
        return True
    fractions = [re.fullmatch(r"[(+-]*(\d+\.\d+)\W*", word) for word in (expected, got)]
    return all(fractions) and math.isclose(*(float(m[1]) for m in fractions if m), rel_tol=0.02, abs_tol=0.11)


def test_console_blocks_print_what_readme_shows(tmp_path: Path) -> None:
    blocks = console_blocks((ROOT / "README.md").read_text())
    assert len(blocks) >= 5, "README shows all five commands"
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "110",
        "NO_COLOR": "1",
    }
    for command, expected in blocks:
        # What is shown is what a terminal shows: both streams, in the order in which a reader would meet them.
        done = subprocess.run(
            command,
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        got = done.stdout + done.stderr
        assert "Traceback" not in got
        assert agree(normal(expected), normal(got)), f"$ {command}\n--- README\n{expected}\n--- printed\n{got}"


def test_every_strategy_is_named() -> None:
    text = (ROOT / "README.md").read_text()
    assert [name for name in plugins.names("strategies") if f"`{name}`" not in text] == []


def examples() -> dict[str, str]:
    """The commands that the help of every command shows, as a script."""
    found = {}
    for name, page in commands().items():
        sections = [part for part in page.parts if isinstance(part, HelpSection)]
        lines = [line for section in sections for paragraph in section.paragraphs for line in paragraph.lines]
        shown = re.findall(r"^alcli (?:.*\\\n)*.*$", "\n".join(lines), flags=re.MULTILINE)
        assert shown, f"the help of {name or 'alcli'} shows an example"
        found[name or "alcli"] = "\n".join(shown)
    return found


@pytest.mark.parametrize("script", examples().values(), ids=examples().keys())
def test_examples_in_help_run(script: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        f"set -e\n{script}",
        shell=True,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
