"""Rows whose predictions move most under noise in the weights.

The deviations of a row's output under many perturbations of the weights make a vector. Greedy k-centre picks
rows by these vectors: the point 0 is the first centre, and labelled rows are no centres. So picked rows move
much, and in different ways. Only the head is perturbed, because the backbone is not available.

Inner products of the vectors of infinitely many perturbations are inner products of rows of the Jacobian of
the output by the weights. For a linear head they are known, (h_i.h_j) <A_i, A_j> with A = diag(p) - p p^T, so
no noise is drawn; p are the probabilities that training saw, without later calibration. A linear regression
deviates by its features alone, h_i.h_j, and the method is k-centre on the features. In general they are sums
over layers of products of factors, never written out:

- last layer: <A_i, A_j> (h_i.h_j + o);
- hidden layer: <B_i, B_j> (x_i.x_j + o), with B = A W diag(d); for the logits sum_m |w_m|^2 d_im d_jm
  (x_i.x_j + o), w_m a column of W;
- the hidden features themselves: (d_i.d_j) (x_i.x_j + o).

Here A is the softmax Jacobian, or the identity where the output is the logits; x are the features, h the M
inputs of the last layer, W its weights, d the slopes of the hidden layer's activation; o is 1 where biases
are perturbed, else 0. The deviation of a group is the sum of the deviations of its rows.

Source: Li, Yang, Gu, Zhan, Wang, Xu & Xu 2024, "Deep active learning with noise stability", eq. 1-2 and 6;
the limit of many perturbations and its closed forms are ours. As in the published code, biases are perturbed
only when asked for. The code also divides by the norm of the prediction (norm-output) and scales noise by
layer.
Cost: kernel 2 N (D + 3 C) flops for each column asked for, in practice a fraction of K columns
(`numerics/diversity/columns.py`), and N (D + C) numbers. A hidden layer adds 2 N (D + C M) flops and N C M
numbers under a softmax, otherwise 2 N (D + M) flops. sampled: one pass of 2 N D C flops for each of S
samples, and N S C numbers.
Passes: 1.

Options:
    output: the output whose deviations are looked at.
        softmax: the probabilities (in a regression the outputs).
        hidden: the inputs of the last layer of a head with hidden layers.
        logits: the numbers before the softmax.
    selector: choice among the deviations.
        kcenter: greedy k-centre from 0.
        kmeanspp: draws by squared distance.
        kdpp: draws by determinant.
        topnorm: the longest.
        direction: k-centre on deviations of length 1.
    estimator: source of the deviations.
        auto: the closed form for linear heads, else noise.
        kernel: the closed form, for linear heads or one hidden layer.
        sampled: draws of noise.
    samples: number of draws of noise.
    zeta: length of the noise relative to the length of the weights.
    scaling: directions of the noise.
        global: one direction over all weights.
        layer: one direction for each layer.
    perturb-bias: perturb the biases too, if true.
    norm-output: divide each row's deviations by the norm of its output, if true; a group's by the norm of the
        outputs of its rows side by side.
    preset: published settings.
        none: the defaults.
        paper: 30 draws of noise of length 1e-3 (estimator=sampled).
        code: the same with scaling=layer and norm-output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.errors import UsageError
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.diversity.kdpp import MOST
from alcli.numerics.diversity.selectors import SELECTORS
from alcli.numerics.diversity.selectors import Selector as RowSelector
from alcli.numerics.factors import Factor
from alcli.numerics.gradients.combined_rows import ScaledRows, inverse, unit_rows
from alcli.numerics.gradients.deviations import (
    Output,
    Scaling,
    output_norms,
    perturbations,
    perturbed_layers,
    scaled_deviations,
)
from alcli.numerics.gradients.jacobian_rows import jacobian_rows
from alcli.numerics.logistic import softmax
from alcli.numerics.network import Network
from alcli.numerics.rows import Rows
from alcli.posteriors._contract import sample_noise
from alcli.selection.conditions import given, where
from alcli.selection.options import Count
from alcli.selection.order import finite32
from alcli.selection.parts import Parts
from alcli.selection.presets import Presets
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View

_SAMPLED = {"estimator": "sampled", "samples": 30, "zeta": 1e-3, "output": "softmax", "selector": "kcenter"}
PRESETS = Presets({"paper": _SAMPLED, "code": {**_SAMPLED, "scaling": "layer", "norm_output": True}})
Estimator = Literal["auto", "kernel", "sampled"]
Selector = Literal["kcenter", "kmeanspp", "kdpp", "topnorm", "direction"]
# Options of the noise that the closed form, the limit of many small perturbations, does not draw.
DRAWN = given(estimator="sampled") | where(
    "with estimator=auto where the head has hidden layers, or selector=kdpp too many candidates to draw from exactly",
    lambda now: now.options["estimator"] == "auto" and _draws(now.view, now.options["selector"]),
    "estimator",
    "selector",
)
BLIND = "the outputs of a linear head move with the features alone: its predictions play no part"
TOO_MANY = (
    f"selector=kdpp draws exactly from at most {MOST:,} rows of the closed form, and there are {{:,}}: "
    f"estimator=auto drew noise (--candidates {MOST} chooses among fewer)"
)
SPREAD_OUT = (
    "for {:.0%} of the candidates no class has half of the probability; such rows move little, so selector={} takes "
    "them last; selector=kmeanspp draws some of them"
)
# Rows whose predictions are looked at for the note, and the share of them from which on there is one.
_LOOKED, _SHARE = 1000, 0.25


@batch(needs=["features", "network"])
def noise_stability(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    output: Output = "softmax",
    selector: Selector = "kcenter",
    estimator: Estimator = "auto",
    samples: Annotated[Count, DRAWN] = 30,
    zeta: Annotated[float, _between, DRAWN] = 1e-3,
    scaling: Scaling = "global",
    perturb_bias: bool = False,
    norm_output: bool = False,
    preset: Annotated[str, PRESETS] = "none",
) -> Selection:
    """Pick k rows of large and different deviations.

    Scores: the distance to 0 or to the nearest pick (topnorm: to 0; kdpp: the probability of the row in its
    draw). Raises UsageError for output=hidden of a linear head, and for a head that the closed form does not
    cover.
    """
    output = _output(view, output)
    notes: tuple[str, ...] = () if view.network().layers or output == "softmax" else (BLIND,)
    if estimator == "auto" and _draws(view, selector):
        estimator = "sampled"
        if not view.network().layers:
            notes += (TOO_MANY.format(view.n),)
    if output == "softmax" and selector in ("kcenter", "topnorm") and (share := _spread_out(view)) > _SHARE:
        notes += (SPREAD_OUT.format(share, selector),)
    rows = stability_rows(view, rng, output, Noise(estimator, samples, zeta, scaling, perturb_bias))
    if norm_output:
        rows = ScaledRows(rows, inverse(_norms(view, output)))
    picks_K, scores_K = _SELECT[selector](rows, k, rng)
    return Selection(view.rows[picks_K], finite32(scores_K), notes=notes)


def _draws(view: View, selector: Selector) -> bool:
    """True where estimator=auto draws noise. An exact draw by determinant needs fewer rows, or short vectors."""
    return bool(view.network().layers) or (selector == "kdpp" and view.n > MOST)


def _spread_out(view: View) -> float:
    """The share of the rows, of some of them, for which no class has half of the probability."""
    X_RD = Parts.of(view).view.matrix("features")
    some = np.unique(np.linspace(0, len(X_RD) - 1, _LOOKED).astype(np.int64))
    network = _network(view)
    last_inputs = network.forward(X_RD[some])[0][-1]
    return float((softmax(network.outputs(last_inputs)).max(axis=1) < 0.5).mean())


def _between(*, zeta: float) -> None:
    """Raise UsageError for a relative length of the noise that is too small or too large."""
    if not 1e-12 <= zeta <= 1e3:
        raise UsageError(
            f"parameter 'zeta' must be between 1e-12 and 1000, got {zeta}", hint="the paper's range is 1e-4 to 1e-2"
        )


@dataclass(frozen=True)
class Noise:
    """The perturbation of the weights: options of `noise_stability`. bias: perturb-bias."""

    estimator: Estimator = "auto"
    samples: int = 30
    zeta: float = 1e-3
    scaling: Scaling = "global"
    bias: bool = False


def stability_rows(view: View, rng: np.random.Generator, output: Output = "softmax", noise: Noise = Noise()) -> Rows:
    """The deviations of the candidates under noise, as rows. estimator=auto takes the kernel for linear heads."""
    parts, network, output = Parts.of(view), _network(view), _output(view, output)
    X_RD = parts.view.matrix("features")
    if noise.estimator == "kernel" or (noise.estimator == "auto" and not network.layers):
        return parts.summed(jacobian_rows(network, X_RD, output, noise.scaling, bias=noise.bias))
    weights, seed = perturbed_layers(network, output, bias=noise.bias), int(rng.integers(2**63))
    noise_Sn = sample_noise((sum(W.size for W in weights),), noise.samples, seed=seed, first=0)
    perturbed = perturbations(noise_Sn, weights, noise.zeta, noise.scaling)
    return Rows(Factor(parts.sums_of(lambda X_BD: scaled_deviations(network, X_BD, perturbed, output), X_RD)))


def _norms(view: View, output: Output) -> Float64:
    """The norm of each candidate's output, float64 [N]; the outputs of a group's rows stand side by side."""
    parts = Parts.of(view)
    return np.sqrt(parts.sums(output_norms(_network(view), parts.view.matrix("features"), output) ** 2))


def _network(view: View) -> Network:
    """The head at the temperature of its probabilities."""
    head = view.network()
    return Network(head.layers, head.activation, head.W_CD1 / head.temperature)


def _output(view: View, output: Output) -> Output:
    """The output that deviates: in a regression the outputs themselves in place of a softmax.

    Raises UsageError for hidden features of a linear head.
    """
    head = view.network()
    if output == "hidden" and not head.layers:
        raise UsageError(
            "output=hidden needs a head with hidden layers, this one is linear",
            hint="use output=softmax, or --head mlp",
        )
    return "logits" if len(head.W_CD1) == 1 and output == "softmax" else output


def _directions(rows: Rows, k: int, rng: np.random.Generator) -> tuple[Int64, Float64]:
    """Pick by k-centre on unit deviations.

    All unit deviations are equally far from 0, so 0 is no centre; rows that do not deviate come last.
    """
    unit = unit_rows(rows)
    return k_center(unit, k, start_N=4.0 * unit.sq_norms)


_SELECT: Mapping[str, RowSelector] = {
    **SELECTORS,
    "kcenter": lambda rows, k, rng: k_center(rows, k, start_N=rows.sq_norms),
    "direction": _directions,
}
