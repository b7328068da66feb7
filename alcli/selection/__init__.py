"""The public contract of a strategy. docs/plugins.md builds a strategy from scratch.

- `pointwise`, `batch`: declare a strategy. A pointwise strategy scores rows, a batch strategy chooses a batch.
- `View`: the candidates, the labelled rows and the predictions, as a batch strategy sees them.
- `Parts`: the rows that the candidates are made of, where rows make groups.
- `Selection`: the batch that it returns. `finite32`: scores as they are compared.
- `given`, `where`: the condition under which an option counts (conditions.py).
- `Count`, `AutoOrPositive`, `AllOrCount`, `AutoOrCount`: types of options that are checked before any data is read.
- `TopK`, `tie_keys`: the k best rows of a stream, in the one order of scored rows.
- `select`: run a strategy on a view, as every command does. `declared_by`: the `Strategy` of a decorated function.
- `Source`, `Predictor`: the rows and the head that a view is made of. `ArraySource`: a source of arrays in memory.

`needs.py` lists the needs that a strategy can declare; `subsets.py` helps strategies that look at part of a pool.
"""

from __future__ import annotations

from alcli.selection.conditions import given, where
from alcli.selection.options import AllOrCount, AutoOrCount, AutoOrPositive, Count
from alcli.selection.order import TopK, finite32, tie_keys
from alcli.selection.parts import Parts
from alcli.selection.select import select
from alcli.selection.source import ArraySource, Predictor, Source
from alcli.selection.strategy import Selection, Strategy, batch, declared_by, pointwise
from alcli.selection.view import View

__all__ = [
    "AllOrCount",
    "ArraySource",
    "AutoOrCount",
    "AutoOrPositive",
    "Count",
    "Parts",
    "Predictor",
    "Selection",
    "Source",
    "Strategy",
    "TopK",
    "View",
    "batch",
    "declared_by",
    "finite32",
    "given",
    "pointwise",
    "select",
    "tie_keys",
    "where",
]
