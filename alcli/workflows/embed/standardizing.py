"""The means and deviations that `embed` standardises columns by: of the source itself, or of another pool."""

from __future__ import annotations

import numpy as np

from alcli.data.pool import open_pool
from alcli.data.schema import standardization_in
from alcli.data.sources.base import InputSource
from alcli.data.spellings.splits import is_test_row
from alcli.embedders._contract import Encoder
from alcli.errors import DataError, UsageError, counted, printable
from alcli.numerics.standardization import ColumnMoments, Standardization
from alcli.remarks import Note, Progress
from alcli.workflows.embed.encoding import Settings, WindowEncoder
from alcli.workflows.embed.request import EmbedOptions

# Rows of a block of the moments. They are the same for every batch size, and so are the bytes of the result.
_ROWS = 1024
# Columns that a remark names.
_EXAMPLES = 5


def check_standardizing(options: EmbedOptions, model: str) -> None:
    """Raise UsageError for a model that standardising is not for, and for both options together.

    Statistics of any other model would need a second run of the model.
    """
    if options.standardize and options.standardize_like is not None:
        raise UsageError("--standardize and --standardize-like exclude each other", hint="use one of the two")
    if (options.standardize or options.standardize_like is not None) and model != "identity":
        given = "--standardize" if options.standardize else "--standardize-like"
        hint = f"embed by -m {printable(options.model)} first, and then embed that pool by -m identity {given}"
        raise UsageError(f"{given} is for -m identity", hint=hint)


def standardization_of(
    options: EmbedOptions, source: InputSource, encoder: Encoder, progress: Progress, note: Note
) -> Standardization | None:
    """Return what columns are to be standardised by; None where nothing is asked.

    note: told of columns without spread. Raises DataError for features that are standardised already, and every error
    of reading. Cost: a pass over the source for --standardize, a footer for --standardize-like.
    """
    if not options.standardize and options.standardize_like is None:
        return None
    if "standardized" in source.about():
        what = f"{printable(options.source)}: its features are standardized already"
        raise DataError(what, hint="give the features on their own scales")
    if options.standardize_like is None:
        return _of_source(options, source, encoder, progress, note)
    like = open_pool(options.standardize_like)
    found = standardization_in(like.metadata, like.name)
    if found is None:
        hint = "give a pool that 'alcli embed -m identity --standardize' wrote"
        raise DataError(f"{like.name}: its features are not standardized", hint=hint)
    return found


def _of_source(
    options: EmbedOptions, source: InputSource, encoder: Encoder, progress: Progress, note: Note
) -> Standardization:
    """The means and deviations over all rows that are not test rows. Raises DataError where there are none."""
    moments, dim = ColumnMoments(), None
    progress.start(source.n, "means")
    settings = Settings(options.model, _ROWS, options.dtype, False, options.skip_bad)
    windows = WindowEncoder(source, encoder, settings, progress.advance)
    for window in source.windows(_ROWS):
        rows_B, X_BD, _ = windows.vectors(window, dim)
        dim = X_BD.shape[1] if rows_B else dim
        split = window.columns["split"] if "split" in window.columns.column_names else None
        if split is not None:
            X_BD = X_BD[~is_test_row(split)[rows_B]]
        moments.add(X_BD)
    found = moments.standardization()
    _check(found, moments.n, printable(options.source))
    flat = np.flatnonzero(found.scale_D == 0)
    if len(flat):
        more = f" and {len(flat) - _EXAMPLES} more" if len(flat) > _EXAMPLES else ""
        what = f"{counted(len(flat), 'dimension has', 'dimensions have')} one value in all rows and became 0"
        note(f"{what}: {', '.join(map(str, flat[:_EXAMPLES]))}{more}")
    return found


def _check(found: Standardization, n: int, where: str) -> None:
    """Raise DataError for deviations that cannot be had: of fewer than 2 of `n` rows, none at all, or too large."""
    like = "--standardize-like takes means and deviations from another pool"
    if n < 2:
        there = f"there {'is' if n == 1 else 'are'} {n}"
        raise DataError(f"{where}: a deviation needs 2 rows that are not of split test, {there}", hint=like)
    if not found.scale_D.any():
        raise DataError(f"{where}: all {n} rows are equal, so no dimension has a deviation", hint=like)
    wild = np.flatnonzero(~np.isfinite(found.scale_D))
    if len(wild):
        what = f"{where}: the values of dimension {wild[0]} are too large for a standard deviation"
        raise DataError(what, hint="divide them first")
