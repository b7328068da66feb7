"""The mean-field variational posterior of a last layer: the nearest Gaussian q with independent weights.

Under a softmax, q minimises E_q[summed cross-entropy + 1/2 |W - W_0|^2_P] - temperature entropy(q), with the prior
N(W_0, 1 / P) of prior.py. At
temperature 1 this is minus the evidence lower bound. Since weights are independent, the logits of a row are independent
Gaussians. So expectations are taken over logits (local reparametrisation). They use fixed sample points, so the
objective is one deterministic function. At its optimum
    gradient of the mean:  sum_n weight_n (E p_n - target_n) phi_n^T + P (mean - W_0) = 0,
    precision_cd         = (P_d + sum_n weight_n E[p_nc (1 - p_nc)] phi_nd^2) / temperature.
The second equation follows from Price's theorem: twice the derivative with respect to the variance is the expected
curvature.
The mean takes Newton steps with a line search. Their curvature is diag(E p) - E p E p^T, an upper bound on the true
curvature. The log precision moves by the residual of the second equation (a natural-gradient step), and the step is
halved whenever the residual grew. There is neither a learning rate nor a noisy gradient. The fit stops when both
equations hold within the tolerance.
R: dimensions of the rotated rows.
Source: Kingma, Salimans & Welling, Variational Dropout and the Local Reparameterization Trick, NeurIPS 2015, section
2.2; Opper & Archambeau, The Variational Gaussian Approximation Revisited, Neural Computation 2009; Khan & Lin,
Conjugate-Computation Variational Inference, AISTATS 2017.
Cost of a step: 2 S n C exponentials, 4 n D1 C multiply-adds and the conjugate gradients of softmax_map.py. There are 20
steps where the temperature is small, and about 200 with a weak prior.
Memory: S B C floats for B sets of sample points, 8 n C and 6 C D1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64
from alcli.errors import DataError
from alcli.numerics.last_layer.prior import bias_column, prior_diagonal
from alcli.numerics.last_layer.rotated import Rotated, rotate
from alcli.numerics.last_layer.softmax_map import newton_direction

MAX_STEPS = 500
TOLERANCE = 1e-5
# Relative residual of the Newton direction.
FORCING = 0.1
# The shortest step of the line search, as a fraction of the Newton direction.
SHORTEST = 2.0**-10
# The shortest step of the log precision, as a fraction of the residual.
SMALLEST_DAMPING = 2.0**-4


@dataclass(frozen=True)
class Nodes:
    """Sample points for expectations: standard normal values [S, B, C], with weights [S] that sum to 1.

    Row n uses the point set n mod B.
    """

    values_SBC: Float64
    weights_S: Float64

    @classmethod
    def drawn(cls, rng: np.random.Generator, pairs: int, rows: int, C: int) -> Nodes:
        """Draw `pairs` normal points for each of `rows` sets, each with its negative, so that odd moments are exact."""
        half = rng.standard_normal((pairs, rows, C))
        return cls(np.concatenate([half, -half]), np.full(2 * pairs, 0.5 / pairs))


@dataclass(frozen=True)
class Moments:
    """Expectations of each row over z ~ N(mean_LC, spread_LC^2).

    log_sum_L: E[logsumexp z]. probs_LC: E[softmax z]. curvatures_LC: E[p (1 - p)] with p = softmax z.
    """

    mean_LC: Float64
    spread_LC: Float64
    log_sum_L: Float64
    probs_LC: Float64
    curvatures_LC: Float64


@dataclass(frozen=True)
class _OfMean:
    """The objective as a function of the mean of q, in the coordinates of `rows`."""

    rows: Rotated
    targets_LC: Float64
    prior_precision: float
    anchor_CR: Float64
    nodes: Nodes

    def gradient(self, mean_CR: Float64, now: Moments) -> Float64:
        """The gradient with respect to the mean, [C, R]. now: the moments at the mean."""
        residual_LC = (now.probs_LC - self.targets_LC) * self.rows.weights_L[:, None]
        return residual_LC.T @ self.rows.Z_LR + self.prior_precision * (mean_CR - self.anchor_CR)

    def step(self, mean_CR: Float64, now: Moments, gradient_CR: Float64) -> Float64:
        """A Newton step, halved until the Armijo condition (1e-4) holds, but not below `SHORTEST`; [C, R]."""
        direction_CR = newton_direction(self.rows, now.probs_LC, gradient_CR, self.prior_precision, FORCING)
        weights_L, change_LC = self.rows.weights_L, self.rows.Z_LR @ direction_CR.T
        slope = float(np.vdot(gradient_CR, direction_CR))
        linear = self.prior_precision * float(np.vdot(mean_CR - self.anchor_CR, direction_CR))
        linear -= float(weights_L @ (self.targets_LC * change_LC).sum(axis=1))
        square = self.prior_precision * float(np.vdot(direction_CR, direction_CR))
        length = 1.0
        while length > SHORTEST:
            log_sum_L = moments(now.mean_LC + length * change_LC, now.spread_LC, self.nodes).log_sum_L
            rise = float(weights_L @ (log_sum_L - now.log_sum_L)) + length * linear + 0.5 * length**2 * square
            if rise <= 1e-4 * length * slope:
                break
            length *= 0.5
        return length * direction_CR


@dataclass(frozen=True)
class MeanField:
    """The distribution q, and the expected log likelihood of the labels under q, in nats, without the prior."""

    mean_CD1: Float64
    variance_CD1: Float64
    expected_log_likelihood: float
    steps: int


def moments(mean_LC: Float64, spread_LC: Float64, nodes: Nodes) -> Moments:
    """Compute the expectations over logits with means mean_LC and standard deviations spread_LC."""
    log_sum_L, probs_LC, squares_LC = np.empty(len(mean_LC)), np.empty_like(mean_LC), np.empty_like(mean_LC)
    step = nodes.values_SBC.shape[1]
    for first in range(0, len(mean_LC), step):
        part = slice(first, min(first + step, len(mean_LC)))
        z_SBC = mean_LC[part] + spread_LC[part] * nodes.values_SBC[:, : part.stop - first]
        top_SB1 = z_SBC.max(axis=2, keepdims=True)
        np.exp(np.subtract(z_SBC, top_SB1, out=z_SBC), out=z_SBC)
        total_SB1 = z_SBC.sum(axis=2, keepdims=True)
        log_sum_L[part] = nodes.weights_S @ (top_SB1 + np.log(total_SB1))[:, :, 0]
        z_SBC /= total_SB1
        probs_LC[part] = np.tensordot(nodes.weights_S, z_SBC, axes=1)
        squares_LC[part] = np.tensordot(nodes.weights_S, np.square(z_SBC, out=z_SBC), axes=1)
    return Moments(mean_LC, spread_LC, log_sum_L, probs_LC, probs_LC - squares_LC)


def divergence(deviation_CD1: Float64, variance_CD1: Float64, prior_D1: Float64) -> float:
    """The Kullback-Leibler divergence KL(q || N(W_0, 1 / prior)), in nats. A prior of 0 is flat, with density 1.

    deviation_CD1: the mean of q minus W_0.
    """
    proper_D1 = prior_D1 > 0.0
    unit_D1 = np.where(proper_D1, prior_D1, 2.0 * np.pi)
    terms_CD1 = prior_D1 * (variance_CD1 + deviation_CD1**2) - 1.0 - np.log(unit_D1 * variance_CD1)
    return 0.5 * float(terms_CD1.sum())


def squared_loss(
    phi_LD1: Float64,
    targets_LC: Float64,
    weights_L: Float64,
    W_CD1: Float64,
    prior_D1: Float64,
    noise_variance: float,
) -> MeanField:
    """Compute q of a linear model with Gaussian noise in closed form.

    The mean is the ridge solution W_CD1. Variances are noise_variance / P_dd, where P is the Gram matrix of the
    weighted rows plus the prior. The prior is N(0, noise_variance / prior_D1), and the noise of a row has variance
    noise_variance / weight.
    """
    squares_LD1 = phi_LD1**2
    variance_D1 = noise_variance / (prior_D1 + weights_L @ squares_LD1)
    square_LC = (targets_LC - phi_LD1 @ W_CD1.T) ** 2 + (squares_LD1 @ variance_D1)[:, None]
    constant = targets_LC.size * np.log(2 * np.pi * noise_variance)
    constant -= targets_LC.shape[1] * float(np.log(weights_L).sum())
    likelihood = -0.5 * (constant + float(weights_L @ square_LC.sum(axis=1)) / noise_variance)
    return MeanField(W_CD1, np.broadcast_to(variance_D1, W_CD1.shape).copy(), float(likelihood), 0)


def fit_mean_field(
    phi_LD1: Float64,
    targets_LC: Float64,
    weights_L: Float64,
    start: tuple[Float64, Float64],
    prior_precision: float,
    nodes: Nodes,
    *,
    prior_mean_CD1: Float64 | None = None,
    temperature: float = 1.0,
    tolerance: float = TOLERANCE,
) -> MeanField:
    """Fit q. start: (mean, variance), both [C, D1]. prior_mean_CD1: W_0, zero by default.

    It stops when |gradient with respect to the mean| <= tolerance * rows.scale() and the root mean square of the
    residuals of the log precisions <= tolerance. Raises DataError where it does not converge.
    """
    column = bias_column(prior_precision)
    rows = rotate(phi_LD1, targets_LC.argmax(axis=1), weights_L, targets_LC.shape[1], column=column)
    center_CD1 = np.zeros_like(start[0]) if prior_mean_CD1 is None else prior_mean_CD1
    anchor_CR, prior_D1 = rows.inside(center_CD1), prior_diagonal(prior_precision, phi_LD1.shape[1], "softmax")
    objective = _OfMean(rows, targets_LC, prior_precision, anchor_CR, nodes)
    mean_CR, log_precision_CD1 = rows.inside(start[0]), np.log(temperature / start[1])
    squares_LD1, w_L1 = phi_LD1**2, weights_L[:, None]
    damping, previous = 1.0, np.inf
    for step in range(MAX_STEPS + 1):
        variance_CD1 = temperature * np.exp(-log_precision_CD1)
        now = moments(rows.Z_LR @ mean_CR.T, np.sqrt(squares_LD1 @ variance_CD1.T), nodes)
        gradient_CR = objective.gradient(mean_CR, now)
        missing_CD1 = np.log(prior_D1 + (now.curvatures_LC * w_L1).T @ squares_LD1) - log_precision_CD1
        gap, previous_gap = float(np.sqrt(np.mean(missing_CD1**2))), previous
        if float(np.linalg.norm(gradient_CR)) <= tolerance * rows.scale() and gap <= tolerance:
            likelihood = float(weights_L @ ((targets_LC * now.mean_LC).sum(axis=1) - now.log_sum_L))
            return MeanField(center_CD1 + rows.outside(mean_CR - anchor_CR), variance_CD1, likelihood, step)
        mean_CR = mean_CR + objective.step(mean_CR, now, gradient_CR)
        damping, previous = damping if gap < previous_gap else max(0.5 * damping, SMALLEST_DAMPING), gap
        log_precision_CD1 += damping * missing_CD1
    raise DataError(
        f"the variational posterior did not converge in {MAX_STEPS} steps",
        hint=f"raise --prior-precision (now {prior_precision:.3g}), normalise the features, or use --posterior laplace",
    )
