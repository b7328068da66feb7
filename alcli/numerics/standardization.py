"""Standardised columns: each column minus its mean, divided by its standard deviation.

Source: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1: the moments of two sets
of rows together follow from the moments of each.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64, Floats

# A deviation of fewer parts of the mean than this is the rounding of equal numbers.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Standardization:
    """Means and standard deviations of columns, float64 [D]. A deviation of 0 stands for a column of equal numbers."""

    mean_D: Float64
    scale_D: Float64

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that tell these numbers from others."""
        numbers = np.concatenate([self.mean_D, self.scale_D]).astype("<f8")
        return hashlib.sha256(numbers.tobytes()).hexdigest()[:16]

    def apply(self, X_BD: Floats) -> Float64:
        """Standardise rows; a column without spread becomes 0, whatever its numbers. Cost: one float64 copy."""
        out_BD: Float64 = X_BD.astype(np.float64) - self.mean_D
        varies_D = self.scale_D > 0
        np.divide(out_BD, self.scale_D, out=out_BD, where=varies_D)
        out_BD[:, ~varies_D] = 0.0
        return out_BD


class ColumnMoments:
    """The means and variances of columns, gathered block by block in float64.

    The result depends on the blocks in its last digits, so blocks must be cut at fixed rows. All numbers are taken
    relative to the first row: a column of equal numbers has the variance 0, and columns far from 0 lose no digits.
    Cost: two passes over each block while it is in memory. Memory: 3 D numbers.
    """

    def __init__(self) -> None:
        self.n = 0
        self._origin_D = self._mean_D = self._squares_D = np.empty(0)

    def add(self, X_BD: Floats) -> None:
        """Take in B more rows."""
        if not len(X_BD):
            return
        if not self.n:
            self._origin_D = X_BD[0].astype(np.float64)
            self._mean_D, self._squares_D = np.zeros((2, X_BD.shape[1]))
        n = self.n + len(X_BD)
        with np.errstate(over="ignore", invalid="ignore"):
            shifted_BD = X_BD.astype(np.float64) - self._origin_D
            mean_D = shifted_BD.mean(axis=0)
            apart_D = mean_D - self._mean_D
            within_D = np.square(shifted_BD - mean_D).sum(axis=0)
            self._squares_D = self._squares_D + within_D + np.square(apart_D) * (self.n * len(X_BD) / n)
            self._mean_D = self._mean_D + apart_D * (len(X_BD) / n)
        self.n = n

    def standardization(self) -> Standardization:
        """The means, and the deviations with the divisor n. A deviation is infinite or NaN where squares overflow."""
        mean_D = self._origin_D + self._mean_D
        scale_D = np.sqrt(self._squares_D / max(self.n, 1))
        return Standardization(mean_D, np.where(scale_D <= _ROUNDING * np.abs(mean_D), 0.0, scale_D))
