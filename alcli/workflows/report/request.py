"""A report as the user asks for it, and the checks that need no data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alcli.data.head_file import HeadFile, load_head
from alcli.data.ledger.entries import check_ledger
from alcli.data.text.rows import RowSource, paths_of
from alcli.errors import InputError, UsageError, printable, suggestion

# The ways to place items on the map; the first one is the default.
PROJECTIONS = ("pca", "umap")


@dataclass(frozen=True)
class ReportRequest:
    """The inputs of a report.

    labels: files of labels beside those that the head has absorbed. ledger, batch: the file of past selections, of
    which the last batch is shown, or the file of a batch in its place. simulation: the folder of one. keep: columns of
    the pool, or of the file `items`, that cards show; none finds them by their names. images: the folder in which the
    paths of pictures lead. projection: of `PROJECTIONS`. seed: of a projection that draws. normalize: a label that
    looks like a class of the head is it.
    """

    head: Path
    labels: Sequence[RowSource] = ()
    ledger: Path | None = None
    batch: str | None = None
    simulation: Path | None = None
    keep: Sequence[str] = ()
    items: str | None = None
    images: Path | None = None
    projection: str = PROJECTIONS[0]
    seed: int = 0
    ignore_unknown: bool = False
    corrections: bool = False
    expect_sha256: str | None = None
    normalize: bool = False

    def checked(self) -> ReportRequest:
        """Return this request after its parts are checked against each other. Raises UsageError and InputError."""
        if self.ledger is not None and self.batch is not None:
            what = "--selections shows the last batch of a ledger, and --batch names another one"
            raise UsageError(what, hint="leave one of them out")
        if self.projection not in PROJECTIONS:
            what = f"the map is by {' or '.join(PROJECTIONS)}, got '{printable(self.projection)}'"
            raise UsageError(what, hint=suggestion(self.projection, PROJECTIONS))
        if self.ledger is not None:
            check_ledger(self.ledger)
            if not self.ledger.exists():
                # `query` makes a ledger that is not there yet; a report has nothing to show of it.
                raise InputError(f"{printable(self.ledger)}: no such file", hint="query --selections writes it")
        if self.images is not None and not self.images.is_dir():
            raise InputError(f"{printable(self.images)}: is not a folder", hint="--images names the folder of pictures")
        sources = [str(source) for source in (*self.labels, *filter(None, [self.batch, self.items]))]
        if sources.count("-") > 1:
            raise UsageError("'-' is given twice, standard input can be read once")
        return self

    @property
    def files(self) -> list[str | Path]:
        """The files that are read besides the pool."""
        named: list[str | Path | None] = [self.ledger, self.batch, self.items]
        return [self.head, *paths_of(self.labels), *(name for name in named if name is not None)]

    def opened(self) -> HeadFile:
        """The head. Raises what `load_head` does."""
        return load_head(self.head, expect_sha256=self.expect_sha256)
