"""The modifiers that can follow the name of a strategy, as in `margin+update`: they change how a batch is chosen.

A modifier is a function (inner, state, k, seed, *, options) -> Selection. `inner` is the strategy, together with the
modifiers that stand before this one. It chooses items and asks the oracle for them.
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
    """A modifier and what it declares.

    run: the function; its keyword-only arguments are options. updates: it absorbs labels in closed form, so it needs a
    posterior. matters_to: the modifier changes something only if the strategy has one of these needs.
    why: the reason that the modifier changes nothing for other strategies, for the message.
    """

    run: Callable[..., Selection]
    updates: bool
    matters_to: frozenset[str]
    why: str


def update(
    inner: Chooser, state: RoundState, k: int, seed: int, *, update_every: Count = 1, polish: bool = False
) -> Selection:
    """Choose `update_every` items, absorb their labels by the second-order rule, and repeat until k are chosen.

    polish: take the head to the MAP of all labels each time that labels were absorbed.
    Source: Huseljic et al. 2025, section 5.2 (immediate utilisation of labels).
    Cost: k / update_every selections, k updates, and k / update_every polishes.
    """
    at_least(1, update_every=update_every)
    parts = [inner(state, min(update_every, k), seed)]
    for first in range(update_every, k, update_every):
        if len(state.candidates) == 0:
            break
        state.absorb(parts[-1].rows_K)
        if polish:
            state.polish()
        parts.append(inner(state, min(update_every, k - first), seed))
    return joined(parts)


# The needs whose values change when labels are absorbed: not those of hidden layers and the loss-prediction branch.
_CHANGED = HEAD_NEEDS - {"hidden", "hidden_sq_norm", "predicted_loss"} | {"labelled", "labelled_distance"}
MODIFIERS: Mapping[str, Modifier] = {
    "update": Modifier(update, True, _CHANGED, "looks at neither the head nor the labelled rows"),
}
