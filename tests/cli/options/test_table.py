"""The table of options: each is declared once, and means the same in every command."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path
from typing import Any

import typer.main

import alcli.cli.app as commands
from alcli.cli import options
from alcli.cli.options import choosing, models, upstream
from alcli.cli.options.declare import PANELS
from alcli.data.formats import METAVAR
from alcli.workflows.recipe import CALIBRATIONS
from alcli.workflows.recipe import PRESETS as FIT_PRESETS
from alcli.workflows.simulate.request import PRESETS
from alcli.workflows.update.request import METHODS, MODES

CLI = Path(commands.__file__).parent
TREE: Any = typer.main.get_command(commands.app)
COMMANDS = TREE.commands

# Options that say something else in another command: the input and the output of each, and what is compared or mixed.
OF_A_COMMAND = {
    "--out",
    "--strategy",
    "--head",
    "--preset",
    "--mix",
    "--param",
    "-n",
    "--id-col",
    "--label-col",
    "--format",
    "--keep",
    "--selections",
    "--candidates",
}


def test_options_are_declared_in_the_table_alone():
    outside = [path for path in CLI.rglob("*.py") if path.parent.name != "options"]
    for path in outside:
        called = {
            ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        }
        assert not called & {"typer.Option", "typer.Argument", "option", "argument"}, path


def test_each_entry_of_the_table_is_used():
    table = [path for path in Path(next(iter(options.__path__))).glob("*.py") if path.stem not in ("declare", "values")]
    words = Counter(re.findall(r"\w+", " ".join(path.read_text() for path in CLI.rglob("*.py"))))
    entries = [
        ast.unparse(node.targets[0])
        for path in table
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("Annotated")
    ]
    assert len(entries) > 70
    assert [name for name in entries if words[name] < 2] == []


def test_an_option_means_the_same_in_every_command():
    told: dict[str, set[tuple[Any, ...]]] = {}
    for command in COMMANDS.values():
        for parameter in command.params:
            for name in parameter.opts:
                if parameter.param_type_name == "option" and name not in OF_A_COMMAND and len(name) > 2:
                    told.setdefault(name, set()).add((parameter.metavar, parameter.help, parameter.rich_help_panel))
    assert len(told) > 50
    assert {name: several for name, several in told.items() if len(several) > 1} == {}


def test_every_option_has_help_and_a_known_panel():
    for command in COMMANDS.values():
        for parameter in command.params:
            assert parameter.help.endswith("."), parameter.name
            assert parameter.rich_help_panel in PANELS


def test_choices_are_those_of_the_workflows():
    metavars = {
        (name, parameter.name): parameter.metavar for name, command in COMMANDS.items() for parameter in command.params
    }
    assert metavars["query", "format"] == METAVAR
    assert metavars["simulate", "preset"] == "|".join(PRESETS)
    assert metavars["update", "method"] == "|".join(METHODS)
    assert metavars["update", "mode"] == "|".join(MODES)
    for command in ("fit-head", "update"):
        assert metavars[command, "preset"] == "|".join(FIT_PRESETS)
    for command in ("fit-head", "simulate"):
        assert metavars[command, "calibrate"] == "|".join(CALIBRATIONS)


def test_completion():
    assert "margin" in choosing.complete_strategy("mar")
    assert choosing.complete_format("c") == ["csv"]
    assert choosing.complete_contender("margin,optimal") == ["margin,optimal-look-ahead"]
    assert choosing.complete_contender("margin+") == ["margin+update"]
    assert models.complete_head("soft") == ["softmax"]
    assert upstream.complete_model("tor") == ["torch:"]
