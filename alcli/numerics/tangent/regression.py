"""The kernel regression of a head on its labelled rows, as the starting point of look-ahead at candidates.

K: outputs, the number of classes or 1 in a regression of numbers.
Source: Mohamadi, Bae & Sutherland 2022, with a ridge that is chosen by leave-one-out; kernels as in kernels.py.
Cost: the kernel between n labelled rows and N candidates, and a fit (kernel_ridge.py).
Memory: that of the fit and of the factors of n + N rows.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.errors import DataError, UsageError
from alcli.numerics.factors import Factor
from alcli.numerics.network import Network
from alcli.numerics.rows import Rows
from alcli.numerics.tangent import kernel_ridge
from alcli.numerics.tangent import look_ahead as ahead
from alcli.numerics.tangent.covariance import Covariance
from alcli.numerics.tangent.covariance_sums import columns
from alcli.numerics.tangent.infinite import InfiniteRows
from alcli.numerics.tangent.kernels import KernelRows, TangentRows, gaussian_rows, linear, tangent_rows
from alcli.numerics.training_scale import TrainingScale

Kernel = Literal["class-average", "sum-of-logits", "first-logit", "empirical", "infinite", "nngp", "gp"]
LookAhead = Literal["ntk", "one-step", "refit"]
Anchor = Literal["auto", "zero", "current"]
# The most numbers of a kernel matrix between the labelled rows and all rows, with outputs side by side: 512 MiB.
MOST_COUPLED = 1 << 26


class TangentRegression(NamedTuple):
    """A fitted regression with its labelled rows and its candidates.

    rows_L, rows: labelled rows and candidates under the kernel. residuals_LK: the targets of the fit, minus the outputs
    of the head where the regression is anchored there. f_NK: outputs of the regression, the head's included.
    noise: the mean squared leave-one-out error.
    """

    rows_L: KernelRows
    residuals_LK: Float64
    rows: KernelRows
    fitted: kernel_ridge.Primal | kernel_ridge.Dual
    f_NK: Float64
    noise: float

    @property
    def classes(self) -> bool:
        """True where the outputs are classes, False in a regression of numbers."""
        return int(self.f_NK.shape[1]) > 1

    @property
    def coupled(self) -> bool:
        """True where the kernel has several outputs for a row."""
        return self.rows.outputs > 1

    @property
    def factored(self) -> bool:
        """True where the covariance is kept as a product of N x D1 factors."""
        return isinstance(self.fitted, kernel_ridge.Primal)

    def supposed(self, f_NK: Float64, covariance: Covariance | None = None) -> Float64:
        """The residual R_NK of a supposed label at each candidate with outputs f_NK, float64 [N, K].

        For classes it is the one-hot label of the largest output, minus the outputs. In a regression of numbers it is
        E|y - f| over the predictive distribution of y.
        covariance: of the outputs; None takes the covariance of the fitted regression.
        """
        if self.classes:
            return np.eye(f_NK.shape[1])[f_NK.argmax(axis=1)] - f_NK
        covariance = self.fitted.covariance(self.rows) if covariance is None else covariance
        in_noise_N = 1.0 + covariance.variance_N * covariance.scale**2 / self.fitted.prior
        return np.sqrt(2.0 / np.pi * self.noise * in_noise_N)[:, None]


def posed(
    head: Any, X_LD: Floats, Y_LK: Float64, X_ND: Floats, kernel: Kernel, anchor: Anchor, prior: float | None
) -> TangentRegression:
    """Fit the kernel regression on labelled rows, and predict at candidates.

    head: the `Head` that the kernel is derived from. X_LD: features of the labelled rows, [n, D], float32 or float64.
    Y_LK: their targets, float64 [n, K]; one-hot for classes, K = 1 in a regression of numbers. X_ND: features of the
    candidates, [N, D]. kernel: see kernels.py; "gp" is the squared exponential kernel.
    anchor: "zero" regresses on the targets, on numbers minus their mean; "current" on the targets minus the outputs of
    a head with squared loss; "auto" takes "current" for such a head. prior: the ridge, > 0; None chooses it by
    leave-one-out.
    Raises UsageError for anchor "current" with another loss. Raises DataError where D does not fit a head whose outputs
    or hidden layers are used, or where the kernel matrix would exceed `MOST_COUPLED` numbers.
    """
    if anchor == "current" and head.link != "identity":
        raise UsageError(
            "anchor=current needs the outputs of a head that was trained by squared loss",
            hint="use --head ridge, or anchor=zero",
        )
    current = anchor != "zero" and head.link == "identity"
    if (current or head.layers) and X_ND.shape[1] != head.dim:
        raise DataError(
            f"the head takes features of length {head.dim}, these have {X_ND.shape[1]}",
            hint="its outputs or hidden layers are used, so give the features that the head was fitted on",
        )
    rows_L, rows = _kernel_rows(head, kernel, X_LD, X_ND)
    if rows.outputs > 1 and rows_L.n * (rows_L.n + rows.n) * rows.outputs**2 > MOST_COUPLED:
        raise DataError(
            f"kernel=empirical is too large for {rows_L.n} labelled rows, {rows.n} candidates and "
            f"{rows.outputs} classes of a head with hidden layers",
            hint="lower -p candidates, or use kernel=class-average",
        )
    scalar_L = rows_L if rows.outputs == 1 else _kernel_rows(head, "class-average", X_LD, X_LD[:0])[0]
    # Another zero of the labels must not change the choice, so numbers are measured from their mean.
    zero = float(Y_LK.mean()) if Y_LK.shape[1] == 1 and len(Y_LK) else 0.0
    prior, noise = kernel_ridge.left_out(scalar_L, Y_LK - zero, prior)
    residuals_LK = Y_LK - (head.logits(X_LD) if current else zero)
    fitted = kernel_ridge.fit(rows_L, residuals_LK, prior)
    f_NK = fitted.predict(rows) + (head.logits(X_ND) if current else zero)
    return TangentRegression(rows_L, residuals_LK, rows, fitted, f_NK, noise)


def _kernel_rows(head: Any, kernel: Kernel, X_LD: Floats, X_ND: Floats) -> tuple[KernelRows, KernelRows]:
    """Return (labelled rows, candidates) under the kernel. For a linear head all but "gp" are the linear kernel.

    The scale of training follows from the labelled rows, each counted once. Without labels it follows from the
    candidates.
    """
    if kernel == "gp":
        both: KernelRows = gaussian_rows(np.concatenate([X_LD, X_ND]))
        return both.at(slice(0, len(X_LD))), both.at(slice(len(X_LD), None))
    if not head.layers:
        return linear(X_LD), linear(X_ND)
    rows = X_LD if len(X_LD) else X_ND
    scale = TrainingScale(rows.astype(np.float64), np.ones(len(rows)))
    if kernel == "infinite" or kernel == "nngp":
        widths = tuple(len(b_M) for _, b_M in head.layers)
        trained: Literal["all", "last"] = "all" if kernel == "infinite" else "last"
        wide = partial(InfiniteRows, widths=widths, activation=head.activation, trained=trained)
        return wide(scale(X_LD)), wide(scale(X_ND))
    network = Network(head.layers, head.activation, head.W_CD1)
    return tangent_rows(X_LD, network, kernel, scale), tangent_rows(X_ND, network, kernel, scale)


def look_at(problem: TangentRegression, look_ahead: LookAhead) -> ahead.Look:
    """Compute the look: changes by a label of each candidate, in closed form, by a gradient step or by refitting."""
    fitted, rows = problem.fitted, problem.rows
    if look_ahead == "refit":
        return ahead.Refit(problem.rows_L, problem.residuals_LK, rows, fitted.prior)
    if look_ahead == "one-step":
        return ahead.gradient_look(rows, float(rows.diagonal().mean()))
    if isinstance(fitted, kernel_ridge.Dual) and isinstance(rows, TangentRows) and problem.coupled:
        return ahead.Coupled(fitted, rows)
    return ahead.RankOne.after(fitted.covariance(rows), fitted.prior)


def rows_of(look: ahead.Look, R_NK: Float64) -> Rows:
    """Return the changes of all rows by a label of each row, as `Rows`: columns of the covariance times residuals."""
    assert isinstance(look, ahead.RankOne)
    return Rows(Factor(columns(look.covariance, len(R_NK))), Factor(R_NK / look.d_N[:, None]))
