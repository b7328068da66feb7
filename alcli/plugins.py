"""Find a method by its name: a folder is a registry, and each strategy, head, posterior or embedder is a file in it.

The name of a method is the name of its file in kebab-case. Names and summaries are read from the source without
importing it, so listing forty strategies loads none of their libraries; a module is imported when it is first used.
Methods of other people come through `extensions.py`.
"""

from __future__ import annotations

import ast
import importlib
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alcli.composition import pairs as _pairs
from alcli.errors import DataError, UsageError, printable, suggestion
from alcli.extensions import installed, is_file, provenance, source_of
from alcli.extensions import label as label_of
from alcli.extensions import load as load_extension

if TYPE_CHECKING:
    from alcli.embedders._contract import Embedder
    from alcli.selection.strategy import Strategy

Family = Literal["strategies", "heads", "posteriors", "embedders"]


@dataclass(frozen=True)
class Summary:
    """The description of a method, read from its source.

    line: the first line of its docstring. sections: `Source:`, `Cost:` and `Passes:` of the docstring.

    numbers: True where the method declares another function for labels that are numbers.
    """

    name: str
    line: str
    sections: Mapping[str, str]
    needs: tuple[str, ...]
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
    """Return the strategy of a name, for every command.

    name: a file of the folder; a pair EMBEDDING/SELECTOR; a mix NAME:SHARE,NAME:SHARE; FILE.py or FILE.py:name of the
    user's; or a name that an installed package offers. Raises UsageError with the nearest names where there is none,
    and what `extensions.load` raises.
    """
    if is_outside(name):
        from alcli.selection.outside import checked
        from alcli.selection.strategy import declared_by

        return checked(declared_by(load_extension("strategies", name)), f"strategy '{name}'")
    if ":" in name:
        from alcli.composition.modifiers import mixed

        return mixed(name, strategy)
    if "/" in name:
        from alcli.composition.halves import composed

        return composed(name)
    module = load("strategies", name)
    from alcli.selection.strategy import strategy_of

    return strategy_of(module)


def embedder(name: str) -> Embedder:
    """The embedder of a name, alcli's or a package's. Raises UsageError with the nearest names."""
    from alcli.embedders._contract import embedder_of
    from alcli.embedders._outside import checked

    if name not in names("embedders") and name in installed("embedders"):
        return checked(load_extension("embedders", name).embedder, name)
    return embedder_of(load("embedders", name))


def is_outside(name: str) -> bool:
    """True for a strategy that is not part of alcli: a file, or the name of an installed package's."""
    if is_file(name):
        return True
    return not {"/", ":"} & set(name) and name not in names("strategies") and name in installed("strategies")


def label(name: str) -> str:
    """The name of a strategy in files: with the digest of its file, or the version of its package, if it has one."""
    if is_outside(name):
        return label_of("strategies", name)
    parts = [part.rpartition(":") for part in name.split(",")] if ":" in name else []
    return ",".join(f"{label(part.strip())}:{share}" for part, _, share in parts) or name


def origins(name: str) -> dict[str, dict[str, str]]:
    """The provenance of each strategy in a name or a mix that is not part of alcli, by its name."""
    if not is_outside(name) and ":" in name:
        return {
            key: value for part in name.split(",") for key, value in origins(part.rpartition(":")[0].strip()).items()
        }
    found = provenance("strategies", name) if is_outside(name) else None
    return {} if found is None else {name: found}


def known_strategies() -> list[str]:
    """The strategies of alcli and of installed packages, sorted."""
    return sorted({*names("strategies"), *installed("strategies")})


def strategy_names(incomplete: str) -> list[str]:
    """The names that begin with `incomplete`, for completion: strategies, and pairs once there is a slash."""
    pairs = _pairs.names() if "/" in incomplete else [f"{embedding}/" for embedding in _pairs.EMBEDDINGS]
    known = pairs if "/" in incomplete else [*known_strategies(), *pairs]
    return [name for name in known if name.startswith(incomplete)]


def check_name(family: Family, name: str) -> str:
    """Return `name` if the family has it, else raise UsageError with the nearest names."""
    offered = installed(family) if family in ("strategies", "embedders") else []
    known = sorted({*names(family), *offered})
    if name not in names(family):
        kind = {"strategies": "strategy", "heads": "head", "posteriors": "posterior", "embedders": "embedder"}[family]
        raise UsageError(f"no {kind} is named '{name}'", hint=suggestion(name, known))
    return name


def summary(family: Family, name: str) -> Summary:
    """Read the description of one method from its source, without running it.

    Raises DataError for a source from outside that is not valid Python, and as `extensions.load`.
    """
    if family == "strategies" and is_outside(name):
        source, stem = source_of("strategies", name)
    else:
        stem = name.replace("-", "_")
        source = (Path(__file__).parent / family / f"{stem}.py").read_text(encoding="utf-8")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        raise DataError(f"the source of '{name}' is not valid Python: {printable(error)}") from error
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    decorated = [n for n in functions if n.decorator_list]
    function = next((n for n in functions if n.name == stem), decorated[0] if len(decorated) == 1 else None)
    doc = ast.get_docstring(tree) or (ast.get_docstring(function) if function else None) or ""
    declared = _declared(function)
    needs = tuple(declared.get("needs", ()))
    return Summary(name, doc.split("\n", 1)[0], _sections(doc), needs, "numbers" in declared)


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
