"""Rows whose uncertainty reacts most to changes of the head.

The score is the length of the gradient of the predictive entropy H by all parameters of the head. It does not
measure uncertainty: it is 0 at a certain prediction and at the uniform prediction. Of two classes it is
largest at p = 0.824. A head that hardly knows its classes thus makes the method prefer the surer rows. A note
says so, and fallback=entropy then takes the most uncertain rows. The score grows with the length of the
features, in a linear head in proportion to it; feature-norm=l2 removes the length.

No gradient is written out. The gradient of H by the outputs z of a softmax is g = -p o (log p + H), equal to
-p o (z - p^T z); o multiplies entry by entry, and g sums to 0. The gradient by the weights of a layer is the
outer product of the layer's signal and its inputs, so its norm is the product of their norms. Signals go back
through the layers as in back-propagation.

The features are the inputs of the first layer, so a head without hidden layers takes long rows first.
feature-norm=l2 measures the weights of the first layer in units of the row's length: a row x counts there as
x / |x|. Predictions, signals and hidden layers stay as the head has them. The result does not depend on the
unit of the features. To divide the features by their lengths before the head sees them would be something
else: the head was not fitted on such rows, and is unsure of all of them if its own rows were long. The
outputs of hidden layers keep their lengths; training scales the features, so their unit does not reach the
hidden layers. The score of a group is the mean of the scores of its rows.

Source: Gul, Elmahallawy, Madria & Tripathy 2024, "LPLgrad", eq. 8 (`fro`), without its branch; norm=sum is
the number that its published code adds up. The closed forms and l2 are ours. Wang et al. 2022 ("expected
gradient norm") differentiate sum_c p_c CE_c, which is the entropy.
Cost: one forward and one backward pass in closed form, float64: 2 (D M + 2 M C) flops a row of a head with
one hidden layer of M units, all layers but the first there and back; 2 D C without hidden layers.
Passes: one over the ids, one over the rows; memory one number a row and, for each thread, 512 rows of inputs
and signals.

Options:
    norm: the norm over all layers.
        fro: the norm of all parameters together.
        sum: the sum of the norms of each weight matrix and each bias.
        weights: the norm of all weights, without the biases.
    feature-norm: length of the features.
        none: as they are.
        l2: as if every row had length 1.
    fallback: remedy where more than half of the rows are predicted nearly uniformly.
        none: keep the order, and say so.
        entropy: take the rows of highest entropy instead.
    candidates: number of random rows that are looked at, at least the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.numerics.blocks import workers
from alcli.numerics.network import ACTIVATIONS, SLOPES, Network
from alcli.selection.options import Count, at_least
from alcli.selection.order import finite32
from alcli.selection.parts import Parts
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import Best, Part, some_places
from alcli.selection.view import View
from alcli.strategies.entropy import entropy

Norm: TypeAlias = Literal["fro", "sum", "weights"]
FeatureNorm: TypeAlias = Literal["none", "l2"]
Fallback = Literal["none", "entropy"]
NEARLY_UNIFORM = 0.95  # share of log C
VAGUE = (
    f"the median entropy is above {NEARLY_UNIFORM} log C, and the entropy's gradient vanishes at uniform predictions: "
)
SURER_FIRST = "the surer rows come first; fallback=entropy takes the most uncertain ones"
FALLEN = "took the highest entropies instead (fallback=entropy)"
# Logits are clamped here, relative to the largest: p log p is 0 below, and exp gives no denormal number.
LEAST_LOG = -700.0
_CACHED_ROWS = 512
# The slope of an activation from its value, which is overwritten.
_SLOPES_OF_VALUES: Mapping[str, Callable[[Float64], Float64]] = {
    "relu": lambda h: np.greater(h, 0.0, out=h, casting="unsafe"),
    "tanh": lambda h: np.subtract(1.0, np.square(h, out=h), out=h),
}


@batch(needs=["features", "network", "log_probs", "row_key"], random=True)
def ent_gradnorm(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    norm: Norm = "fro",
    feature_norm: FeatureNorm = "none",
    fallback: Fallback = "none",
    candidates: Count = 10_000,
) -> Selection:
    """Pick the k rows of the longest gradients. Scores: the norm, or after the fall-back the entropy in nats."""
    return longest_gradients(
        view, k, rng=rng, norm=norm, feature_norm=feature_norm, fallback=fallback, candidates=candidates
    )


def longest_gradients(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    norm: Norm,
    feature_norm: FeatureNorm,
    fallback: Fallback,
    candidates: int,
    notes: tuple[str, ...] = (),
) -> Selection:
    """Pick the k candidates of largest norm, for `ent_gradnorm` and `lplgrad`; only they are kept in the one pass.

    The probabilities are at the temperature that the head was trained at. notes: remarks that follow the one
    on random candidates. Needs features, network and row_key; with a fall-back log_probs.
    """
    at_least(1, candidates=candidates)
    head = view.network()
    network = Network(head.layers, head.activation, head.W_CD1)

    def measure(X_BD: Floats) -> Float64:
        return np.column_stack(norms(network, X_BD, norm, head.temperature, feature_norm))

    nearly_uniform = NEARLY_UNIFORM * float(np.log(len(head.W_CD1)))
    if not Parts.of(view).single:
        places_M, left_out = some_places(view, max(candidates, k), rng)
        chosen = _of_groups(view.among(view.rows[places_M]), k, measure, nearly_uniform, fallback)
        return replace(chosen, notes=(*left_out, *notes, *chosen.notes))
    part, best, vague = Part(view, max(candidates, k), rng), Best(k, view), 0
    for rows_B, X_BD in view.blocks("features"):
        places = part(rows_B)
        seen_BD = X_BD if len(places) == len(rows_B) else X_BD[places]
        norms_B, entropy_B = measure(seen_BD).T
        vague += int((entropy_B > nearly_uniform).sum())
        best.take(rows_B[places], norms_B)
    notes = (*part.notes, *notes)
    if 2 * vague <= part.n:
        return best.selection(*notes)
    if fallback == "none":
        return best.selection(*notes, VAGUE + SURER_FIRST)
    return _most_uncertain(view, k, part).selection(*notes, VAGUE + FALLEN)


def _of_groups(
    among: View, k: int, measure: Callable[[Floats], Float64], nearly_uniform: float, fallback: Fallback
) -> Selection:
    """Pick the k groups of largest mean norm over their rows. Memory: two numbers a row."""
    norms_N, entropies_N = Parts.of(among).means(measure, "features").T
    is_vague = 2 * int((entropies_N > nearly_uniform).sum()) > among.n
    scores_N = finite32(entropies_N if is_vague and fallback == "entropy" else norms_N)
    picks_K = np.argsort(-scores_N, kind="stable")[:k]
    said = (VAGUE + (SURER_FIRST if fallback == "none" else FALLEN),) if is_vague else ()
    return Selection(among.rows[picks_K], scores_N[picks_K], notes=said)


def _most_uncertain(view: View, k: int, part: Part) -> Best:
    """The k rows of highest entropy among the random candidates."""
    best = Best(k, view)
    for rows_B, log_probs_BC in view.blocks("log_probs"):
        places = part(rows_B)
        best.take(rows_B[places], entropy(log_probs_BC[places]))
    return best


def entropy_signal(logits_BC: Float64) -> tuple[Float64, Float64]:
    """Return (dH/dz, float64 [B, C]; H in nats, [B]) of class probabilities softmax(z).

    Logs of probabilities are logits too.
    """
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
    """Make one forward and one backward pass.

    Returns (squared norms of the signals, squared norms of the inputs, both [layers, B] from the last layer;
    entropies [B]). temperature: divisor of the outputs before the softmax. feature_norm: l2 gives features
    length 1, or 0 for a row of zeros.
    """
    of_values = _SLOPES_OF_VALUES.get(network.activation)
    h: Float64 = X_BD.astype(np.float64, copy=False)
    inputs = [np.vecdot(h, h) if feature_norm == "none" else h.any(axis=1).astype(np.float64)]
    # The arrays from which the slope of each activation is computed.
    kept = []
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
    """Return (norms of the gradients, entropies in nats) of N rows, float64 [N] each.

    norm: the option of `ent_gradnorm`. temperature, feature_norm: as in `layer_norms`.
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
    """The norm over all layers, [B], from squared norms [layers, B]."""
    if norm == "sum":
        return (np.sqrt(signals_LB) * (np.sqrt(inputs_LB) + 1.0)).sum(axis=0)
    return np.sqrt((signals_LB * (inputs_LB + (norm == "fro"))).sum(axis=0))
