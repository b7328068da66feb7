"""Stop when an accuracy is reached: the level of each look, and the audit labels that would decide.

Who looks after every round finds something in the end. So the k-th look takes the share 1 / (k (k + 1)) of the chance
of error, 5%. The first look takes half, the 2.5% that a 95% interval leaves on its lower side. The shares sum to 1, so
over any number of looks the chance of a wrong "reached" is at most 5%, as far as each look keeps its own chance, and
whatever the heads have in common.

Source: Bonferroni's inequality; 1 / (k (k + 1)) = 1 / k - 1 / (k + 1), so the shares of all looks sum to 1.
Cost: none.
"""

from __future__ import annotations

import math

from scipy.special import ndtri

CHANCE = 0.05
# An interval cannot be told from its end by more labels than this factor of the audit.
_MOST = 1000.0


def deviation_of_look(look: int) -> float:
    """Return the number of standard errors that the k-th look asks for, from 1 on: 1.96, 2.39, 2.64, ..."""
    return float(-ndtri(CHANCE / (look * (look + 1))))


def labels_to_decide(n_audit: int, deviations: float, look: int) -> int | None:
    """Return the audit labels to add until an estimate is decided, as far as it stays where it is.

    deviations: the standard errors between the estimate and the target, now. The next look is counted. None where the
    estimate is at the target, or so near that a thousand times the audit would be needed.
    """
    needed = deviation_of_look(look + 1)
    if abs(deviations) * _MOST**0.5 <= needed:
        return None
    return max(1, math.ceil(n_audit * ((needed / deviations) ** 2 - 1.0)))


def labels_to_halve(n_audit: int) -> int:
    """Return the audit labels to add for an interval that is half as wide."""
    return 3 * n_audit
