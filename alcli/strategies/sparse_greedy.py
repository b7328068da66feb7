"""A weighted batch whose gradients match the pool, row by row.

The weighted gradients of the batch sum to nearly the mean gradient of the pool. The general form takes the
expected gradient of the last layer, kept as factors; the Bayesian form takes losses under S draws of the
posterior. The vector of a group is the sum of the vectors of its rows. In the general form the expected
labels follow `label-dist`. With label-dist=temp they are the calibrated probabilities, against gradients of
the uncalibrated model: with gradients of the calibrated model, nothing would be left to approximate. A head
without a posterior serves the general form, except for label-dist=laplace.

In a regression the expected gradient is 0, so the vector of a row is its gradient at a label one standard
deviation above the mean, in units of the noise. The losses of the Bayesian form are known in closed form.

Source: Shen et al. 2022, "Batch active learning from the perspective of sparse approximation", Algorithm 1,
in its general and its Bayesian form. The factors, the label distributions other than temp, and the fall-back
are ours.
Deviations: a row is chosen by the true decrease of the objective unless tau is given. Weights stay positive
by shorter steps, not by clipping. alpha defaults to alpha-rel |v|^2 / sum of the K largest sigma^2, and beta
to beta-rel |v|^2 / K. v is the mean gradient, and sigma is E|g - E[g]| / N of each row. sigma of a group is
the root of the sum of its rows' sigma^2, as of independent labels.
Cost: per pick 2 N (D + C + K/2) flops, or 2 N D C where that is less; Bayesian 2 N S, after N S C for the
rows.
Memory: N (D + C), and 4 N K bytes up to 512 MiB; Bayesian 2 N S.
Passes: K; the Bayesian form 1.

Options:
    form: the vectors that are matched.
        gradient: the expected gradients of the last layer.
        bayesian: the expected losses under draws of the posterior.
    label-dist: distribution of the expected labels.
        temp: the calibrated probabilities; where the temperature of the head is near 1, laplace, or mix
            without a posterior.
        laplace: the probabilities averaged over the posterior.
        pseudo: the predicted class.
        mix: calibrated and uniform probabilities.
    eps: share of the uniform probabilities in mixed labels.
    alpha: weight of the variance of the gradients; none follows from alpha-rel.
    beta: weight of the pull of the batch's weights to 1; none follows from beta-rel.
    alpha-rel: relative alpha, in units of |v|^2 / sum of the K largest sigma^2.
    beta-rel: relative beta, in units of |v|^2 / K.
    tau: weight of the gradient in the paper's rule for choosing a row; none chooses by the true decrease of
        the objective.
    preset: settings of the paper, for its alpha, beta and draws (Tables 4 and 5).
        none: the defaults.
        general-mnist: form=gradient as on MNIST.
        general-svhn: form=gradient as on SVHN.
        general-cifar-10: form=gradient as on CIFAR-10.
        bayesian-fmnist: form=bayesian as on Fashion-MNIST.
        bayesian-cifar-10: form=bayesian as on CIFAR-10.
        bayesian-cifar-100: form=bayesian as on CIFAR-100.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np

from alcli.arrays import Array, Float32, Float64
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.gradients.expected_losses import expected_and_spread
from alcli.numerics.gradients.gradient_rows import GradientRows, expected_distance
from alcli.numerics.gradients.number_rows import loss_rows, loss_spread, step_rows, step_spread
from alcli.numerics.gradients.sparse.approximation import Batch, greedy, largest
from alcli.numerics.gradients.sparse.problem import SparseProblem, pose
from alcli.numerics.last_layer.temperature import temperature_between
from alcli.selection.conditions import given, where
from alcli.selection.options import not_negative, share
from alcli.selection.order import finite32
from alcli.selection.parts import Parts
from alcli.selection.presets import Presets
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View

Kind: TypeAlias = Literal["gradient", "bayesian"]
LabelDist: TypeAlias = Literal["temp", "laplace", "pseudo", "mix"]
# The least weight, as a share of the mean weight: a chosen row without weight still gets a label, and labels
# need a positive weight.
LEAST_WEIGHT = 0.01
# Temperatures that differ by less from 1 count as 1.
_UNCALIBRATED = 0.02
_NEAR_ONE = (
    f"the head's temperature is within {_UNCALIBRATED} of 1, so label-dist temp would expect next to no gradient"
)
_TOOK_LAPLACE = f"{_NEAR_ONE}; took laplace, the probabilities averaged over the posterior"
_TOOK_MIX = f"{_NEAR_ONE}; took mix, calibrated and uniform probabilities, as the head has no posterior"

# Tables 4 and 5 of the paper. Squares of its losses under S draws are S times those here, and so is its beta.
PRESETS = Presets(
    {
        "general-mnist": {"form": "gradient", "label_dist": "temp", "alpha": 1e-8, "beta": 0.1},
        "general-svhn": {"form": "gradient", "label_dist": "temp", "alpha": 0.1, "beta": 0.1},
        "general-cifar-10": {"form": "gradient", "label_dist": "temp", "alpha": 0.01, "beta": 0.1},
        "bayesian-fmnist": {"form": "bayesian", "samples": 100, "alpha": 2.0, "beta": 0.5 / 100},
        "bayesian-cifar-10": {"form": "bayesian", "samples": 2000, "alpha": 2.0, "beta": 1.0 / 2000},
        "bayesian-cifar-100": {"form": "bayesian", "samples": 2000, "alpha": 1.0, "beta": 0.5 / 2000},
    }
)

# The conditions of the options
GRADIENT = given(form="gradient")
MIXED = GRADIENT & (
    given(label_dist="mix")
    | where(
        "with label-dist=temp of a head that is neither calibrated nor has a posterior",
        lambda now: now.options["label_dist"] == "temp" and not now.view.has_posterior,
        "label_dist",
    )
)
VARIED = given(form="bayesian") | given(label_dist=("temp", "laplace", "mix"))


@batch(needs=["hidden", "hidden_sq_norm", "label_variance", "network"], needs_with={"form=bayesian": ["output_root"]})
def of_numbers(
    view: View,
    k: int,
    *,
    form: Kind = "gradient",
    alpha: Annotated[float | None, not_negative] = None,
    beta: Annotated[float | None, not_negative] = None,
    alpha_rel: Annotated[float, not_negative, given(alpha=None)] = 1.0,
    beta_rel: Annotated[float, not_negative, given(beta=None)] = 0.01,
    tau: Annotated[float | None, not_negative] = None,
) -> Selection:
    """Pick k rows one by one, of numbers."""
    found = expected_rows_of_numbers(view, form)
    problem = pose(found.rows, found.sigma_N, k, alpha=alpha, beta=beta, alpha_rel=alpha_rel, beta_rel=beta_rel)
    if problem is None:
        return most_spread(view, k, found)
    return selected(view, found, problem, greedy(problem, k, tau=tau))


@batch(
    needs=["hidden", "hidden_sq_norm", "trained_log_probs", "log_probs", "predictive"],
    needs_with={"form=bayesian": ["sample_log_probs"], "label-dist=laplace": ["posterior"]},
    samples=100,
    numbers=of_numbers,
)
def sparse_greedy(
    view: View,
    k: int,
    *,
    form: Kind = "gradient",
    label_dist: Annotated[LabelDist, GRADIENT] = "temp",
    eps: Annotated[float, share, MIXED] = 0.1,
    alpha: Annotated[float | None, not_negative, VARIED] = None,
    beta: Annotated[float | None, not_negative] = None,
    alpha_rel: Annotated[float, not_negative, given(alpha=None) & VARIED] = 1.0,
    beta_rel: Annotated[float, not_negative, given(beta=None)] = 0.01,
    tau: Annotated[float | None, not_negative] = None,
    preset: Annotated[str, PRESETS] = "none",
) -> Selection:
    """Pick k rows one by one.

    Scores: the decrease of the objective when picked, in units of |v|^2. Weights: the weights of the
    gradients in the sum, with mean 1.
    """
    found = expected_rows(view, form, label_dist, eps)
    problem = pose(found.rows, found.sigma_N, k, alpha=alpha, beta=beta, alpha_rel=alpha_rel, beta_rel=beta_rel)
    if problem is None:
        return most_spread(view, k, found)
    return selected(view, found, problem, greedy(problem, k, tau=tau))


@dataclass(frozen=True)
class Expected:
    """The effect of each candidate on the head, as a row.

    rows: E[g_j] of each candidate j. sigma_N: E|g_j - E[g_j]| / N, in the units of the last layer's inputs.
    notes: remarks for the user.
    """

    rows: GradientRows
    sigma_N: Float64
    notes: tuple[str, ...] = ()


def expected_rows(view: View, kind: Kind, label_dist: LabelDist, eps: float) -> Expected:
    """The rows of a form.

    The Bayesian form reads samples of the posterior, the general form reads probabilities and the inputs of
    the last layer.
    """
    if kind == "bayesian":
        return _likelihood_rows(view)
    parts = Parts.of(view)
    trained_RC = parts.view.matrix("trained_log_probs")
    labels_RC, notes = _label_log_probs(parts.view, trained_RC, label_dist, eps)
    residuals_RC = np.empty_like(trained_RC)
    expected_R = np.empty(len(trained_RC))
    for i in range(0, len(trained_RC), BLOCK_ROWS):
        block = slice(i, i + BLOCK_ROWS)
        residuals_RC[block] = np.exp(trained_RC[block], dtype=np.float64) - np.exp(labels_RC[block], dtype=np.float64)
        expected_R[block] = expected_distance(labels_RC[block])
    distances_R = np.sqrt(parts.view.matrix("hidden_sq_norm") + 1.0) * expected_R
    rows = parts.summed_gradients(GradientRows(residuals_RC, parts.view.matrix("hidden")))
    return Expected(rows, spread(parts, distances_R), notes)


def expected_rows_of_numbers(view: View, kind: Kind) -> Expected:
    """The rows of a form where labels are numbers, in closed form."""
    parts, noise = Parts.of(view), float(view.network().noise_variance)
    if kind == "bayesian":
        root_RQ = parts.view.matrix("output_root")
        return Expected(parts.summed_gradients(loss_rows(root_RQ, noise)), spread(parts, loss_spread(root_RQ, noise)))
    variance_R = parts.view.matrix("label_variance")
    distances_R = step_spread(variance_R, parts.view.matrix("hidden_sq_norm"), noise)
    rows = step_rows(variance_R, parts.view.matrix("hidden"), noise)
    return Expected(parts.summed_gradients(rows), spread(parts, distances_R))


def spread(parts: Parts, distances_R: Float64) -> Float64:
    """sigma_N from E|g - E[g]| of each row: the labels of rows are independent, so their squares add up."""
    return np.sqrt(parts.sums(distances_R**2)) / len(parts.starts_N)


def _label_log_probs(view: View, trained_NC: Array, label_dist: LabelDist, eps: float) -> tuple[Array, tuple[str, ...]]:
    """Return (log P of the expected labels, [N, C]; notes)."""
    if label_dist == "pseudo":
        one_hot_NC = np.full_like(trained_NC, -np.inf)
        one_hot_NC[np.arange(view.n), trained_NC.argmax(axis=1)] = 0.0
        return one_hot_NC, ()
    if label_dist == "laplace":
        return view.matrix("predictive"), ()
    calibrated_NC = view.matrix("log_probs")
    if label_dist == "mix":
        return _mixed(calibrated_NC, eps), ()
    if abs(temperature_between(trained_NC, calibrated_NC) - 1.0) >= _UNCALIBRATED:
        return calibrated_NC, ()
    if view.has_posterior:
        return view.matrix("predictive"), (_TOOK_LAPLACE,)
    return _mixed(calibrated_NC, eps), (_TOOK_MIX,)


def _mixed(log_probs_NC: Array, eps: float) -> Array:
    """Logs of probabilities that are mixed with the uniform ones, which have the share eps."""
    mixed_NC = np.logaddexp(np.log1p(-eps) + log_probs_NC, np.log(eps / log_probs_NC.shape[1]))
    return mixed_NC.astype(log_probs_NC.dtype)


def _likelihood_rows(view: View) -> Expected:
    """The rows of the Bayesian form."""
    parts = Parts.of(view)
    found_R = parts.view.reduced(expected_and_spread, "sample_log_probs")
    rows = GradientRows(parts.sums(np.ascontiguousarray(found_R[:, 1:])))
    return Expected(rows, spread(parts, found_R[:, 0].astype(np.float64)))


def selected(view: View, found: Expected, problem: SparseProblem, batch: Batch) -> Selection:
    """Turn the solution of a sparse approximation into a selection.

    weights_K: the weights of the solution, with mean 1 (`importance`). record: alpha and beta in the units of
    the pool, and the mean weight of the solution.
    """
    return Selection(
        view.rows[batch.picks_K],
        finite32(batch.scores_K),
        importance(batch.weights_K),
        notes=found.notes,
        record={"alpha": problem.alpha, "beta": problem.raw_beta, "mean-weight": float(batch.weights_K.mean())},
    )


def most_spread(view: View, k: int, found: Expected) -> Selection:
    """Pick the k rows of largest sigma, where the rows have mean 0 and there is nothing to approximate.

    Scores: N sigma. Weights: 1.
    """
    lengths_N = view.n * found.sigma_N
    picks_K = largest(lengths_N, k)
    note = (
        "the expected gradients have mean 0, so there is nothing to approximate: "
        "took the largest expected gradient lengths"
    )
    return Selection(
        view.rows[picks_K], finite32(lengths_N[picks_K]), np.ones(k, np.float32), notes=(*found.notes, note)
    )


def importance(weights_K: Float64) -> Float32:
    """Scale weights for `fit-head`: positive with mean 1, so that K labels count as K. All are 1 where all were 0."""
    mean = float(weights_K.mean())
    if not mean > 0.0:
        return np.ones(len(weights_K), np.float32)
    relative_K = np.maximum(weights_K / mean, LEAST_WEIGHT)
    return (relative_K / relative_K.mean()).astype(np.float32)
