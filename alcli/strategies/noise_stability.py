"""Rows whose predictions move most, and in different ways, when the head's weights are perturbed by noise.

Greedy k-centre on the deviations, the point 0 as the first centre, labelled rows none. Only the head is perturbed: the backbone is
not at hand. For a linear head the Gram matrix of infinitely many deviations is known, (h_i.h_j) <A_i, A_j> with A = diag(p) - p p',
so no noise is drawn; p are the probabilities that training saw, without later calibration. A linear regression deviates by its
features alone, h_i.h_j, and this is k-centre on them.

Source: Li, Yang, Gu, Zhan, Wang, Xu & Xu 2024, "Deep active learning with noise stability", eq. 1-2 and 6. Biases are perturbed when
asked only, as in the published code, which also divides by the norm of the prediction (norm-output) and scales noise by layer.
Cost: kernel 2 N (D + 3 C) flops for each column asked for, in practice a fraction of k (`numerics/columns.py`), and N (D + C) numbers;
sampled one pass of 2 N D C flops for each of S samples, and N S C numbers.
Passes: 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.errors import UsageError
from alcli.numerics.combined_rows import ScaledRows, inverse, unit_rows
from alcli.numerics.deviations import Output, Scaling, deviation_rows, output_norms, perturbations, perturbed_layers
from alcli.numerics.kcenter import k_center
from alcli.numerics.kdpp import MOST
from alcli.numerics.network import Network
from alcli.numerics.noise_kernel import jacobian_rows
from alcli.numerics.rows import Rows
from alcli.numerics.selectors import SELECTORS
from alcli.numerics.selectors import Selector as RowSelector
from alcli.posteriors._contract import sample_noise
from alcli.strategies._checks import Count
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._view import View

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
