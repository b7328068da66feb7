"""Named settings of a strategy, such as the values that its paper publishes: the option `preset`.

A strategy with presets has a keyword-only parameter `preset`, whose annotation holds the values of each name, as in
`preset: Annotated[str, Presets({"paper": {"samples": 30}})] = "none"`. The values take the place of the name before the
strategy runs, so the strategy itself does not read the parameter. An option that is given as well has the given value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alcli import parsing
from alcli.errors import UsageError, suggestion

if TYPE_CHECKING:
    from alcli.selection.strategy import Strategy

PRESET = "preset"


@dataclass(frozen=True)
class Presets:
    """The values of options by the name of a preset; options by argument name."""

    values: Mapping[str, Mapping[str, Any]]

    @property
    def names(self) -> tuple[str, ...]:
        """The names that can be given; `none` stands for the defaults."""
        return ("none", *self.values)

    def __call__(self, *, preset: str) -> None:
        """Raise UsageError for a name that is none of the presets."""
        if preset not in self.names:
            what = f"parameter 'preset' must be one of {', '.join(self.names)}, got '{preset}'"
            raise UsageError(what, hint=suggestion(preset, self.names))


def expanded(strategy: Strategy, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the values of a preset in its place. options: by argument name."""
    found = dict(options)
    if PRESET not in found or PRESET not in strategy.options or strategy.compound is not None:
        return found
    name, hints = found.pop(PRESET), parsing.hints_of(strategy.run)
    presets = next(one for one in hints[PRESET].__metadata__ if isinstance(one, Presets))
    presets(preset=name)
    return {**presets.values.get(name, {}), **found}
