"""A folder is a registry: the strategies, heads, posteriors and embedders are the files found there.

The name of a method is its file's name in kebab-case. Names and summaries are read from the source without importing it,
so listing forty strategies loads none of their libraries; a module is imported when it is first used.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alcli.composition import pairs as _pairs
from alcli.errors import UsageError

if TYPE_CHECKING:
    from alcli.selection.strategy import Strategy

Family = Literal["strategies", "heads", "posteriors", "embedders"]


@dataclass(frozen=True)
class Summary:
    """What the source of a method says of itself: its first line, and the sections `Source:`, `Cost:`, `Passes:`.

    numbers: whether it declares something else for labels that are numbers.
    """

    name: str
    line: str
    sections: Mapping[str, str]
    needs: tuple[str, ...]
    options: Mapping[str, str]
    numbers: bool = False


def names(family: Family) -> list[str]:
    """The kebab-case names of all methods of a family, sorted."""
    folder = Path(__file__).parent / family
    return sorted(p.stem.replace("_", "-") for p in folder.glob("*.py") if not p.stem.startswith("_"))


def load(family: Family, name: str) -> types.ModuleType:
    """Import the module of one method. Raises UsageError with the nearest names when there is none."""
    check_name(family, name)
    return importlib.import_module(f"alcli.{family}.{name.replace('-', '_')}")


def strategy(name: str) -> Strategy:
    """The strategy of a name, for every command: a file of the folder, a pair EMBEDDING/SELECTOR, or a mix NAME:SHARE,NAME:SHARE.

    Raises UsageError with the nearest names when there is none, and for a pair that makes no sense.
    """
    if ":" in name:
        from alcli.composition.modifiers import mixed

        return mixed(name, strategy)
    if "/" in name:
        from alcli.composition.halves import composed

        return composed(name)
    module = load("strategies", name)
    from alcli.selection.strategy import strategy_of

    return strategy_of(module)


def strategy_names(incomplete: str) -> list[str]:
    """Names that begin so, for completion: of the folder, and pairs once there is a slash."""
    known = _pairs.names() if "/" in incomplete else [*names("strategies"), *(f"{embedding}/" for embedding in _pairs.EMBEDDINGS)]
    return [name for name in known if name.startswith(incomplete)]


def check_name(family: Family, name: str) -> str:
    """Return `name` if the family has it, else raise UsageError that suggests the nearest."""
    known = names(family)
    if name not in known:
        kind = {"strategies": "strategy", "heads": "head", "posteriors": "posterior", "embedders": "embedder"}[family]
        raise UsageError(f"no {kind} is named '{name}'", hint=suggestion(name, known))
    return name


def suggestion(word: str, known: Iterable[str]) -> str:
    """"did you mean 'x'?" when a known word is near, else the list of them."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known) or 'none'}"


def summary(family: Family, name: str) -> Summary:
    """Read the docstring, the `needs` and `samples` of the decorator and the options of one method from its source."""
    stem = name.replace("-", "_")
    tree = ast.parse((Path(__file__).parent / family / f"{stem}.py").read_text(encoding="utf-8"))
    doc = ast.get_docstring(tree) or ""
    function = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == stem), None)
    options = {} if function is None else {
        a.arg.replace("_", "-"): ast.unparse(d) if d else "required"
        for a, d in zip(function.args.kwonlyargs, function.args.kw_defaults)
        if a.arg not in ("rng", "seed")
    }
    declared = _declared(function)
    options |= {"samples": str(declared["samples"])} if "samples" in declared else {}
    return Summary(name, doc.split("\n", 1)[0], _sections(doc), tuple(declared.get("needs", ())), options, "numbers" in declared)


def options_of(*functions: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of a method: the keyword-only parameters of its functions other than `rng` and `seed`, by kebab-case name."""
    parameters = [p for function in functions for p in inspect.signature(function).parameters.values()]
    return {p.name.replace("_", "-"): p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in ("rng", "seed")}


def parse_options(
    functions: Callable[..., Any] | Iterable[Callable[..., Any]], pairs: Mapping[str, str], owner: str, also: Iterable[str] = ()
) -> dict[str, Any]:
    """Turn `-p KEY=VALUE` texts into keyword arguments of one or several functions, by their annotations.

    An option of type Annotated[T, check, ...] is passed to each check, by its name. owner: how messages name the method.
    also: names that the user may mean, which are taken elsewhere. Raises UsageError for an unknown key (with the nearest one) or a value of
    the wrong type, and what the checks raise.
    """
    functions = [functions] if callable(functions) else list(functions)
    known = options_of(*functions)
    hints = {name: hint for function in functions for name, hint in typing.get_type_hints(function, include_extras=True).items()}
    values = {}
    for key, text in pairs.items():
        if key.replace("_", "-") not in known:
            raise UsageError(f"{owner} has no parameter '{key}'", hint=suggestion(key, [*known, *also]))
        parameter = known[key.replace("_", "-")]
        hint = hints.get(parameter.name, _type_of_default(parameter))
        checks = getattr(hint, "__metadata__", ())
        value = _parse(text, typing.get_args(hint)[0] if checks else hint, f"{owner}: parameter '{key}'")
        for check in checks:
            check(**{parameter.name: value})
        values[parameter.name] = value
    return values


def _type_of_default(parameter: inspect.Parameter) -> Any:
    """The type of an option that has no annotation: that of its default, or text."""
    known = parameter.default is not None and parameter.default is not parameter.empty
    return type(parameter.default) if known else str


def _parse(text: str, hint: Any, what: str) -> Any:
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if text not in choices:
            raise UsageError(f"{what} must be one of {', '.join(choices)}, got '{text}'", hint=suggestion(text, choices))
        return text
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [k for k in typing.get_args(hint) if k is not type(None)]
        if text == "none" and len(kinds) < len(typing.get_args(hint)):
            return None
        return _parse(text, kinds[0], what)
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
    return text


def _sections(doc: str) -> dict[str, str]:
    """`Word: text` paragraphs of a docstring, continuation lines joined."""
    found: dict[str, str] = {}
    current = None
    for line in doc.splitlines()[1:]:
        head, colon, rest = line.partition(":")
        if colon and head in ("Source", "Cost", "Passes", "Memory"):
            current = head
            found[current] = rest.strip()
        elif not line.strip():
            current = None
        elif current:
            found[current] += " " + line.strip()
    return found


def _declared(function: ast.FunctionDef | None) -> dict[str, Any]:
    """The keywords of a method's decorator that are plain values, or the names of functions."""
    found = {}
    for decorator in function.decorator_list if function else []:
        for keyword in decorator.keywords if isinstance(decorator, ast.Call) else []:
            value = keyword.value
            try:
                found[str(keyword.arg)] = value.id if isinstance(value, ast.Name) else ast.literal_eval(value)
            except ValueError:
                continue
    return found
