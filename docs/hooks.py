"""Pages of the site that are made when it is built: a reference page for each command, and the changelog."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from alcli.cli.manual import commands, reference

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add commands/NAME.md for each command, and changelog.md."""
    for name in filter(None, commands()):
        files.append(File.generated(config, f"commands/{name}.md", content=reference(name)))
    files.append(File.generated(config, "changelog.md", content=CHANGELOG.read_text(encoding="utf-8")))
    return files
