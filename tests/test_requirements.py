"""What messages tell a user to install is what pyproject.toml asks for, and no message offers `pip install alcli`,
which is another program.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from alcli.requirements import REQUIREMENTS, install_hint
from tests.lowest import lowest, name_of, requirements

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
_NAMES = {"PIL": "pillow", "faiss": "faiss-cpu", "lance": "pylance", "umap": "umap-learn"}
FOR_DEVELOPERS = {"test", "docs"}


def distribution(requirement: str) -> str:
    """The name before the version and the extras."""
    return re.split(r"[\[<>=!~ ]", requirement)[0]


def test_the_table_holds_the_requirements_of_the_extras() -> None:
    assert set(REQUIREMENTS.values()) == {
        requirement for extra, listed in EXTRAS.items() if extra not in FOR_DEVELOPERS for requirement in listed
    }


def test_a_requirement_names_the_distribution_of_its_library() -> None:
    for library, requirement in REQUIREMENTS.items():
        named = _NAMES.get(library, library.replace("_", "-"))
        assert distribution(requirement) == named


def test_tests_ask_for_the_same_versions() -> None:
    """The extra `test` installs some of these libraries too."""
    released = {distribution(r): r for r in REQUIREMENTS.values() if "[" not in r}
    assert all(r == released.get(distribution(r), r) for r in EXTRAS["test"])


def required() -> list[str]:
    """The literals of every call of `require` in alcli that has one argument."""
    calls = [
        n
        for path in (ROOT / "alcli").rglob("*.py")
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Call)
    ]
    return sorted(
        {
            c.args[0].value
            for c in calls
            if ast.unparse(c.func) == "require" and len(c.args) == 1 and isinstance(c.args[0], ast.Constant)
        }
    )


def test_every_library_that_is_required_has_a_hint() -> None:
    assert {"torch", "onnxruntime", "PIL.Image"} <= set(required())
    for library in required():
        assert re.fullmatch(r"pip install '[\w-]+>=[\d.]+(,<\d+)?'", install_hint(library))


def test_a_library_that_is_not_in_the_table() -> None:
    with pytest.raises(KeyError, match="numpy"):
        install_hint("numpy.linalg")


def test_no_message_and_no_command_installs_another_program() -> None:
    for path in [
        *(ROOT / "alcli").rglob("*.py"),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "Dockerfile",
        ROOT / "Makefile",
        ROOT / "CHANGELOG.md",
    ]:
        assert not re.search(r"pip install '?alcli\b(?!-)|\balcli\[", path.read_text()), path


def test_the_lowest_versions_are_the_bounds() -> None:
    assert lowest("SciPy>=1.13") == "scipy==1.13"
    assert lowest("torch>=2.6,<3") == "torch==2.6"
    with pytest.raises(ValueError, match="no lower bound"):
        lowest("numpy<3")
    assert len(requirements()) == len(set(map(name_of, requirements()))) >= 10
