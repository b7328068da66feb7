"""The studies call commands as functions: what they give must go where it is meant to."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.studies import DIGITS, compare

STUDIES = sorted(Path(__file__).parents[1].joinpath("benchmarks").glob("*.py"))


def test_a_comparison_plays_the_strategies_and_their_variants(tmp_path: Path) -> None:
    out = tmp_path / "out"
    variants = {"wide=random": ["wide.prefilter=0.5"]}
    compare(DIGITS, out, ["random"], variants, n=5, rounds=1, initial=20, seeds=2, metric="accuracy", quiet=True)
    table = (out / "summary.csv").read_text()
    assert "wide" in table
    assert "random" in table


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_names_the_options_of_a_command(path: Path) -> None:
    # An option that is added to a command moves those after it, and their order is nobody's promise.
    tree = ast.parse(path.read_text())
    commands = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("alcli.cli.")
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in commands:
            assert len(node.args) <= 2, f"line {node.lineno}: options of {node.func.id} are given by their place"
