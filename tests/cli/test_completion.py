"""Completion by the shell: names of strategies and models, and the choices of options."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.shell import SCRIPT


def completions(line: str) -> list[str]:
    """The words that bash offers for the last word of a line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_TYPER_COMPLETE_ARGS": line}
    environment = os.environ | {"_ALCLI_COMPLETE": "complete_bash"} | words
    done = subprocess.run([SCRIPT], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("alcli qu", ["query"]),
        ("alcli query --list mar", ["margin"]),
        ("alcli query pool.parquet -s grad/k", ["grad/kcenter", "grad/kmeanspp", "grad/kmeans", "grad/kdpp"]),
        ("alcli query pool.parquet --bad-rows s", ["skip"]),
        ("alcli query pool.parquet --allow", ["--allow-new-classes", "--allow-empty"]),
        ("alcli query mar", []),
        ("alcli update head --method m", ["mc"]),
        ("alcli simulate pool.parquet -s margin,bad", ["margin,badge"]),
        ("alcli embed a.csv -m tim", ["timm:"]),
        ("alcli fit-head pool.parquet --posterior ", ["laplace", "dropout", "ensemble", "variational", "none"]),
        ("alcli fit-head pool.parquet --covariance sh", ["shared", "shared-cat"]),
    ],
)
def test_words_are_completed(line, expected):
    assert completions(line) == expected
