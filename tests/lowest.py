"""Print every dependency of the package at its lower bound, one requirement a line.

Usage: python -m tests.lowest > FILE. `make test-lowest` installs them over the locked versions, and runs the tests.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def name_of(requirement: str) -> str:
    """The normalized name of the distribution in a requirement."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def lowest(requirement: str) -> str:
    """The requirement at its lower bound. Raises ValueError where it has none."""
    found = re.search(r">=\s*([0-9][0-9a-z.]*)", requirement)
    if found is None:
        raise ValueError(f"{requirement}: no lower bound")
    return f"{name_of(requirement)}=={found[1]}"


def requirements() -> list[str]:
    """The dependencies in pyproject.toml at their lower bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [lowest(one) for one in project["dependencies"]]


if __name__ == "__main__":
    print("\n".join(requirements()))
