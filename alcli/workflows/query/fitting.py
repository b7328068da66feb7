"""The head that a query fits itself, and the remark on who does what where a head holds two models."""

from __future__ import annotations

from alcli.arrays import Array
from alcli.data.class_names import ClassNames
from alcli.data.head_file import HeadFile
from alcli.data.pool import Pool
from alcli.errors import counted
from alcli.remarks import Note
from alcli.selection.strategy import Strategy
from alcli.workflows.fit_head import fit_labelled
from alcli.workflows.labelled import LabelledRows
from alcli.workflows.query.request import Query
from alcli.workflows.recipe import PLAIN, POOL, Recipe

_LARGEST_POSTERIOR = 8192


def fitted_now(
    pool: Pool, ask: Query, strategy: Strategy, labelled: LabelledRows, names: ClassNames | None, note: Note
) -> tuple[HeadFile, Array | None]:
    """Fit a head on the labels; return it, and the labels in its numbering where the strategy reads them."""
    calibrate = "temperature" if strategy.needs_calibration and not labelled.regression else "none"
    posterior = "laplace" if ask.absorbs else strategy.posterior
    if pool.dim > _LARGEST_POSTERIOR and not strategy.suited(labelled.regression).needs_posterior:
        note(f"D={pool.dim} is too large for a covariance of D x D, so the confidence is that of the weights alone")
        posterior = "none"
    # A label is contradicted best by a head that also knows the rows without a label.
    prior = ask.prior or (POOL if strategy.again and not labelled.regression else PLAIN)
    recipe = Recipe(posterior=posterior, calibrate=calibrate, prior=prior)
    head = fit_labelled(pool, labelled, recipe, note, names=names).head
    note(_told(head, len(labelled.rows_L)))
    if not strategy.again:
        remark_on_models(head, note)
    return head, labelled.labels.arrays(head.classes)[0] if "labelled_targets" in strategy.needs else None


def remark_on_models(head: HeadFile, note: Note) -> None:
    """Say which model does what, where a head holds two. For strategies that look at a model."""
    if head.predictor is not None:
        note("the strategy looks at the plain model of the head; the model that knows the pool predicts")


def _told(head: HeadFile, n_labels: int) -> str:
    """Say what a head was fitted on."""
    parts = [counted(n_labels, "label")]
    if head.class_names is not None:
        parts.append(counted(len(head.class_names.names), "name of a class", "names of classes"))
    if head.predictor is not None or head.class_names is not None:
        parts.append("the pool")
    what = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    return f"fitted a {head.model.head.kind} head on {what}"
