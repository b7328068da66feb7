"""A committee: last layers of the head's kind, each fitted to resampled or to perturbed labelled rows.

`-p posterior.resample=bootstrap` (default): every member is fitted to n rows drawn with replacement. A class that
lost all of its rows gets one row back, and the weights are scaled to their old sum. With one row a class, the
members therefore still know every class, and differ only in the weights of the rows. Under a weak prior they then
differ little: on sentence embeddings of 77 classes their logits have a standard deviation of 0.04, with `seeds` of
2.4.

`resample=seeds`: every member is fitted with label noise on its targets, and its prior is centred at a draw from
the prior (randomised MAP). Different random starts alone would make no committee, because the loss is convex and
every start leads to the same optimum. Under squared loss such members are exact draws from the posterior. Under a
softmax they are draws from the Laplace approximation with the full Hessian as far as the loss is quadratic, without
a matrix over all weights. The noise has the scale of the Laplace posteriors (posteriors/_laplace.py).

The mean stays the MAP of all rows. A member is stored as its difference from the mean, and moves with the mean.

M is the number of members.
Source: Seung, Opper & Sompolinsky, Query by Committee, COLT 1992; Breiman, Bagging Predictors, 1996; Pearce et al.,
Uncertainty in Neural Networks: Approximately Bayesian Ensembling, AISTATS 2020.
Cost: `members` fits that share one rotation of the rows and start at the MAP (numerics/last_layer/members.py). 10
bootstrap members of 800 rows, 384 features and 77 classes take 0.9 times as long as one fit of a softmax head: a
sixth of 10 separate fits. For a ridge head they take half of 10 separate fits. Seeds take 2.7 times one fit, for a
ridge head a third of 10 fits (`make bench`, posteriors). Variance and predictions 2 M C D1 flops a row; memory M C
D1 floats, in the head file as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np

from alcli import stored
from alcli.arrays import Array, Float64
from alcli.errors import DataError, UsageError
from alcli.numerics.last_layer.members import Members
from alcli.numerics.last_layer.softmax_map import mean_curvature
from alcli.posteriors._contract import Evidence, contrasts, stream
from alcli.posteriors._laplace import scale
from alcli.posteriors._sampled import Sampled

Resample = Literal["bootstrap", "seeds"]


def two_or_more(*, members: int) -> None:
    """Raise UsageError for fewer than 2 members, because one member cannot disagree."""
    if members < 2:
        raise UsageError(f"an ensemble has at least 2 members, got {members}", hint="use -p posterior.members=10")


@dataclass(frozen=True)
class Ensemble(Sampled):
    """An ensemble of M last layers. deviations_MCD1: members minus the mean. resample: the way they were fitted."""

    deviations_MCD1: Float64
    resample: Resample

    kind: ClassVar[str] = "ensemble"

    @classmethod
    def fit(
        cls,
        W_CD1: Float64,
        data: Evidence,
        *,
        prior_precision: float,
        curvature: float = 1.0,
        noise_variance: float | None = None,
        prior_mean_CD1: Float64 | None = None,
        seed: int = 0,
        members: Annotated[int, two_or_more] = 10,
        resample: Resample = "bootstrap",
    ) -> tuple[Float64, Self]:
        """Fit the members. Returns (W_CD1, posterior).

        Member i depends on (seed, i) alone, so a smaller ensemble consists of the first members of a larger one.
        Raises DataError if a member does not converge, and without labels, because nothing would tell members apart.
        """
        if not data.n:
            hint = "label some rows, or take a Laplace posterior"
            raise DataError("the members of an ensemble are fitted to resampled labels, and there are none", hint=hint)
        shared = Members.of(
            data.phi_LD1, data.targets_LC, data.weights_L, W_CD1, prior_precision, prior_mean_CD1, data.link
        )
        streams = [stream(seed, i) for i in range(members)]
        if resample == "bootstrap":
            fitted = [shared.reweighted(bootstrap_weights(data, rng)) for rng in streams]
        else:
            noise = noise_variance or _scale(shared)
            fitted = [_randomised(shared, noise, rng) for rng in streams]
        return W_CD1, cls(np.stack(fitted) - W_CD1, resample)

    @property
    def distinct(self) -> int:
        """The number of members."""
        return len(self.deviations_MCD1)

    @property
    def figures(self) -> Mapping[str, float]:
        """The number of members."""
        return {"members": float(self.distinct)}

    def variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute the variance over the members, all with the same probability, shape [B, C]."""
        out_BC = np.zeros((len(phi_BD1), len(W_CD1)))
        for member_CD1 in self.deviations_MCD1 - self.deviations_MCD1.mean(axis=0):
            out_BC += (phi_BD1 @ member_CD1.T) ** 2
        return out_BC / self.distinct

    def contrast_variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute the variance over the members of each logit minus the mean of the others, shape [B, C]."""
        contrasts_MCD1 = np.stack([contrasts(member_CD1) for member_CD1 in self.deviations_MCD1])
        return replace(self, deviations_MCD1=contrasts_MCD1).variance(W_CD1, phi_BD1)

    def root(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute the deviation of each member from the mean of all, over sqrt(members), [B, members]."""
        first_MD1 = self.deviations_MCD1[:, 0] - self.deviations_MCD1[:, 0].mean(axis=0)
        return phi_BD1 @ first_MD1.T / self.distinct**0.5

    def sample(self, W_CD1: Float64, n_samples: int, *, seed: int, first: int = 0) -> Float64:
        """Return member i mod `distinct` as sample i, whatever the seed."""
        return W_CD1 + self.deviations_MCD1[np.arange(first, first + n_samples) % self.distinct]

    def with_new_classes(self, n: int) -> Self:
        """Give a new class the deviations of another class in the preceding member.

        Its deviations are then as large as those of the known classes, but belong to different members.
        """
        C = self.deviations_MCD1.shape[1]
        added_MCD1 = np.roll(self.deviations_MCD1, 1, axis=0)[:, np.arange(n) % C]
        return replace(self, deviations_MCD1=np.concatenate([self.deviations_MCD1, added_MCD1], axis=1))

    def arrays(self) -> dict[str, Array]:
        return {"deviations": self.deviations_MCD1}

    def settings(self) -> dict[str, Any]:
        return {"kind": self.kind, "members": self.distinct, "resample": self.resample}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], *, D1: int, C: int) -> Self:
        """Rebuild from the stored differences, [M, C, D1]."""
        deviations_MCD1 = stored.tensor(arrays, "deviations", (stored.count(settings, "members"), C, D1))
        return cls(deviations_MCD1, stored.choice(settings, "resample", ("bootstrap", "seeds")))


def bootstrap_weights(data: Evidence, rng: np.random.Generator) -> Float64:
    """Draw n rows with replacement, as weights: counts times the weights of the rows, scaled to their old sum, [L].

    Every class keeps at least one row.
    """
    y_L, order_L = data.targets_LC.argmax(axis=1), rng.permutation(data.n)
    counts_L = rng.multinomial(data.n, np.full(data.n, 1.0 / data.n))
    seen_C = np.bincount(y_L, weights=counts_L, minlength=data.targets_LC.shape[1])
    classes, first = np.unique(y_L[order_L], return_index=True)
    lost = seen_C[classes] == 0
    counts_L[order_L[first[lost]]] = 1
    weights_L = counts_L * data.weights_L
    return weights_L * (data.weights_L.sum() / weights_L.sum())


def _randomised(shared: Members, noise: float, rng: np.random.Generator) -> Float64:
    """Fit the MAP with label noise and a draw from the prior as the prior mean, both scaled by the noise variance."""
    anchor_CD1 = shared.prior_mean_CD1 + np.sqrt(noise) * shared.prior_deviations * rng.standard_normal(
        shared.W_CD1.shape
    )
    return shared.perturbed(
        np.sqrt(noise) * shared.label_noise(rng.standard_normal(shared.targets_LC.shape)), anchor_CD1
    )


def _scale(shared: Members) -> float:
    """Compute the noise variance of laplace-kron, which is near the noise variance of the full Hessian."""
    rows, prior, probs_LC = shared.rows, shared.prior_precision, shared.probs
    curvature_C = np.maximum(np.linalg.eigvalsh(mean_curvature(probs_LC, rows.weights_L)), 0.0)
    share_R = (rows.V_D1R[:-1] ** 2).sum(axis=0)  # the part of each coordinate that is weights and not the bias
    spanned = float((1.0 / (prior + np.outer(curvature_C, rows.gram_R))).sum(axis=0) @ share_R)
    C, D = shared.W_CD1[:, :-1].shape
    deviation_CD1 = shared.W_CD1 - shared.prior_mean_CD1
    return scale(deviation_CD1, prior, spanned + C * (D - float(share_R.sum())) / prior)
