"""The site: built strictly from docs/, with a reference page for every command, and nothing that a reader's browser
would fetch from elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from alcli.cli.manual import commands

ROOT = Path(__file__).parents[1]
COMMANDS = [name for name in commands() if name]
FETCHED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}


class Page(HTMLParser):
    """What a page fetches, the texts of its `dt` and `dd`, and all of its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.terms: list[str] = []
        self.meanings: list[str] = []
        self.text = ""
        self._inside: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or "" for name, value in attrs if name == FETCHED.get(tag)]
        if tag in ("dt", "dd"):
            self._inside = self.terms if tag == "dt" else self.meanings
            self._inside.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("dt", "dd"):
            self._inside = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._inside is not None:
            self._inside[-1] += data


def build(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The build of `make docs` in another place."""
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    return subprocess.run(
        command, cwd=source, capture_output=True, text=True, timeout=300, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("wrong", ["[a page](nowhere.md)", "[a heading](cron.md#nowhere)", "![a picture](nowhere.png)"])
def test_a_link_to_nothing_ends_the_build(wrong: str, tmp_path: Path) -> None:
    for name in ("mkdocs.yml", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "docs" / "index.md").write_text(wrong)
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "1 warnings in strict mode" in done.stdout + done.stderr


def test_the_menu_names_every_command_and_every_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    pages = re.findall(r"[\w/-]+\.md", text[text.index("\nnav:") :])
    assert [p for p in pages if p.startswith("commands/")] == [f"commands/{name}.md" for name in COMMANDS]
    made = {"changelog.md", "contributing.md"}
    assert {p for p in pages if not p.startswith("commands/")} == {p.name for p in (ROOT / "docs").glob("*.md")} | made


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_of_a_command_shows_its_options_as_they_are(site: Path, name: str) -> None:
    page, command = Page((site / "commands" / f"{name}.html").read_text()), commands()[name]
    entries = [entry for panel in command.panels for entry in panel.entries]
    assert [t.strip() for t in page.terms] == [e.typed for e in entries]
    assert [" ".join(t.split()) for t in page.meanings] == [" ".join(e.help.split()) for e in entries]
    printed = " ".join(page.text.split())
    assert command.usage in printed
    for part in command.parts:
        assert part.title in printed
        for paragraph in getattr(part, "paragraphs", ()):
            assert paragraph.prose in printed
            assert all(" ".join(line.split()) in printed for line in paragraph.lines)


def test_the_changelog_is_a_page(site: Path) -> None:
    versions = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    text = Page((site / "changelog.html").read_text()).text
    assert versions
    assert all(version in text for version in versions)


def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(COMMANDS)
    for page in pages:
        assert [address for address in Page(page.read_text()).fetched if re.match(r"(\w+:)?//", address)] == [], (
            page.name
        )
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text()), sheet.name


def test_the_script_that_makes_pages_is_none_of_them(site: Path) -> None:
    assert not list(site.rglob("*.py"))
