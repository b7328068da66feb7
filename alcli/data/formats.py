"""Formats of a selection: a table of alcli's own, and formats from a user's file or from an installed package.

A format is a function `(table, about) -> bytes`. table: the columns of the selection by name, lists of equal length,
`id` first. about: facts of the query: `strategy`, `seed`, `options`, `pool`, `format` (the version of these facts),
and `id_type`, "string" or "integer", which an empty table does not show. A format of somebody else is declared so:

    from alcli.data.formats import output_format

    @output_format(extensions=(".xyz",))
    def xyz(table, about):
        return b"..."

`--format FILE.py` writes by the function of a file. A package offers its function by an entry point in the group
`alcli.formats`; then `--format NAME` and an output with one of the extensions write by it. alcli's own names and
extensions come first.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from alcli.data.exports import imports
from alcli.errors import AlcliError, DataError, UsageError, printable
from alcli.extensions import guarded, installed, is_file, load

Table: TypeAlias = dict[str, list[Any]]
Writer: TypeAlias = Callable[[Mapping[str, list[Any]], Mapping[str, Any]], bytes]
F = TypeVar("F", bound=Writer)
# Extensions of files of lines, besides none and those that are no word, such as a date.
_LINES = (".txt", ".ids", ".list")


@dataclass(frozen=True)
class OutputFormat:
    """A format of a selection.

    extensions: of the files that are written in it unless the user names another. write: turns a table into bytes.
    """

    extensions: tuple[str, ...]
    write: Writer


def output_format(*, extensions: tuple[str, ...]) -> Callable[[F], F]:
    """Declare a function `(table, about) -> bytes` as a format; see the top of this module.

    extensions: of the files of this format, each with one dot, such as (".xyz",); () for a format that is chosen by
    name alone. Raises ValueError for extensions of another form.
    """
    if not isinstance(extensions, tuple) or not all(
        isinstance(e, str) and Path(f"x{e}").suffix == e for e in extensions
    ):
        raise ValueError(f"extensions is {extensions!r}, expected a tuple of texts such as ('.xyz',)")

    def declare(function: F) -> F:
        function.output_format = OutputFormat(extensions, function)  # type: ignore[attr-defined]
        return function

    return declare


def format_of(path: Path | None, wanted: str | None) -> str:
    """Return the name of the format for an output: the `wanted` one, else the one of its extension, else `ids`.

    An extension that looks like that of another format, as .json and .arrow do, is refused. Code of other people that
    may be needed is loaded here, before the work begins. Raises UsageError for an unknown name, for an extension of
    another format, and for one that several packages claim; DataError and InputError for code that cannot be loaded;
    UnavailableError for a workbook without openpyxl.
    """
    extension = "" if path is None else path.suffix
    own = own_format(extension) if wanted is None else None
    if (wanted or own) == "xlsx":
        from alcli.data.text.sheet import check_writable  # imported here, since most outputs are no workbooks

        check_writable()
    if wanted is not None:
        find_format(wanted)
        return wanted
    if own is not None or not extension:
        return own or "ids"
    try:
        claimed = [name for name in installed("formats") if extension in find_format(name).extensions]
    except AlcliError as error:
        what = (
            f"{printable(path)}: an installed format, which may have this extension, cannot be loaded: {error.message}"
        )
        raise DataError(what, hint="name a format with --format, or remove the package") from error
    if len(claimed) > 1:
        what = f"{printable(path)}: several installed formats have this extension: {', '.join(claimed)}"
        raise UsageError(what, hint=f"name one, as --format {claimed[0]}")
    if not claimed and extension not in _LINES and re.fullmatch(r"\.[A-Za-z][A-Za-z0-9]{1,9}", extension):
        known = ", ".join([*(e for one in FORMATS.values() for e in one.extensions), *_LINES])
        what = f"{printable(path)}: no format has the extension {printable(extension)}, known are {known}"
        raise UsageError(what, hint="name a format with --format; --format ids writes one id per line")
    return claimed[0] if claimed else "ids"


def own_format(extension: str) -> str | None:
    """The name of alcli's own format with this extension, None where there is none."""
    return next((name for name, known in FORMATS.items() if extension in known.extensions), None)


def find_format(name: str) -> OutputFormat:
    """Find a format: alcli's own, `FILE.py` or `FILE.py:function`, or the name that an installed package gave it.

    Raises UsageError for an unknown name; DataError and InputError for code that cannot be loaded.
    """
    if name in FORMATS:
        return FORMATS[name]
    packages = installed("formats")
    if not is_file(name) and name not in packages:
        known = ", ".join([*FORMATS, *packages])
        raise UsageError(f"no format '{printable(name)}'", hint=f"known: {known}; FILE.py is a format of your own")
    function = load("formats", name)
    declared: OutputFormat = function.output_format
    return replace(declared, write=_checked(name, function))


def encode(table: Table, format: str, about: Mapping[str, Any], *, text_ids: bool) -> bytes:
    """Return a selection (columns of equal length, `id` first) as the bytes of a file.

    Floats keep all digits of float32. about: facts of the query, which a Parquet file keeps as its metadata.
    text_ids: the ids are strings, which an empty table does not show. Raises UsageError for an unknown format,
    DataError for an id that does not fit on a line where ids are lines, and for code of other people that fails.
    """
    return find_format(format).write(table, {**about, "id_type": "string" if text_ids else "integer"})


def _checked(name: str, write: Writer) -> Writer:
    """Wrap a function of other people's code: what it does wrong becomes a DataError that names the file or package."""
    owner = printable(name) if is_file(name) else f"the installed format '{printable(name)}'"
    reporting = guarded(write, owner)

    def run(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
        # The function gets copies: the caller enters the same table into the ledger.
        data = reporting(deepcopy(dict(table)), deepcopy(dict(about)))
        if not isinstance(data, bytes):
            what = f"{owner}: the format returned {type(data).__name__}, expected bytes"
            raise DataError(what, hint="return bytes, as text.encode('utf-8') makes of a text")
        return data

    return run


# -- alcli's own ------------------------------------------------------------------------------------------------------


def _ids(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
    """Write one id a line. Raises DataError for an id that would break its line."""
    for id in table["id"]:
        if isinstance(id, str) and any(c in id for c in "\n\r\t\0"):
            what = f"the id '{printable(id)}' holds a control character and does not fit on a line"
            raise DataError(what, hint="use --format jsonl")
    return "".join(f"{id}\n" for id in table["id"]).encode("utf-8", "surrogateescape")


def _csv(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
    """Write CSV with a header line and "\\n" at line ends; a null is an empty field."""
    return _delimited(table, ",")


def _tsv(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
    """Write a table with tabs, else as CSV: a field with a tab, a quote or a line end is quoted."""
    return _delimited(table, "\t")


def _delimited(table: Mapping[str, list[Any]], delimiter: str) -> bytes:
    import csv  # imported here, since help and completion read the table of formats without it

    text = io.StringIO(newline="")
    plain, quoting = (
        csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=q)
        for q in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)
    )
    plain.writerow(table)
    for row in zip(*table.values()):
        values = ["" if v is None else v for v in row]
        # A writer of "\n" lines does not quote a field with "\r" by itself, but readers take "\r" for a line end.
        needs_quotes = any(isinstance(v, str) and "\r" in v for v in values)
        (quoting if needs_quotes else plain).writerow(values)
    return text.getvalue().encode("utf-8")


def _jsonl(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
    """Write one JSON object a line."""
    rows = (dict(zip(table, values)) for values in zip(*table.values()))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")


def _parquet(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
    """Write Parquet with typed columns.

    Its metadata are the facts of the query but `id_type`, which the schema tells.
    """
    # Imported here, since the command line reads the table of formats before it loads anything large.
    import pyarrow as pa
    import pyarrow.parquet as pq

    facts = {key: value for key, value in about.items() if key != "id_type"}
    ids = pa.string() if about["id_type"] == "string" else pa.int64()
    kinds = {"id": ids, "rank": pa.int32(), "strategy": pa.string(), "purpose": pa.string()}
    numbers = ("score", "weight", "confidence", "sd", "second_confidence", "nearest_distance", "label_confidence")
    kinds |= dict.fromkeys(numbers, pa.float32()) | dict.fromkeys(("stands_for", "population"), pa.int64())
    kinds |= {"nearest_labelled": ids}
    kinds |= {"predicted": pa.float32()} if "sd" in table else {}
    columns = {
        name: pa.array(values, kinds.get(name) or (None if values else pa.string())) for name, values in table.items()
    }
    arrow = pa.table(columns).replace_schema_metadata({"alcli": json.dumps(facts, sort_keys=True)})
    out = io.BytesIO()
    pq.write_table(arrow, out, compression="zstd", write_page_checksum=True)
    return out.getvalue()


def _xlsx(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
    """Write an Excel workbook; see `workbook`."""
    from alcli.data.text.sheet import workbook  # imported here, for the same reason

    return workbook(table, "batch")


# A new format is a row here.
FORMATS: dict[str, OutputFormat] = {
    "ids": OutputFormat((), _ids),
    "csv": OutputFormat((".csv",), _csv),
    "tsv": OutputFormat((".tsv",), _tsv),
    "jsonl": OutputFormat((".jsonl", ".ndjson"), _jsonl),
    "parquet": OutputFormat((".parquet", ".pq"), _parquet),
    "xlsx": OutputFormat((".xlsx",), _xlsx),
    "label-studio": OutputFormat((), imports.label_studio),
    "argilla": OutputFormat((), imports.argilla),
    "prodigy": OutputFormat((), imports.prodigy),
    "doccano": OutputFormat((), imports.doccano),
}
# The formats of tools that take a prediction as a suggestion.
SUGGESTING = ("label-studio", "argilla", "prodigy", "doccano")
# The values of --format, for help; a word in place of all names, which are wider than a terminal.
METAVAR = "NAME|FILE.py"
