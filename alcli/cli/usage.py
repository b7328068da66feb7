"""The errors of the command line's parser in the words of alcli.

The parser is click, or the copy of click that newer versions of Typer bring along, so its errors are known by the
names of their classes.
"""

from __future__ import annotations

import difflib
import re
from typing import Any

from alcli.errors import UsageError, suggestion


def usage_error(error: Any) -> UsageError:
    """Translate an error of the parser. error: an instance of click's UsageError or of a class below it."""
    context = error.ctx
    who = context.info_name if context else "alcli"
    help = f"alcli {who} --help" if context and context.parent else "alcli --help"
    kind, message = type(error).__name__, " ".join(error.format_message().split())
    if kind == "NoSuchOption":
        near = _nearest(error.option_name, context)
        return UsageError(
            f"{who} has no option '{error.option_name}'",
            hint=f"did you mean '{near}'?" if near else f"{help} lists the options",
        )
    if kind == "MissingParameter" and error.param is not None:
        return UsageError(f"{who} needs {_typed(error.param)}", hint=f"{help} shows an example")
    if kind == "BadOptionUsage":
        # The error of an option that has no value, or a value too many, knows no context.
        is_without = "requires" in message
        return UsageError(f"{error.option_name} {'needs a value' if is_without else 'takes no value'}")
    if found := re.match(r"Got unexpected extra arguments? ?\(?s?\)? ?\((.*)\)$", message):
        return UsageError(f"{who} takes no argument '{found[1]}'", hint=f"{help} shows an example")
    if found := re.match(r"No such command ['\"](.*?)['\"]\.", message):
        known = list(context.command.commands)
        return UsageError(f"no command is named '{found[1]}'", hint=suggestion(found[1], known))
    if message == "Missing command.":
        return UsageError("alcli needs a command", hint=f"{help} lists the commands")
    return UsageError(message.rstrip("."), hint=f"see {help}")


def _nearest(name: str, context: Any) -> str | None:
    """The option of the command whose name is nearest; None where no name is near."""
    known = [option for one in context.command.get_params(context) for option in one.opts if option.startswith("--")]
    near = difflib.get_close_matches(name.lstrip("-"), [option[2:] for option in known], n=1)
    return f"--{near[0]}" if near else None


def _typed(parameter: Any) -> str:
    """A parameter as it is typed: POOL, or -o DIR."""
    metavar = parameter.metavar or str(parameter.name).upper()
    return metavar if parameter.param_type_name == "argument" else f"{parameter.opts[0]} {metavar}"
