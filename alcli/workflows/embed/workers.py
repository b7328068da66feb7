"""Windows of a source in several workers: each encodes a window and writes its shard, whichever comes first.

A window gives the same shard wherever it is encoded. A worker that is lost is replaced, and its window encoded again:
its shard overwrites no other. The source is read in this process, and items travel to the workers as the source has
them: texts, or the paths of images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from alcli import plugins
from alcli.data.sources.base import InputSource, Window
from alcli.data.writing.shards import WorkFolder
from alcli.embedders._contract import Request
from alcli.engine.crews import Crew, answers
from alcli.errors import DataError
from alcli.numerics.blocks import Spread
from alcli.numerics.teams import Blueprint
from alcli.workflows.embed.encoding import Settings, WindowEncoder


@dataclass(frozen=True)
class Opening:
    """The model of a run, to be opened in a worker. model: NAME:ARGUMENT. parameters: keyword arguments, parsed."""

    model: str
    request: Request
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def gpus(self) -> int:
        """The GPUs that a worker claims."""
        return int(self.request.device.startswith("cuda"))


class ShardMaker:
    """Encodes windows in a worker, and writes the shards."""

    def __init__(
        self, spread: Spread, opening: Opening, source: InputSource, settings: Settings, work: WorkFolder
    ) -> None:
        name, _, argument = opening.model.partition(":")
        encoder = plugins.embedder(name).open(argument, opening.request, **opening.parameters)
        self._encoder, self._work = WindowEncoder(source, encoder, settings, lambda n: None), work

    def make(self, task: tuple[int, Window]) -> tuple[int, int, int | None]:
        """Encode window number `task[0]`. Returns its first row, the number of items, and D (None without a vector)."""
        number, window = task
        shard = self._encoder.encode(window, None)
        self._work.save(number, shard)
        return window.first, len(window.items), shard.X_BD.shape[1] if len(shard.columns) else None


def fill(
    crew: Crew,
    opening: Opening,
    source: InputSource,
    settings: Settings,
    work: WorkFolder,
    windows: Iterator[tuple[int, Window]],
    dim: int | None,
    advance: Callable[[int], None],
) -> None:
    """Make the shards of numbered windows by workers. dim: D of the shards of an earlier run, None without one.

    advance: told of the number of items of each finished window. Raises DataError for a window whose vectors have
    another length than those of the windows before it, and what a worker raises.
    """
    part = Blueprint(ShardMaker, (opening, source, settings, work), gpus=opening.gpus)
    for first, n_items, found in answers(crew, part, "make", windows, hint="use fewer --workers"):
        if found is not None and found != (dim := dim or found):
            raise DataError(
                f"{source.place(first)}: the model returned {found} values, {dim} before",
                hint="every item must give a vector of the same length D >= 1",
            )
        advance(n_items)
