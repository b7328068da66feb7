"""The rules of the house, read off the source: where things are, and how docstrings begin."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from alcli import plugins

PACKAGE = Path(__file__).parents[1] / "alcli"
TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
FILES = sorted(TREES)
OPENERS = {"what", "how", "whether", "where", "which", "when", "why", "who", "so", "those", "these", "that"}
MOST_FILES = 16
MOST_LINES = 288


def shown(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_the_shelf_holds_the_methods_that_are_listed_and_nothing_else(capfd):
    from alcli.cli.shell import run

    assert run(["query", "--list", "--json"]) == 0
    listed = {row["name"] for row in json.loads(capfd.readouterr().out)} - {"EMBEDDING/SELECTOR"}
    files = {path.stem.replace("_", "-") for path in (PACKAGE / "strategies").iterdir() if path.suffix == ".py"}
    assert files == listed == set(plugins.names("strategies"))


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_docstrings_open_with_a_verb_or_with_the_thing(path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (text := ast.get_docstring(node)):
            first = re.split(r"\W", text, maxsplit=1)[0].lower()
            assert first not in OPENERS, f"line {getattr(node, 'lineno', 1)}: {text.splitlines()[0]}"


def test_a_class_name_occurs_once():
    names = Counter(
        n.name
        for tree in TREES.values()
        for n in tree.body
        if isinstance(n, ast.ClassDef) and not n.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_a_file_fits_into_the_head():
    assert {shown(p): n for p in FILES if (n := len(p.read_text().splitlines())) > MOST_LINES} == {}


def test_a_folder_is_small_and_a_prefix_that_three_files_share_is_a_folder():
    folders = defaultdict(list)
    for path in FILES:
        folders[path.parent].append(path.stem)
    for folder, stems in folders.items():
        if folder.name == "strategies":
            continue
        assert len(stems) <= MOST_FILES, f"{shown(folder)} has {len(stems)} files"
        prefixes = Counter(stem.lstrip("_").split("_")[0] for stem in stems if "_" in stem.lstrip("_"))
        # Files that are names which a user types are named by their method: laplace_kron, laplace_diag.
        shared = [prefix for prefix, count in prefixes.items() if count >= 3 and folder.name not in ("posteriors",)]
        assert not shared, f"{shown(folder)}: {shared}"


def test_shared_arithmetic_is_shared():
    """A module of numerics has two users, or one that is itself shared: arithmetic of one method stands in the
    method's file.
    """
    users = defaultdict(set)
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                    users[name].add(path)
    for path in FILES:
        if "numerics" in path.parts:
            name = "alcli." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
            found = users[name] - {path}
            assert found, f"{name} has no user"
            alone = len(found) == 1 and next(iter(found)).parent.name == "strategies"
            too_long = alone and sum(len(p.read_text().splitlines()) for p in (path, *found)) > MOST_LINES
            assert not alone or too_long, f"{name} belongs into {shown(next(iter(found)))}"


def test_late_imports_make_no_circle():
    """A module that another one imports at its top imports that one nowhere, not even inside a function."""
    names = {"alcli." + ".".join(p.relative_to(PACKAGE).with_suffix("").parts): p for p in FILES}
    top, late = defaultdict(set), defaultdict(set)
    for name, path in names.items():
        for node in ast.walk(TREES[path]):
            if isinstance(node, ast.ImportFrom) and node.module:
                found = {t for t in (node.module, *(f"{node.module}.{a.name}" for a in node.names)) if t in names}
                (top if node in TREES[path].body else late)[name] |= found
    typed = {
        name: {
            t
            for n in ast.walk(TREES[path])
            if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)
            for i in n.body
            if isinstance(i, ast.ImportFrom) and i.module
            for t in (i.module, *(f"{i.module}.{a.name}" for a in i.names))
        }
        for name, path in names.items()
    }

    def reaches(start: str, goal: str, seen: set[str]) -> bool:
        return start == goal or any(reaches(n, goal, seen) for n in top[start] if n not in seen and not seen.add(n))

    circles = [(name, t) for name in names for t in late[name] - typed[name] if t != name and reaches(t, name, set())]
    assert circles == []
