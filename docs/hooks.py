"""Pages of the site that are made when it is built: a reference page for each command, the changelog, CONTRIBUTING."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from alcli.cli.manual import commands, reference

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add commands/NAME.md for each command, changelog.md and contributing.md."""
    for name in filter(None, commands()):
        files.append(File.generated(config, f"commands/{name}.md", content=reference(name)))
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        # In the repository links lead from the root to docs/; on the site all pages lie side by side.
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name.lower(), content=text))
    return files
