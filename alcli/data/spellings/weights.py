"""A column `weight` that may mean something else than how many labels a label stands for."""

from __future__ import annotations

from collections.abc import Collection

from alcli.remarks import Note

# Importance weights of a selection have a mean of 1. A part of a selection can be away from it.
_LEAST, _MOST = 1 / 4, 4.0
# So few weights say nothing of their mean.
_FEW = 5


def remark_on_weights(weights: Collection[float], file: str, note: Note) -> None:
    """Tell of weights whose mean is far from 1, as kilograms or prices have it."""
    mean = sum(weights) / len(weights) if len(weights) >= _FEW else 1.0
    if not _LEAST <= mean <= _MOST:
        what = (
            f"{file}: the column 'weight' has a mean of {mean:.3g}, and each label counts as often as its weight says"
        )
        note(f"{what}; rename the column if it means something else")
