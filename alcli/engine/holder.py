"""The worker's end of a member: the shard, and its answers to calls."""

from __future__ import annotations

import traceback
from typing import Any

from alcli.errors import AlcliError
from alcli.numerics.blocks import Spread
from alcli.numerics.teams import Blueprint


class Holder:
    """Makes the shard of a part at the first call, and calls its methods."""

    def __init__(self, part: Blueprint, spread: Spread) -> None:
        self._part, self._spread = part, spread
        self._shard: Any = None

    def answer(self, call: str, args: tuple[Any, ...]) -> Any:
        """Call a method of the shard; return its answer or its error, which travel alike.

        An unexpected error becomes text, since it may not survive the way.
        """
        try:
            if self._shard is None:
                self._shard = self._part.make(self._spread, *self._part.args)
            return getattr(self._shard, call)(*args)
        except (AlcliError, MemoryError) as error:
            return error
        except Exception:
            return RuntimeError(f"{call}:\n{traceback.format_exc()}")
