"""Parts of the site that are made at build time: reference pages, the list of strategies, changelog, CONTRIBUTING."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from alcli import plugins
from alcli.cli.manual import commands, reference
from alcli.cli.shown.listing import DEFAULT, GROUPS
from alcli.described import kind_of
from alcli.selection.needs import CLASSIFICATION_NEEDS

ROOT = Path(__file__).parents[1]
STRATEGIES = "<!-- strategies: the site shows a table here, made from the code -->"
# feature-margin reads no class probabilities, but boundaries between classes.
FOR_CLASSES = {"feature-margin", "suspect"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add commands/NAME.md for each command, changelog.md and contributing.md."""
    for name in filter(None, commands()):
        files.append(File.generated(config, f"commands/{name}.md", content=reference(name)))
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        # In the repository links lead from the root to docs/; on the site all pages lie side by side.
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name.lower(), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the list of strategies in its place."""
    return markdown.replace(STRATEGIES, strategies()) if page.file.src_uri == "strategies.md" else markdown


def strategies() -> str:
    """The strategies in Markdown: a table for each group of `alcli query --list`."""
    found = [plugins.summary("strategies", name) for name in plugins.names("strategies")]
    lines = [_table("The default", [s for s in found if s.name == DEFAULT])]
    for kind, title in GROUPS:
        lines.append(_table(title, [s for s in found if s.name != DEFAULT and kind_of(s.needs) == kind]))
    return "\n".join(lines)


def _table(title: str, found: list[plugins.Summary]) -> str:
    """One group: the name, the summary, and a mark for strategies that take labels that are numbers."""
    rows = [f"| `{s.name}` | {s.line} | {'yes' if _takes_numbers(s) else ''} |" for s in found]
    return "\n".join([f"| {title.lower()} | picks | labels may be numbers |", "|---|---|---|", *rows, ""])


def _takes_numbers(summary: plugins.Summary) -> bool:
    """True where the strategy works for labels that are numbers, such as prices."""
    return summary.name not in FOR_CLASSES and (summary.numbers or not CLASSIFICATION_NEEDS & set(summary.needs))
