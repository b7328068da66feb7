"""Declare options of the command line: one call an option, which says all that help and parser need to know.

The table of options is in the other modules of this folder, one module a subject. A command names options of the table
in its signature. A parameter whose type is a dataclass of options stands for all its fields, so that options which
travel together are listed once.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_type_hints

import typer

from alcli.cli.options.settings import SETTINGS
from alcli.cli.options.settings import variable as variable_of
from alcli.cli.options.values import one_of

T = TypeVar("T")

# The panels of a help page, in the order in which they appear.
COMMON = "Common options"
SOURCE = "Source"
CHOOSING = "Choosing"
COMPARING = "Comparing"
UPDATING = "Updating"
MODEL = "Model"
MEASURING = "Measuring"
POOL = "Pool"
OUTPUT = "Output"
ENGINE = "Engine"
SAFETY = "Safety"
GENERAL = "General"
PANELS = (COMMON, SOURCE, CHOOSING, COMPARING, UPDATING, MODEL, MEASURING, POOL, OUTPUT, ENGINE, SAFETY, GENERAL)


def option(
    names: str,
    panel: str,
    help: str,
    *,
    default: str | None = None,
    choices: Sequence[str] = (),
    parse: Callable[[str, str], Any] | None = None,
    complete: Callable[[str], list[str]] | None = None,
    on_sight: Callable[[bool], None] | None = None,
    variable: str | None = None,
) -> Any:
    """Declare an option.

    names: as help prints them, with a word for the value: "-o, --out FILE"; an option without such a word is a flag.
    default: what holds without the option, in words; needed only where the default value does not say it.
    choices: the texts that the option takes. They stand for the value in help, complete it, and are checked.
    parse: turns the text (first argument) into the value; the second argument is the option's name, for its UsageError.
    complete: returns the values that begin as given. on_sight: called when the flag is read, before other options.
    variable: of the environment, which is read where the command line does not have the option.
    """
    typed, value = _split(names)
    if choices:
        parse = functools.partial(one_of, choices=tuple(choices))
        value = value or "|".join(choices)
        complete = complete or (lambda incomplete: [choice for choice in choices if choice.startswith(incomplete)])
    return typer.Option(
        *typed,
        metavar=value or None,
        help=help,
        show_default=default if default is not None else True,
        parser=_parser(parse, typed[-1]),
        autocompletion=complete,
        callback=on_sight,
        is_eager=on_sight is not None,
        envvar=variable,
        rich_help_panel=panel,
    )


def setting(names: str, panel: str, help: str, **more: Any) -> Any:
    """Declare an option that a file of settings or the environment can set, see `settings.py`. more: as of `option`."""
    key = next(name for name in _split(names)[0] if name.startswith("--")).removeprefix("--")
    if key not in SETTINGS:
        raise ValueError(f"{key} is not in the table SETTINGS")
    return option(names, panel, help, variable=variable_of(key), **more)


def argument(name: str, help: str, *, complete: Callable[..., list[str]] | None = None) -> Any:
    """Declare an argument, which is given by its place; it stands among the common options. name: its name in help."""
    return typer.Argument(metavar=name, help=help, autocompletion=complete, rich_help_panel=COMMON)


def spread(command: Callable[..., T]) -> Callable[..., T]:
    """Return the command with the fields of each dataclass parameter as parameters of its own.

    The fields take the place of the dataclass in the signature. A call builds the dataclasses, and calls `command`.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[type[Any], tuple[str, ...]]] = {}
    hints = get_type_hints(command, include_extras=True)
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if not dataclasses.is_dataclass(kind):
            parameters.append(parameter.replace(annotation=kind))
            continue
        assert isinstance(kind, type)
        of_field = get_type_hints(kind, include_extras=True)
        fields = dataclasses.fields(kind)
        groups[parameter.name] = kind, tuple(field.name for field in fields)
        parameters += [
            parameter.replace(name=field.name, annotation=of_field[field.name], default=field.default)
            for field in fields
        ]
    signature = inspect.Signature(parameters)

    @functools.wraps(command)
    def flat(*arguments: Any, **named: Any) -> T:
        bound = signature.bind(*arguments, **named)
        bound.apply_defaults()
        values = dict(bound.arguments)
        for name, (kind, fields) in groups.items():
            values[name] = kind(**{field: values.pop(field) for field in fields})
        return command(**values)

    flat.__signature__ = signature  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _split(names: str) -> tuple[list[str], str]:
    """The names of an option and the word for its value, from "-o, --out FILE"."""
    typed, value = [], ""
    for part in names.split(", "):
        name, _, value = part.partition(" ")
        typed.append(name)
    return typed, value


def _parser(parse: Callable[[str, str], Any] | None, name: str) -> Callable[[Any], Any] | None:
    if parse is None:
        return None

    def parsed(value: Any) -> Any:
        # Typer passes default values here too, which are values already.
        return parse(value, name) if isinstance(value, str) else value

    return parsed
