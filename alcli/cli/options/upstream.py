"""Options about the upstream model of embed, and about the features that are kept of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from alcli import plugins
from alcli.cli.options.declare import COMMON, MODEL, OUTPUT, option
from alcli.cli.options.values import whole_number
from alcli.extensions import installed


def complete_model(incomplete: str) -> list[str]:
    """Return the kinds of upstream models that begin so, each with its colon."""
    known = [*plugins.names("embedders"), *installed("embedders")]
    return [f"{name}:" for name in known if name.startswith(incomplete)]


ModelName = Annotated[
    str, option("-m, --model MODEL", COMMON, "The upstream model, see Models below.", complete=complete_model)
]
NewPool = Annotated[
    Path,
    option(
        "-o, --out POOL", COMMON, "The pool to write: one file if the name ends in .parquet, else a folder of files."
    ),
]
Layer = Annotated[
    str | None,
    option(
        "--layer L",
        MODEL,
        "The activation to keep: a module name (torch, timm), a tensor (onnx) or a block (transformers).",
        default="the model's output",
    ),
]
BatchSize = Annotated[
    int,
    option("--batch-size N", MODEL, "Items that go through the model together.", parse=whole_number(1)),
]
Dtype = Annotated[str, option("--dtype", OUTPUT, "Precision of the stored features.", choices=("float32", "float16"))]
Normalize = Annotated[bool, option("--normalize", OUTPUT, "Scale every vector to unit length.")]
Standardize = Annotated[
    bool,
    option(
        "--standardize",
        OUTPUT,
        "Subtract from each dimension its mean, and divide it by its standard deviation, over all rows but those of "
        "split test. For -m identity.",
    ),
]
StandardizeLike = Annotated[
    str | None,
    option(
        "--standardize-like POOL",
        OUTPUT,
        "Standardize by the means and deviations of this pool, which was made by --standardize.",
    ),
]
Device = Annotated[str, option("--device D", MODEL, "Where the model runs: auto, cpu, cuda, cuda:1 and so on.")]
RowsPerFile = Annotated[
    int | None,
    option(
        "--rows-per-file N",
        OUTPUT,
        "Write a folder of files of N rows.",
        default="files of about 256 MiB",
        parse=whole_number(1),
    ),
]
Resume = Annotated[
    bool, option("--resume", OUTPUT, "Continue an interrupted run; finished rows are not computed again.")
]

ModelParam = Annotated[
    list[str] | None, option("-p, --param KEY=VALUE", COMMON, "Set an option of the model. Can be repeated.")
]
