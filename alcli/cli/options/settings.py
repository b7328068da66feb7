"""Names of columns that are said once: in `alcli.toml` beside the pool, or in the environment.

Only options of the table SETTINGS can stand there. They say which column is which, and can neither load code, nor name
another file, nor lift a limit, because the file may lie in a folder that others can write to.
"""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path, PurePath
from typing import Any

from alcli.errors import DataError, InputError, printable, suggestion

# The options that can be set, and the type of each.
SETTINGS: Mapping[str, type] = {
    "id-col": str,
    "features-col": str,
    "label-col": str,
    "group-col": str,
    "labels-id-col": str,
    "labels-label-col": str,
    "hive": bool,
    "bad-rows": str,
}
FILE_NAME = "alcli.toml"
NO_FILE = "none"
CONFIG_VARIABLE = "ALCLI_CONFIG"
_PREFIX = "ALCLI_"
_OTHER_VARIABLES = (CONFIG_VARIABLE, "ALCLI_DEBUG", "ALCLI_KERNELS")
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Taken:
    """The settings that a command took from elsewhere than its command line.

    told: a sentence for each. remarks: on variables that are nearly one of alcli.
    """

    told: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class SettingsFile:
    """The settings in a file. path: None without a file."""

    path: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


# Of the command that runs. The parser sets it, and the console tells it.
taken: ContextVar[Taken] = ContextVar("taken")


def variable(option: str) -> str:
    """The environment variable of an option, such as ALCLI_ID_COL."""
    return _PREFIX + option.upper().replace("-", "_")


def settings_for(pool: str | None, config: str | None) -> SettingsFile:
    """Read the file that `config` names, or else the one beside the pool. pool, config: None where nothing is named.

    Raises InputError for a named file that cannot be opened, DataError for unknown keys and values of another type.
    """
    if config == NO_FILE or (config is None and pool is None):
        return SettingsFile()
    path = Path(config) if config is not None else _beside(str(pool))
    return SettingsFile() if path is None else SettingsFile(printable(path), _read(path))


def parsed(command: Any, context: Any, arguments: list[str], parse: Callable[[Any, list[str]], list[str]]) -> list[str]:
    """Parse a command line whose options may be set elsewhere, and remember in `taken` which were.

    The command line counts before the environment, the environment before the file. command, context: of the parser,
    as is `parse`. Raises what `settings_for` and `parse` raise.
    """
    found = SettingsFile()
    by_key = {_key(parameter): parameter.name for parameter in command.params if _key(parameter) in SETTINGS}
    if not context.resilient_parsing and any(parameter.name == "config" for parameter in command.params):
        given = _given(command, context, arguments)
        found = settings_for(given.get("pool"), given.get("config") or os.environ.get(CONFIG_VARIABLE) or None)
        context.default_map = {by_key[key]: value for key, value in found.values.items() if key in by_key}
    rest = parse(context, arguments)
    told = []
    for key, name in by_key.items():
        source = getattr(context.get_parameter_source(name), "name", "")
        if source == "ENVIRONMENT":
            told.append(f"{key} {_shown(context.params[name])}: the environment variable {variable(key)} says so")
        if source == "DEFAULT_MAP":
            told.append(f"{key} {_shown(context.params[name])}: {found.path} says so")
    taken.set(Taken(tuple(told), near_variables(os.environ)))
    return rest


def _key(parameter: Any) -> str:
    """The name of an option without its dashes, where the environment can set it; else an empty text."""
    return max(parameter.opts, key=len).removeprefix("--") if getattr(parameter, "envvar", None) else ""


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"'{printable(value)}'"


def _given(command: Any, context: Any, arguments: list[str]) -> dict[str, str]:
    """The pool and the file of settings on the command line, as far as it can be parsed."""
    try:
        values = command.make_parser(context).parse_args(args=list(arguments))[0]
    except Exception:  # the parser that follows raises it again, with its message
        return {}
    files = values.get("files")
    pool = files[0] if isinstance(files, (list, tuple)) and files else values.get("pool")
    pool = None if values.get("list_") else pool
    return {name: v for name, v in (("pool", pool), ("config", values.get("config"))) if isinstance(v, str) and v}


def near_variables(environment: Iterable[str]) -> tuple[str, ...]:
    """Return a remark on each variable whose name is nearly that of a setting."""
    known = [*map(variable, SETTINGS), *_OTHER_VARIABLES]
    found = []
    for name in sorted(environment):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.85) if name.startswith(_PREFIX) else []
        if near and name not in known:
            found.append(f"the environment variable {printable(name)} is not read, {near[0]} is")
    return tuple(found)


def _beside(pool: str) -> Path | None:
    """The file of settings of a pool: in its folder, or next to it; None where there is none."""
    if "://" in pool:
        return None
    parts = PurePath(pool).parts
    plain = next((i for i, part in enumerate(parts) if has_magic(part)), None)
    if plain is not None and not os.path.lexists(pool):
        folders = [Path(*parts[:plain])]
    else:
        folders = [Path(pool), Path(os.path.normpath(pool)).parent] if os.path.isdir(pool) else [Path(pool).parent]
    return next((path for folder in folders if os.path.lexists(path := folder / FILE_NAME)), None)


def _read(path: Path) -> dict[str, Any]:
    """The settings in a file, checked."""
    import tomllib

    shown = printable(path)
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for good.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise InputError(f"{shown}: is not a regular file", hint=f"--config {NO_FILE} reads no file")
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        hint = f"--config {NO_FILE} reads no file"
        raise InputError(f"{shown}: cannot be opened ({error.strerror})", hint=hint) from error
    if len(data) > _MOST_BYTES:
        raise DataError(f"{shown}: is larger than 1 MiB, expected a few lines of settings")
    try:
        found = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        hint = 'expected lines such as id-col = "item"'
        raise DataError(f"{shown}: is not TOML ({printable(error)})", hint=hint) from error
    for key, value in found.items():
        if key not in SETTINGS:
            near = suggestion(key, SETTINGS)
            known = f"known: {', '.join(SETTINGS)}"
            hint = near if near == known else f"{near} {known}"
            raise DataError(f"{shown}: unknown setting '{printable(key)[:60]}'", hint=hint)
        if type(value) is not SETTINGS[key] or value == "":
            expected = "true or false" if SETTINGS[key] is bool else "text in quotes"
            raise DataError(f"{shown}: {key} must be {expected}, got {printable(repr(value))[:60]}")
    return found
