"""The coordinates in which hidden layers are trained.

Each feature is centred and divided by the square root of the average of two numbers: its own variance, and the mean
variance of all features. The divisor lies half-way between two extremes. One scale for all features leaves rare
features unheard; one scale for each feature makes features of pure noise as loud as the rest.

Source: none; the scaling is our own.
Cost: three passes over the rows.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Floats


class TrainingScale:
    """The map x -> (x - mean) / divisor, from weighted moments of the rows."""

    def __init__(self, X_LD: Float64, weights_L: Float64) -> None:
        self.mean_D = np.average(X_LD, axis=0, weights=weights_L)
        variance_D = np.average((X_LD - self.mean_D) ** 2, axis=0, weights=weights_L)
        divisor_D = np.sqrt((variance_D + variance_D.mean()) / 2)
        self.divisor_D: Float64 = np.where(divisor_D > 0.0, divisor_D, 1.0)

    def __call__(self, X_LD: Floats) -> Float64:
        return (X_LD - self.mean_D) / self.divisor_D

    def folded(self, layer: tuple[Float64, Float64]) -> tuple[Float64, Float64]:
        """The layer that computes from unscaled features what `layer` computes from scaled features."""
        W_MD = layer[0] / self.divisor_D
        return W_MD, layer[1] - W_MD @ self.mean_D

    def unfolded(self, layer: tuple[Float64, Float64]) -> tuple[Float64, Float64]:
        """The inverse of `folded`."""
        return layer[0] * self.divisor_D, layer[1] + layer[0] @ self.mean_D
