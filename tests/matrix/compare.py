"""The first difference between what a command left behind in two folders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import load

from tests.matrix.commands import Command


def differences(expected: Path, found: Path, commands: Iterable[Command]) -> dict[str, str]:
    """The first difference of each command that has one, by the name of the command."""
    said = {command.name: difference(expected, found, command) for command in commands}
    return {name: text for name, text in said.items() if text}


def difference(expected: Path, found: Path, command: Command) -> str:
    """The first difference, in words; "" where there is none."""
    for suffix in (".code", ".out", ""):
        name = command.name + suffix
        ours, theirs = (_bytes(folder / name, command.in_order) for folder in (expected, found))
        if ours != theirs:
            return _first(ours, theirs, command.name.endswith(".safetensors") and not suffix)
    return ""


def _bytes(path: Path, in_order: bool) -> bytes | None:
    """The bytes of a file, or None. in_order: False sorts its lines."""
    if not path.exists():
        return None
    return path.read_bytes() if in_order else b"".join(sorted(path.read_bytes().splitlines(keepends=True)))


def _first(ours: bytes | None, theirs: bytes | None, tensors: bool) -> str:
    if ours is None or theirs is None:
        return "one of the two wrote no file"
    if tensors:
        return _first_tensor(ours, theirs)
    pairs = enumerate(zip(ours.splitlines(), theirs.splitlines()), start=1)
    for number, (a, b) in pairs:
        if a != b:
            return f"line {number}: {a.decode()} | {b.decode()}"
    return "one of the two has more lines"


def _first_tensor(ours: bytes, theirs: bytes) -> str:
    a, b = load(ours), load(theirs)
    for name in a:
        if name not in b or a[name].shape != b[name].shape:
            return f"tensor {name}: another shape"
        if a[name].tobytes() != b[name].tobytes():
            gap = np.max(np.abs(a[name].astype(np.float64) - b[name])) if a[name].dtype.kind == "f" else "other numbers"
            return f"tensor {name}: {gap} apart"
    return "other metadata"
