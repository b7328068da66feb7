"""The pool-aware prior of a softmax head.

1. A mixture of von Mises-Fisher distributions learns one mean direction a class from labelled rows, rows of the pool
   and, where given, embeddings of the names of the classes (numerics/mixture/). Only classes with a label or a name
   take part.
2. Its linear classifier is the centre of the Gaussian prior of the head, in place of zero. Labels that disagree with
   the mixture override it, and with many labels the head is that of heads/softmax.py.

The strength of the centre follows from the scale of cosines at which held-out labelled rows are most probable
(numerics/mixture/concentration.py). The centre is 1.5 times stronger than that, because the fit of the head then moves
away from it with every label.
Of that strength, a part is taken, the trust. It falls with the labels of each class, and where the rows vary in few
effective dimensions. So the head becomes the plain head where labels are enough, and where directions say little. Trust
needs no held-out labels: labels that were chosen for being hard prefer the plain head for too long.
The precision around the centre is the default of the plain head. A head beside a plain one takes over the precision
that the plain one has found (`PoolPrior.beside`); then without trust it is the plain head itself.
Source: of the parts, see the files. Prior centred at a classifier: Silva-Rodriguez et al., CLAP, CVPR 2024; unlabelled
rows in a mixture on frozen embeddings: Zanella et al., TransCLIP, NeurIPS 2024. The combination is ours;
benchmarks/study_pool_head.py prints the measurements.
Cost: one pass for the directions, 10 passes of two products of 2 N D C flops, 60 passes over a sample of at most 2,047
rows, and one fit of the head.
Memory: O(C D), the sample, and a block of rows for each thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict, cast

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.errors import DataError
from alcli.heads._contract import Head, Training
from alcli.heads._prior import RELATIVE_DEFAULT
from alcli.numerics.blocks import Spread, workers
from alcli.numerics.last_layer.prior import Anchor
from alcli.numerics.mixture.concentration import calibrated, effective_dimensions, of_pool
from alcli.numerics.mixture.directions import Blocks, Directions, grouped, measure
from alcli.numerics.mixture.held_out import held_out_cosines
from alcli.numerics.mixture.names import contradicted
from alcli.numerics.mixture.von_mises_fisher import VonMisesFisher, fit_mixture, fixed_sums, taking_part

# Between these effective dimensions trust in the centre rises from 0 to 1. Rows of tables have few, and there the
# whole centre cost up to 16 points (docs/pool-prior.md).
NO_DIMENSIONS, ENOUGH_DIMENSIONS = 3.0, 10.0


@dataclass(frozen=True)
class Constants:
    """The constants of the prior. benchmarks/study_pool_head.py prints what three times more or less of each does.

    share: of the maximum likelihood concentration, where no label says otherwise. certainty: of that concentration,
    1 over the variance of its logarithm. sharper: the concentration during the passes, and strength: that of the
    classifier, over the one that makes held-out labels most probable. pull: the weight of the whole pool, and name:
    that of the name of a class, in labelled rows a class. passes: over the pool. half: the labels of a class at which
    trust is a half; half_named: the same where names are in use. precision: of the weights around the centre, over that
    of the plain head.
    """

    share: float = 0.5
    certainty: float = 1.5
    sharper: float = 2.0
    strength: float = 1.5
    pull: float = 15.0
    name: float = 2.0
    passes: int = 10
    half: float = 5.0
    half_named: float = 20.0
    precision: float = 1.0


@dataclass(frozen=True)
class PoolPrior:
    """The centre of the prior and how it came about.

    W_CD1: the centre, on the scale of the features; zeros for a class without label or name. prior_precision: of the
    weights around the centre. means_CD: mean directions, unit vectors or zeros. typical_CD: the features of a row in
    the mean direction of a class. waiting_C: a mask of the classes that have a name and no label. concentration:
    kappa', the factor of cosines in logits. trust: the part of its strength that the centre has in kappa', 0 to 1.
    passes_at: kappa, the factor during the passes. mass_C: the effective number of pool rows of each class.
    wrong_names: the classes whose names the labels contradict; those names were not used. refused: True where the
    labels contradict the names as a whole, and no name was used. held_out: the number of rows that the concentration
    was found with. dimensions: the effective number of dimensions that the rows vary in.
    """

    W_CD1: Float64
    prior_precision: float
    means_CD: Float64
    typical_CD: Float64
    waiting_C: Array
    concentration: float
    trust: float
    passes_at: float
    mass_C: Float64
    wrong_names: Int64
    refused: bool
    held_out: int
    dimensions: float

    @property
    def anchor(self) -> Anchor:
        """The prior as a softmax head takes it."""
        waiting = np.flatnonzero(self.waiting_C)
        return Anchor(self.W_CD1, self.prior_precision, self.typical_CD[waiting], waiting)

    @property
    def advisable(self) -> bool:
        """True where the features look like embeddings: the rows vary in enough dimensions for means to tell apart."""
        return self.dimensions >= ENOUGH_DIMENSIONS

    def beside(self, plain: Head) -> PoolPrior:
        """The prior with the precision that a plain head of the same labels has found."""
        return replace(self, prior_precision=plain.prior_precision)


def pool_prior(
    blocks: Blocks, data: Training, names_CD: Floats | None = None, constants: Constants = Constants()
) -> PoolPrior:
    """Fit the mixture.

    blocks: yields the features of the unlabelled rows of the pool, without test rows, from the beginning at every call;
    neither the size of the blocks nor the number of threads changes a bit of the result. data: the labelled rows, also
    none of them where names are given. names_CD: the embeddings of the names of the classes by the upstream model of
    the pool; zeros for a class without a name. Raises DataError where no class has a label or a name.
    """
    with workers() as spread:
        directions = measure(blocks, data.X_LD, spread)
        names = np.zeros((cast(int, data.n_classes), directions.dim)) if names_CD is None else names_CD
        fit = _Fit(directions, data, directions.of_names(names), constants, spread)
        kappa = fit.of_pool()
        wrong_names, refused = fit.drop_wrong_names(kappa)
        # Without the names that were dropped, everything is as if they had not been given.
        kappa = fit.of_pool() if refused or len(wrong_names) else kappa
        kappa, held_out = fit.of_labels(kappa)
        mixture, trust = fit.mixture(blocks, kappa), fit.trust()
        strength = trust * constants.strength * kappa
    return PoolPrior(
        directions.classifier(mixture.means_PD, strength),
        constants.precision * RELATIVE_DEFAULT * directions.spread,
        mixture.means_PD,
        directions.features(mixture.means_PD),
        mixture.means_PD.any(axis=1) & ~np.isin(np.arange(len(names)), data.y_L),
        strength,
        trust,
        constants.sharper * kappa,
        mixture.mass_P,
        wrong_names,
        refused,
        held_out,
        fit.dimensions,
    )


class _How(TypedDict):
    """The options that every mixture is fitted with."""

    passes: int
    pull: float


class _Fit:
    """The steps of a fit. names_CD: the directions of the names that are in use."""

    def __init__(
        self, directions: Directions, data: Training, names_CD: Float64, constants: Constants, spread: Spread
    ) -> None:
        self._directions, self._data, self._spread = directions, data, spread
        self._constants = constants
        self._how: _How = {"passes": constants.passes, "pull": constants.pull}
        self._U_LD, self.names_CD = directions.of(data.X_LD), names_CD
        self._rows_SD = directions.sample_SD if directions.n_pool else self._U_LD
        self.dimensions = effective_dimensions(self._rows_SD)

    def of_pool(self) -> float:
        """Estimate the concentration from the sample, without the labels of held-out rows. DataError: no class."""
        present_C, fixed_CD = self._fixed()
        if not present_C.any():
            raise DataError(
                "a pool prior needs a class with a label or a name", hint="label a row, or name the classes"
            )
        n, share = len(self._rows_SD), self._constants.share

        def of_length(length: float) -> float:
            return of_pool(length, self.dimensions, int(present_C.sum()), n, share)

        found = fit_mixture(lambda: [[self._rows_SD]], n, fixed_CD[present_C], of_length, self._spread, **self._how)
        return of_length(found.length)

    def drop_wrong_names(self, kappa: float) -> tuple[Int64, bool]:
        """Forget names that the labels contradict. Return (the classes of those names, True where all are refused)."""
        is_wrong_C, refused = contradicted(self._U_LD, self._data.y_L, self.names_CD, kappa)
        self.names_CD[is_wrong_C | refused] = 0.0
        return np.flatnonzero(is_wrong_C), refused

    def of_labels(self, kappa: float) -> tuple[float, int]:
        """Calibrate the concentration on held-out rows. Return it, and the number of those rows."""
        data, sample_SD = self._data, self._directions.sample_SD
        names_CD, sharper = self._constants.name * self.names_CD, self._constants.sharper
        cosines_HC, y_H = held_out_cosines(
            sample_SD, self._U_LD, data.y_L, data.weights_L, names_CD, sharper * kappa, self._spread, **self._how
        )
        return calibrated(cosines_HC, y_H, kappa, self._constants.certainty), len(y_H)

    def mixture(self, blocks: Blocks, kappa: float) -> VonMisesFisher:
        """Fit the mixture to the whole pool; classes that take no part get means and masses of zero."""
        present_C, fixed_CD = self._fixed()
        found = fit_mixture(
            lambda: grouped(blocks),
            self._directions.n_pool,
            fixed_CD[present_C],
            self._constants.sharper * kappa,
            self._spread,
            direct=self._directions.of,
            **self._how,
        )
        means_CD, mass_C = np.zeros_like(fixed_CD), np.zeros(len(fixed_CD))
        means_CD[present_C], mass_C[present_C] = found.means_PD, found.mass_P
        return VonMisesFisher(means_CD, mass_C, found.length)

    def trust(self) -> float:
        """Return the part of its strength that the centre keeps: a mean over the classes that take part.

        It falls with the labels of the class, and without names with few dimensions too. Names say where classes are,
        so with them it falls later.
        """
        is_named, constants = bool(self.names_CD.any()), self._constants
        counts_C = np.bincount(self._data.y_L, minlength=len(self.names_CD))[self._fixed()[0]]
        half = constants.half_named if is_named else constants.half
        above = (self.dimensions - NO_DIMENSIONS) / (ENOUGH_DIMENSIONS - NO_DIMENSIONS)
        return float((half / (half + counts_C)).mean()) * (1.0 if is_named else min(max(above, 0.0), 1.0))

    def _fixed(self) -> tuple[Array, Float64]:
        """The classes that take part, a mask [C], and the fixed part of the mixture, [C, D]."""
        data, names_CD = self._data, self._constants.name * self.names_CD
        return taking_part(data.y_L, names_CD), fixed_sums(self._U_LD, data.y_L, data.weights_L, names_CD)
