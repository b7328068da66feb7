"""The public contract of a strategy. docs/plugins.md builds a strategy from scratch.

`pointwise` and `batch` declare a strategy; a `View` gives it what it needs; a `Selection` is its answer. `finite32`
rounds scores as they are compared, `TopK` keeps the best rows of a stream, `ArraySource` makes a view of arrays in
memory, `select` runs a strategy on a view.
"""

from __future__ import annotations

from alcli.selection.order import TopK, finite32, tie_keys
from alcli.selection.select import select
from alcli.selection.source import ArraySource, Predictor, Source
from alcli.selection.strategy import Selection, Strategy, batch, pointwise
from alcli.selection.view import View

__all__ = [
    "ArraySource",
    "Predictor",
    "Selection",
    "Source",
    "Strategy",
    "TopK",
    "View",
    "batch",
    "finite32",
    "pointwise",
    "select",
    "tie_keys",
]
