"""Objects that can be sent to another process, which imports their classes and functions by their names."""

from __future__ import annotations

import io
import sys
from importlib.machinery import PathFinder
from multiprocessing.reduction import ForkingPickler
from types import FunctionType
from typing import Any


def can_be_sent(*values: Any) -> bool:
    """True where a new process understands the pickled values.

    False for a function or class of a file that only this process has loaded, such as a user's own file of a strategy.
    Cost: the pickled values once in memory.
    """
    watching = _Watching(io.BytesIO())
    try:
        watching.dump(values)
    except Exception:
        # Whatever an object raises when it is pickled, it cannot be sent.
        return False
    return all(map(_is_importable, watching.modules))


class _Watching(ForkingPickler):
    """Notes the modules of the functions and classes that are pickled."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.modules: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, (type, FunctionType)):
            self.modules.add(value.__module__)
        return NotImplemented


def _is_importable(module: str) -> bool:
    """True where a new process finds the module that this process has under the name."""
    top = module.partition(".")[0]
    if top in sys.builtin_module_names:
        return True
    # Python starts in the folder of the program, which is not where a child process looks.
    path = [folder for folder in sys.path if folder]
    found, here = PathFinder.find_spec(top, path), getattr(sys.modules.get(top), "__spec__", None)
    return found is not None and here is not None and found.origin == here.origin
