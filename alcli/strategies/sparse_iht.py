"""A batch whose weighted gradients sum to the pool's mean gradient, all rows at once by hard thresholding.

Source: Shen et al. 2022, "Batch active learning from the perspective of sparse approximation", Algorithm 2; forms, label-dist, alpha
and beta as in sparse-greedy. Accelerated proximal steps; the best iterate is returned, since the objective may rise between them.
Deviations: the proximal rule keeps the K largest of max(s, 0)^2 / 2 + alpha sigma^2; the printed one, the K smallest of
max(-s, 0)^2 / 2 - alpha sigma^2, leaves out what excluded entries cost and is not the minimum. Weights stay positive by shorter steps.
Cost: per iteration two products of 2 N D C flops and 8 K D C; Bayesian 4 N S.
Memory: N (D + C); Bayesian 2 N S.
Passes: 2 per iteration; the Bayesian form 1.
"""

from __future__ import annotations

from typing import Annotated

from alcli.numerics.gradients.sparse_approximation import iht
from alcli.numerics.gradients.sparse_problem import pose
from alcli.selection.options import Count, share
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.sparse_greedy import Kind, LabelDist, expected_rows, most_spread, not_negative, selected


@batch(needs=["hidden", "hidden_sq_norm", "trained_log_probs", "log_probs", "predictive", "sample_log_probs"], samples=100)
def sparse_iht(
    view: View, k: int, *, form: Kind = "gradient", label_dist: LabelDist = "temp", eps: Annotated[float, share] = 0.1,
    alpha: Annotated[float | None, not_negative] = None, beta: Annotated[float | None, not_negative] = None,
    alpha_rel: Annotated[float, not_negative] = 1.0, beta_rel: Annotated[float, not_negative] = 0.01,
    iterations: Count = 100, tol: Annotated[float, not_negative] = 1e-5, prox_scaled: bool = False,
) -> Selection:
    """Scores: max(s, 0)^2 / 2 + alpha sigma^2 at the best iterate. Weights: of the gradients that are to be matched, mean 1.

    tol: stop when the objective changes by less. prox-scaled: take alpha times the length of the step, so that units do not matter.
    """
    found = expected_rows(view, form, label_dist, eps)
    problem = pose(found.rows, found.sigma_N, k, alpha=alpha, beta=beta, alpha_rel=alpha_rel, beta_rel=beta_rel)
    if problem is None:
        return most_spread(view, k, found)
    return selected(view, found, problem, iht(problem, k, iterations=iterations, tol=tol, prox_scaled=prox_scaled))
