"""The text in a file of rows: unpacked, decoded, or refused by what the file is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import IO, Any

import pyarrow as pa

from alcli.errors import DataError, MemoryLimitError

# A file of labels or ids that unpacks to more is likely a bomb.
_MOST_BYTES = 1 << 30
_PIECE_BYTES = 1 << 20
_PACKED = {
    b"\x1f\x8b": "gzip",
    **{b"BZh%d1AY&SY" % level: "bzip2" for level in range(1, 10)},
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_SAVE_AS_CSV = "save it as CSV (UTF-8)"
_NO_TEXT = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook (.xlsx)", f"unpack it, or {_SAVE_AS_CSV}"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook (.xls)", _SAVE_AS_CSV),
    b"ARROW1\0\0": ("an Arrow or Feather file", "save it as Parquet or CSV"),
    b"Obj\x01": ("an Avro file", "save it as Parquet or CSV"),
    b"\x93NUMPY": ("a NumPy file", _SAVE_AS_CSV),
    b"\x89HDF": ("an HDF5 file", _SAVE_AS_CSV),
    b"SQLite format 3\0": ("an SQLite database", _SAVE_AS_CSV),
    b"%PDF": ("a PDF file", _SAVE_AS_CSV),
    b"\x80\x04\x95": ("a Python pickle, which is never read", _SAVE_AS_CSV),
}
_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Bytes that tell the kind of any file.
HEAD_BYTES = 16


def unpacked(data: bytes, name: str) -> bytes:
    """Return the content of a file that gzip, bzip2, xz or zstd compressed, and any other content as it is.

    name: of the file, for messages. Raises DataError where it is damaged, MemoryLimitError beyond 1 GiB.
    """
    kind = _kind(data, _PACKED)
    if kind is None:
        return data
    out = bytearray()
    try:
        stream = _stream(kind, data)
        # A stream of pyarrow takes as much memory as it is asked to read.
        while len(out) <= _MOST_BYTES and (piece := stream.read(_PIECE_BYTES)):
            out += piece
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowException) as error:
        raise DataError(f"{name}: is compressed by {kind} and damaged", hint="copy it again") from error
    if len(out) > _MOST_BYTES:
        what = f"{name}: is compressed by {kind} and unpacks to more than 1 GiB"
        raise MemoryLimitError(what, hint="unpack it first, if it is what you expect")
    return bytes(out)


def encoding_of(head: bytes, name: str) -> str:
    """Return the encoding of a text by its first bytes: UTF-8 but for a byte order mark of UTF-16 or UTF-32.

    head: at least `HEAD_BYTES` bytes, if there are as many. name: of the file, for messages. Raises DataError that
    says what a file is that holds no text.
    """
    packed, other = _kind(head, _PACKED), _kind(head, _NO_TEXT)
    if packed is not None:
        raise DataError(f"{name}: is compressed by {packed}, expected text", hint="unpack it first")
    if other is not None:
        raise DataError(f"{name}: is {other[0]}, expected text", hint=other[1])
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        what = f"{name}: is a page of HTML or XML, expected rows of text"
        raise DataError(what, hint="a download may have ended at a page that asks to sign in")
    return _kind(head, _MARKS) or "utf-8-sig"


def decoded(data: bytes, name: str) -> str:
    """Return the text of a file. Raises DataError that names the line of bytes that are no text, and of a NUL."""
    encoding = encoding_of(data[:HEAD_BYTES], name)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise DataError(f"{name}: is not {encoding.upper()} as its first bytes say") from None
        line = data[: error.start].count(b"\n") + 1
        hint = "convert it, for example with iconv -f latin1 -t utf-8"
        raise DataError(f"{name}: line {line} is not UTF-8", hint=hint) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        hint = "UTF-16 needs a byte order mark; convert it with iconv -f utf-16le -t utf-8"
        raise DataError(f"{name}: line {line} holds a NUL byte, expected UTF-8 text", hint=hint)
    return text


def _kind(data: bytes, kinds: dict[bytes, Any]) -> Any:
    """The value of the first of `kinds` that the data begin with; None without one."""
    return next((kind for start, kind in kinds.items() if data.startswith(start)), None)


def _stream(kind: str, data: bytes) -> IO[bytes]:
    """A stream of the unpacked bytes."""
    packed = io.BytesIO(data)
    match kind:
        case "gzip":
            return gzip.open(packed)  # type: ignore[return-value]
        case "bzip2":
            return bz2.open(packed)
        case "xz":
            return lzma.open(packed)
    return pa.CompressedInputStream(pa.py_buffer(data), "zstd")
