"""The remarks of strategies on their batches, each told once.

Remarks of one strategy that differ in numbers alone count as one, with the rounds in which they were made.
Cost: linear in the remarks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")


@dataclass
class _Group:
    """Remarks of one strategy that differ in numbers alone.

    texts: the different remarks, in the order of the rounds. rounds, seeds: the places where they were made.
    by_seed: each remark with its seed.
    """

    texts: dict[str, None] = field(default_factory=dict)
    rounds: set[int] = field(default_factory=set)
    seeds: set[int] = field(default_factory=set)
    by_seed: set[tuple[int, str]] = field(default_factory=set)


def folded(remarks: Iterable[tuple[str, int, int, str]], n_seeds: int) -> list[str]:
    """Return one line for each strategy and kind of remark; the line quotes the first remark of its kind.

    remarks: (strategy, seed, round, text). Strategies come in the order of `remarks`. The kinds of a strategy are
    sorted by the round, then the seed, in which they were first made.
    """
    everything = list(remarks)
    order = {strategy: i for i, strategy in enumerate(dict.fromkeys(strategy for strategy, *_ in everything))}
    groups: dict[tuple[str, str], _Group] = {}
    for strategy, seed, number, text in sorted(everything, key=lambda one: (order[one[0]], one[2], one[1])):
        group = groups.setdefault((strategy, _NUMBER.sub("#", text)), _Group())
        group.texts[text] = None
        group.rounds.add(number)
        group.seeds.add(seed)
        group.by_seed.add((seed, text))
    return [
        f"{strategy}: {next(iter(group.texts))} ({_where(group, n_seeds)})" for (strategy, _), group in groups.items()
    ]


def _where(group: _Group, n_seeds: int) -> str:
    """Return `rounds 2 to 5`, or `round 2; likewise in rounds 3 to 5` for a remark whose numbers change."""
    rounds = sorted(group.rounds)
    if len(group.texts) == 1:
        where = _rounds(rounds)
    elif len(rounds) > 1:
        where = f"{_rounds(rounds[:1])}; likewise in {_rounds(rounds[1:])}"
    elif len(group.by_seed) == len(group.seeds):
        where = f"{_rounds(rounds)}, with other numbers in other seeds"
    else:
        # With +update a batch is chosen in parts, and each part can make the remark.
        where = f"{_rounds(rounds)}; likewise later in it"
    return where if len(group.seeds) == n_seeds else f"{where}; {len(group.seeds)} of {n_seeds} seeds"


def _rounds(numbers: Sequence[int]) -> str:
    """Return ascending numbers in words, with neighbours joined: `rounds 1 to 3, 5, 8 to 9`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    runs = (f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}" for run in found)
    return f"round{'s' if len(numbers) > 1 else ''} {', '.join(runs)}"
