"""Options about the pictures of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from alcli.cli.options.declare import OUTPUT, option
from alcli.cli.options.values import number

Redraw = Annotated[
    Path | None,
    option(
        "--redraw DIR",
        OUTPUT,
        "In place of a simulation, make the pictures in the folder of a finished one anew, with --metric, --format and "
        "--width.",
    ),
]
PictureFormats = Annotated[
    list[str] | None,
    option("--format png,svg,pdf", OUTPUT, "Formats of the pictures, separated by commas.", default="png,svg"),
]
PictureWidth = Annotated[
    float | None,
    option(
        "--width INCHES",
        OUTPUT,
        "Width of the pictures. A column of a paper has about 3.4; below 7, panels stand above each other.",
        default="11, and wins as wide as its names need",
        parse=number(),
    ),
]
