"""Look-ahead: the rows whose label would change the predictions of all others most, by neural tangent kernels.

Source: Mohamadi, Bae & Sutherland 2022, "Making look-ahead active learning strategies feasible with neural tangent kernels", eq. 10-13,
with the inverse that the printed v lacks; a ridge, as a linear kernel has rank D1, chosen by leave-one-out. Squared loss on one-hot labels.
`flip` and `sum-of-logits` are what the published code runs, `mlmoc` and `first-logit` what the paper says. A linear head has one kernel.
Cost: for N = 4000 candidates, changes looked at on the same rows, N^2 D1 flops (dual: N^2 (D + n)); `mlmoc-sq` 4 N D1^2; see numerics.
Passes: one over the ids, one reading of N rows.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from alcli.arrays import Float64, Floats, Int64
from alcli.errors import UsageError
from alcli.numerics import ntk_look_ahead as ahead
from alcli.numerics.blocks import workers
from alcli.numerics.kernel_ridge import MOST_PRIMAL
from alcli.numerics.kmeanspp import k_means_pp
from alcli.numerics.ntk_acquisitions import eer, emoc, flip, mlmoc, mlmoc_sq
from alcli.numerics.rows import Rows
from alcli.numerics.simplex import project
from alcli.strategies._checks import AutoOrPositive, Count, at_least, auto_or_positive
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._drawn import by_hash, left_out
from alcli.strategies._tangent import Anchor, Kernel, LookAhead, Problem, look_at, posed, rows_of
from alcli.strategies._view import View

Acquisition = Literal["mlmoc", "mlmoc-sq", "emoc", "eer", "flip"]
FEW = 4000  # candidates, as published
EER_ROWS = 1000  # rows whose entropy is expected


@batch(needs=["features", "labelled", "labelled_targets", "network", "row_key"], random=True)
def ntk(
    view: View, k: int, *, rng: np.random.Generator, acquisition: Acquisition = "mlmoc", kernel: Kernel = "sum-of-logits",
    look_ahead: LookAhead = "ntk", anchor: Anchor = "auto", ridge: AutoOrPositive = "auto", candidates: Count = FEW,
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
    auto_or_positive(ridge=ridge)
    places_N, first_E, notes = _subset(view, max(candidates, k), rng)
    with workers():  # one thread for products that are not shared out in blocks
        problem = posed(view, places_N, kernel, anchor, None if ridge == "auto" else float(ridge))
        _check(problem, acquisition, look_ahead, batch, diversify)
        if batch == "impute":
            picks_K, scores_K = _in_turn(problem, k, acquisition, first_E)
            notes += ("each row was picked as if the rows before it had the labels that the regression predicts",)
        else:
            look, R_NK = look_at(problem, look_ahead), problem.supposed(problem.f_NK)
            scores_N = finite32(_scores(acquisition, look, problem.f_NK, R_NK, first_E))
            picks_K = np.argsort(-scores_N, kind="stable")[:k]
            scores_K = scores_N[picks_K]
            if diversify == "kmeanspp":
                picks_K, scores_K = _spread_out(look, R_NK, k, int(picks_K[0]), rng)
    record = {"ridge": problem.fitted.prior, "left-out-error": problem.noise}
    return Selection(view.rows[places_N[picks_K]], scores_K, notes=notes, record=record)


def _subset(view: View, most: int, rng: np.random.Generator) -> tuple[Int64, Int64, tuple[str, ...]]:
    """(places of the candidates that are looked at, of these the EER_ROWS that entropies are expected on, notes), by a hash of the ids."""
    order_N = by_hash(view, rng)
    places_N = np.sort(order_N[:most])
    first_E = np.searchsorted(places_N, np.sort(order_N[: min(most, EER_ROWS)]))
    return places_N, first_E, left_out(view, most)


def _check(problem: Problem, acquisition: Acquisition, look_ahead: LookAhead, batch: str, diversify: str) -> None:
    """Raise UsageError for options that do not go together."""
    if acquisition in ("flip", "eer") and not problem.classes:
        raise UsageError(f"acquisition={acquisition} looks at classes, the labels are numbers", hint="use acquisition=mlmoc")
    if problem.coupled and look_ahead == "one-step":
        raise UsageError("look-ahead=one-step is for scalar kernels", hint="use kernel=sum-of-logits")
    if batch == "impute" and diversify != "none":
        raise UsageError("batch=impute and diversify=kmeanspp are two ways to avoid duplicates", hint="use one of them")
    if (batch == "impute" or diversify != "none") and (problem.coupled or look_ahead == "refit"):
        raise UsageError(
            "batch=impute and diversify=kmeanspp need the closed form of a scalar kernel",
            hint="leave out kernel=empirical and look-ahead=refit",
        )
    if batch == "impute" and look_ahead != "ntk":
        raise UsageError("batch=impute needs look-ahead=ntk")
    factored = problem.factored and look_ahead == "ntk"
    if diversify != "none" and not factored and problem.rows.n**2 > ahead.MOST_HELD:
        most = int(ahead.MOST_HELD**0.5)
        raise UsageError(
            f"diversify=kmeanspp keeps the changes of all pairs, of at most {most} candidates, not {problem.rows.n}",
            hint=f"use -p candidates={most}",
        )


def _scores(acquisition: Acquisition, look: ahead.Look, f_NK: Float64, R_NK: Float64, first_E: Int64) -> Float64:
    """The acquisition of every candidate. R_NK: the residuals of the labels that are supposed."""
    if acquisition == "mlmoc" or (acquisition == "emoc" and f_NK.shape[1] == 1):
        return mlmoc(look, R_NK)
    if acquisition == "mlmoc-sq":
        return mlmoc_sq(look, R_NK)
    if acquisition == "emoc":
        return emoc(look, f_NK, project(f_NK))
    if acquisition == "flip":
        return flip(look, f_NK, R_NK)
    return eer(look, f_NK, project(f_NK), first_E)


def _in_turn(problem: Problem, k: int, acquisition: Acquisition, first_E: Int64) -> tuple[Int64, Floats]:
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
    picks_K, distances_K = k_means_pp(rows_of(look, R_NK), k, first, rng)
    return picks_K, finite32(distances_K)


def change_rows(view: View, k: int, candidates: str, rng: np.random.Generator) -> tuple[Int64, Rows, tuple[str, ...]]:
    """(places of the candidates that are looked at, how their labels would change the predictions of all of them, notes).

    Under the options of `ntk` that it has unless told otherwise. candidates: auto looks at all where changes have the length of the
    features, at `FEW` where they are as long as there are candidates: with hidden layers, or more columns than a primal fit takes.
    """
    wide = bool(view.network().layers) or view.dim >= MOST_PRIMAL
    most = (FEW if wide else view.n) if candidates == "auto" else int(candidates)
    places_N, _, notes = _subset(view, max(most, k), rng)
    with workers():
        problem = posed(view, places_N, "sum-of-logits", "auto", None)
        _check(problem, "mlmoc", "ntk", "top", "kmeanspp")
        return places_N, rows_of(look_at(problem, "ntk"), problem.supposed(problem.f_NK)), notes
