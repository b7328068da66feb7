"""Damage to files, by a seed: flipped bits, changed bytes, cuts, insertions. And files small enough to damage
thousands of times.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

from tests.pools import CLASSES, fixed, names, tiny_features

VARIANTS = {"plain": ("none", False), "plain-crc": ("none", True), "zstd": ("zstd", False), "zstd-crc": ("zstd", True)}


def pool_bytes(variant: str) -> bytes:
    """A pool of 48 rows in three row groups."""
    codec, crc = VARIANTS[variant]
    X_ND, y_N = tiny_features(48, 4)
    table = pa.table(
        {
            "id": names(48),
            "features": fixed(X_ND),
            "label": [CLASSES[y] for y in y_N],
            "split": ["test" if i % 4 == 0 else None for i in range(48)],
        }
    )
    out = io.BytesIO()
    pq.write_table(table, out, compression=codec, write_page_checksum=crc, row_group_size=16)
    return out.getvalue()


def label_bytes() -> bytes:
    """A label file of 24 rows in Parquet, with checksums, in three row groups."""
    out = io.BytesIO()
    pq.write_table(
        pa.table({"id": names(24), "label": [CLASSES[i % 3] for i in range(24)]}),
        out,
        write_page_checksum=True,
        row_group_size=8,
    )
    return out.getvalue()


def footer_start(data: bytes) -> int:
    """Where the footer of a Parquet file begins."""
    return len(data) - 8 - int.from_bytes(data[-8:-4], "little")


def flip(data: bytes, draw: random.Random, start: int, end: int) -> bytes:
    """One bit changed between two places."""
    at = draw.randrange(start, end)
    return data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :]


def scramble(data: bytes, draw: random.Random, start: int, end: int) -> bytes:
    """One to four bytes set to values that break parsers, or a stretch removed or repeated."""
    how = draw.randrange(4)
    at = draw.randrange(start, end)
    if how == 0:
        return data[:at] + data[min(end, at + draw.randint(1, 8)) :]
    if how == 1:
        return data[:at] + data[at : at + draw.randint(1, 8)] + data[at:]
    changed = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        changed[draw.randrange(start, end)] = draw.choice([0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)])
    return bytes(changed)


def cut(data: bytes, draw: random.Random) -> bytes:
    """The file up to somewhere."""
    return data[: draw.randrange(len(data))]


def parquet_mutants(data: bytes, draw: random.Random, n: int) -> list[tuple[str, bytes]]:
    """(kind, bytes): as many with damaged data as with a damaged footer, and a quarter as many cut."""
    edge = footer_start(data)
    found = [("data", flip(data, draw, 4, edge)) for _ in range(n)]
    found += [("footer", scramble(data, draw, edge, len(data))) for _ in range(n)]
    return found + [("cut", cut(data, draw)) for _ in range(n // 4)]


LABELS = {
    "csv": b'id,label,weight\nr000,cat,1\nr001,"dog",2.5\nr002,eel,\n"r003",cat,1e0\n',
    "jsonl": b'{"id": "r000", "label": "cat"}\n{"id": "r001", "label": "dog", "weight": 2}\n'
    b'{"id": "r002", "label": "e\\u0065l"}\n',
    "tsv": b"id\tlabel\nr000\tcat\nr001\tdog\nr002\teel\n",
}
_TOKENS = [
    b'"',
    b"'",
    b",",
    b"\t",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"null",
    b"NaN",
    b"1e999",
    b"1" * 400,
    b"-0",
    b"\\ud800",
    b"\\u0000",
    b"\x1b[31m",
    b"id",
    b"label",
    b"true",
    b"{" * 2000,
    b"[" * 5000,
]


def text_mutant(data: bytes, draw: random.Random) -> bytes:
    """One to three edits with bytes that mean something to a parser."""
    edits: list[Callable[[bytes, int], bytes]] = [
        lambda d, at: d[:at] + draw.choice(_TOKENS) + d[at:],
        lambda d, at: d[:at] + draw.choice(_TOKENS) + d[at + draw.randint(1, 6) :],
        lambda d, at: d[:at] + d[at + draw.randint(1, 6) :],
        lambda d, at: d[:at],
        lambda d, at: d[:at] + bytes([d[at] ^ (1 << draw.randrange(8))]) + d[at + 1 :] if at < len(d) else d,
    ]
    for _ in range(draw.randint(1, 3)):
        data = draw.choice(edits)(data, draw.randrange(len(data) + 1))
    return data


def text_mutants(data: bytes, draw: random.Random, n: int) -> list[tuple[str, bytes]]:
    return [("text", text_mutant(data, draw)) for _ in range(n)]


def binary_mutants(data: bytes, draw: random.Random, n: int) -> list[tuple[str, bytes]]:
    """As many with a flipped bit as scrambled, half of these near the start or the end, and a quarter as many cut."""
    found = [("data", flip(data, draw, 0, len(data))) for _ in range(n)]
    near = min(512, len(data))
    edges = ((0, len(data)), (0, near), (0, len(data)), (len(data) - near, len(data)))
    found += [("scrambled", scramble(data, draw, *edges[i % 4])) for i in range(n)]
    return found + [("cut", cut(data, draw)) for _ in range(n // 4)]


def head_mutants(data: bytes, draw: random.Random, n: int) -> list[tuple[str, bytes]]:
    """Every byte changed, in turn, and `n` scrambled files."""
    found = [
        ("byte", data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :]) for at in range(len(data))
    ]
    return found + [("scrambled", scramble(data, draw, 0, len(data))) for _ in range(n)]
