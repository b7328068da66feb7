"""The ways in which a head takes changed labels: in closed form, by a polish after it, or by a fit of all labels."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np

from alcli.arrays import Array, Int64
from alcli.data.absorbed import Absorbed
from alcli.data.head_file import HeadFile
from alcli.data.head_match import choose_anchors, rows_of_hashes
from alcli.data.pool import Pool
from alcli.errors import DataError, counted
from alcli.heads._comparators import first_order, reweight, stable_step
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, with_posterior
from alcli.heads._model import Model
from alcli.heads._pair import Pair
from alcli.heads._polish import is_renewal, polished
from alcli.heads._tuning import EXACT
from alcli.posteriors._contract import Mode
from alcli.remarks import Note
from alcli.workflows.fit_head import fitted_pair
from alcli.workflows.labelled import absorbed, id_order, training
from alcli.workflows.recipe import PAPER, PRESETS, Recipe
from alcli.workflows.update.changes import Changes
from alcli.workflows.update.request import FIRST_ORDER, MC, REFIT, SECOND_ORDER, UpdateRequest

MC_SAMPLES = 1000


def learn(
    pool: Pool, head: HeadFile, changes: Changes, ask: UpdateRequest, shown: str, note: Note
) -> tuple[HeadFile, dict[str, Any]]:
    """Return the head after the changes, and the figures of the method with its seconds.

    shown: the name of the head in messages. Raises DataError.
    """
    started = time.perf_counter()
    data = training(pool, changes.new, head.classes)
    new = absorbed(pool, changes.new, data)
    everything = changes.left(head.absorbed).extended(new)
    recipe = Recipe.from_json(head.recipe, shown)
    spec = recipe.spec(regression=head.classes is None)
    figures: dict[str, Any] = {"polished": False, "renewed": False}
    if ask.method == REFIT:
        head = _fitted(pool, head, everything, recipe)
    elif ask.polishes(head.model) and _are_in(pool, everything, note):
        if data.n and is_renewal(len(everything), head.fitted_on):
            head, figures["renewed"] = _fitted(pool, head, everything, recipe), True
        else:
            all_data = labelled(pool, head, everything)
            head = _in_closed_form(head, data, new, ask, figures)
            head = head.changed(lambda model: polished(model, all_data, spec))
            everything, figures["polished"] = replace(everything, held_L=None), True
    else:
        if ask.preset == PAPER:
            head = _published(pool, head, spec)
        elif ask.gamma is not None and ask.method == SECOND_ORDER:
            _remark_on_curvature(head.model, ask.gamma, note)
        head = _without(pool, head, changes, note)
        head = _in_closed_form(head, data, new, ask, figures)
        if ask.method in (FIRST_ORDER, MC):
            everything = replace(everything, held_L=everything.is_held_L & ~np.isin(everything.id_L, new.id_L))
    figures |= {"seconds": time.perf_counter() - started, "prior_precision": head.predicts.head.prior_precision}
    ids = np.concatenate([head.anchor_id, new.id_L])
    anchor_id, anchors = choose_anchors(ids, np.concatenate([head.anchors, data.X_LD]))
    return replace(head, absorbed=everything, anchor_id=anchor_id, anchors=anchors), figures


def labelled(pool: Pool, head: HeadFile, known: Absorbed) -> Training:
    """The features of absorbed labels, in the order of their ids. Raises DataError where the pool lacks an item."""
    rows_L = rows_of_hashes(known.id_L, pool.ids.hashes())
    if (rows_L < 0).any():
        raise DataError(
            f"a refit needs all {len(rows_L)} labelled items, {(rows_L < 0).sum()} of them are not in {pool.name}",
            hint="give the pool that the head was fitted on",
        )
    order = id_order(pool, rows_L)
    y_L: Array = known.label_L[order]
    n_classes = None if head.classes is None else len(head.classes)
    return Training(pool.take(rows_L[order]), y_L, known.weight_L[order], n_classes)


def _are_in(pool: Pool, known: Absorbed, note: Note) -> bool:
    """True where the pool has the items of all labels; a polish needs them."""
    n = int((rows_of_hashes(known.id_L, pool.ids.hashes()) < 0).sum())
    if n:
        one, several = f"of {len(known)} labelled items is", f"of {len(known)} labelled items are"
        left = "so the update is the closed form alone; give the pool that holds them for one that equals retraining"
        note(f"{counted(n, one, several)} not in {pool.name}, {left}")
    return n == 0


def _fitted(pool: Pool, head: HeadFile, everything: Absorbed, recipe: Recipe) -> HeadFile:
    """Fit the models of the head to all labels from their present weights: prior, curvature, noise and temperature too.

    The head knows its old labels by the hash of their ids. A head that learns from the pool reads the pool again.
    Raises DataError where the pool lacks a labelled item.
    """
    data = labelled(pool, head, everything)
    rows_L: Int64 = rows_of_hashes(everything.id_L, pool.ids.hashes())
    start = Pair(head.model, head.predicts)
    pair = fitted_pair(pool, rows_L, data, head.classes, recipe, head.class_names, start)
    return replace(
        head,
        model=pair.selects,
        predictor=None if pair.is_one else pair.predicts,
        fitted_on=data.n,
        absorbed=replace(everything, held_L=None),
    )


def _published(pool: Pool, head: HeadFile, spec: FitSpec) -> HeadFile:
    """The head with the posterior of the published rule: curvature 1 and prior precision 1 around its weights.

    The bias keeps its own prior. Raises DataError where the pool lacks a labelled item.
    """
    data = labelled(pool, head, head.absorbed.only(head.absorbed.is_held_L))
    curvature, _, posterior_prior = PRESETS[PAPER]
    paper = replace(spec, posterior_prior=posterior_prior)

    def with_posterior_of_paper(model: Model) -> Model:
        if model.posterior is None or model.head.link == "identity":
            return model
        return replace(model, posterior=with_posterior(model.head, data, paper, cast(float, curvature))[1])

    return head.changed(with_posterior_of_paper)


def _remark_on_curvature(model: Model, gamma: float, note: Note) -> None:
    """Say where a step size meets a posterior that is not the one that step sizes are published for."""
    curvature = getattr(model.posterior, "curvature", EXACT)
    if curvature != EXACT:
        meant = f"--gamma {gamma:g} multiplies steps of a posterior of curvature {curvature:.3g}"
        note(f"{meant}; step sizes are published for curvature 1, which --preset paper takes")


def _without(pool: Pool, head: HeadFile, changes: Changes, note: Note) -> HeadFile:
    """Return the head with the labels that go taken out of the posterior, and the weights one step back.

    A label that first-order or mc absorbed is not in the posterior, and no step is known to take it back.
    """
    gone = head.absorbed.only(changes.gone_R)
    held_R = gone.is_held_L
    if not held_R.all():
        one, several = "label was", "labels were"
        what = f"{counted(int((~held_R).sum()), one, several)} absorbed by first-order or mc"
        note(f"{what}; the weights keep what they learned from them, and --method refit takes that back")
    if not held_R.any():
        return head
    n_classes = None if head.classes is None else len(head.classes)
    data = Training(pool.take(changes.rows_R[held_R]), gone.label_L[held_R], gone.weight_L[held_R], n_classes)
    return head.changed(lambda model: model.remove(data))


def _in_closed_form(
    head: HeadFile, data: Training, new: Absorbed, ask: UpdateRequest, figures: dict[str, Any]
) -> HeadFile:
    """Return the head after an update that looks at the new rows alone; the figures of the method are added.

    Rows come in the order of the hashes of their ids. The order of the ids themselves often goes class by class, which
    is the worst order.
    """
    if not data.n:
        return head
    shuffled = data.rows(np.argsort(new.id_L))
    model, of_method = _moved(head.model, shuffled, ask)
    figures |= of_method
    predictor = None if head.predictor is None else _moved(head.predictor, shuffled, ask)[0]
    return replace(head, model=model, predictor=predictor)


def _moved(model: Model, data: Training, ask: UpdateRequest) -> tuple[Model, dict[str, Any]]:
    if ask.method == FIRST_ORDER:
        gamma = stable_step(model, data) if ask.gamma is None else ask.gamma
        return first_order(model, data, gamma=gamma), {"gamma": gamma}
    if ask.method == MC:
        gamma = 1.0 if ask.gamma is None else ask.gamma
        hypotheses = reweight(model, data, gamma=gamma, n_samples=MC_SAMPLES)
        effective = hypotheses.effective_samples
        figures = {"gamma": gamma, "hypotheses": len(hypotheses.weights_S), "effective_samples": effective}
        return hypotheses.collapsed(), figures
    step = ask.step_of(model)
    update = partial(model.update, gamma=step, mode=cast(Mode, ask.mode))
    return update(data), {"gamma": "auto" if step is None else step}
