"""What can follow a strategy's name in a simulation: a modifier changes how its batch is put together, whatever the strategy.

A modifier is a function (inner, state, k, seed, *, options) to a selection; `inner` is the strategy, or the strategy with the
modifiers that stand before this one, and it asks the oracle for what it picks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from alcli.composition.modifiers import joined
from alcli.selection.needs import HEAD_NEEDS
from alcli.selection.options import Count, at_least
from alcli.selection.strategy import Selection
from alcli.simulation.round import RoundState

Chooser = Callable[[RoundState, int, int], Selection]


@dataclass(frozen=True)
class Modifier:
    """run: the function; its keyword-only arguments are options. updates: it absorbs labels in closed form, so it needs a posterior.

    matters_to: what a strategy must look at for the modifier to change anything, in the words of a strategy's `needs`.
    """

    run: Callable[..., Selection]
    updates: bool
    matters_to: frozenset[str]
    why: str


def update(inner: Chooser, state: RoundState, k: int, seed: int, *, update_every: Count = 1) -> Selection:
    """Pick `update_every` rows, see their labels, absorb them by the second-order rule, and pick again, until there are k.

    Source: Huseljic et al. 2025, section 5.2 (immediate utilisation of labels). Cost: k / update_every selections and k updates.
    """
    at_least(1, update_every=update_every)
    parts = [inner(state, min(update_every, k), seed)]
    for first in range(update_every, k, update_every):
        if len(state.oracle.candidates) == 0:
            break
        state.absorb(parts[-1].rows_K)
        parts.append(inner(state, min(update_every, k - first), seed))
    return joined(parts)


# Of what a head says, labels that are absorbed move all but what its hidden layers and its branch say.
_MOVED = HEAD_NEEDS - {"hidden", "hidden_sq_norm", "predicted_loss"} | {"labelled", "labelled_distance"}
MODIFIERS: Mapping[str, Modifier] = {
    "update": Modifier(update, True, _MOVED, "looks at neither the head nor the labelled rows"),
}
