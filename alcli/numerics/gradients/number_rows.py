"""Rows of a regression, whose labels are normal: gradients and losses in closed form, and the spread of each.

The label of row j is normal with the mean f_j of the head and the variance s_j^2 = noise + c_jj, where c_ij are the
posterior covariances of the predicted numbers. They are inner products of the rows of `root_RQ`. phi_j = [h_j; 1] are
the inputs of the last layer. "Spread" is E|g - E[g]| over the label; E|y - f| = sqrt(2 / pi) s for a normal label.

- `step_rows`: the gradient of half the squared loss at a label one standard deviation above the mean, in units of the
  standard deviation of the noise: (s_j / sd(noise)) phi_j. The expected gradient itself is 0.
- `loss_rows`: the expected loss -log p(y | weights) as a function of the weights, minus its mean over the posterior.
  The inner product over the posterior is c_ij^2 / (2 noise^2): the covariance of the squares of two normal variables
  is 2 c_ij^2.
- `fisher_rows`: its gradient by the weights; the mean inner product over the posterior is c_ij (phi_i . phi_j) /
  noise^2.

Source: losses as in Shen et al. 2022, "Batch active learning from the perspective of sparse approximation", eq. 13;
gradients as in Pinsler et al. 2019, "Bayesian batch active learning as sparse subset approximation", section 4.1 (the
Fisher inner product of a linear regression). The closed form of the losses is ours.
Cost: O(R (Q + M)). Memory: the factors of the rows.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.numerics.gradients.gradient_rows import GradientRows

# E|y - f| of a normal variable with standard deviation 1.
MEAN_DISTANCE = float(np.sqrt(2.0 / np.pi))


def step_rows(label_variance_R: Array, H_RM: Floats, noise: float) -> GradientRows:
    """The gradients at labels one standard deviation above the mean. noise: the variance of the labels' noise."""
    steps_R = np.sqrt(label_variance_R / noise)
    return GradientRows(steps_R[:, None].astype(H_RM.dtype), H_RM)


def step_spread(label_variance_R: Array, hidden_sq_norm_R: Array, noise: float) -> Float64:
    """The spread of the gradient of half the squared loss, in units of the standard deviation of the noise, [R]."""
    return MEAN_DISTANCE * np.sqrt(label_variance_R / noise * (hidden_sq_norm_R + 1.0))


def loss_rows(root_RQ: Floats, noise: float) -> GradientRows:
    """The expected losses as functions of the weights."""
    return GradientRows(root_RQ * root_RQ.dtype.type(0.5**0.5 / noise), root_RQ, bias=False)


def loss_spread(root_RQ: Floats, noise: float) -> Float64:
    """The spread of the loss, [R]: a label moves it by |y - f| sqrt(c) / noise."""
    variance_R = np.vecdot(root_RQ, root_RQ).astype(np.float64)
    return MEAN_DISTANCE * np.sqrt((noise + variance_R) * variance_R) / noise


def fisher_rows(root_RQ: Floats, H_RM: Floats, noise: float) -> GradientRows:
    """The gradients of the expected losses by the weights, over the posterior."""
    return GradientRows(root_RQ * root_RQ.dtype.type(1.0 / noise), H_RM)
