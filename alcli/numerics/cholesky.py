"""Symmetric positive definite matrices stored as one triangle: factor, invert, solve, multiply, and add a Gram matrix.

Matrices are float64 in Fortran order, and only the lower triangle counts. The upper triangle is never read, so each
pass reads half of the numbers. M is the number of rows or columns of the other factor in a product.

Source: BLAS and LAPACK routines potrf, potri, symv, symm, syrk, ger, trsm.
Cost: factor D^3/6, inverse D^3/3, product with a vector D^2 multiply-adds that read D^2/2 floats.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from scipy.linalg import blas, lapack

from alcli.arrays import Float64
from alcli.errors import DataError


def factor(A_DD: Float64, what: str) -> Float64:
    """Compute the lower Cholesky factor of A; its upper triangle is zero.

    Raises DataError, with `what` as the name of the matrix, if A is not positive definite.
    """
    L_DD, info = lapack.dpotrf(A_DD, lower=1, clean=1)
    if info != 0 or not np.isfinite(np.diag(L_DD)).all():
        raise DataError(f"{what} is not positive definite", hint="raise --prior-precision")
    return L_DD


def inverse(L_DD: Float64) -> Float64:
    """Compute the lower triangle of (L L^T)^-1, in Fortran order."""
    out, _ = lapack.dpotri(L_DD, lower=1)
    return out


def symmetric(lower_DD: Float64) -> Float64:
    """Fill the upper triangle in: the full symmetric matrix, a new array."""
    out = np.tril(lower_DD)
    return out + np.tril(out, -1).T


def solve_factor(L_DD: Float64, B_DM: Float64) -> Float64:
    """Compute L^-1 B, shape [D, M]."""
    return scipy.linalg.solve_triangular(L_DD, B_DM, lower=True, check_finite=False)


def add_product(A_CD: Float64, x_C: Float64, y_D: Float64, scale: float) -> None:
    """Add scale x y^T to A in place. A must be writable and in C order."""
    blas.dger(scale, y_D, x_C, a=A_CD.T, overwrite_a=1)


def add_gram(lower_DD: Float64, X_MD: Float64, scale: float) -> Float64:
    """Compute lower + scale X^T X, a new lower triangle."""
    # BLAS refuses a product over no rows.
    if len(X_MD) == 0:
        return lower_DD.copy(order="F")
    return blas.dsyrk(scale, X_MD, beta=1.0, c=lower_DD, trans=1, lower=1)


def multiply(lower_DD: Float64, X_MD: Float64) -> Float64:
    """Compute X A, shape [M, D], for the symmetric A with this lower triangle."""
    if len(X_MD) == 0:
        return np.empty_like(X_MD)
    return blas.dsymm(1.0, lower_DD, X_MD.T, lower=1).T


def multiply_vector(lower_DD: Float64, x_D: Float64) -> Float64:
    """Compute A x, shape [D], for the symmetric A with this lower triangle."""
    return blas.dsymv(1.0, lower_DD, x_D, lower=1)
