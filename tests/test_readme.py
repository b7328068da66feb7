"""The pages tell the truth: their console blocks run and print what the page shows. The examples in help run, too."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alcli.cli.helptext import HelpSection
from alcli.cli.manual import commands
from tests.pages import PAGES, ROOT, agrees, blocks, ran, rewrite, same_word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_console_blocks_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    commands = 0
    for _, command, expected, printed in ran(page, tmp_path):
        assert "Traceback" not in printed
        hint = f"`python -m tests.pages {page.relative_to(ROOT)}` puts the present output into the page"
        assert agrees(expected, printed), f"$ {command}\n--- {page.name}\n{expected}\n--- printed\n{printed}\n{hint}"
        commands += 1
    assert commands > 0


def test_readme_shows_every_command() -> None:
    shown = {
        c.split()[1]
        for b in blocks((ROOT / "README.md").read_text())
        for c, _ in b.commands()
        if c.startswith("alcli ")
    }
    assert shown == set(filter(None, commands()))


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("0.926", "0.927", True),
        ("0.926", "0.94", False),
        ("+3.3", "+3.4", True),
        ("+3.3", "-3.3", False),
        ("95.4", "94.6", True),
        ("95.4", "94.2", False),
        ("(0.02);", "(0.03);", True),
        ("0.286", "0.3085", False),
        ("48", "49", False),
        ("digit-0001", "digit-0002", False),
    ],
)
def test_a_stale_figure_is_seen(expected: str, printed: str, same: bool) -> None:
    assert same_word(expected, printed) == same


def test_three_dots_stand_for_any_lines_and_times_are_not_compared() -> None:
    assert agrees("a\n...\nz 1.5 ms\n", "a\nb\nc\nz 22.0 ms\n")
    assert not agrees("a\n...\nz\n", "a\nb\nc\n")
    assert not agrees("a\n", "a\nb\n")


def test_a_page_is_brought_up_to_date(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    script = '```python title="say.py"\nprint(1)\nprint(2)\n```\n\n'
    page.write_text(f"{script}```console\n$ python say.py\n1\n$ echo b\nb\n$ python say.py\n```\nend\n")
    assert rewrite(page)
    assert page.read_text().endswith(
        "```console\n$ python say.py\n1\n2\n$ echo b\nb\n$ python say.py\n1\n2\n```\nend\n"
    )
    assert not rewrite(page)


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


# That of simulate is run by a test of the command, which looks at what it prints.
@pytest.mark.parametrize("command", sorted(examples().keys() - {"simulate"}))
def test_examples_in_help_run(command: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        f"set -e\n{examples()[command]}",
        shell=True,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
