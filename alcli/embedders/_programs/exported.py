"""A copy of a torch.export archive that holds tensors and tensor operations alone, so that loading it runs no code.

`torch.export.load` unpickles sample inputs, weights and constants, evaluates expressions of sizes, and compiles names
and guards of the file as Python: each is a way to run code. The copy has no sample inputs, no guards and no notes of
the exporter. Everything else must have the form that an export of plain operators has; what has another form is
refused. Sources: torch/_export/serde/schema.py for the fields; SymPy's sympify, which evaluates its text.
Cost: one copy of the file on disk. Memory: the JSON of the graph.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Any

from alcli.errors import DataError, printable

TRUST = "a model that you trust as a program of your own runs with -p trust=true"

# Entries of the archive that are copied, by their names below the top folder.
_TENSORS = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
_CONFIGS = re.compile(r"data/(weights/\w+_weights_config|constants/\w+_constants_config)\.json")
_GRAPH = re.compile(r"models/\w+\.json")
_FACTS = re.compile(r"archive_format|archive_version|byteorder|\.data/\w+|version")
# Sample inputs are a pickle; a copy holds none.
_SAMPLE = re.compile(r"data/sample_inputs/\w+\.pt")
_LARGEST_JSON = 256 << 20

_NAME = re.compile(r"[\w.]*", re.ASCII)
_VERSION = re.compile(r"[\w.+]*", re.ASCII)
_STACK = re.compile(r"[\w.,;@<>]*", re.ASCII)
_NUMBER_OR_SYMBOL = re.compile(r"[a-z]+\d+|'[a-z]+\d+'|\d+|\d+\.\d+", re.ASCII)
# What may stand in an expression of sizes, beside numbers and symbols.
_SIZES = re.compile(
    r"Symbol|positive|nonnegative|negative|integer|real|finite|zero|even|odd|True|False|true|false|Integer|Float"
    r"|Rational|Add|Mul|Pow|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|CeilToInt|FloorToInt|TruncToInt|TruncToFloat"
    r"|IntTrueDiv|FloatTrueDiv|ToFloat|RoundToInt|RoundDecimal|Max|Min|Abs|And|Or|Not|Eq|Ne|Lt|Le|Gt|Ge|Where|Identity"
    r"|PowByNatural|FloatPow|floor|ceiling"
)
_OPERATOR = re.compile(
    r"torch\.ops\.aten\.\w+\.\w+"
    r"|torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast|cond|while_loop|map_impl|scan)"
    r"|torch\.(_sym_sqrt|sym_(int|float|max|min|not|ite|sqrt|sum))"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)"
    r"|math\.(ceil|floor|trunc|sqrt)",
    re.ASCII,
)
# The operator that maps a file of any name into memory, for writing too.
_FILES = re.compile(r"torch\.ops\.aten\.from_file\b")
_CONTAINERS = {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}


def without_code(path: Path, keep_modules: bool) -> IO[bytes]:
    """Copy the archive to a temporary file without what could run code; return the file, open at its beginning.

    keep_modules: keep the names of the modules that each operation belongs to, which `--layer` needs.
    Raises DataError for an archive that holds anything but tensors and plain operations.
    """
    copy = tempfile.TemporaryFile(suffix=".pt2")  # noqa: SIM115
    try:
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as written:
            for entry in archive.infolist():
                _copy(archive, entry, written, keep_modules)
    except DataError as error:
        copy.close()
        raise DataError(f"{printable(path)}: {error}", hint=TRUST) from error
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return copy


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, written: zipfile.ZipFile, keep_modules: bool) -> None:
    """Copy one entry, checked and stripped."""
    name = entry.filename.partition("/")[2]
    if entry.compress_type != zipfile.ZIP_STORED:
        raise DataError(f"the entry '{printable(name)}' is compressed; torch.export.save stores entries as they are")
    if _SAMPLE.fullmatch(name):
        written.writestr(entry.filename, b"")
    elif _TENSORS.fullmatch(name) or _FACTS.fullmatch(name):
        with archive.open(entry) as source, written.open(entry.filename, "w", force_zip64=True) as target:
            shutil.copyfileobj(source, target, 1 << 20)
    elif _CONFIGS.fullmatch(name):
        written.writestr(entry.filename, json.dumps(_tensors_alone(_json(archive, entry))))
    elif _GRAPH.fullmatch(name):
        written.writestr(entry.filename, json.dumps(_operations_alone(_json(archive, entry), keep_modules)))
    else:
        raise DataError(f"the entry '{printable(name)}' is no tensor and no graph of operations")


def _json(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    if entry.file_size > _LARGEST_JSON:
        raise DataError(f"the entry '{printable(entry.filename)}' has {entry.file_size >> 20} MiB of JSON")
    try:
        return json.loads(archive.read(entry))
    except (ValueError, RecursionError) as error:
        raise DataError(f"the entry '{printable(entry.filename)}' is no JSON") from error


def _tensors_alone(config: Any) -> Any:
    """Return the table of weights or constants. Raises DataError where one of them is pickled."""
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise DataError("its table of weights is damaged")
    for name, about in config["config"].items():
        if not isinstance(about, dict) or about.get("use_pickle") is not False:
            raise DataError(f"the weight '{printable(name)}' is a pickle, which can run code")
        if not _TENSORS.fullmatch(f"data/weights/{about.get('path_name')}") and not _TENSORS.fullmatch(
            f"data/constants/{about.get('path_name')}"
        ):
            raise DataError(f"the weight '{printable(name)}' is stored as '{printable(about.get('path_name'))}'")
    _check(config, "")
    return config


def _operations_alone(program: Any, keep_modules: bool) -> Any:
    """Return the graph without guards and notes. Raises DataError for a part that is not plain."""
    if not isinstance(program, dict) or not isinstance(program.get("graph_module"), dict):
        raise DataError("its graph of operations is damaged")
    kept = _stripped(program, keep_modules)
    _check(kept, "")
    return kept


def _stripped(part: Any, keep_modules: bool) -> Any:
    """Return a part of the JSON without guards, and without notes but for the modules."""
    if isinstance(part, list):
        return [_stripped(one, keep_modules) for one in part]
    if not isinstance(part, dict):
        return part
    kept = {key: _stripped(one, keep_modules) for key, one in part.items() if key not in ("metadata", "guards_code")}
    if "guards_code" in part:
        kept["guards_code"] = []
    if "metadata" in part:
        notes = part["metadata"] if isinstance(part["metadata"], dict) and keep_modules else {}
        kept["metadata"] = {key: notes[key] for key in ("nn_module_stack",) if key in notes}
    return kept


def _check(part: Any, key: str) -> None:
    """Raise DataError unless each string of a part of the JSON has the form that its key asks for."""
    if isinstance(part, dict):
        for name, one in part.items():
            # The keys of range_constraints are expressions of sizes.
            (_check_size if key == "range_constraints" else _check_name)(name)
            _check(one, name)
    elif isinstance(part, list):
        for one in part:
            _check(one, key)
    elif isinstance(part, str):
        _CHECKS.get(key, _check_name)(part)


def _check_name(text: str) -> None:
    if not _NAME.fullmatch(text):
        raise DataError(f"the name '{printable(text)[:80]}' is none that an export has")


def _check_version(text: str) -> None:
    if not _VERSION.fullmatch(text):
        raise DataError(f"the version '{printable(text)[:80]}' is none that an export has")


def _check_modules(text: str) -> None:
    if not _STACK.fullmatch(text):
        raise DataError(f"the modules '{printable(text)[:80]}' have a name of more than letters, digits and dots")


def _check_operator(text: str) -> None:
    if text and (not _OPERATOR.fullmatch(text) or _FILES.match(text)):
        raise DataError(f"the operation '{printable(text)[:80]}' is none of PyTorch's plain tensor operations")


def _check_size(text: str) -> None:
    words = re.sub(r"[-+*/(),<>=\s&|~]", " ", text).split()
    if not all(_SIZES.fullmatch(word) or _NUMBER_OR_SYMBOL.fullmatch(word) for word in words):
        raise DataError(f"the size '{printable(text)[:80]}' is no plain expression")


def _check_containers(text: str) -> None:
    """Check the JSON inside the JSON that says how inputs and outputs nest."""
    try:
        spec = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError("the form of its inputs is damaged") from error
    todo = [spec]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo.extend(part)
        elif isinstance(part, dict):
            if part.get("type") not in _CONTAINERS:
                raise DataError(f"an input or output is a '{printable(part.get('type'))}'")
            if not re.fullmatch(r'[\w."\[\], ]*', str(part.get("context") or ""), re.ASCII):
                raise DataError("the keys of an input are no plain names")
            todo.extend(part.get("children_spec") or [])


def _anything(text: str) -> None:
    """Accept a text argument of an operation, which stays a text: the mode of a padding, an equation of einsum."""


_CHECKS = {
    "target": _check_operator,
    "as_operator": _check_operator,
    "expr_str": _check_size,
    "in_spec": _check_containers,
    "out_spec": _check_containers,
    "torch_version": _check_version,
    "nn_module_stack": _check_modules,
    "as_string": _anything,
    "as_strings": _anything,
}
