"""Rows that a discriminator is surest are not labelled yet.

The discriminator looks at codes of an autoencoder that learns to deceive it. Needs torch. The published
method encodes images; on frozen features it is a roundabout way to tell labelled rows from the others, and is
here to compare with. `discriminative` tells them apart directly.

The encoder maps features to the mean and the log variance of a code; the decoder maps a code back. Each step
takes two mini-batches, one of labelled and one of unlabelled rows. The autoencoder descends on the squared
error of the rebuilt features, the divergence of codes from a standard normal, and the loss of the
discriminator if all codes were called labelled. Then the discriminator descends on telling the two sides
apart. Features are centred and divided by one scale.

Source: Sinha, Ebrahimi & Darrell 2019, "Variational adversarial active learning", eq. 1-4, with layers for
vectors; the autoencoder is that of Kingma & Welling 2014. Squared errors and divergences are means over
numbers, not sums.
Cost: 24 B (D H + 2 H Z) flops a step for H units and codes of Z numbers, 100 steps of B = 64 rows a side,
float32 on one core; then 2 (D H + H Z) flops a row. Memory: the rows, and the weights four times.
Passes: 1.

Options:
    steps: number of training steps.
    units: number of units of every hidden layer.
    code: length of a code.
    batch-size: number of rows of each mini-batch.
    learning-rate: step size of Adam.
    divergence: weight of the divergence of codes in the autoencoder's loss, where the squared error has
        weight 1.
    adversary: weight of deceiving the discriminator in the autoencoder's loss, where the squared error has
        weight 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import Annotated, Any

import numpy as np

from alcli.arrays import Float32, Float64, Floats, Int64
from alcli.embedders._contract import require
from alcli.engine.kernels import pin_torch
from alcli.errors import UsageError
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.selection.options import Count, at_least
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View

NOTHING = "nothing is labelled, so the discriminator has seen one side only and the order means little"
Weight = Annotated[float, partial(at_least, 0)]


@batch(needs=["features", "labelled"], random=True)
def vaal(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    steps: Count = 100,
    units: Count = 64,
    code: Count = 16,
    batch_size: Count = 64,
    learning_rate: Annotated[float, positive_rate] = 0.001,
    divergence: Weight = 1.0,
    adversary: Weight = 1.0,
) -> Selection:
    """Pick the k rows of largest score.

    Scores: the log odds of not being labelled. Raises UnavailableError without torch.
    """
    pin_torch()
    torch = require("torch")
    how = VaalSettings(steps, units, code, batch_size, learning_rate, divergence, adversary)
    X_ND, X_LD, threads = view.matrix("features"), view.labelled(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sides, trained = Sides(X_ND, X_LD, np.zeros(len(X_ND), np.float32)), Adversary(torch, view.dim, how, rng)
        trained.train(sides)
        scores_N = finite32(-trained.labelled_logits(X_ND, sides.standard))
    finally:
        torch.set_num_threads(threads)
    picks_K = np.argsort(-scores_N, kind="stable")[:k]
    return Selection(view.rows[picks_K], scores_K=scores_N[picks_K], notes=() if view.n_labelled else (NOTHING,))


def positive_rate(*, learning_rate: float) -> None:
    """Raise UsageError for a learning rate that is not above 0."""
    if not learning_rate > 0.0:
        raise UsageError(f"parameter 'learning-rate' must be above 0, got {learning_rate}")


@dataclass(frozen=True)
class VaalSettings:
    """The settings of the training: options of `vaal`."""

    steps: int
    units: int
    code: int
    batch_size: int
    learning_rate: float
    divergence: float
    adversary: float


class Standard:
    """Standardised features: minus their mean, divided by the root of their mean variance, in float32."""

    def __init__(self, X_ND: Floats) -> None:
        self.mean_D = X_ND.mean(axis=0, dtype=np.float64)
        blocks = (X_ND[i : i + BLOCK_ROWS] - self.mean_D for i in range(0, len(X_ND), BLOCK_ROWS))
        variance = sum(float(np.vdot(block, block)) for block in blocks) / X_ND.size
        self._divisor = float(np.sqrt(variance)) or 1.0

    def __call__(self, X_BD: Floats) -> Float32:
        return ((X_BD - self.mean_D) / self._divisor).astype(np.float32)


class Sides:
    """The unlabelled and the labelled rows that mini-batches are drawn from.

    state_N: the state that the discriminator learns for each unlabelled row, float32 in [0, 1]; the state of a
    labelled row is 1.
    """

    def __init__(self, X_ND: Floats, X_LD: Floats, state_N: Float32) -> None:
        self.standard = Standard(X_ND)
        sides = ((X_ND, state_N), (X_LD, np.ones(len(X_LD), np.float32)))
        self._sides = [side for side in sides if len(side[0])]

    def drawn(self, rng: np.random.Generator, size: int) -> tuple[Float32, Float32, Int64]:
        """Draw `size` rows of each side that has rows.

        Returns (standardised features, states, places of the rows on their side); unlabelled rows come first.
        """
        places = [rng.integers(len(X), size=size) for X, _ in self._sides]
        x = self.standard(np.concatenate([X[at] for (X, _), at in zip(self._sides, places)]))
        return x, np.concatenate([state[at] for (_, state), at in zip(self._sides, places)]), np.concatenate(places)


class Adversary:
    """The autoencoder and the discriminator in training.

    rng: source of the first weights, the mini-batches and the noise.
    """

    def __init__(self, torch: ModuleType, D: int, how: VaalSettings, rng: np.random.Generator) -> None:
        self._torch, self._how, self._rng = torch, how, rng
        self._encoder, self._decoder, self._judge = (
            self._layers(*sizes)
            for sizes in ((D, how.units, 2 * how.code), (how.code, how.units, D), (how.code, how.units, 1))
        )
        self._by_autoencoder, self._by_judge = (
            torch.optim.Adam([p for layer in layers for p in layer], lr=how.learning_rate, fused=True)
            for layers in ([*self._encoder, *self._decoder], self._judge)
        )

    def train(self, sides: Sides) -> None:
        """Make all steps. Without labelled rows the unlabelled side alone takes part."""
        for _ in range(self._how.steps):
            drawn, state, places = sides.drawn(self._rng, self._how.batch_size)
            x = self._torch.from_numpy(drawn)
            self._step(self._by_autoencoder, self._generator_loss(x, places))
            self._step(self._by_judge, self._taken_for(self._encoded(x)[0].detach(), self._torch.from_numpy(state)))

    def _generator_loss(self, x: Any, places: Int64) -> Any:
        """The loss of all but the discriminator. places: of the rows x on their sides."""
        return self._autoencoder_loss(x)[0]

    def labelled_logits(self, X_ND: Floats, standard: Standard) -> Float64:
        """The discriminator's log odds that a row is labelled, by the mean of the row's code, [N]."""
        out_N = np.empty(len(X_ND))
        with self._torch.no_grad():
            for i in range(0, len(X_ND), BLOCK_ROWS):
                mean, _ = self._encoded(self._torch.from_numpy(standard(X_ND[i : i + BLOCK_ROWS])))
                out_N[i : i + BLOCK_ROWS] = self._through(self._judge, mean)[:, 0].numpy()
        return out_N

    def _autoencoder_loss(self, x: Any) -> tuple[Any, Any]:
        """Return (loss, codes with noise)."""
        mean, log_variance = self._encoded(x)
        noise = self._torch.from_numpy(self._rng.standard_normal(tuple(mean.shape), np.float32))
        code = mean + noise * self._torch.exp(0.5 * log_variance)
        loss = (
            ((self._through(self._decoder, code) - x) ** 2).mean()
            + self._how.divergence * divergence(mean, log_variance)
            + self._how.adversary * self._taken_for(mean, self._torch.ones(len(x)))
        )
        return loss, code

    def _taken_for(self, code: Any, state: Any) -> Any:
        """The mean cross-entropy of the discriminator for rows of the given states: 1 labelled, 0 not."""
        return self._torch.nn.functional.binary_cross_entropy_with_logits(self._through(self._judge, code)[:, 0], state)

    def _encoded(self, x: Any) -> tuple[Any, Any]:
        """Return (means, log variances) of the codes."""
        both = self._through(self._encoder, x)
        return both[:, : self._how.code], both[:, self._how.code :].clamp(-10.0, 10.0)

    def _through(self, layers: list[tuple[Any, Any]], h: Any) -> Any:
        for W, b in layers[:-1]:
            h = self._torch.relu(h @ W.T + b)
        return h @ layers[-1][0].T + layers[-1][1]

    def _layers(self, *sizes: int) -> list[tuple[Any, Any]]:
        drawn = [
            (self._rng.standard_normal((b, a), np.float32) * np.float32(np.sqrt(2.0 / a)), np.zeros(b, np.float32))
            for a, b in pairwise(sizes)
        ]
        return [
            (self._torch.tensor(W, requires_grad=True), self._torch.tensor(b, requires_grad=True)) for W, b in drawn
        ]

    def _step(self, optimiser: Any, loss: Any) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()


def divergence(mean: Any, log_variance: Any) -> Any:
    """The KL divergence of a normal with the given moments from a standard normal, a mean over all numbers."""
    return 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).mean()
