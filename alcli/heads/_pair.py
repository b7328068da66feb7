"""Two models of the same labels: one that strategies look at, and one that predicts.

They differ where a head learns from the pool without names of classes (heads/_pool_prior.py). Its mixture assigns the
clusters of classes that have no label yet to classes that have one. So the model is sure of rows that are worth asking
for, and must not choose them. The plain model chooses, and the model that knows the pool predicts. With names every
class takes part from the beginning, and one model does both.
The plain model has chosen its prior precision by the labels, and the other model takes it over.

Source: docs/pool-prior.md, which has the measurements.
Cost: that of the prior, and of one or two fits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from alcli.arrays import Floats
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads._pool_prior import PoolPrior, pool_prior
from alcli.numerics.mixture.directions import Blocks
from alcli.remarks import working


@dataclass(frozen=True)
class Unlabelled:
    """The sources of a head beside labels.

    blocks: yields the features of the unlabelled rows, from the beginning at every call. names_CD: an embedding of the
    name of each class, zeros for a class without one; None without names.
    """

    blocks: Blocks
    names_CD: Floats | None = None


@dataclass(frozen=True)
class Pair:
    """selects: the model that strategies look at. predicts: the model that predicts; the same object where one does
    both. prior: what was learnt from the pool; None for plain heads.
    """

    selects: Model
    predicts: Model
    prior: PoolPrior | None = None

    @property
    def is_one(self) -> bool:
        """True where one model selects and predicts."""
        return self.predicts is self.selects


@working("fitting")
def fit_pair(
    data: Training,
    spec: FitSpec,
    pool: Unlabelled | None = None,
    *,
    start: Pair | None = None,
    tune_update: bool = True,
) -> Pair:
    """Fit both models to labelled rows.

    pool: what else to learn from; None fits a plain model, which does both. start: a pair of the same classes to begin
    at. tune_update: as in `fit`. Raises what `fit` raises. Where every class has a name, no label is needed.
    """
    before = (None, None) if start is None else (start.selects, start.predicts)
    if pool is None:
        model = fit(data, spec, start=before[0], tune_update=tune_update)
        return Pair(model, model)
    prior = pool_prior(pool.blocks, data, pool.names_CD)

    def around(prior: PoolPrior) -> Model:
        return fit(replace(data, anchor=prior.anchor), spec, start=before[1], tune_update=tune_update)

    has_names = pool.names_CD is not None and bool(np.any(pool.names_CD))
    if has_names and (not prior.refused or len(np.unique(data.y_L)) < 2):
        # Where names are refused and the labels show a single class, there are no labels for a plain model.
        predicts = around(prior)
        return Pair(predicts, predicts, prior)
    selects = fit(data, spec, start=before[0], tune_update=tune_update)
    prior = prior.beside(selects.head)
    return Pair(selects, around(prior), prior)
