"""The values of a column `split`: those that mean test, and those that may have been meant to."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from alcli.arrays import Array

_NEAR = frozenset({"tst", "eval", "evaluation", "holdout", "hold-out", "hold_out", "held-out", "held_out"})


def is_test_row(split: pa.Array | pa.ChunkedArray) -> Array:
    """A mask of the rows of a column `split` that are test: `test`, in small or capital letters.

    Spaces around it do not count. A column of numbers has no such rows.
    """
    words = _words(split)
    if words is None:
        return np.zeros(len(split), bool)
    return np.asarray(pc.equal(words, "test").fill_null(False).to_numpy(zero_copy_only=False))


def near_test(split: pa.Array | pa.ChunkedArray) -> list[str]:
    """Return the values of a column `split` that are not test but may have been meant to, such as `testing`, `eval`."""
    words = _words(split)
    if words is None:
        return []
    found = [word for word in pc.unique(words).to_pylist() if word]
    return sorted(w for w in found if w != "test" and (w in _NEAR or w.startswith("test")))


def _words(split: pa.Array | pa.ChunkedArray) -> pa.Array | None:
    """Return the values without spaces and in small letters; None for a column that is not text."""
    if isinstance(split, pa.ChunkedArray):
        split = split.combine_chunks()
    kind = split.type
    if pt.is_binary(kind) or pt.is_large_binary(kind):
        # Some writers store strings as bytes.
        try:
            split = split.cast(pa.large_string())
        except pa.ArrowInvalid:
            return None
    elif not (pt.is_string(kind) or pt.is_large_string(kind)):
        return None
    return pc.utf8_lower(pc.utf8_trim_whitespace(split))
