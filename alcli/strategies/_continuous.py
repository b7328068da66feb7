"""What a pointwise strategy may say of its score, so that a loop over single labels need not score every row after every label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from alcli.arrays import Float64

F = TypeVar("F", bound=Callable[..., Any])


def continuous(modulus: Callable[..., Float64]) -> Callable[[F], F]:
    """Declare how far the score can move while the class probabilities move from p to q, on a strategy that is made of `log_probs`.

    modulus(l1_B, C, *others): no less than |score(q) - score(p)| for any p and q over C classes with sum_c |p_c - q_c| = l1, float64 [B],
    growing with l1; inf stands for no bound known. others: the strategy's needs beside log_probs, in their order. It is used where those
    change with no label (`_kept.LASTING`); without a modulus every row is scored.
    """

    def attach(function: F) -> F:
        function.modulus = modulus  # type: ignore[attr-defined]
        return function

    return attach


def modulus_of(run: Callable[..., Any]) -> Callable[..., Float64] | None:
    """What `continuous` declared of a strategy function."""
    found: Callable[..., Float64] | None = getattr(run, "modulus", None)
    return found
