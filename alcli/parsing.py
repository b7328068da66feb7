"""Options as text: from `-p NAME=VALUE` to the arguments of a method, by the annotations of its function."""

from __future__ import annotations

import inspect
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from alcli.errors import AlcliError, DataError, UsageError, printable, suggestion


def repeated(names: Iterable[str]) -> list[str]:
    """The names that stand more than once, each once, in the order of their first places. Cost: O(names)."""
    return [name for name, times in Counter(names).items() if times > 1]


def options_of(*functions: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of a method by kebab-case name: keyword-only parameters other than `rng` and `seed`."""
    parameters = [p for function in functions for p in inspect.signature(function).parameters.values()]
    return {
        p.name.replace("_", "-"): p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in ("rng", "seed")
    }


def parse_options(
    functions: Callable[..., Any] | Iterable[Callable[..., Any]],
    pairs: Mapping[str, str],
    owner: str,
    also: Iterable[str] = (),
) -> dict[str, Any]:
    """Turn `-p KEY=VALUE` texts into keyword arguments of one or several functions, by their annotations.

    An option of type Annotated[T, check, ...] is passed to each check by its name. owner: the method's name in
    messages. also: names that the user may mean and that are parsed elsewhere. Raises UsageError for an unknown key,
    with the nearest one, for a value of the wrong type, and where a check does.
    """
    functions = [functions] if callable(functions) else list(functions)
    known = options_of(*functions)
    hints = {name: hint for function in functions for name, hint in hints_of(function).items()}
    values = {}
    for key, text in pairs.items():
        if key.replace("_", "-") not in known:
            raise UsageError(f"{owner} has no parameter '{key}'", hint=suggestion(key, [*known, *also]))
        name = known[key.replace("_", "-")].name
        values[name] = _parse(text, hints[name], name, f"{owner}: parameter '{key}'")
    return values


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The type of each option of a function, by the name of the argument: its annotation, else the type of its default.

    Raises DataError for an annotation that cannot be read.
    """
    parameters = options_of(function).values()
    given = {p.name: _type_of_default(p) if p.annotation is p.empty else p.annotation for p in parameters}
    # Annotations of other arguments stay unread: they may name what is imported for type checkers alone.
    options = types.SimpleNamespace(__annotations__=given)
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(options, globalns=names, include_extras=True)
    except Exception as error:  # reading an annotation runs the code in it
        what = f"the annotations of the options of '{function.__name__}' cannot be read: {printable(error)}"
        raise DataError(what, hint="options are int, float, bool, str or a Literal") from error


def _type_of_default(parameter: inspect.Parameter) -> Any:
    """The type of an option that has no annotation: that of its default, or text."""
    known = parameter.default is not None and parameter.default is not parameter.empty
    return type(parameter.default) if known else str


def typed(value: Any) -> str:
    """A value as it is typed after `-p NAME=`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _parse(text: str, hint: Any, name: str, what: str) -> Any:
    """The value of a text. name: of the argument, by which checks get the value. what: the option in messages."""
    if hasattr(hint, "__metadata__"):
        value = _parse(text, hint.__origin__, name, what)
        for check in filter(callable, hint.__metadata__):
            _pass(check, name, value, what)
        return value
    if typing.get_origin(hint) is Literal:
        choices = {typed(choice): choice for choice in typing.get_args(hint)}
        if text not in choices:
            raise UsageError(
                f"{what} must be one of {', '.join(choices)}, got '{text}'", hint=suggestion(text, choices)
            )
        return choices[text]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [k for k in typing.get_args(hint) if k is not type(None)]
        if text == "none" and len(kinds) < len(typing.get_args(hint)):
            return None
        return _parse(text, kinds[0], name, what)
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise UsageError(f"{what} must be true or false, got '{text}'")
        return text.lower() == "true"
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            kind = "an integer" if hint is int else "a number"
            raise UsageError(f"{what} must be {kind}, got '{text}'") from None
    if hint not in (str, Any):
        shown = hint.__name__ if isinstance(hint, type) else hint
        raise DataError(f"{what} is declared as {shown}", hint="options are int, float, bool, str or a Literal")
    return text


def _pass(check: Callable[..., object], name: str, value: Any, what: str) -> None:
    """Call a check of an option. Raises UsageError for a value that the check refuses by an exception of its own."""
    try:
        check(**{name: value})
    except AlcliError:
        raise
    except Exception as error:  # the check may be other people's code
        raise UsageError(f"{what}: {printable(error) or type(error).__name__}") from error
