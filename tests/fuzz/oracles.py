"""What may come of a damaged file: the data that was written, or a refusal of one sentence. Anything else is a
finding.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from alcli.data.head_file import load_head
from alcli.data.labels import labels_of_column, read_labels
from alcli.data.pool import open_pool
from alcli.data.schema import Columns
from alcli.data.tables import read_rows
from alcli.errors import BusyError, DataError, InputError, MemoryLimitError, NewerFormatError

Reader = Callable[[Path], Any]
REFUSALS = (DataError, InputError, NewerFormatError, BusyError, MemoryLimitError)


def read_pool(path: Path) -> tuple[Any, ...]:
    """All that the commands ask of a pool. A footer has no checksum: optional columns that lost their names are
    insisted on here.
    """
    pool = open_pool(str(path), Columns(label="label"))
    if pool.column("split") is None:
        raise DataError(f"{pool.name}: no column 'split'")
    ids = pool.ids.arrow(np.arange(pool.n)).to_pylist()
    column = pool.labels()
    labels = {} if column is None else labels_of_column(column, pool.ids, np.arange(pool.n), pool.label_place).by_id
    split = pool.is_test
    groups = pool.groups
    blocks = [X_BD.copy() for _, X_BD in pool.blocks()]
    X_ND = np.concatenate(blocks) if blocks else np.empty((0, 0))
    some = pool.take(np.arange(0, pool.n, 7))
    return (
        ids,
        {id: (said.label, said.weight) for id, said in labels.items()},
        split.tolist(),
        groups is None,
        X_ND.dtype.name,
        X_ND.shape,
        X_ND.tobytes(),
        some.tobytes(),
    )


def read_head(path: Path) -> tuple[Any, ...]:
    """All that a head file says."""
    head = load_head(path)
    arrays = {name: np.asarray(value).tobytes() for name, value in head.model.arrays().items()}
    return (
        head.classes,
        head.class_type,
        head.provenance,
        head.recipe,
        arrays,
        head.absorbed.id_L.tobytes(),
        head.absorbed.label_L.tobytes(),
        head.anchors.tobytes(),
    )


def read_ids_and_labels(path: Path) -> list[tuple[Any, ...]]:
    """The rows of a label file: a label beside the id of another row would be worse than none."""
    return [tuple(map(_said, (row.values["id"], row.values["label"]))) for row in read_rows(str(path), ["id", "label"])]


def _said(value: Any) -> Any:
    """A value as ids and labels take it: bytes are the text that they are in UTF-8."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def label_reader(pool: Path) -> Reader:
    """A reader of labels for the ids of a pool; what it says cannot be checked, since text with other text in it is
    other text.
    """
    ids = open_pool(str(pool)).ids

    def read(path: Path) -> Any:
        for regression in (False, True):
            try:
                found = read_labels([str(path)], ids, regression=regression, ignore_unknown=True)
            except REFUSALS:
                continue
            for said in found.by_id.values():
                assert np.isfinite(said.weight)
                assert said.weight > 0
                assert isinstance(said.label, float) == regression
        return None

    return read


def judge(read: Reader, path: Path, right: Any) -> str:
    """ "right", "refused", or what is wrong: "wrong data", or the exception that no user should see."""
    try:
        found = read(path)
    except REFUSALS as error:
        text = str(error)
        return "refused" if text.isprintable() and os.path.basename(path) in text else f"a poor message: {text!r}"
    except MemoryError:
        return "MemoryError"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "right" if found == right else "wrong data"
