"""Sources of embed to damage, and what a reader of all of their rows returns."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from alcli.data.sources.base import Asked
from alcli.data.sources.opening import check_ids, open_source
from tests.pools import CLASSES, fixed, names, tiny_features

_ROWS = 24


def source_bytes(suffix: str) -> bytes:
    """A source of 24 rows with ids and labels, where its format has columns, as a file with that extension."""
    X_ND, y_N = tiny_features(_ROWS, 4)
    label = [CLASSES[y] for y in y_N]
    out = io.BytesIO()
    match suffix:
        case "csv":
            rows = [f'{id},{said},"a text, {id}"\n' for id, said in zip(names(_ROWS), label)]
            out.write(("id,label,text\n" + "".join(rows)).encode())
        case "jsonl":
            rows = [{"id": id, "label": said, "text": f"é {id}"} for id, said in zip(names(_ROWS), label)]
            out.write("".join(json.dumps(row) + "\n" for row in rows).encode())
        case "npy":
            np.save(out, X_ND)
        case "npz":
            np.savez_compressed(out, features=X_ND, id=np.array(names(_ROWS)), label=np.array(label))
        case "h5":
            with h5py.File(out, "w") as file:
                file.create_dataset("features", data=X_ND, chunks=(8, 4), compression="gzip")
                file.create_dataset("id", data=np.arange(_ROWS))
                file.create_dataset("label", data=label)
        case "parquet":
            table = pa.table({"id": names(_ROWS), "features": fixed(X_ND), "label": label})
            pq.write_table(table, out, write_page_checksum=True, row_group_size=8)
        case "arrow":
            table = pa.table({"id": names(_ROWS), "features": fixed(X_ND), "label": label})
            pyarrow.feather.write_feather(table, out, compression="zstd")
    return out.getvalue()


SUFFIXES = ("csv", "jsonl", "npy", "npz", "h5", "parquet", "arrow")
TEXTS = frozenset({"csv", "jsonl"})
# Formats in which other data cannot be seen to be other.
WITHOUT_CHECKSUMS = frozenset({"npy", "h5", "arrow"})


def read_source(path: Path) -> Any:
    """All that embed reads of a source, in windows of ten rows."""
    has_names = path.suffix not in (".npy", ".csv", ".jsonl")
    named = Asked("features", "id", "label") if has_names else Asked()
    source = open_source(path, named)
    check_ids(source)
    found = [(window.columns.to_pylist(), [_plain(item) for item in window.items]) for window in source.windows(10)]
    assert sum(len(items) for _, items in found) == source.n, "as many rows as it says"
    source.contents()
    return source.columns, found


def read_text(path: Path) -> None:
    """All that embed reads of a source of text, of which nobody can say what is right."""
    read_source(path)


def _plain(item: Any) -> Any:
    return (item.dtype.str, item.shape, item.tobytes()) if isinstance(item, np.ndarray) else item
