"""The declaration of options: names, words for values, checks, and dataclasses in signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
import typer.main

from alcli.cli.options.declare import COMMON, GENERAL, argument, option, spread
from alcli.cli.options.values import whole_number
from alcli.errors import UsageError

Count = Annotated[int, option("-c, --count N", GENERAL, "How many.", parse=whole_number(1))]
Mode = Annotated[str, option("--mode", GENERAL, "How.", choices=("fast", "slow"))]
Flag = Annotated[bool, option("--flag", GENERAL, "Whether.")]
Name = Annotated[str, argument("NAME", "Who.")]


@dataclass(frozen=True)
class Pace:
    count: Count = 3
    mode: Mode = "fast"


seen: list[tuple[str, bool, Pace]] = []


@spread
def command(name: Name, flag: Flag = False, *, pace: Pace) -> None:
    """Go."""
    seen.append((name, flag, pace))


def run(*arguments: str) -> tuple[str, bool, Pace]:
    """What the command is called with."""
    app = typer.Typer(rich_markup_mode=None)
    app.command()(command)
    typer.main.get_command(app).main(list(arguments), standalone_mode=False)
    return seen.pop()


def parameters() -> dict[str, object]:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command()(command)
    return {parameter.name: parameter for parameter in typer.main.get_command(app).params}


def test_a_dataclass_in_a_signature_stands_for_its_fields():
    assert run("x") == ("x", False, Pace())
    assert run("x", "-c", "5", "--mode", "slow", "--flag") == ("x", True, Pace(5, "slow"))
    assert list(parameters()) == ["name", "flag", "count", "mode"]


def test_a_call_in_python_takes_the_fields_too():
    command("x", mode="slow")
    assert seen.pop() == ("x", False, Pace(mode="slow"))
    with pytest.raises(TypeError, match="unexpected keyword argument 'pase'"):
        command("x", pase=1)


def test_names_values_and_panels_are_as_declared():
    found = parameters()
    assert found["count"].opts == ["-c", "--count"]
    assert [found[name].metavar for name in ("name", "count", "mode", "flag")] == ["NAME", "N", "fast|slow", None]
    assert [found[name].rich_help_panel for name in ("name", "count")] == [COMMON, GENERAL]


def test_a_wrong_value_is_refused_in_our_words():
    with pytest.raises(UsageError, match="--count must be at least 1, got 0"):
        run("x", "-c", "0")
    with pytest.raises(UsageError, match="--mode must be one of fast, slow, got 'slwo'; did you mean 'slow'"):
        run("x", "--mode", "slwo")
