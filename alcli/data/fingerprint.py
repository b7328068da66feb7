"""The fingerprint of a set of rows: the sum of one hash per row.

It does not depend on the order of the rows, or on the files that hold them. The hash of a row is taken over its id
and its features as float32. A fingerprint tells the features of two models apart, and a pool from a changed copy; it
is no protection against an adversary.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from alcli.arrays import Floats, Keys
from alcli.numerics.hashing import hash_integers, hash_strings, splitmix64

_MODULUS = 1 << 64


def id_keys(ids: pa.Array) -> Keys:
    """Return a 64-bit hash per id, uint64 [N]. ids: int64 or string, without nulls."""
    if pa.types.is_integer(ids.type):
        return hash_integers(ids.to_numpy(zero_copy_only=False))
    ids = ids.cast(pa.large_string())
    _, offsets, data = ids.buffers()
    offsets_N1 = np.frombuffer(offsets, np.int64)[ids.offset : ids.offset + len(ids) + 1]
    return hash_strings(np.frombuffer(data or b"", np.uint8), offsets_N1)


def feature_keys(X_BD: Floats) -> Keys:
    """Return a 64-bit hash per row of features, uint64 [B]. Cost: one multiplication per value."""
    # Adding 0 turns -0.0 into 0.0, so that equal numbers have equal bits.
    bits = np.ascontiguousarray(X_BD.astype(np.float32) + np.float32(0)).view(np.uint32)
    multipliers = splitmix64(np.arange(X_BD.shape[1], dtype=np.uint64)) | np.uint64(1)
    with np.errstate(over="ignore"):
        sums = (bits.astype(np.uint64) * multipliers).sum(axis=1, dtype=np.uint64)
    return splitmix64(sums ^ np.uint64(X_BD.shape[1]))


def row_keys(ids: pa.Array, X_BD: Floats) -> Keys:
    """Return a 64-bit hash per row over id and features, uint64 [B]."""
    return _joined(id_keys(ids), X_BD)


def _joined(id_keys_B: Keys, X_BD: Floats) -> Keys:
    return splitmix64(id_keys_B ^ feature_keys(X_BD))


def fingerprint(id_keys_B: Keys, X_BD: Floats) -> int:
    """Return the sum of the `row_keys` of rows modulo 2^64, from the hashes of their ids.

    The fingerprints of parts of a pool `add` up to the fingerprint of all.
    """
    return int(_joined(id_keys_B, X_BD).sum(dtype=np.uint64))


def add(*fingerprints: int) -> int:
    """Return the fingerprint of several parts together."""
    return sum(fingerprints) % _MODULUS


def as_text(value: int) -> str:
    """Return 16 hexadecimal digits, the form in metadata: some readers of JSON round numbers beyond 2^53."""
    return f"{value % _MODULUS:016x}"
