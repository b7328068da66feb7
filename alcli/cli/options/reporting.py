"""Options about the page of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from alcli.cli.options.declare import CHOOSING, COMMON, OUTPUT, option

# The projections of workflows/report/request.py. They are named here too, so that help loads no numpy.
PROJECTIONS = ("pca", "umap")

PageFile = Annotated[Path, option("-o, --out FILE.html", COMMON, "The page to write.")]
ReportedHead = Annotated[
    Path, option("-H, --head HEAD", COMMON, "The head whose predictions, labels and audits are shown.")
]
Ledger = Annotated[
    Path | None,
    option(
        "--selections LEDGER", CHOOSING, "The ledger of query. The page shows its last batch, and lists all batches."
    ),
]
Batch = Annotated[
    str | None,
    option("--batch FILE", CHOOSING, "Show this batch of query: CSV, JSON Lines or Parquet with a column id."),
]
Simulation = Annotated[
    Path | None, option("--simulation DIR", CHOOSING, "Show the curves and verdicts of this folder of simulate.")
]
Shown = Annotated[
    list[str] | None,
    option(
        "--keep C",
        OUTPUT,
        "A column of the pool that cards show: a text, a picture, or the path of one. Commas part several. Can be "
        "repeated.",
        default="columns with names such as text, title, image and path",
    ),
]
Images = Annotated[
    Path | None,
    option(
        "--images DIR",
        OUTPUT,
        "The folder of the pictures that a column, or the ids, name by their paths. A path out of it is not followed.",
    ),
]
Projection = Annotated[
    str,
    option(
        "--map",
        OUTPUT,
        "How items are placed on the map: by principal components, or by UMAP, which needs umap-learn.",
        choices=PROJECTIONS,
    ),
]
