"""docs/python.md tells the truth: its blocks run, in order, in one folder, and print what it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.pages import Block, agrees

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "python.md").read_text()
BLOCK = re.compile(r"```(python|console)\n(.*?)```(?:\s*```text\n(.*?)```)?", re.DOTALL)


def blocks(text: str) -> list[tuple[str, str, str]]:
    """(language, code, expected output) of every block; the output of a Python block is the text block that
    follows it.
    """
    found = []
    for language, code, shown in BLOCK.findall(text):
        if language == "python":
            found.append((language, code, shown))
        else:
            found += [(language, *command) for command in Block(language, None, code, 0, 0).commands()]
    return found


def test_every_block_is_found() -> None:
    fences = re.findall(r"^```(\w+)$", PAGE, re.MULTILINE)
    assert set(fences) == {"python", "console", "text"}
    assert len(re.findall(r"```python", PAGE)) == sum(language == "python" for language, _, _ in blocks(PAGE))
    assert fences.count("text") == sum(bool(shown) for language, _, shown in blocks(PAGE) if language == "python")


def test_blocks_print_what_the_page_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "sample_data", folder / "sample_data")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
    }
    names: dict[str, object] = {"__name__": "page"}
    for language, code, expected in blocks(PAGE):
        if language == "python":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                exec(compile(code, "docs/python.md", "exec"), names)
            got = capsys.readouterr().out
        else:
            done = subprocess.run(
                code, shell=True, env=environment, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
            )
            got = done.stdout + done.stderr
        assert agrees(expected, got), f"{code}\n--- page\n{expected}\n--- printed\n{got}"
