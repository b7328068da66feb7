"""Largest change of predictions, by a neural tangent kernel.

Look-ahead: the score of a row is the change, by its label, of the predictions of all N candidates. A kernel
regression on the labelled rows stands for the head, by the head's neural tangent kernel, and gives the change
in closed form. A *look* (numerics/tangent/look_ahead.py) holds these changes, for residuals R_NK of supposed
labels; f_NK are the outputs of the regression, K of them, one a class. Labels count once, whatever their
weight. In a regression the length of a supposed label's residual is its expectation under the predictive
distribution.

Source: Mohamadi, Bae & Sutherland 2022, "Making look-ahead active learning strategies feasible with neural
tangent kernels", eq. 10-13, with the inverse that the printed v lacks. As a linear kernel has rank D1, there
is a ridge, chosen by leave-one-out. Squared loss on one-hot labels. A linear head has one kernel. For hidden
layers the published code runs kernel=sum-of-logits (and acquisition=flip), the paper says first-logit (and
mlmoc). The sum of the logits of a softmax head does not depend on its hidden layers, so class-average is the
default. Projection on the simplex: Held, Wolfe & Crowder 1974, "Validation of subgradient optimization",
section 3 (by sorting).
Cost: for N = 4000 candidates, and changes at the same rows, N^2 D1 flops (dual: N^2 (D + n) for n labelled
rows); mlmoc-sq 4 N D1^2; emoc as mlmoc; flip N E (2 D1 + 3 K) and eer N E (2 D1 + 3 K log K) for E rows with
3 labels; see numerics/tangent. Memory: pieces, never N x E; batch=impute N^2 numbers, and 2 N^2 flops a row.
look-ahead=softmax: a few Newton steps for each candidate (emoc: K times as many, eer: 3 times).
Passes: one over the ids, one reading of N rows.

Options:
    acquisition: score of a candidate.
        mlmoc: the sum of the lengths of the changes.
        mlmoc-sq: the root of the sum of their squares.
        emoc: mlmoc, expected over the labels.
        eer: minus the expected entropy afterwards.
        flip: the number of rows whose class changes.
    kernel: kernel of the regression.
        class-average: the mean over the outputs.
        sum-of-logits: one direction of the outputs, their sum.
        first-logit: one direction of the outputs, the first.
        empirical: all outputs together.
        infinite: the mean kernel of wide random heads with hidden layers like the head's.
        nngp: the same with only the last layer trained (a Gaussian process).
        gp: a squared exponential (to compare with, like the two before).
    look-ahead: estimate of the changes.
        ntk: the closed form.
        one-step: a gradient step on the new label (to compare with).
        refit: a regression from scratch for every row, equal to ntk (to compare with).
        softmax: refits of the last layer of a softmax head for every row, and changes of class probabilities.
    anchor: outputs that the ridge pulls to.
        auto: current for a head of squared loss, else zero.
        zero: 0, and the mean of numbers.
        current: the outputs of a head of squared loss.
    ridge: ridge of the regression, at least a millionth of the mean kernel of a row with itself; auto chooses
        it by leave-one-out.
    candidates: number of random rows that are looked at, and at which changes are measured, at least the
        batch size.
    batch: choice of several rows.
        auto: impute where a row costs one pass over a covariance in memory (mlmoc, mlmoc-sq and emoc of up to
            4,000 candidates, in closed form by a scalar kernel, without diversify), else top.
        top: the best scores.
        impute: one row after another under the label that the regression predicts.
    diversify: remedy for near-copies in a batch.
        none: no remedy.
        kmeanspp: draws by the squared distance of the changes.
    preset: published settings, with batch=top and 4,000 candidates.
        none: the defaults.
        paper: acquisition=mlmoc and kernel=first-logit.
        code: acquisition=flip and kernel=sum-of-logits.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Float64, Floats, Int64
from alcli.errors import UsageError
from alcli.numerics.blocks import workers
from alcli.numerics.diversity.kmeanspp import k_means_pp
from alcli.numerics.rows import Rows
from alcli.numerics.tangent import look_ahead as ahead
from alcli.numerics.tangent.acquisitions import Acquisition, scores
from alcli.numerics.tangent.kernel_ridge import MOST_PRIMAL
from alcli.numerics.tangent.regression import Anchor, Kernel, LookAhead, TangentRegression, look_at, posed, rows_of
from alcli.numerics.tangent.softmax_refit import SoftmaxRefit
from alcli.remarks import steps
from alcli.selection.conditions import HIDDEN_LAYERS, SEVERAL, given
from alcli.selection.options import AutoOrPositive, Count, at_least, auto_or_positive
from alcli.selection.order import finite32
from alcli.selection.presets import Presets
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import by_hash, left_out
from alcli.selection.view import View

FEW = 4000  # candidates, as published
_TOP = {"batch": "top", "candidates": FEW}
PRESETS = Presets(
    {
        "paper": {"acquisition": "mlmoc", "kernel": "first-logit", **_TOP},
        "code": {"acquisition": "flip", "kernel": "sum-of-logits", **_TOP},
    }
)
IN_TURN = "each row was picked as if the rows before it had the labels that the regression predicts (-p batch)"
PROXY = (
    "the changes are those of a ridge regression on the labels, which stands for the softmax head "
    "(-p look-ahead=softmax refits the head)"
)
REGRESSED = given(look_ahead=("ntk", "one-step", "refit"))
SEVERAL_KERNELS = given(kernel="gp") | HIDDEN_LAYERS
EER_ROWS = 1000  # rows at which eer expects the entropy


@batch(needs=["features", "labelled", "labelled_targets", "network", "row_key"], random=True, of_means=True)
def ntk(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    acquisition: Acquisition = "mlmoc",
    kernel: Annotated[Kernel, REGRESSED & SEVERAL_KERNELS] = "class-average",
    look_ahead: Literal["ntk", "one-step", "refit", "softmax"] = "ntk",
    anchor: Annotated[Anchor, REGRESSED] = "auto",
    ridge: Annotated[AutoOrPositive, REGRESSED] = "auto",
    candidates: Count = FEW,
    batch: Annotated[Literal["auto", "top", "impute"], SEVERAL] = "auto",
    diversify: Literal["none", "kmeanspp"] = "none",
    preset: Annotated[str, PRESETS] = "none",
) -> Selection:
    """Pick k rows by look-ahead.

    Scores: the acquisition; with diversify the distance of a row's changes to the changes of the nearest
    picked row (the first: their size). Raises UsageError for options that do not go together, DataError for
    labels that are not known and kernels that are too large.
    """
    at_least(1, candidates=candidates)
    auto_or_positive(ridge=ridge)
    places_N, first_E, notes = _subset(view, max(candidates, k), rng)
    # One thread computes the products that are not divided into blocks.
    with workers():
        if look_ahead == "softmax":
            _check_softmax(view, batch, diversify)
            refit = _refitted(view, places_N)
            scores_N = finite32(scores(acquisition, refit, refit.f_NK, _likeliest(refit.f_NK), first_E))
            picks_K = np.argsort(-scores_N, kind="stable")[:k]
            return Selection(view.rows[places_N[picks_K]], scores_N[picks_K], notes=notes)
        problem = _posed(view, places_N, kernel, anchor, None if ridge == "auto" else float(ridge))
        _check(problem, acquisition, look_ahead, batch, diversify)
        cheap = _is_cheap_in_turn(problem, acquisition, look_ahead, diversify)
        if batch == "impute" or (batch == "auto" and k > 1 and cheap):
            picks_K, scores_K = _in_turn(problem, k, acquisition, first_E)
            notes += (IN_TURN,)
        else:
            look, R_NK = look_at(problem, look_ahead), problem.supposed(problem.f_NK)
            scores_N = finite32(scores(acquisition, look, problem.f_NK, R_NK, first_E))
            picks_K = np.argsort(-scores_N, kind="stable")[:k]
            scores_K = scores_N[picks_K]
            if diversify == "kmeanspp":
                picks_K, distances_K = k_means_pp(rows_of(look, R_NK), k, int(picks_K[0]), rng)
                scores_K = finite32(distances_K)
    record = {"ridge": problem.fitted.prior, "left-out-error": problem.noise}
    notes += _remarks(view, problem, ridge)
    return Selection(view.rows[places_N[picks_K]], scores_K, notes=notes, record=record)


def _remarks(view: View, problem: TangentRegression, ridge: str) -> tuple[str, ...]:
    """Return notes on the regression in place of the head, and on a ridge that was raised."""
    prior = problem.fitted.prior
    notes: tuple[str, ...] = (PROXY,) if view.network().link == "softmax" else ()
    if ridge != "auto" and prior > float(ridge):
        notes += (f"the ridge was raised from {float(ridge):g} to {prior:.3g}, the least one (-p ridge)",)
    return notes


def _refitted(view: View, places_N: Int64) -> SoftmaxRefit:
    """The look by refits of the softmax head, from its present last layer."""
    head = view.network()
    phi_LD1, phi_ND1 = head.last_layer(view.labelled()), head.last_layer(view.features_at(places_N))
    return SoftmaxRefit(phi_LD1, view.labelled_targets().argmax(axis=1), phi_ND1, head.W_CD1, head.prior_precision)


def _check_softmax(view: View, batch: str, diversify: str) -> None:
    """Raise UsageError where look-ahead=softmax does not go with the head or with other options, or has no labels."""
    head = view.network()
    if head.link != "softmax" or head.anchor is not None:
        raise UsageError(
            "look-ahead=softmax refits a softmax head that learned from labels alone",
            hint="use --head softmax or mlp with --prior plain, or leave out look-ahead",
        )
    if batch == "impute" or diversify != "none":
        raise UsageError(
            "look-ahead=softmax takes the best scores", hint="leave out batch and diversify, or leave out look-ahead"
        )
    if not view.n_labelled:
        raise UsageError(
            "look-ahead=softmax refits the head to its labels, and there are none", hint="give them with -l"
        )


def _likeliest(p_NK: Float64) -> Float64:
    """The residuals of the likeliest labels, [N, K]."""
    return np.eye(p_NK.shape[1])[p_NK.argmax(axis=1)] - p_NK


def _subset(view: View, most: int, rng: np.random.Generator) -> tuple[Int64, Int64, tuple[str, ...]]:
    """Draw `most` candidates by a hash of their ids.

    Returns (places of the drawn candidates, places among them of the `EER_ROWS` rows for eer, notes).
    """
    order_N = by_hash(view, rng)
    places_N = np.sort(order_N[:most])
    first_E = np.searchsorted(places_N, np.sort(order_N[: min(most, EER_ROWS)]))
    return places_N, first_E, left_out(view, most)


def _posed(view: View, places_N: Int64, kernel: Kernel, anchor: Anchor, prior: float | None) -> TangentRegression:
    """The kernel regression on the labelled rows of the view, at some of its candidates."""
    return posed(
        view.network(), view.labelled(), view.labelled_targets(), view.features_at(places_N), kernel, anchor, prior
    )


def _check(
    problem: TangentRegression, acquisition: Acquisition, look_ahead: LookAhead, batch: str, diversify: str
) -> None:
    """Raise UsageError for options that do not go together."""
    if acquisition in ("flip", "eer") and not problem.classes:
        raise UsageError(
            f"acquisition={acquisition} looks at classes, the labels are numbers", hint="use acquisition=mlmoc"
        )
    if problem.coupled and look_ahead == "one-step":
        raise UsageError("look-ahead=one-step is for scalar kernels", hint="use kernel=class-average")
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


def _is_cheap_in_turn(
    problem: TangentRegression, acquisition: Acquisition, look_ahead: LookAhead, diversify: str
) -> bool:
    """True where rows can be picked one after another at the cost of one pass over a covariance in memory each."""
    closed = look_ahead == "ntk" and not problem.coupled and problem.rows.n**2 <= ahead.MOST_HELD
    return closed and acquisition in ("mlmoc", "mlmoc-sq", "emoc") and diversify == "none"


def _in_turn(problem: TangentRegression, k: int, acquisition: Acquisition, first_E: Int64) -> tuple[Int64, Floats]:
    """Pick the best row, suppose its predicted label, and pick again."""
    fitted = problem.fitted
    regression = ahead.Sequential(fitted.covariance(problem.rows), fitted.prior, problem.f_NK)
    open_N = np.ones(problem.rows.n, bool)
    picks, best = [], []
    for _ in steps(range(k), "picking", k):
        R_NK = problem.supposed(regression.f_NK, regression.covariance)
        scores_N = finite32(scores(acquisition, regression.look, regression.f_NK, R_NK, first_E))
        j = int(np.argmax(np.where(open_N, scores_N, -np.inf)))
        f_K = regression.f_NK[j]
        regression.tell(j, np.eye(len(f_K))[f_K.argmax()] if problem.classes else f_K)
        open_N[j] = False
        picks.append(j)
        best.append(scores_N[j])
    return np.array(picks, np.int64), np.array(best, np.float32)


def change_rows(view: View, k: int, candidates: str, rng: np.random.Generator) -> tuple[Int64, Rows, tuple[str, ...]]:
    """Return (places of the candidates that are looked at, the changes by the label of each as rows, notes).

    The options are the defaults of `ntk`. candidates: auto looks at all candidates where changes have the
    length of the features. It looks at `FEW` where changes have one number for each candidate: with hidden
    layers, or with more columns than a primal fit takes.
    """
    wide = bool(view.network().layers) or view.dim >= MOST_PRIMAL
    most = (FEW if wide else view.n) if candidates == "auto" else int(candidates)
    places_N, _, notes = _subset(view, max(most, k), rng)
    with workers():
        problem = _posed(view, places_N, "class-average", "auto", None)
        _check(problem, "mlmoc", "ntk", "top", "kmeanspp")
        return places_N, rows_of(look_at(problem, "ntk"), problem.supposed(problem.f_NK)), notes
