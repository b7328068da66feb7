"""Largest gradient of the predictive entropy by all parameters of the head.

No measure of uncertainty: the score is 0 at a certain prediction and at the uniform one; of two classes it is largest at p = 0.824. A head
that hardly knows its classes thus makes it prefer the surer rows: a note says so, and fallback=entropy takes the most uncertain
rows then. It grows with the length of the features, in a linear head in proportion to it: feature-norm=l2 takes that out.
Source: Gul, Elmahallawy, Madria & Tripathy 2024, "LPLgrad", eq. 8, without its branch; norm=sum is what its published code adds up.
Wang et al. 2022 ("expected gradient norm") differentiate sum_c p_c CE_c, which is the entropy.
Cost: one forward and one backward pass, 2 (D M + 2 M C) flops a row of a head with M hidden units, in closed form.
Passes: one over the ids, one over the rows; memory one number a row, none for features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.numerics.blocks import workers
from alcli.numerics.network import ACTIVATIONS, SLOPES, Network
from alcli.selection.options import Count, at_least
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import Best, Part
from alcli.selection.view import View
from alcli.strategies.entropy import entropy

Fallback = Literal["none", "entropy"]
NEARLY_UNIFORM = 0.95  # of log C
VAGUE = f"the median entropy is above {NEARLY_UNIFORM} log C, and the entropy's gradient vanishes at uniform predictions: "
SURER_FIRST = "the surer rows come first; fallback=entropy takes the most uncertain ones"
FALLEN = "took the highest entropies instead (fallback=entropy)"
Norm: TypeAlias = Literal["fro", "sum", "weights"]
FeatureNorm: TypeAlias = Literal["none", "l2"]
LEAST_LOG = -700.0  # p log p is 0 below, and exp of it is no denormal
_CACHED_ROWS = 512
_SLOPES_OF_VALUES: Mapping[str, Callable[[Float64], Float64]] = {  # from the value of the activation, which is written over
    "relu": lambda h: np.greater(h, 0.0, out=h, casting="unsafe"),
    "tanh": lambda h: np.subtract(1.0, np.square(h, out=h), out=h),
}
@batch(needs=["features", "network", "log_probs", "row_key"], random=True)
def ent_gradnorm(
    view: View, k: int, *, rng: np.random.Generator, norm: Norm = "fro", feature_norm: FeatureNorm = "none", fallback: Fallback = "none",
    candidates: Count = 10_000,
) -> Selection:
    """Scores: the norm, or nats of entropy after the fall-back.

    norm: fro, over all parameters; sum of the norms of each weight matrix and bias; weights alone. feature_norm: l2, as if every row of
    features had length 1 (strategies/ent_gradnorm.py). candidates: so many random rows are looked at. fallback: what to do when more
    than half of them are predicted nearly uniformly.
    """
    return longest_gradients(view, k, rng=rng, norm=norm, feature_norm=feature_norm, fallback=fallback, candidates=candidates)


# -- folded ------
# How long the gradient of the predictive entropy is, by all parameters of a network, for every row: no gradient is written out.
#
# The gradient of H by the outputs z of a softmax is g = -p o (log p + H) = -p o (z - p^T z), which sums to 0. That by the weights of a
# layer is the outer product of its signal and its inputs, so its norm is the product of theirs; signals go back through the layers as in
# back-propagation. g vanishes at a certain prediction and at the uniform one as well: its length is no measure of uncertainty.
#
# The features are the inputs of the first layer, so a head without hidden layers takes long rows first. `feature_norm` l2 measures the
# weights of the first layer in units of the row's length: a row x counts there as x / |x|, while predictions, signals and hidden layers stay
# those of the head. What it finds does not depend on the unit of the features. To divide the features by their lengths before the head
# sees them would be something else: it was not fitted on such rows, and is unsure of all of them where its own were long. What hidden layers
# hand on keeps its length; training scales the features, so their unit does not reach it.
# Source: Gul, Elmahallawy, Madria & Tripathy 2024, "LPLgrad", eq. 8 (`fro`) and its published code (`sum`); closed forms and l2 ours.
# Cost: 2 (D M + 2 M C) flops a row for one hidden layer of M units, all layers but the first there and back; 2 D C without. float64.
# Memory: 512 rows of inputs and signals at a time for each thread.


def entropy_signal(logits_BC: Float64) -> tuple[Float64, Float64]:
    """(dH/dz, float64 [B, C]; H in nats, [B]) of class probabilities softmax(z). Logs of probabilities are logits too."""
    z_BC: Float64 = logits_BC - logits_BC.max(axis=1, keepdims=True)
    np.maximum(z_BC, LEAST_LOG, out=z_BC)
    p_BC = np.exp(z_BC)
    total_B = p_BC.sum(axis=1)
    mean_B: Float64 = np.vecdot(p_BC, z_BC) / total_B
    z_BC -= mean_B[:, None]
    z_BC *= p_BC
    z_BC /= -total_B[:, None]
    return z_BC, np.log(total_B) - mean_B


def layer_norms(
    network: Network, X_BD: Floats, temperature: float = 1.0, feature_norm: FeatureNorm = "none"
) -> tuple[Float64, Float64, Float64]:
    """(squared norms of the signals, of the inputs, both [layers, B], the last layer first; entropies [B]). One forward and backward pass.

    temperature: what outputs are divided by before the softmax. feature_norm: l2 has features of length 1, or 0 where all are.
    """
    of_values = _SLOPES_OF_VALUES.get(network.activation)
    h: Float64 = X_BD.astype(np.float64, copy=False)
    inputs = [np.vecdot(h, h) if feature_norm == "none" else h.any(axis=1).astype(np.float64)]
    kept = []  # what the slope of each activation follows from
    for W_MD, b_M in network.layers:
        h = h @ W_MD.T
        h += b_M
        kept.append(h)
        h = ACTIVATIONS[network.activation](h if of_values else h.copy())
        inputs.append(np.vecdot(h, h))
    outputs_BC = network.outputs(h)
    outputs_BC /= temperature
    signal, entropy_B = entropy_signal(outputs_BC)
    signal /= temperature
    signals = [np.vecdot(signal, signal)]
    above = [network.W_CD1[:, :-1], *(W_MD for W_MD, _ in network.layers[:0:-1])]
    for W, kept_BM in zip(above, reversed(kept)):
        signal = signal @ W
        signal *= (of_values or SLOPES[network.activation])(kept_BM)
        signals.append(np.vecdot(signal, signal))
    return np.stack(signals), np.stack(inputs[::-1]), entropy_B


def norms(
    network: Network, X_ND: Floats, norm: Norm, temperature: float = 1.0, feature_norm: FeatureNorm = "none"
) -> tuple[Float64, Float64]:
    """(norms, entropies in nats) of N rows, float64 [N] each.

    norm: fro, of all parameters together; weights, without biases; sum, the norms of the weights and of the bias of every layer added up.
    """
    out_N, entropy_N = np.empty(len(X_ND)), np.empty(len(X_ND))

    def work(first: int, last: int) -> None:
        for a in range(first, last, _CACHED_ROWS):
            rows = slice(a, min(a + _CACHED_ROWS, last))
            signals_LB, inputs_LB, entropy_N[rows] = layer_norms(network, X_ND[rows], temperature, feature_norm)
            out_N[rows] = _combined(signals_LB, inputs_LB, norm)

    with workers() as spread:
        spread(len(X_ND), work)
    return out_N, entropy_N


def _combined(signals_LB: Float64, inputs_LB: Float64, norm: Norm) -> Float64:
    if norm == "sum":
        return (np.sqrt(signals_LB) * (np.sqrt(inputs_LB) + 1.0)).sum(axis=0)
    return np.sqrt((signals_LB * (inputs_LB + (norm == "fro"))).sum(axis=0))


# -- folded ------
# The rows whose predictive entropy has the longest gradient by the head's parameters: what ent-gradnorm and lplgrad share.


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
