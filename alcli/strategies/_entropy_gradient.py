"""The rows whose predictive entropy has the longest gradient by the head's parameters: what ent-gradnorm and lplgrad share."""

from __future__ import annotations

from typing import Literal

import numpy as np

from alcli.numerics.entropy_gradient import FeatureNorm, Norm, norms
from alcli.numerics.network import Network
from alcli.strategies._checks import at_least
from alcli.strategies._contract import Selection
from alcli.strategies._streamed import Best, Part
from alcli.strategies._view import View
from alcli.strategies.entropy import entropy

Fallback = Literal["none", "entropy"]
NEARLY_UNIFORM = 0.95  # of log C

VAGUE = f"the median entropy is above {NEARLY_UNIFORM} log C, and the entropy's gradient vanishes at uniform predictions: "
SURER_FIRST = "the surer rows come first; fallback=entropy takes the most uncertain ones"
FALLEN = "took the highest entropies instead (fallback=entropy)"


def longest_gradients(
    view: View, k: int, *, rng: np.random.Generator, norm: Norm, feature_norm: FeatureNorm, fallback: Fallback, candidates: int,
    notes: tuple[str, ...] = (),
) -> Selection:
    """The k candidates of largest norm, by the probabilities that training saw; one pass, of which the best rows alone are kept.

    notes: what to tell the user beside what is found here. Needs features, network and row_key; with a fall-back log_probs.
    """
    at_least(1, candidates=candidates)
    head = view.network()
    network = Network(head.layers, head.activation, head.W_CD1)
    part, best, vague = Part(view, max(candidates, k), rng), Best(k, view), 0
    for rows_B, X_BD in view.blocks("features"):
        places = part(rows_B)
        seen_BD = X_BD if len(places) == len(rows_B) else X_BD[places]
        norms_B, entropy_B = norms(network, seen_BD, norm, head.temperature, feature_norm)
        vague += int((entropy_B > NEARLY_UNIFORM * np.log(len(head.W_CD1))).sum())
        best.take(rows_B[places], norms_B)
    notes = (*part.notes, *notes)
    if 2 * vague <= part.n:
        return best.selection(*notes)
    if fallback == "none":
        return best.selection(*notes, VAGUE + SURER_FIRST)
    return _most_uncertain(view, k, part).selection(*notes, VAGUE + FALLEN)


def _most_uncertain(view: View, k: int, part: Part) -> Best:
    best = Best(k, view)
    for rows_B, log_probs_BC in view.blocks("log_probs"):
        places = part(rows_B)
        best.take(rows_B[places], entropy(log_probs_BC[places]))
    return best
