"""Readers that turn bytes or files into image arrays or Pillow images, with a limit on the size of a decoded image.

C is the number of channels, H and W are the height and the width of an image in pixels.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from alcli.arrays import Float32
from alcli.embedders._contract import require
from alcli.embedders._items import read_file
from alcli.errors import DataError, UsageError, printable

# A small file can hold a huge image, so larger images are refused before they are decoded.
MAX_PIXELS = 1 << 26

# Formats that Pillow decodes itself, by any name of the file. It would hand PostScript to Ghostscript, a program that
# runs what the file says.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO", "TGA", "DIB")

Mode = Literal["auto", "RGB", "L"]


@dataclass(frozen=True)
class ImageOptions:
    """The steps from an image to a float32 array [C, H, W]: resize, scale to [0, 1], then (x - mean) / std.

    size: (height, width) in pixels; None keeps the size of the image. mode: "auto" until the number of channels of the
    model is known. squash: resize to `size` by changing the proportions of the image, instead of cutting out its
    centre. mean, std: float32 [1, 1, 1], or [C, 1, 1] with a number for each channel.
    """

    size: tuple[int, int] | None
    mode: Mode
    mean: Float32
    std: Float32
    squash: bool


def image_options(size: str | None, mode: Mode, mean: str, std: str, owner: str) -> ImageOptions:
    """Parse the image options of the command line, before the model is loaded.

    A `!` after the size means squash. Raises UsageError that names the wrong option.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?(!?)", size or "1")
    if not match:
        raise UsageError(
            f"{owner}: parameter 'image-size' must look like 224, 224x320 (height x width) "
            f"or 224! (change proportions), got '{size}'"
        )
    chosen = (int(match[1]), int(match[2] or match[1])) if size else None
    means, stds = (_per_channel(name, text, owner) for name, text in (("mean", mean), ("std", std)))
    if (stds <= 0).any():
        raise UsageError(f"{owner}: parameter 'std' must be positive, got '{std}'")
    return ImageOptions(chosen, mode, means, stds, match[3] == "!")


def fitted_to(options: ImageOptions, shape_CHW: Sequence[Any], owner: str) -> ImageOptions:
    """Fill in the options that are still open from the input shape of the model.

    shape_CHW: the fixed entries are integers; other entries may be anything. Raises UsageError where the mode, mean or
    std does not suit the number of channels.
    """
    channels, *size = (
        [n if isinstance(n, int) else None for n in shape_CHW] if len(shape_CHW) == 3 else [None, None, None]
    )
    mode: Mode = options.mode if options.mode != "auto" else "L" if channels == 1 else "RGB"
    expected = len(mode)  # one letter a channel
    if channels not in (None, expected):
        raise UsageError(
            f"{owner} takes images of {channels} channels, mode {mode} has {expected}",
            hint="set -p mode=L or -p mode=RGB",
        )
    wrong = {len(values) for values in (options.mean, options.std)} - {1, expected}
    if wrong:
        raise UsageError(f"{owner}: mean and std must be one number or {expected}, one for each channel of mode {mode}")
    fixed = (size[0], size[1]) if size[0] and size[1] else None
    return replace(options, mode=mode, size=options.size or fixed)


def array_reader(options: ImageOptions) -> Callable[[Any], Float32]:
    """Return a function from the bytes or Path of an image to float32 [C, H, W].

    The function raises DataError for an image that cannot be decoded, and InputError for a file that cannot be opened.
    """
    opened = picture_reader()

    def read(item: Any) -> Float32:
        picture = in_mode(opened(item), options.mode)
        if options.size is not None:
            picture = _resized(picture, options.size, options.squash)
        values = np.asarray(picture, np.float32) / np.float32(255)
        values = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
        return np.ascontiguousarray((values - options.mean) / options.std)

    return read


def picture_reader() -> Callable[[Any], Any]:
    """Return a function from the bytes or Path of an image to a decoded Pillow image, turned upright by its EXIF tag.

    The function raises DataError for an image that is null, too large or damaged, and InputError for a file that cannot
    be opened.
    """
    pil = require("PIL.Image")
    operations = require("PIL.ImageOps")
    # Pillow warns about large images on stderr. MAX_PIXELS is below the size that Pillow warns about, and such an image
    # is refused with an error, so the warning would only repeat it.
    warnings.filterwarnings("ignore", category=pil.DecompressionBombWarning)
    pil.init()
    # A build of Pillow may lack some formats.
    formats = [name for name in FORMATS if name in pil.OPEN]

    def read(item: Any) -> Any:
        if item is None:
            raise DataError("the image is null")
        data = read_file(item) if isinstance(item, Path) else item
        try:
            with pil.open(io.BytesIO(data), formats=formats) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    what = (
                        f"the image has {picture.width} x {picture.height} pixels, more than the limit of {MAX_PIXELS}"
                    )
                    raise DataError(what, hint="scale it down first")
                return operations.exif_transpose(picture)
        except DataError:
            raise
        except Exception as error:
            # Decoders raise exceptions of many classes on damaged bytes.
            raise DataError(f"the image cannot be decoded ({_reason(error)})") from error

    return read


def in_mode(picture: Any, mode: Mode) -> Any:
    """Convert the image to `mode`, with 8 bits a channel.

    Grey values of 16 bits are scaled to 8 bits; Pillow's own conversion would clip most of them to white.
    """
    if picture.mode.startswith("I"):
        pil = require("PIL.Image")
        picture = pil.fromarray((np.asarray(picture).astype(np.float64) / 257).clip(0, 255).round().astype(np.uint8))
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return picture if picture.mode == mode else picture.convert(mode)


def _resized(picture: Any, size: tuple[int, int], squash: bool) -> Any:
    height, width = size
    if (picture.height, picture.width) == size:
        return picture
    bicubic = require("PIL.Image").Resampling.BICUBIC
    if squash:
        return picture.resize((width, height), bicubic)
    return require("PIL.ImageOps").fit(picture, (width, height), bicubic)


def _per_channel(name: str, text: str, owner: str) -> Float32:
    try:
        values = np.array([float(part) for part in text.split(",")], np.float32)
    except ValueError:
        values = np.empty(0, np.float32)
    if len(values) not in (1, 3) or not np.isfinite(values).all():
        raise UsageError(f"{owner}: parameter '{name}' must be one number or three separated by commas, got '{text}'")
    return values[:, None, None]


def _reason(error: Exception) -> str:
    text = printable(error) or type(error).__name__
    return "not an image that Pillow knows" if "cannot identify image file" in text else text
