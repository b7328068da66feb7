"""A batch whose weighted gradients sum to the pool's mean gradient, one row at a time.

Source: Shen et al. 2022, "Batch active learning from the perspective of sparse approximation", Algorithm 1, in its general form (the
expected gradient of the last layer, kept as factors) and its Bayesian form (losses under draws of the posterior).
Expected labels follow label-dist: temp, the calibrated probabilities (against gradients of the uncalibrated model, or nothing is
left to approximate); laplace, averaged over the posterior; pseudo, the predicted class; mix, calibrated and uniform.
Deviations: a row is chosen by the true decrease of the objective unless tau is given; weights stay positive by shorter steps, not by
clipping; alpha and beta default to alpha-rel |v|^2 / sum of the K largest sigma^2 and beta-rel |v|^2 / K.
Cost: per pick 2 N (D + C + K/2) flops, or 2 N D C where that is less; Bayesian 2 N S, after N S C for the rows.
Memory: N (D + C), and 4 N K bytes up to 512 MiB; Bayesian 2 N S.
Passes: K; the Bayesian form 1.
"""

from __future__ import annotations

from typing import Annotated

from alcli.numerics.sparse_approximation import greedy
from alcli.numerics.sparse_problem import pose
from alcli.strategies._checks import share
from alcli.strategies._contract import Selection, batch
from alcli.strategies._gradients import Kind, LabelDist, expected_rows, not_negative
from alcli.strategies._sparse import most_spread, selected
from alcli.strategies._view import View


@batch(needs=["hidden", "hidden_sq_norm", "trained_log_probs", "log_probs", "predictive", "sample_log_probs"], samples=100)
def sparse_greedy(
    view: View, k: int, *, form: Kind = "gradient", label_dist: LabelDist = "temp", eps: Annotated[float, share] = 0.1,
    alpha: Annotated[float | None, not_negative] = None, beta: Annotated[float | None, not_negative] = None,
    alpha_rel: Annotated[float, not_negative] = 1.0, beta_rel: Annotated[float, not_negative] = 0.01,
    tau: Annotated[float | None, not_negative] = None,
) -> Selection:
    """Scores: the decrease of the objective when picked, in units of |v|^2. Weights: of the gradients that are to be matched, mean 1.

    eps: the uniform share of mix. alpha weighs the variance, beta pulls weights to 1. tau: the paper's rule with this number.
    """
    found = expected_rows(view, form, label_dist, eps)
    problem = pose(found.rows, found.sigma_N, k, alpha=alpha, beta=beta, alpha_rel=alpha_rel, beta_rel=beta_rel)
    if problem is None:
        return most_spread(view, k, found)
    return selected(view, found, problem, greedy(problem, k, tau=tau))
