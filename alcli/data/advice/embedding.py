"""The command that makes a pool of a file which is none: what to say where a pool was expected."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable

from alcli.errors import printable

_TEXTS = {".csv", ".tsv", ".tab", ".jsonl", ".ndjson"}
_KINDS = {
    b"\x93NUMPY": "a NumPy file",
    b"\x89HDF\r\n": "an HDF5 file",
    b"ARROW1": "an Arrow or Feather file",
    b"\xff\xff\xff\xff": "an Arrow file",
}
_IN_FOLDERS = {
    ".npy": ".npy files",
    ".arrow": "Arrow files",
    ".feather": "Feather files",
    ".csv": "CSV files",
    ".jsonl": "JSON Lines files",
}
# Files of a folder that are looked at.
_MOST_FILES = 10_000


def other_kind(path: str) -> tuple[str, str] | None:
    """Return (what a local file is, the command that makes a pool of it); None for a file of no such kind.

    The first bytes decide, and the extension where the file is text.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError:
        return None
    suffix = os.path.splitext(path)[1].lower()
    kind = next((kind for start, kind in _KINDS.items() if head.startswith(start)), None)
    if kind is None and suffix == ".npz" and head.startswith(b"PK"):
        kind = "a NumPy archive"
    if kind is not None:
        ids = ", and --ids FILE names its rows" if kind == "a NumPy file" else ""
        return kind, f"{makes_a_pool(path)}{ids}"
    if suffix in _TEXTS and not head.startswith(b"PAR1"):
        return "a table of text", f"{makes_a_pool(path)} if it holds vectors; for texts -m hashing:512 or another model"
    return None


def other_folder(folder: str) -> tuple[str, str] | None:
    """Return (what a folder without Parquet files holds, the command that makes a pool of it); None where unknown."""
    seen = 0
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] not in "._"]
        for name in names:
            kind = _IN_FOLDERS.get(os.path.splitext(name)[1].lower())
            if kind is not None and kind in (".npy files", "Arrow files", "Feather files"):
                return kind, makes_a_pool(folder)
            if kind is not None:
                path = os.path.join(folder, name)
                return kind, f"{makes_a_pool(path)} for one of them"
            seen += 1
            if seen > _MOST_FILES:
                return None
    return None


def makes_a_pool(path: str, *options: str) -> str:
    """Say which command makes a pool of a file. options: more of them, as they are typed."""
    pool = "embedded.parquet" if os.path.basename(path) == "pool.parquet" else "pool.parquet"
    return f"'{' '.join(['alcli embed', _typed(path), '-m identity', *options, '-o', pool])}' makes a pool of it"


def wide_columns(names: Iterable[str]) -> str | None:
    """Return a pattern of the columns that are called as the dimensions of a vector are; None with fewer than three."""
    families: dict[str, set[int]] = {}
    for name in names:
        found = re.fullmatch(r"(.*?)([0-9]{1,9})", name)
        if found:
            families.setdefault(found[1], set()).add(int(found[2]))
    stem, numbers = max(families.items(), key=lambda family: len(family[1]), default=("", set[int]()))
    first = min(numbers, default=-1)
    if len(numbers) < 3 or first not in (0, 1) or numbers != set(range(first, first + len(numbers))):
        return None
    return f"{stem}*" if stem else "[0-9]*"


def _typed(path: str) -> str:
    """A path as it is typed in a shell, safe to print."""
    return printable(shlex.quote(path))
