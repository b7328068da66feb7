"""Rows whose predictions move most, and in different ways, when the head's weights are perturbed by noise.

Greedy k-centre on the deviations, the point 0 as the first centre, labelled rows none. Only the head is perturbed: the backbone is
not at hand. For a linear head the Gram matrix of infinitely many deviations is known, (h_i.h_j) <A_i, A_j> with A = diag(p) - p p',
so no noise is drawn; p are the probabilities that training saw, without later calibration. A linear regression deviates by its
features alone, h_i.h_j, and this is k-centre on them.

Source: Li, Yang, Gu, Zhan, Wang, Xu & Xu 2024, "Deep active learning with noise stability", eq. 1-2 and 6. Biases are perturbed when
asked only, as in the published code, which also divides by the norm of the prediction (norm-output) and scales noise by layer.
Cost: kernel 2 N (D + 3 C) flops for each column asked for, in practice a fraction of k (`numerics/diversity/columns.py`), and N (D + C) numbers;
sampled one pass of 2 N D C flops for each of S samples, and N S C numbers.
Passes: 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.errors import UsageError
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.diversity.kdpp import MOST
from alcli.numerics.diversity.selectors import SELECTORS
from alcli.numerics.diversity.selectors import Selector as RowSelector
from alcli.numerics.gradients.combined_rows import ScaledRows, SumRows, inverse, unit_rows
from alcli.numerics.gradients.deviations import Output, Scaling, deviation_rows, output_norms, perturbations, perturbed_layers
from alcli.numerics.gradients.softmax_jacobian import SoftmaxJacobian, about_top
from alcli.numerics.logistic import log_softmax
from alcli.numerics.network import SLOPES, Network, by_blocks
from alcli.numerics.rows import Factor, Rows
from alcli.posteriors._contract import sample_noise
from alcli.selection.options import Count
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View

_MOST = 4096  # numbers a row of the hidden layer's part, which is written out
Estimator = Literal["auto", "kernel", "sampled"]
Selector = Literal["kcenter", "kmeanspp", "kdpp", "topnorm", "direction"]
BLIND = "the outputs of a linear head move with the features alone: its predictions play no part"


def _between(*, zeta: float) -> None:
    if not 1e-12 <= zeta <= 1e3:
        raise UsageError(f"parameter 'zeta' must be between 1e-12 and 1000, got {zeta}", hint="the paper's range is 1e-4 to 1e-2")


@batch(needs=["features", "network"])
def noise_stability(
    view: View, k: int, *, rng: np.random.Generator, output: Output = "softmax", selector: Selector = "kcenter",
    estimator: Estimator = "auto", samples: Count = 30, zeta: Annotated[float, _between] = 1e-3,
    scaling: Scaling = "global", perturb_bias: bool = False, norm_output: bool = False,
) -> Selection:
    """Scores: distance to 0 or the nearest pick (topnorm: to 0; kdpp: probability in its draw).

    output: what deviates; hidden needs hidden layers, a regression has its outputs only. selector: direction looks at unit deviations.
    estimator: kernel (linear heads, one hidden layer), sampled with `samples` draws of noise of relative size `zeta`, or auto.
    scaling: one direction over all weights, or one for each layer.
    """
    output = _output(view, output)
    if estimator == "auto" and selector == "kdpp" and view.n > MOST:
        estimator = "sampled"  # an exact draw needs fewer rows, or short ones
    rows = stability_rows(view, rng, output, Noise(estimator, samples, zeta, scaling, perturb_bias))
    if norm_output:
        rows = ScaledRows(rows, inverse(output_norms(_network(view), view.matrix("features"), output)))
    picks_K, scores_K = _SELECT[selector](rows, k, rng)
    return Selection(view.rows[picks_K], finite32(scores_K), notes=() if view.network().layers or output == "softmax" else (BLIND,))


@dataclass(frozen=True)
class Noise:
    """How the weights are perturbed, and the deviations looked at: options of `noise_stability`."""

    estimator: Estimator = "auto"
    samples: int = 30
    zeta: float = 1e-3
    scaling: Scaling = "global"
    bias: bool = False


def stability_rows(view: View, rng: np.random.Generator, output: Output = "softmax", noise: Noise = Noise()) -> Rows:
    """The candidates' deviations under noise, as rows. auto takes the kernel for linear heads."""
    network, X_ND, output = _network(view), view.matrix("features"), _output(view, output)
    if noise.estimator == "kernel" or (noise.estimator == "auto" and not network.layers):
        return jacobian_rows(network, X_ND, output, noise.scaling, bias=noise.bias)
    weights, seed = perturbed_layers(network, output, bias=noise.bias), int(rng.integers(2**63))
    noise_Sn = sample_noise((sum(W.size for W in weights),), noise.samples, seed=seed, first=0)
    return deviation_rows(network, X_ND, perturbations(noise_Sn, weights, noise.zeta, noise.scaling), output)


def _network(view: View) -> Network:
    """The head at the temperature of its probabilities."""
    head = view.network()
    return Network(head.layers, head.activation, head.W_CD1 / head.temperature)


def _output(view: View, output: Output) -> Output:
    """What deviates: the outputs themselves in a regression. Raises UsageError for hidden features of a linear head."""
    head = view.network()
    if output == "hidden" and not head.layers:
        raise UsageError("output=hidden needs a head with hidden layers, this one is linear", hint="use output=softmax, or --head mlp")
    return "logits" if len(head.W_CD1) == 1 and output == "softmax" else output


def _directions(rows: Rows, k: int, rng: np.random.Generator) -> tuple[Int64, Float64]:
    """k-centre on unit deviations. All are as far from 0, so 0 is no centre, but rows that do not deviate come last."""
    unit = unit_rows(rows)
    return k_center(unit, k, start_N=4.0 * unit.sq_norms)


_SELECT: Mapping[str, RowSelector] = {
    **SELECTORS,
    "kcenter": lambda rows, k, rng: k_center(rows, k, start_N=rows.sq_norms),
    "direction": _directions,
}


# -- folded ------
# The noise-stability embedding with infinitely many samples: rows of the Jacobian of a head's output by its weights, never written out.
#
# Inner products of Jacobian rows are products of factors, summed over layers (A: the softmax Jacobian, or the identity where the output
# is the logits; h: inputs of the last layer; d: slopes of the hidden layer's activation; o: 1 where biases are perturbed, else 0):
#
# - last layer <A_i, A_j> (h_i.h_j + o);
# - hidden layer <B_i, B_j> (x_i.x_j + o), with B = A W diag(d); for the logits it is sum_m |w_m|^2 d_im d_jm, w_m a column of W;
# - the hidden features themselves (d_i.d_j) (x_i.x_j + o).
#
# Source: the limit of many perturbations in Li et al. 2024, "Deep active learning with noise stability", eq. 6; closed forms ours.
# Cost of a product with one row: 2 N (D + 3 C) flops for a linear head, 2 N (D + C M) more for a hidden layer under a softmax, which
# takes N C M numbers; 2 N (D + M) otherwise. Memory: N (D + C) numbers.


def jacobian_rows(network: Network, X_ND: Floats, output: Output, scaling: Scaling = "global", *, bias: bool = False) -> Rows:
    """Rows whose inner products are those of the Jacobians, each layer's times its weight (`perturbations` says of the scaling which).

    Raises UsageError for more than one hidden layer, or one too wide for the number of classes.
    """
    C, M = network.W_CD1.shape[0], network.W_CD1.shape[1] - 1
    if len(network.layers) > 1 or (network.layers and output == "softmax" and C * M > _MOST):
        raise UsageError(f"estimator=kernel takes one hidden layer of at most {_MOST // C} units where there are {C} classes",
                         hint="use -p estimator=sampled")
    weights = [1.0] * (len(network.layers) + (output != "hidden"))
    if output == "logits":
        weights[-1] = float(C)
    if scaling == "layer":
        weights = [w * float(np.square(W).mean()) for w, W in zip(weights, perturbed_layers(network, output, bias=bias))]
    terms = _terms(network, X_ND, output, float(bias))
    return terms[0] if weights == [1.0] else SumRows(terms, weights)


def _terms(network: Network, X_ND: Floats, output: Output, offset: float) -> list[Rows]:
    copies, terms = Rows(Factor(X_ND)), []

    def signals(function: Callable[[Floats], Float64]) -> Array:
        return copies.same_for_copies(by_blocks(function, X_ND))

    if network.layers:
        terms.append(Rows(Factor(signals(lambda X_BD: _hidden_signals(network, X_BD, output))), Factor(X_ND, offset)))
    if output != "hidden":
        last = Factor(signals(lambda X_BD: network.forward(X_BD)[0][-1]) if network.layers else X_ND, offset)
        jacobian = [SoftmaxJacobian(signals(lambda X_BD: _log_probs(network, X_BD)), X_ND.dtype)] if output == "softmax" else []
        terms.append(Rows(last, *jacobian))
    return terms


def _hidden_signals(network: Network, X_BD: Floats, output: Output) -> Float64:
    """What the hidden layer's part is made of beside X: the slopes d, [B, M]; or B itself, [B, C M]."""
    inputs, before = network.forward(X_BD)
    slopes_BM, W_CM = SLOPES[network.activation](before[-1]), network.W_CD1[:, :-1]
    if output == "hidden":
        return slopes_BM
    if output == "logits":
        slopes_BM *= np.linalg.norm(W_CM, axis=0)
        return slopes_BM
    s_BC, top_B = about_top(log_softmax(network.outputs(inputs[-1])))
    W_top_BM = np.concatenate([W_CM, np.zeros((1, W_CM.shape[1]))])[top_B]
    p_BC = s_BC + (top_B[:, None] == np.arange(len(W_CM)))
    # A W = p (W - p W), where W - p W of a sure row's top class is -s W: no difference of equal numbers.
    B_BCM: Float64 = p_BC[:, :, None] * (W_CM - W_top_BM[:, None] - (s_BC @ W_CM)[:, None])
    B_BCM *= slopes_BM[:, None]
    return B_BCM.reshape(len(X_BD), -1)


def _log_probs(network: Network, X_BD: Floats) -> Float64:
    return log_softmax(network.outputs(network.forward(X_BD)[0][-1]))
