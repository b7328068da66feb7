"""Small pictures of items, as data URIs.

An image is bytes in a table, or a path. A path is followed only inside the folder that the user named, links resolved:
a table from a stranger cannot put another file of the user into the page.
Cost: one decoding an image. Memory: one image of at most 2^26 pixels.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alcli.embedders._contract import require
from alcli.embedders._images import picture_reader
from alcli.embedders._items import read_file
from alcli.errors import AlcliError, DataError, InputError, printable

# Bytes of all pictures of a page before they become text, and of one picture.
_ALL, _ONE = 2_200_000, 16_000
_SIDES = (192, 128, 96, 72, 48, 32)
# Larger files are no pictures for a card.
_LARGEST_FILE = 1 << 26
# Pictures of so few pixels stay as they are, without loss.
_TINY = 64


def thumbnailer(n: int, folder: Path | None) -> Callable[[Any], str]:
    """Return a function from the bytes or the path of an image to a data URI. n: the number of pictures of the page.

    Raises UnavailableError where Pillow is not installed. The function raises DataError and InputError that say why an
    image has no picture.
    """
    opened, limit = picture_reader(), min(_ONE, _ALL // max(n, 1))

    def picture(value: Any) -> str:
        data = value if isinstance(value, bytes) else read_inside(folder, str(value))
        return _encoded(opened(data), limit)

    return picture


def read_inside(folder: Path | None, path: str) -> bytes:
    """Read a file of a folder. Raises DataError for a path that leads out of it, InputError for one that is not there.

    path: relative to the folder, or absolute.
    """
    if folder is None:
        raise DataError("the image is a path; --images DIR shows the pictures of a folder")
    root = os.path.realpath(folder)
    try:
        target = os.path.realpath(os.path.join(root, path))
        inside = os.path.commonpath([root, target]) == root
        size = os.stat(target).st_size if inside else 0
    except (OSError, ValueError) as error:
        raise InputError(f"the file '{printable(path)}' cannot be opened ({_reason(error)})") from None
    if not inside:
        raise DataError(f"the path '{printable(path)}' leads out of the folder of --images")
    if size > _LARGEST_FILE:
        raise DataError(f"the file '{printable(path)}' has {size:,} bytes, a picture has at most {_LARGEST_FILE:,}")
    return read_file(Path(target))


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "not a path"


def _encoded(picture: Any, limit: int) -> str:
    """A data URI of at most about `limit` bytes: the largest of a few sizes that fits, else the smallest one."""
    pil = require("PIL.Image")
    picture = _on_white(picture, pil)
    data = b""
    for side in _SIDES:
        tiny = max(picture.size) <= _TINY
        small = picture.copy()
        small.thumbnail((side, side), pil.Resampling.LANCZOS)
        data = _bytes(small, "PNG" if tiny else "JPEG")
        if len(data) <= limit:
            break
    kind = "png" if data[:4] == b"\x89PNG" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _bytes(picture: Any, format: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, optimize=True, **({"quality": 70} if format == "JPEG" else {}))
    return out.getvalue()


def _on_white(picture: Any, pil: Any) -> Any:
    """The picture in colours or greys without transparency, and without metadata, such as the place it was taken at."""
    if picture.mode in ("RGBA", "LA", "PA") or (picture.mode == "P" and "transparency" in picture.info):
        over = picture.convert("RGBA")
        picture = pil.alpha_composite(pil.new("RGBA", over.size, "white"), over)
    elif picture.mode.startswith("I") or picture.mode == "F":
        from alcli.embedders._images import in_mode

        picture = in_mode(picture, "L")
    plain = picture.convert("L" if picture.mode in ("L", "1") else "RGB")
    clean = pil.new(plain.mode, plain.size)
    clean.paste(plain)
    return clean


def failure(error: AlcliError) -> str:
    """Say why a card has no picture."""
    return f"no picture: {error.message}"
