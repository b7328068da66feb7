"""Rotated rows against their definition: products, Gram matrix, penalties, ways back, and rows that span little."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.numerics.last_layer.rotated import rotate, rotate_centred

PRIOR, BIAS = 0.7, 0.05
COLUMN = np.sqrt(PRIOR / BIAS)
FORMS = {
    "plain": (lambda *rows: rotate(*rows), PRIOR),
    "column": (lambda *rows: rotate(*rows, column=COLUMN), BIAS),
    "centred": (rotate_centred, 0.0),
}
SHAPES = {"few rows": (5, 9), "as many": (9, 9), "many rows": (30, 9), "one row": (1, 4), "one feature": (6, 1)}


def problem(n, D, seed=0):
    """(phi, weights) with features away from zero."""
    rng = np.random.default_rng(seed)
    return with_bias(rng.normal(size=(n, D)) + 3.0), rng.uniform(0.5, 2.0, size=n)


def degenerate(case):
    phi, w = problem(6, 4)
    if case == "equal rows":
        phi[:] = phi[0]
    elif case == "zero features":
        phi[:, :-1] = 0.0
    elif case == "no features":
        phi = phi[:, -1:]
    elif case == "huge features":
        phi[:, :-1] *= 1e9
    return phi, w


CASES = [(name, problem(*shape)) for name, shape in SHAPES.items()] + [
    (name, degenerate(name)) for name in ("equal rows", "zero features", "no features", "huge features")
]


@pytest.fixture(params=CASES, ids=lambda case: case[0])
def rows(request):
    return request.param[1]


@pytest.fixture(params=FORMS)
def form(request):
    """(the function, the precision of the bias)."""
    return FORMS[request.param]


def rotated(form, phi, w):
    return form[0](phi, np.zeros(len(phi), np.int64), w, 2)


def spanned(form, phi, w):
    """Last layers [3, D1] that a fit can end at: combinations of the rows as the form sees them."""
    rng = np.random.default_rng(1)
    if form is FORMS["centred"]:
        weights = rng.normal(size=(3, len(phi))) @ (phi - w @ phi / w.sum())
        return weights / np.abs(phi).max() + np.outer(rng.normal(size=3), np.eye(phi.shape[1])[-1])
    # The gradient of a bias with another precision counts by the ratio of the two.
    return (
        rng.normal(size=(3, len(phi)))
        @ phi
        / np.abs(phi).max()
        * np.where(np.eye(phi.shape[1])[-1], PRIOR / form[1], 1)
    )


def test_rows_are_the_same_rows(form, rows):
    phi, w = rows
    found = rotated(form, phi, w)
    np.testing.assert_allclose(found.Z_LR, phi @ found.V_D1R, atol=1e-12 * np.abs(phi).max())
    np.testing.assert_allclose(found.outside(np.eye(found.V_D1R.shape[1])), found.V_D1R.T)


def test_the_gram_matrix_is_diagonal(form, rows):
    phi, w = rows
    found = rotated(form, phi, w)
    gram = (found.Z_LR * w[:, None]).T @ found.Z_LR
    np.testing.assert_allclose(gram, np.diag(found.gram_R), atol=1e-13 * max(np.abs(gram).max(), 1.0) * len(gram))
    assert (found.gram_R >= 0).all()


def test_a_last_layer_of_the_span_comes_back(form, rows):
    phi, w = rows
    found, W = rotated(form, phi, w), spanned(form, phi, w)
    inside = found.inside(W)
    tolerance = 1e-12 * np.abs(W).max() * np.abs(phi).max()
    np.testing.assert_allclose(found.outside(inside), W, atol=tolerance)
    np.testing.assert_allclose(found.Z_LR @ inside.T, phi @ W.T, atol=tolerance * phi.shape[1])


def test_the_penalty_is_that_of_the_weights_and_the_bias(form, rows):
    """Of a last layer that comes from inside, for which every coordinate counts."""
    phi, w = rows
    found = rotated(form, phi, w)
    W_CR = np.random.default_rng(2).normal(size=(3, len(found.gram_R)))
    W = found.outside(W_CR)
    want = PRIOR * (W[:, :-1] ** 2).sum() + form[1] * (W[:, -1] ** 2).sum()
    assert (W_CR**2 @ found.penalty(PRIOR)).sum() == pytest.approx(want, rel=1e-10)


def test_what_the_rows_do_not_span_makes_the_penalty_larger_and_no_row_differ(form):
    phi, w = problem(5, 9)
    found, W = rotated(form, phi, w), np.random.default_rng(3).normal(size=(3, 10))
    inside = found.inside(W)
    kept = found.outside(inside)
    np.testing.assert_allclose(phi @ kept.T, phi @ W.T, atol=1e-11)

    def penalty(V):
        return PRIOR * (V[:, :-1] ** 2).sum() + form[1] * (V[:, -1] ** 2).sum()

    assert penalty(kept) < penalty(W) - 0.1
    assert penalty(kept) == pytest.approx((inside**2 @ found.penalty(PRIOR)).sum(), rel=1e-10)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_there_are_as_many_coordinates_as_the_rows_span_and_the_free_bias(shape):
    n, D = shape
    phi, w = problem(n, D)
    assert rotated(FORMS["column"], phi, w).Z_LR.shape == (n, min(n, D + 1))
    centred = rotated(FORMS["centred"], phi, w)
    assert centred.Z_LR.shape == (n, min(n, D) + 1)
    assert centred.free
    np.testing.assert_array_equal(centred.Z_LR[:, -1], np.ones(n))


def test_the_mean_square_is_the_spread_of_the_features_where_the_bias_is_free():
    phi, w = problem(30, 9)
    mean = w @ phi / w.sum()
    spread = w @ ((phi - mean) ** 2).sum(axis=1) / w.sum()
    assert rotated(FORMS["centred"], phi, w).mean_square() == pytest.approx(spread, rel=1e-12)
    square = w @ (phi**2).sum(axis=1) / w.sum()
    assert rotated(FORMS["plain"], phi, w).mean_square() == pytest.approx(square, rel=1e-12)
    for case in ("equal rows", "zero features", "no features"):
        assert rotated(FORMS["centred"], *degenerate(case)).mean_square() < 1e-25


def test_centred_coordinates_do_not_depend_on_where_the_features_are():
    phi, w = problem(30, 9)
    far = phi + np.append(np.arange(9) * 100.0, 0.0)
    near, moved = (rotated(FORMS["centred"], rows, w) for rows in (phi, far))
    np.testing.assert_allclose(moved.gram_R, near.gram_R, rtol=1e-10)
    np.testing.assert_allclose(np.abs(moved.Z_LR), np.abs(near.Z_LR), atol=1e-10)
