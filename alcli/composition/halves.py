"""Strategies made of two halves: an embedding, which turns candidates into vectors, and a selector, which chooses some.

Several named strategies are such pairs: coreset is feature/kcenter, kmeans is feature/kmeans, lcmd is feature/lcmd,
kdpp is feature/kdpp, noise-stability is noise/kcenter, and acs-fw is samples/fw. grad/kmeanspp is badge as published.
`ntk -p acquisition=mlmoc-sq -p diversify=kmeanspp` is delta/kmeanspp. pairs.py lists the halves.

Cost: the cost of the selector. Vectors are known by their inner products alone (numerics/rows.py); only the selector fw
and the embedding samples need the vectors themselves in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.composition import pairs as _pairs
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.diversity.kdpp import k_dpp
from alcli.numerics.diversity.lcmd import lcmd
from alcli.numerics.diversity.selectors import SELECTORS
from alcli.numerics.factors import Factor
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.numerics.rows import Rows, feature_rows
from alcli.selection.options import AutoOrCount, count_or
from alcli.selection.order import finite32
from alcli.selection.parts import Parts
from alcli.selection.strategy import Selection, Strategy
from alcli.selection.subsets import some_places
from alcli.selection.view import View
from alcli.strategies.acs_fw import coreset, likelihoods
from alcli.strategies.badge import residuals
from alcli.strategies.kdpp import rank_note
from alcli.strategies.noise_stability import stability_rows
from alcli.strategies.ntk import FEW, change_rows

_SAMPLES = 100  # posterior draws, as many as in acs-fw
_DRAWS = frozenset({"kmeanspp", "kmeans", "kdpp"})  # selectors that draw
_FROM_LABELLED = frozenset({"kcenter", "lcmd"})  # selectors that keep away from labelled rows


@dataclass(frozen=True)
class Embedded:
    """Candidates as vectors.

    rows: a vector for each of M candidates. centres: the vectors of the labelled rows, None where they have none.
    sums: makes the vectors as rows that can be added up, for the selector fw; None where they are known by their inner
    products alone. from_zero: a label at the point 0 teaches nothing, so the point 0 counts as covered.
    places_M: the places of the M candidates in the rows of the view; None for all candidates. notes: for the user.
    """

    rows: Rows
    centres: Rows | None = None
    sums: Callable[[], GradientRows] | None = None
    from_zero: bool = True
    places_M: Int64 | None = None
    notes: tuple[str, ...] = ()


def composed(name: str) -> Strategy:
    """The strategy that the name EMBEDDING/SELECTOR means. Raises UsageError as `pairs.halves` does."""
    embedding, selector = _pairs.halves(name)
    with_labelled = WITH_LABELLED.get(embedding) if selector in _FROM_LABELLED else None
    needs = _pairs.EMBEDDINGS[embedding][0] + (("labelled",) if with_labelled else ())
    embed = with_labelled or EMBED[embedding]

    def run(view: View, k: int, *, rng: np.random.Generator) -> Selection:
        return _selected(view, k, rng, embed(view, k, rng), selector)

    def run_on_changes(view: View, k: int, *, rng: np.random.Generator, candidates: AutoOrCount = "auto") -> Selection:
        count_or("auto", candidates=candidates)
        return _selected(view, k, rng, _changes(view, k, rng, candidates), selector)

    if embedding == "delta":
        return Strategy(run_on_changes, needs, pointwise=False, random=True)
    return Strategy(
        run, needs, pointwise=False, random=selector in _DRAWS, samples=_SAMPLES if embedding == "samples" else 0
    )


def _selected(view: View, k: int, rng: np.random.Generator, embedded: Embedded, selector: str) -> Selection:
    """Choose k candidates by their vectors. fw also gives weights and a record."""
    if selector == "fw":
        assert embedded.sums is not None
        picks_K, scores_K, weights_K, notes, record = coreset(embedded.sums(), k)
        return Selection(view.rows[picks_K], finite32(scores_K), weights_K, notes=embedded.notes + notes, record=record)
    picks_K, scores_K, notes = _select_rows(embedded, selector, k, rng)
    rows_M = view.rows if embedded.places_M is None else view.rows[embedded.places_M]
    return Selection(rows_M[picks_K], finite32(scores_K), notes=embedded.notes + notes)


def _select_rows(
    embedded: Embedded, selector: str, k: int, rng: np.random.Generator
) -> tuple[Int64, Float64, tuple[str, ...]]:
    """Choose k vectors by a selector other than fw; return their places, their scores and notes for the user."""
    rows, centres = embedded.rows, embedded.centres
    if selector == "kcenter":
        start_N = rows.sq_norms if embedded.from_zero and centres is None else None
        return *k_center(rows, k, centres, start_N=start_N), ()
    if selector == "lcmd":
        return *lcmd(rows, k, centres), ()
    if selector == "kdpp":
        picks_K, scores_K, rank = k_dpp(rows, k, rng)
        return picks_K, scores_K, rank_note("the rows", rank, k)
    picks_K, scores_K = SELECTORS[selector](rows, k, rng)
    return picks_K, scores_K, rank_note("the rows", int(np.count_nonzero(scores_K)), k) if selector == "maxdet" else ()


# Embeddings: (view, k, rng) -> Embedded, where k is the number of rows to be chosen. `pairs.EMBEDDINGS` describes them.


def _features(view: View, k: int, rng: np.random.Generator) -> Embedded:
    X_ND = view.matrix("features")
    return Embedded(Rows(Factor(X_ND)), sums=lambda: GradientRows(X_ND), from_zero=False)


def _features_with_labelled(view: View, k: int, rng: np.random.Generator) -> Embedded:
    rows, centres = feature_rows(view.matrix("features"), view.labelled())
    return Embedded(rows, centres, from_zero=False)


def _probabilities(view: View, k: int, rng: np.random.Generator) -> Embedded:
    P_NC = np.exp(view.matrix("log_probs"))
    return Embedded(Rows(Factor(P_NC)), sums=lambda: GradientRows(P_NC), from_zero=False)


def _probabilities_with_labelled(view: View, k: int, rng: np.random.Generator) -> Embedded:
    if view.n_labelled == 0:
        return _probabilities(view, k, rng)
    P_NC = np.exp(view.matrix("log_probs"))
    labelled_LC = np.exp(view.evaluate("log_probs", view.labelled())).astype(P_NC.dtype)
    rows, centres = feature_rows(P_NC, labelled_LC)
    return Embedded(rows, centres, from_zero=False)


def _gradients(view: View, k: int, rng: np.random.Generator) -> Embedded:
    parts = Parts.of(view)
    a_RC, H_RD = residuals(parts.view.matrix("log_probs")), parts.view.matrix("hidden")
    rows = parts.summed(Rows(Factor(a_RC), Factor(H_RD, offset=1.0)))
    return Embedded(rows, sums=lambda: parts.summed_gradients(GradientRows(a_RC, H_RD)))


def _deviations(view: View, k: int, rng: np.random.Generator) -> Embedded:
    return Embedded(stability_rows(view, rng))


def _changes(view: View, k: int, rng: np.random.Generator, candidates: str = "auto") -> Embedded:
    parts = Parts.of(view)
    if parts.single:
        places_M, rows, notes = change_rows(view, k, candidates, rng)
        return Embedded(rows, places_M=places_M, notes=notes)
    # The change by a group is the sum of the changes by its rows: whole groups are looked at, of as many rows together.
    most = FEW * view.n // parts.view.n if candidates == "auto" else int(candidates)
    places_M, notes = some_places(view, max(most, k), rng)
    parts = Parts.of(view.among(view.rows[places_M]))
    _, rows, _ = change_rows(parts.view, k, str(parts.view.n), rng)
    return Embedded(parts.summed(rows), places_M=places_M, notes=notes)


def _likelihoods(view: View, k: int, rng: np.random.Generator) -> Embedded:
    E_NS = likelihoods(view)
    return Embedded(Rows(Factor(E_NS)), sums=lambda: GradientRows(E_NS))


EMBED: Mapping[str, Callable[[View, int, np.random.Generator], Embedded]] = {
    "feature": _features,
    "prob": _probabilities,
    "grad": _gradients,
    "noise": _deviations,
    "delta": _changes,
    "samples": _likelihoods,
}
WITH_LABELLED: Mapping[str, Callable[[View, int, np.random.Generator], Embedded]] = {
    "feature": _features_with_labelled,
    "prob": _probabilities_with_labelled,
}
