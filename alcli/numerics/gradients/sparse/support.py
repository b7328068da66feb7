"""The chosen rows of a sparse approximation with their weights, in two forms that give equal answers.

The fit of row j is Phi_j . (Phi w - v); both forms compute it for all rows. Letters: see problem.py.
`ResidualSupport` keeps the residual Phi w - v itself, a point of K D1 numbers. The fits of all rows cost
2 N K D1 flops.
`ColumnSupport` keeps the inner products of the chosen rows with all rows, float32 [|S|, N]. A new column costs
2 N (K + D1) flops, and the fits of all rows 2 N |S|. It is faster unless classes are few or the batch is large
(`cheaper_form`).
Both compute fits of some rows in float64, and fits of all rows with a known error. A caller who decides by the float64
fits therefore decides the same with either form.
Source: own; the problem is from Shen et al. 2022.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, TypeAlias

import numpy as np

from alcli.arrays import Float32, Float64, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.gradients.gradient_rows import Terms
from alcli.numerics.gradients.sparse.problem import SparseProblem, line_search, longest_step

Form: TypeAlias = Literal["residuals", "columns"]

MOST_COLUMN_BYTES = 1 << 29
# Weights are of order 1. A weight that fell to 0 may keep a rounding error, which must not block the next step.
_ZERO = 1e-12
# Multiplications by a few columns in the time of reading one float32.
_FLOPS_PER_READ = 6
# Cost of the products with the chosen rows: two in float64 by one thread, with half of the batch on average.
_FLOPS_PER_CHOSEN = 10


class Support(ABC):
    """The set S, of at most b rows, with weights w >= 0. It keeps their terms in float64: b (K + D1) numbers."""

    def __init__(self, problem: SparseProblem, b: int, spread: Spread) -> None:
        self.problem, self._spread = problem, spread
        self.size = 0
        self._S, self._w = np.empty(b, np.int64), np.zeros(b)
        self._a, self._phi = np.empty((b, problem.rows.K)), np.empty((b, problem.rows.D1))
        self._starts, self._n_terms = np.empty(b, np.int64), 0
        self.lengths_N = problem.gain * problem.rows.lengths

    @property
    def S(self) -> Int64:
        """The chosen rows, in the order they were added, [|S|]."""
        return self._S[: self.size]

    @property
    def w(self) -> Float64:
        """The weights of the rows of S, [|S|]."""
        return self._w[: self.size]

    @property
    def terms(self) -> Terms:
        """The chosen rows, float64."""
        return Terms(self._a[: self._n_terms], self._phi[: self._n_terms], self._starts[: self.size])

    def add(self, rows_M: Int64) -> None:
        """Add rows to S, with weight 0."""
        new = slice(self.size, self.size + len(rows_M))
        self._S[new] = rows_M
        terms = self.problem.rows.terms_at(rows_M)
        self._starts[new] = self._n_terms + terms.starts_M
        self._a = _with(self._a, self._n_terms, terms.a_RK)
        self._phi = _with(self._phi, self._n_terms, terms.phi_RD1)
        self._n_terms += len(terms.a_RK)
        self.size = new.stop
        self._added(new)

    def slope(self) -> Float64:
        """Half the gradient of f1 with respect to the weights on S, [|S|]."""
        return self._fit() + self.problem.beta * (self.w - 1.0)

    def descend(self, u_S: Float64, slope_along: float) -> None:
        """Go from w along -u to the minimum of f1, or to the point where the first weight reaches 0.

        slope_along: <slope, u>.
        """
        image = self._image(u_S)
        mu = line_search(slope_along, self._sq(image, u_S), float(u_S @ u_S), self.problem.beta)
        mu = min(mu, longest_step(self.w, u_S))
        self._move(image, mu)
        # Rounding may leave a weight just below 0.
        self._w[: self.size] = np.maximum(self.w - mu * u_S, 0.0)

    def de_bias(self) -> None:
        """Take one gradient step on the weights of S. Weights of 0 that would fall stay 0, so f1 never rises."""
        slope_S = self.slope()
        u_S = np.where((self.w <= _ZERO) & (slope_S > 0.0), 0.0, slope_S)
        self.descend(u_S, float(u_S @ slope_S))

    def f(self) -> float:
        """The objective f at the current set and weights."""
        return self.problem.f(self.distance_sq(), self.w, self.S)

    @abstractmethod
    def distance_sq(self) -> float:
        """The squared distance |v - Phi w|^2."""

    @abstractmethod
    def fit_at(self, rows_M: Int64) -> Float64:
        """Compute the fits Phi_j . (Phi w - v) of some rows in float64, [M]."""

    @abstractmethod
    def fit_all(self) -> tuple[Float64, float]:
        """Compute the fits Phi_j . (Phi w - v) of all rows, [N], and the bound of errors divided by `lengths_N`."""

    @abstractmethod
    def _added(self, new: slice) -> None:
        """Take in the rows at places `new` of S, which were just added."""

    @abstractmethod
    def _fit(self) -> Float64:
        """The fits Phi_j . (Phi w - v) of the rows of S, [|S|]."""

    @abstractmethod
    def _image(self, u_S: Float64) -> Float64:
        """The image Phi u, in the quantity that the form keeps: a point, or its inner products with the rows of S."""

    @abstractmethod
    def _sq(self, image: Float64, u_S: Float64) -> float:
        """The squared norm |Phi u|^2. image: `_image(u_S)`."""

    @abstractmethod
    def _move(self, image: Float64, mu: float) -> None:
        """Carry the kept quantity from w to w - mu u. image: `_image(u_S)`."""


class ResidualSupport(Support):
    """The form that keeps the residual Phi w - v.

    Cost: `de_bias` 4 |S| K D1 flops, `fit_at` 2 K D1 for each row, `fit_all` 2 N K D1. Memory: two points.
    """

    def __init__(self, problem: SparseProblem, b: int, spread: Spread) -> None:
        super().__init__(problem, b, spread)
        self.residual_KD1 = -problem.v_KD1

    def distance_sq(self) -> float:
        return float(np.vdot(self.residual_KD1, self.residual_KD1))

    def fit_at(self, rows_M: Int64) -> Float64:
        return self.problem.gain * self.problem.rows.correlate_at(self.residual_KD1, rows_M)

    def fit_all(self) -> tuple[Float64, float]:
        fit_N = self.problem.gain * self.problem.rows.correlate(self.residual_KD1, self._spread)
        return fit_N, self.problem.rows.rounding * float(np.sqrt(self.distance_sq()))

    def put(self, w_S: Float64) -> None:
        """Set all weights at once."""
        self._w[: self.size] = w_S
        self.residual_KD1 = self._image(w_S) - self.problem.v_KD1

    def _added(self, new: slice) -> None: ...

    def _fit(self) -> Float64:
        return self.problem.gain * self.terms.correlate(self.residual_KD1)

    def _image(self, u_S: Float64) -> Float64:
        return self.terms.combine(self.problem.gain * u_S)

    def _sq(self, image: Float64, u_S: Float64) -> float:
        return float(np.vdot(image, image))

    def _move(self, image: Float64, mu: float) -> None:
        self.residual_KD1 = self.residual_KD1 - mu * image


class ColumnSupport(Support):
    """The form that keeps the columns Phi^T Phi_S and their combination Phi^T (Phi w - v).

    Cost: `de_bias` 4 |S|^2 flops, `fit_at` 2 |S| (K + D1) for each row, `fit_all` 2 N |S| and 2 N (K + D1) for each new
    column. Memory: 4 N b + 8 b^2 bytes.
    """

    def __init__(self, problem: SparseProblem, b: int, spread: Spread) -> None:
        super().__init__(problem, b, spread)
        rows = problem.rows
        self._gram_SS, self._fit_S = np.empty((b, b)), np.empty(b)
        # Phi^T v, in float64, since decisions rest on it.
        self._target_N = problem.gain * rows.correlate_at(problem.v_KD1, np.arange(rows.n))
        self._columns_MN = np.empty((b, rows.n), np.float32)
        self._n_columns = 0
        # `_fit_N` holds the fits at the weights `_known_S`, with the summed square of its rounding errors.
        self._known_S = np.zeros(b)
        self._fit_N, self._error_sq = -self._target_N, 0.0

    def distance_sq(self) -> float:
        fit_S, target_S = self._fit(), self._target_N[self.S]
        return max(0.0, float(self.w @ (fit_S - target_S)) + 1.0)

    def fit_at(self, rows_M: Int64) -> Float64:
        return self.problem.rows.once_each(rows_M, lambda rows: self._gram(rows) @ self.w - self._target_N[rows])

    def fit_all(self) -> tuple[Float64, float]:
        rows, new_S = self.problem.rows, self.S[self._n_columns :]
        if len(new_S):
            self._columns_MN[self._n_columns : self.size] = rows.inner_with(rows, new_S, self._spread).T
            self._n_columns = self.size
        change_S = self.w - self._known_S[: self.size]
        scaled_S = (self.problem.gain**2 * change_S).astype(np.float32)
        self._spread(rows.n, lambda first, last: self._add_product(first, last, scaled_S))
        self._known_S[: self.size] = self.w
        lengths_S = self.lengths_N[self.S]
        per_column = rows.rounding + 4.0 * float(np.finfo(np.float32).eps)
        self._error_sq += float(np.square(per_column * change_S * lengths_S).sum())
        return self._fit_N, float(np.sqrt(self._error_sq))

    def _add_product(self, first: int, last: int, scaled_S: Float32) -> None:
        for i in range(first, last, BLOCK_ROWS):
            rows = slice(i, min(i + BLOCK_ROWS, last))
            self._fit_N[rows] += scaled_S @ self._columns_MN[: self.size, rows]

    def _gram(self, rows_M: Int64) -> Float64:
        """The inner products Phi_M^T Phi_S, float64 [M, |S|]."""
        return self.problem.rows.terms_at(rows_M).gram(self.terms) * self.problem.gain**2

    def _added(self, new: slice) -> None:
        gram_MS = self._gram(self.S[new])
        self._gram_SS[new, : new.stop] = gram_MS
        self._gram_SS[: new.stop, new] = gram_MS.T
        self._fit_S[new] = gram_MS @ self.w - self._target_N[self.S[new]]

    def _fit(self) -> Float64:
        return self._fit_S[: self.size]

    def _image(self, u_S: Float64) -> Float64:
        moved = np.flatnonzero(u_S)
        gram_SS = self._gram_SS[: self.size, : self.size]
        return gram_SS @ u_S if 2 * len(moved) > len(u_S) else gram_SS[:, moved] @ u_S[moved]

    def _sq(self, image: Float64, u_S: Float64) -> float:
        return max(0.0, float(u_S @ image))

    def _move(self, image: Float64, mu: float) -> None:
        self._fit_S[: self.size] -= mu * image


def _with(array: Float64, n: int, more: Float64) -> Float64:
    """Write `more` behind the first n entries of an array, or of a copy of twice the length where it is full."""
    if n + len(more) > len(array):
        longer = np.empty((max(2 * len(array), n + len(more)), array.shape[1]))
        longer[:n] = array[:n]
        array = longer
    array[n : n + len(more)] = more
    return array


def cheaper_form(n: int, K: int, D1: int, b: int) -> Form:
    """Choose the form that takes less time per pick, "columns" only while its memory is below MOST_COLUMN_BYTES.

    Columns are limited by reading memory, residuals by multiplying.
    """
    residuals = 2 * n * K * D1 + _FLOPS_PER_CHOSEN * b * K * D1
    columns = _FLOPS_PER_READ * n * (K + D1 + b / 2)
    return "columns" if columns < residuals and 4 * n * b <= MOST_COLUMN_BYTES else "residuals"


FORMS: dict[Form, type[Support]] = {"residuals": ResidualSupport, "columns": ColumnSupport}
