"""Active learning on frozen embeddings.

`pool`, `fit_head`, `select`, `update`, `predict`, `simulate` and `inspect` do what the commands of the same names do,
for Python programs. `import alcli` loads none of them: a name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alcli import errors as errors
    from alcli import selection as selection
    from alcli.api.fitted import FittedHead as FittedHead
    from alcli.api.head import fit_head as fit_head
    from alcli.api.head import update as update
    from alcli.api.inspect import inspect as inspect
    from alcli.api.pool import OpenPool as OpenPool
    from alcli.api.pool import pool as pool
    from alcli.api.predict import Predictions as Predictions
    from alcli.api.predict import predict as predict
    from alcli.api.select import SelectedItems as SelectedItems
    from alcli.api.select import select as select
    from alcli.api.simulate import Comparison as Comparison
    from alcli.api.simulate import simulate as simulate
    from alcli.errors import AlcliWarning as AlcliWarning

__version__ = "0.1.0"

_MODULES = {
    "AlcliWarning": "alcli.errors",
    "Comparison": "alcli.api.simulate",
    "FittedHead": "alcli.api.fitted",
    "OpenPool": "alcli.api.pool",
    "Predictions": "alcli.api.predict",
    "SelectedItems": "alcli.api.select",
    "fit_head": "alcli.api.head",
    "inspect": "alcli.api.inspect",
    "pool": "alcli.api.pool",
    "predict": "alcli.api.predict",
    "select": "alcli.api.select",
    "simulate": "alcli.api.simulate",
    "update": "alcli.api.head",
}
_ROOMS = ("errors", "selection")
__all__ = [
    "AlcliWarning",
    "Comparison",
    "FittedHead",
    "OpenPool",
    "Predictions",
    "SelectedItems",
    "__version__",
    "errors",
    "fit_head",
    "inspect",
    "pool",
    "predict",
    "select",
    "selection",
    "simulate",
    "update",
]


# A type checker that saw this function would take every name for a public one.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first used."""
        if name in _ROOMS:
            return importlib.import_module(f"alcli.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module 'alcli' has no attribute '{name}'")
        found = getattr(importlib.import_module(_MODULES[name]), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
