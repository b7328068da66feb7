"""Look-ahead: the rows whose label would change the predictions of all others most, by neural tangent kernels.

Source: Mohamadi, Bae & Sutherland 2022, "Making look-ahead active learning strategies feasible with neural tangent kernels", eq. 10-13, with
the inverse that the printed v lacks; a ridge, as a linear kernel has rank D1, chosen by leave-one-out. Squared loss on one-hot labels.
`flip` and `sum-of-logits` are what the published code runs, `mlmoc` and `first-logit` what the paper says. A linear head has one kernel.
Cost: for N = 4000 candidates, changes looked at on the same rows, N^2 D1 flops (dual: N^2 (D + n)); `mlmoc-sq` 4 N D1^2; see numerics.
Passes: one over the ids, one reading of N rows.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from alcli.arrays import Float64, Floats, Int64
from alcli.errors import DataError, UsageError
from alcli.numerics import kernel_ridge
from alcli.numerics import ntk_look_ahead as ahead
from alcli.numerics.blocks import workers
from alcli.numerics.kmeanspp import k_means_pp
from alcli.numerics.network import Network
from alcli.numerics.ntk_kernels import KernelRows, TangentRows, gaussian_rows, infinite_rows, linear, tangent_rows
from alcli.numerics.rows import Factor, Rows
from alcli.numerics.simplex import project
from alcli.strategies._ahead import by_hash
from alcli.strategies._contract import Count, Selection, at_least, batch, finite32
from alcli.strategies._view import View

Acquisition = Literal["mlmoc", "mlmoc-sq", "emoc", "eer", "flip"]
Kernel = Literal["sum-of-logits", "first-logit", "empirical", "infinite", "gp"]
LookAhead = Literal["ntk", "one-step", "refit"]
Anchor = Literal["auto", "zero", "current"]
EER_ROWS = 1000  # rows whose entropy is expected
MOST_COUPLED = 1 << 26  # numbers of a kernel matrix between the labelled rows and all rows, outputs side by side: 512 MiB


def _checked_ridge(ridge: str) -> None:
    """Raise UsageError for what is neither auto nor a positive number."""
    try:
        good = ridge == "auto" or 0.0 < float(ridge) < float("inf")
    except ValueError:
        good = False
    if not good:
        raise UsageError(f"parameter 'ridge' must be a positive number or auto, got '{ridge}'")


Ridge = Annotated[str, _checked_ridge]


@batch(needs=["features", "labelled", "labelled_targets", "network", "row_key"], random=True)
def ntk(
    view: View, k: int, *, rng: np.random.Generator, acquisition: Acquisition = "mlmoc", kernel: Kernel = "sum-of-logits",
    look_ahead: LookAhead = "ntk", anchor: Anchor = "auto", ridge: Ridge = "auto", candidates: Count = 4000,
    batch: Literal["top", "impute"] = "top", diversify: Literal["none", "kmeanspp"] = "none",
) -> Selection:
    """Scores: the acquisition; with diversify the distance of a row's changes to those of the nearest picked row (the first: their size).

    anchor: what the regression pulls to, 0 or the outputs of the head; auto takes those of a head of squared loss. ridge: auto, or a
    number, raised to a millionth of the mean kernel of a row with itself. candidates: so many random rows are looked at, and looked at on.
    batch=impute picks one row after another, under the label that the regression predicts. To compare with: kernel infinite (a hidden
    layer of infinite width) and gp (squared exponential); look-ahead one-step (a gradient step) and refit (from scratch for every row,
    equal to ntk). Labels count once whatever their weight. In a regression the length of a residual is what the posterior expects of it.
    Raises UsageError for options that do not go together, DataError for labels that are not known and kernels that are too large.
    """
    at_least(1, candidates=candidates)
    _checked_ridge(ridge)
    places_N, first_E, notes = _subset(view, max(candidates, k), rng)
    with workers():  # one thread for products that are not shared out in blocks
        problem = _problem(view, places_N, kernel, anchor, None if ridge == "auto" else float(ridge))
        _check(problem, acquisition, look_ahead, batch, diversify)
        if batch == "impute":
            picks_K, scores_K = _in_turn(problem, k, acquisition, first_E)
            notes += ("each row was picked as if the rows before it had the labels that the regression predicts",)
        else:
            look, R_NK = _look(problem, look_ahead), problem.supposed(problem.f_NK)
            scores_N = finite32(_scores(acquisition, look, problem.f_NK, R_NK, first_E))
            picks_K = np.argsort(-scores_N, kind="stable")[:k]
            scores_K = scores_N[picks_K]
            if diversify == "kmeanspp":
                picks_K, scores_K = _spread_out(look, R_NK, k, int(picks_K[0]), rng)
    record = {"ridge": problem.fitted.prior, "left-out-error": problem.noise}
    return Selection(view.rows[places_N[picks_K]], scores_K, notes=notes, record=record)


class _Problem(NamedTuple):
    """What look-ahead is made of. f_NK: outputs of the regression. noise: its mean squared leave-one-out error."""

    rows_L: KernelRows
    residuals_LK: Float64
    rows: KernelRows
    fitted: kernel_ridge.Primal | kernel_ridge.Dual
    f_NK: Float64
    noise: float

    @property
    def classes(self) -> bool:
        return int(self.f_NK.shape[1]) > 1

    @property
    def coupled(self) -> bool:
        return self.rows.outputs > 1

    def supposed(self, f_NK: Float64, covariance: kernel_ridge.Covariance | None = None) -> Float64:
        """R_NK: from the outputs to the label of the largest; in a regression E|y - f| for y of the predictive distribution.

        covariance: of the outputs; without one, that of the fitted regression.
        """
        if self.classes:
            return np.eye(f_NK.shape[1])[f_NK.argmax(axis=1)] - f_NK  # type: ignore[no-any-return]
        covariance = self.fitted.covariance(self.rows) if covariance is None else covariance
        in_noise_N = 1.0 + covariance.variance_N * covariance.scale**2 / self.fitted.prior
        return np.sqrt(2.0 / np.pi * self.noise * in_noise_N)[:, None]  # type: ignore[no-any-return]


def _subset(view: View, most: int, rng: np.random.Generator) -> tuple[Int64, Int64, tuple[str, ...]]:
    """(places of the candidates that are looked at, of these the EER_ROWS that entropies are expected on, notes), by a hash of the ids."""
    order_N = by_hash(view, rng)
    places_N = np.sort(order_N[:most])
    first_E = np.searchsorted(places_N, np.sort(order_N[: min(most, EER_ROWS)]))
    notes = () if len(places_N) == view.n else (f"looked at {most} random candidates, not at all of them (-p candidates)",)
    return places_N, first_E, notes


def _problem(view: View, places_N: Int64, kernel: Kernel, anchor: Anchor, prior: float | None) -> _Problem:
    """The kernel regression on the labelled rows, at the candidates."""
    head, X_LD, X_ND, Y_LK = view.network(), view.labelled(), view.features_at(places_N), view.labelled_targets()
    if anchor == "current" and head.link != "identity":
        raise UsageError("anchor=current needs the outputs of a head that was trained by squared loss", hint="use --head ridge, or anchor=zero")
    current = anchor != "zero" and head.link == "identity"
    if (current or head.layers) and X_ND.shape[1] != head.dim:
        raise DataError(f"the head takes features of length {head.dim}, these have {X_ND.shape[1]}", hint="its outputs or hidden layers are looked at")
    rows_L, rows = _kernel_rows(head, kernel, X_LD, X_ND)
    if rows.outputs > 1 and rows_L.n * (rows_L.n + rows.n) * rows.outputs**2 > MOST_COUPLED:
        what = f"kernel=empirical is too large for {rows_L.n} labelled rows, {rows.n} candidates and {rows.outputs} classes of a head with hidden layers"
        raise DataError(what, hint="lower -p candidates, or use kernel=sum-of-logits")
    scalar_L = rows_L if rows.outputs == 1 else _kernel_rows(head, "sum-of-logits", X_LD, X_LD[:0])[0]
    prior, noise = kernel_ridge.left_out(scalar_L, Y_LK, prior)
    residuals_LK = Y_LK - head.logits(X_LD) if current else Y_LK
    fitted = kernel_ridge.fit(rows_L, residuals_LK, prior)
    f_NK = fitted.predict(rows)
    return _Problem(rows_L, residuals_LK, rows, fitted, f_NK + head.logits(X_ND) if current else f_NK, noise)


def _kernel_rows(head: Any, kernel: Kernel, X_LD: Floats, X_ND: Floats) -> tuple[KernelRows, KernelRows]:
    """Labelled rows and candidates under the kernel. A linear head of infinite width is itself."""
    if kernel == "gp":
        both: KernelRows = gaussian_rows(np.concatenate([X_LD, X_ND]))
        return both.at(slice(0, len(X_LD))), both.at(slice(len(X_LD), None))
    if not head.layers:
        return linear(X_LD), linear(X_ND)
    if kernel == "infinite":
        return infinite_rows(X_LD, head.activation), infinite_rows(X_ND, head.activation)
    network = Network(head.layers, head.activation, head.W_CD1)
    return tangent_rows(X_LD, network, kernel), tangent_rows(X_ND, network, kernel)


def _check(problem: _Problem, acquisition: Acquisition, look_ahead: LookAhead, batch: str, diversify: str) -> None:
    """Raise UsageError for options that do not go together."""
    if acquisition in ("flip", "eer") and not problem.classes:
        raise UsageError(f"acquisition={acquisition} looks at classes, the labels are numbers", hint="use acquisition=mlmoc")
    if problem.coupled and look_ahead == "one-step":
        raise UsageError("look-ahead=one-step is for scalar kernels", hint="use kernel=sum-of-logits")
    if batch == "impute" and diversify != "none":
        raise UsageError("batch=impute and diversify=kmeanspp are two ways to avoid duplicates", hint="use one of them")
    if (batch == "impute" or diversify != "none") and (problem.coupled or look_ahead == "refit"):
        raise UsageError("batch=impute and diversify=kmeanspp need the closed form of a scalar kernel", hint="leave out kernel=empirical and look-ahead=refit")
    if batch == "impute" and look_ahead != "ntk":
        raise UsageError("batch=impute needs look-ahead=ntk")
    if diversify != "none" and problem.rows.n**2 > ahead.MOST_HELD:
        most = int(ahead.MOST_HELD**0.5)
        raise UsageError(f"diversify=kmeanspp keeps the changes of all pairs, of at most {most} candidates, not {problem.rows.n}", hint=f"use -p candidates={most}")


def _look(problem: _Problem, look_ahead: LookAhead) -> ahead.Look:
    fitted, rows = problem.fitted, problem.rows
    if look_ahead == "refit":
        return ahead.Refit(problem.rows_L, problem.residuals_LK, rows, fitted.prior)
    if look_ahead == "one-step":
        return ahead.gradient_look(rows, float(rows.diagonal().mean()))
    if isinstance(fitted, kernel_ridge.Dual) and isinstance(rows, TangentRows) and problem.coupled:
        return ahead.Coupled(fitted, rows)
    return ahead.RankOne.after(fitted.covariance(rows), fitted.prior)


def _scores(acquisition: Acquisition, look: ahead.Look, f_NK: Float64, R_NK: Float64, first_E: Int64) -> Float64:
    """The acquisition of every candidate. R_NK: the residuals of the labels that are supposed."""
    if acquisition == "mlmoc" or (acquisition == "emoc" and f_NK.shape[1] == 1):
        return ahead.mlmoc(look, R_NK)
    if acquisition == "mlmoc-sq":
        return ahead.mlmoc_sq(look, R_NK)
    if acquisition == "emoc":
        return ahead.emoc(look, f_NK, project(f_NK))
    if acquisition == "flip":
        return ahead.flip(look, f_NK, R_NK)
    return ahead.eer(look, f_NK, project(f_NK), first_E)


def _in_turn(problem: _Problem, k: int, acquisition: Acquisition, first_E: Int64) -> tuple[Int64, Floats]:
    """Pick the best row, suppose its predicted label, and pick again."""
    fitted = problem.fitted
    regression = ahead.Sequential(fitted.covariance(problem.rows), fitted.prior, problem.f_NK)
    open_N = np.ones(problem.rows.n, bool)
    picks, scores = [], []
    for _ in range(k):
        R_NK = problem.supposed(regression.f_NK, regression.covariance)
        scores_N = finite32(_scores(acquisition, regression.look, regression.f_NK, R_NK, first_E))
        j = int(np.argmax(np.where(open_N, scores_N, -np.inf)))
        f_K = regression.f_NK[j]
        regression.tell(j, np.eye(len(f_K))[f_K.argmax()] if problem.classes else f_K)
        open_N[j] = False
        picks.append(j)
        scores.append(scores_N[j])
    return np.array(picks, np.int64), np.array(scores, np.float32)


def _spread_out(look: ahead.Look, R_NK: Float64, k: int, first: int, rng: np.random.Generator) -> tuple[Int64, Floats]:
    """k-means++ on the changes."""
    picks_K, distances_K = k_means_pp(_rows_of(look, R_NK), k, first, rng)
    return picks_K, finite32(distances_K)


def change_rows(view: View, candidates: int, rng: np.random.Generator) -> tuple[Int64, Rows, tuple[str, ...]]:
    """(places of at most `candidates` random candidates, how their labels would change the predictions of all of them, notes).

    Under the options of `ntk` that it has unless told otherwise.
    """
    places_N, _, notes = _subset(view, candidates, rng)
    with workers():
        problem = _problem(view, places_N, "sum-of-logits", "auto", None)
        _check(problem, "mlmoc", "ntk", "top", "kmeanspp")
        return places_N, _rows_of(_look(problem, "ntk"), problem.supposed(problem.f_NK)), notes


def _rows_of(look: ahead.Look, R_NK: Float64) -> Rows:
    """The changes of all rows by each: columns of the covariance times residuals."""
    assert isinstance(look, ahead.RankOne)
    everything = slice(None)
    return Rows(Factor(look.covariance.block(everything, everything)), Factor(R_NK / look.d_N[:, None]))
