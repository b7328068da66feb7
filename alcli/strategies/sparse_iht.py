"""A weighted batch whose gradients match the pool, all at once.

The problem is that of `sparse-greedy`. All rows are chosen together by iterative hard thresholding with
accelerated proximal steps. The best iterate is returned, because the objective may rise between iterates.

Source: Shen et al. 2022, "Batch active learning from the perspective of sparse approximation", Algorithm 2;
forms, label-dist, alpha and beta as in sparse-greedy.
Deviations: the proximal rule keeps the K largest of max(s, 0)^2 / 2 + alpha sigma^2, where s is the point
after the gradient step. The printed rule, the K smallest of max(-s, 0)^2 / 2 - alpha sigma^2, forgets the
cost of excluded entries and is not the minimum. Weights stay positive by shorter steps.
Cost: per iteration two products of 2 N D C flops and 8 K D C; Bayesian 4 N S.
Memory: N (D + C); Bayesian 2 N S.
Passes: 2 per iteration; the Bayesian form 1.

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
    iterations: the most iterations.
    tol: change of the objective below which the iterations stop.
    prox-scaled: multiply alpha by the length of the gradient step, if true, so that units do not matter.
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

from typing import Annotated

from alcli.numerics.gradients.sparse.approximation import iht
from alcli.numerics.gradients.sparse.problem import pose
from alcli.selection.conditions import given, where
from alcli.selection.options import Count, not_negative, share
from alcli.selection.presets import Presets
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.sparse_greedy import (
    GRADIENT,
    MIXED,
    VARIED,
    Kind,
    LabelDist,
    expected_rows,
    expected_rows_of_numbers,
    most_spread,
    selected,
)

# Tables 4 and 5 of the paper. Squares of its losses under S draws are S times those here, and so is its beta.
PRESETS = Presets(
    {
        "general-mnist": {"form": "gradient", "label_dist": "temp", "alpha": 1e-8, "beta": 1e-4},
        "general-svhn": {"form": "gradient", "label_dist": "temp", "alpha": 1e-8, "beta": 1e-4},
        "general-cifar-10": {"form": "gradient", "label_dist": "temp", "alpha": 1e-8, "beta": 1e-6},
        "bayesian-fmnist": {"form": "bayesian", "samples": 100, "alpha": 1.0, "beta": 1e-3 / 100},
        "bayesian-cifar-10": {"form": "bayesian", "samples": 2000, "alpha": 1.0, "beta": 1e-6 / 2000},
        "bayesian-cifar-100": {"form": "bayesian", "samples": 2000, "alpha": 1.0, "beta": 1e-6 / 2000},
    }
)
_SCALED = where(
    "with alpha above 0, or none and alpha-rel above 0",
    lambda now: bool(now.options["alpha_rel"] if now.options["alpha"] is None else now.options["alpha"]),
    "alpha",
    "alpha_rel",
)


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
    iterations: Count = 100,
    tol: Annotated[float, not_negative] = 1e-5,
    prox_scaled: Annotated[bool, _SCALED] = False,
) -> Selection:
    """Pick k rows together, of numbers."""
    found = expected_rows_of_numbers(view, form)
    problem = pose(found.rows, found.sigma_N, k, alpha=alpha, beta=beta, alpha_rel=alpha_rel, beta_rel=beta_rel)
    if problem is None:
        return most_spread(view, k, found)
    return selected(view, found, problem, iht(problem, k, iterations=iterations, tol=tol, prox_scaled=prox_scaled))


@batch(
    needs=["hidden", "hidden_sq_norm", "trained_log_probs", "log_probs", "predictive"],
    needs_with={"form=bayesian": ["sample_log_probs"], "label-dist=laplace": ["posterior"]},
    samples=100,
    numbers=of_numbers,
)
def sparse_iht(
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
    iterations: Count = 100,
    tol: Annotated[float, not_negative] = 1e-5,
    prox_scaled: Annotated[bool, _SCALED & VARIED] = False,
    preset: Annotated[str, PRESETS] = "none",
) -> Selection:
    """Pick k rows together.

    Scores: max(s, 0)^2 / 2 + alpha sigma^2 at the best iterate. Weights: the weights of the gradients in the
    sum, with mean 1.
    """
    found = expected_rows(view, form, label_dist, eps)
    problem = pose(found.rows, found.sigma_N, k, alpha=alpha, beta=beta, alpha_rel=alpha_rel, beta_rel=beta_rel)
    if problem is None:
        return most_spread(view, k, found)
    return selected(view, found, problem, iht(problem, k, iterations=iterations, tol=tol, prox_scaled=prox_scaled))
