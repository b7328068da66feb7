"""Options about predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from alcli.cli.options.declare import COMMON, OUTPUT, option
from alcli.cli.options.values import path_or_stdout
from alcli.data.row_formats import ROW_FORMATS

Head = Annotated[Path, option("-H, --head HEAD", COMMON, "The head that predicts, from fit-head or update.")]
Predictions = Annotated[
    Path | None,
    option(
        "-o, --out FILE",
        COMMON,
        "Where to write the predictions. The extension decides the format.",
        default="stdout",
        parse=path_or_stdout,
    ),
]
Labelled = Annotated[
    str,
    option(
        "--labelled",
        COMMON,
        "Keep or drop the items whose labels the head has absorbed.",
        choices=("keep", "drop"),
    ),
]
Probs = Annotated[bool, option("--probs", OUTPUT, "Add the probability of each class, see Columns below.")]
Variance = Annotated[
    bool,
    option(
        "--variance",
        OUTPUT,
        "Add the posterior variance of the logit of the predicted class. It may take as long as all else.",
    ),
]
Format = Annotated[
    str | None,
    option(
        "--format",
        OUTPUT,
        "Format of the predictions.",
        default="by the extension, else csv",
        choices=tuple(ROW_FORMATS),
    ),
]
