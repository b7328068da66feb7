"""Uncertain rows whose predictions differ from each other: draws by margin and by the city-block distance of the class probabilities.

Source: Gilhuber, Beer, Ma & Seidl 2024, "FALCUN: a simple and efficient deep active learning strategy". form=official is what the
published code runs by default: relevance without the uncertainty, and distances as they are. Distances start as the uncertainty in both.
Cost: 3 N C flops a pick; memory N C numbers. Features are looked at by the head alone.
Passes: 1.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from alcli.numerics.falcun import Form, falcun_draws
from alcli.strategies._checks import positive
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._view import View
from alcli.strategies.margin import margin


@batch(needs=["log_probs"], random=True)
def falcun(view: View, k: int, *, rng: np.random.Generator, gamma: Annotated[float, positive] = 10.0, form: Form = "paper") -> Selection:
    """Scores: the relevance of a row when it was drawn, at most 2. gamma: how much more often relevant rows are drawn."""
    positive(gamma=gamma)
    log_probs_NC = view.matrix("log_probs")
    picks_K, relevance_K = falcun_draws(np.exp(log_probs_NC), margin(log_probs_NC).astype(np.float64), k, rng, gamma=gamma, form=form)
    return Selection(view.rows[picks_K], finite32(relevance_K))
