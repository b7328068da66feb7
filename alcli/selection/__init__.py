"""The contract of a strategy: the names that the author of a strategy writes against, also outside this package.

- `pointwise`, `batch`: the decorators that declare a strategy. A pointwise strategy scores rows; a batch strategy chooses a batch.
- `View`: the candidates, the labelled rows and the predictions that a batch strategy sees. `Selection`: the batch that it returns.
- `Count`, `AutoOrPositive`, `AllOrCount`, `AutoOrCount`: annotations of options that are checked before any data is read.
- `finite32`, `TopK`, `tie_keys`: scores as float32, and the k best rows in the one order of scored rows.
- `select`: run a strategy on a view, as every command does. `declared_by`: the `Strategy` of a decorated function.
- `ArraySource`: rows of a NumPy array with ids, from which a test makes a view.

`needs.py` lists the needs that a strategy can declare, and `subsets.py` has helpers for strategies that look at part of a pool.
"""

from alcli.selection.options import AllOrCount, AutoOrCount, AutoOrPositive, Count
from alcli.selection.order import TopK, finite32, tie_keys
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import Selection, Strategy, batch, declared_by, pointwise
from alcli.selection.view import View

__all__ = [
    "AllOrCount",
    "ArraySource",
    "AutoOrCount",
    "AutoOrPositive",
    "Count",
    "Selection",
    "Strategy",
    "TopK",
    "View",
    "batch",
    "declared_by",
    "finite32",
    "pointwise",
    "select",
    "tie_keys",
]
