"""The door for other people's code: a method from a Python file, or from an installed package.

A file is named as `FILE.py`, or as `FILE.py:name` where the file declares several methods. A package offers a method
by an entry point in the group `alcli.strategies`, `alcli.metrics`, `alcli.formats` or `alcli.embedders`. Code runs
only when a user names it. What the code does wrong is reported in one sentence that names the file and the line.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from alcli.errors import AlcliError, DataError, InputError, UsageError, printable, suggestion

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Kind = Literal["strategies", "metrics", "formats", "embedders"]
F = TypeVar("F", bound=Callable[..., Any])

# For each kind: one of it in words, the attribute that its decorator sets, and the decorators by name.
KINDS: Mapping[Kind, tuple[str, str, str]] = {
    "strategies": ("strategy", "strategy", "@pointwise or @batch from alcli.selection"),
    "metrics": ("metric", "metric", "@metric from alcli.simulation.metrics"),
    "formats": ("output format", "output_format", "@output_format from alcli.data.formats"),
    "embedders": ("embedder", "embedder", "@embedder from alcli.embedders"),
}
_FILE = re.compile(r"(?P<path>[^,]*\.py)(?::(?P<name>[A-Za-z_]\w*))?")
HINT = "this code is not part of alcli; ALCLI_DEBUG=1 shows the traceback"
_DIGITS = 12  # hexadecimal digits of a digest, where a name is shown


def is_file(name: str) -> bool:
    """True for the name of a Python file, `FILE.py` or `FILE.py:name`."""
    return _FILE.fullmatch(name) is not None


def load(kind: Kind, name: str) -> Any:
    """Return the function that a file or an installed package declares by the decorator of its kind.

    Raises InputError for a file that cannot be read, DataError for code that fails or declares nothing of the kind,
    UsageError for a name that is not there.
    """
    if is_file(name):
        path, wanted = _parts(name)
        return _chosen(kind, str(path), _module(path), wanted)
    point = _point(kind, name)
    if point is None:
        raise UsageError(f"no {KINDS[kind][0]} is named '{printable(name)}'", hint=suggestion(name, installed(kind)))
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # importing runs the package's code
        raise DataError(
            f"{_owner(point)}: {_failure(error, _origin(point))}", hint="the package is not part of alcli"
        ) from error
    if not hasattr(found, KINDS[kind][1]):
        raise DataError(
            f"{_owner(point)}: '{point.value}' is no {KINDS[kind][0]}", hint=f"declare it by {KINDS[kind][2]}"
        )
    return found


def installed(kind: Kind) -> list[str]:
    """The names that installed packages offer, sorted. No code of the packages runs."""
    return sorted({point.name for point in _points(kind)})


def provenance(kind: Kind, name: str) -> dict[str, str] | None:
    """The origin of the code of a method: file and SHA-256, or package and version; None where it is alcli's own."""
    if is_file(name):
        path, _ = _parts(name)
        return {"file": path.name, "sha256": _digest(_source(path))}
    point = _point(kind, name)
    if point is None:
        return None
    return {
        "package": point.dist.name if point.dist else point.value,
        "version": point.dist.version if point.dist else "",
    }


def label(kind: Kind, name: str) -> str:
    """The name of a method in files: with the digest of its file, or the version of its package, if it has one."""
    origin = provenance(kind, name)
    if origin is None:
        return name
    if "file" in origin:
        _, wanted = _parts(name)
        return f"{origin['file']}{f':{wanted}' if wanted else ''}@{origin['sha256'][:_DIGITS]}"
    return f"{name}@{origin['package']}-{origin['version']}"


def source_of(kind: Kind, name: str) -> tuple[str, str]:
    """(Python source, name of the function in it) of a method from outside, read without running it. Raises as `load`.

    The name is empty where the source alone does not say it. Source and name are empty where a package gives no source.
    """
    if is_file(name):
        path, wanted = _parts(name)
        return _source(path).decode("utf-8", "replace"), wanted or path.stem.replace("-", "_")
    point = _point(kind, name)
    if point is None:
        raise UsageError(f"no {KINDS[kind][0]} is named '{printable(name)}'", hint=suggestion(name, installed(kind)))
    origin = _origin(point)
    if origin is None or not origin.endswith(".py"):
        return "", ""
    return Path(origin).read_text(encoding="utf-8", errors="replace"), point.attr


def guarded(function: F, owner: str) -> F:
    """Wrap other people's code: an exception becomes a DataError that names `owner`, the line and the exception."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except (AlcliError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise DataError(f"{owner}: {_failure(error, _file_of(function))}", hint=HINT) from error

    return run  # type: ignore[return-value]


# -- files ------------------------------------------------------------------------------------------------------------


def _parts(name: str) -> tuple[Path, str | None]:
    found = _FILE.fullmatch(name)
    assert found is not None
    return Path(found["path"]).expanduser(), found["name"]


def _source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{printable(path)}: cannot read the file: {error.strerror}", hint="FILE.py names a Python file"
        ) from error


def _digest(data: bytes) -> str:
    import hashlib  # loaded here, since help and completion start without it

    return hashlib.sha256(data).hexdigest()


class _TextLoader(importlib.machinery.SourceFileLoader):
    """Runs the text that the digest is of. Python's own loader may take bytecode of an older text of that length."""

    def __init__(self, name: str, path: str, text: bytes) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._text, self.path)


_LOADED: dict[str, ModuleType] = {}


def _module(path: Path) -> ModuleType:
    """The module that a file makes, run once for each content of the file."""
    source = _source(path)
    name = f"alcli_file_{_digest(source + str(path.resolve()).encode())[:_DIGITS]}"
    if name in _LOADED:
        return _LOADED[name]
    loader = _TextLoader(name, str(path.resolve()), source)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # at the end, so that a file beside it cannot stand in for an installed library
    sys.modules[name] = module  # dataclasses and pickle look up a module by its name
    try:
        loader.exec_module(module)
    except BaseException as error:
        sys.modules.pop(name, None)
        raise _load_failure(error, path) from error
    return _LOADED.setdefault(name, module)


def _load_failure(error: BaseException, path: Path) -> BaseException:
    """The error to raise where running a file raised `error`."""
    if isinstance(error, SyntaxError):
        line = f", line {error.lineno}" if error.lineno else ""
        where = f"{printable(Path(error.filename or path).name)}{line}"
        return DataError(f"{where}: {printable(error.msg)}", hint="the file is not valid Python")
    if isinstance(error, AlcliError) or not isinstance(error, (Exception, SystemExit)):
        return error
    return DataError(f"{printable(path)}: {_failure(error, str(path))}", hint=HINT)


def _chosen(kind: Kind, shown: str, module: ModuleType, wanted: str | None) -> Any:
    """The declared function of a module: the one named, else the one named as the file, else the only one."""
    what, mark, decorators = KINDS[kind]
    declared = {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and hasattr(value, mark)
    }
    if wanted is not None:
        if wanted not in declared:
            there = "is not declared as one" if hasattr(module, wanted) else "is not there"
            raise UsageError(f"{printable(shown)}: no {what} '{wanted}': it {there}", hint=suggestion(wanted, declared))
        return declared[wanted]
    stem = Path(shown).stem.replace("-", "_")
    if stem in declared:
        return declared[stem]
    if not declared:
        raise DataError(f"{printable(shown)} declares no {what}", hint=f"decorate a function with {decorators}")
    if len(declared) > 1:
        names = ", ".join(declared)
        raise UsageError(
            f"{printable(shown)} declares {len(declared)} of a kind: {names}",
            hint=f"name one, as {printable(shown)}:{next(iter(declared))}",
        )
    return next(iter(declared.values()))


# -- packages ---------------------------------------------------------------------------------------------------------


def _points(kind: Kind) -> list[EntryPoint]:
    # Loaded here, since help and completion start without it.
    from importlib.metadata import entry_points

    # A name with another character could not be told from a pair, a mix, an option or a list of names.
    return [point for point in entry_points(group=f"alcli.{kind}") if re.fullmatch(r"[\w.-]+", point.name)]


def _point(kind: Kind, name: str) -> EntryPoint | None:
    """The entry point of a name, None where there is none. Raises DataError where several packages offer the name."""
    found = {point.value: point for point in _points(kind) if point.name == name}
    if len(found) > 1:
        packages = " and ".join(sorted(point.dist.name if point.dist else point.module for point in found.values()))
        raise DataError(
            f"several packages offer a {KINDS[kind][0]} named '{printable(name)}': {packages}",
            hint="remove one of the packages",
        )
    return next(iter(found.values()), None)


def _origin(point: EntryPoint) -> str | None:
    """The file of an entry point's module; None where there is none. The package around a module is imported."""
    try:
        spec = importlib.util.find_spec(point.module)
    except (Exception, SystemExit):  # importing the package runs its code
        return None
    return None if spec is None else spec.origin


def _owner(point: EntryPoint) -> str:
    return f"'{point.name}' of the package {point.dist.name if point.dist else point.module}"


# -- failures ---------------------------------------------------------------------------------------------------------


def _file_of(function: Callable[..., Any]) -> str | None:
    code = getattr(function, "__code__", None)
    return None if code is None else code.co_filename


def _failure(error: BaseException, file: str | None) -> str:
    """The exception in words, after the innermost line of `file` (None: of any file) that led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    name = None if file is None else Path(file).name
    inside = [f for f in frames if (Path(f.filename).name == name if name else not f.filename.startswith("<frozen"))]
    where = f"line {inside[-1].lineno} of {Path(inside[-1].filename).name}: " if inside else ""
    text = f": {printable(error)}" if str(error) else ""
    return f"{where}{type(error).__name__}{text}"
