import numpy as np
import pytest

from alcli.numerics.blocks import workers
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.factors import Factor
from alcli.numerics.gradients.combined_rows import ScaledRows, SumRows, inverse, unit_rows
from alcli.numerics.rows import Rows, feature_rows

RNG = np.random.default_rng(0)
X, Y, Z = RNG.standard_normal((3, 40, 4))


def products(rows):
    with workers() as spread:
        return rows.inner_with(rows, np.arange(rows.n), spread) * rows.scale**2


def written_out(rows):
    return rows.written_out(0, rows.n) * rows.scale


def check(rows, E):
    assert np.allclose(products(rows), E @ E.T, rtol=1e-10)
    assert np.allclose(rows.sq_norms * rows.scale**2, (E**2).sum(1))
    out = written_out(rows)
    assert out.shape[1] == rows.width
    assert np.allclose(out @ out.T, E @ E.T)


@pytest.mark.parametrize("sizes", [(1, 1), (1e12, 1), (1e-9, 1e15)])
def test_a_sum_is_the_rows_side_by_side(sizes):
    a, b = sizes
    terms = [Rows(Factor(X * a), Factor(Y, offset=1.0)), Rows(Factor(Z * b))]
    XY = np.einsum("na,nb->nab", X * a, np.hstack([Y, np.ones((40, 1))])).reshape(40, -1)
    check(SumRows(terms, [2.0, 0.25]), np.hstack([np.sqrt(2) * XY, 0.5 * Z * b]))


def test_scaled_rows():
    factors = RNG.random(40) * 1e9
    factors[3] = 0
    check(ScaledRows(Rows(Factor(X), Factor(Y)), factors), np.einsum("n,na,nb->nab", factors, X, Y).reshape(40, -1))


@pytest.mark.parametrize("size", [1, 1e-20, 1e20])
def test_unit_rows_have_norm_one_exactly_but_for_zero_rows(size):
    V = X * size
    V[5] = 0
    rows = unit_rows(feature_rows(V)[0])
    assert set(rows.sq_norms * rows.scale**2) == {0.0, 1.0}
    norms = np.linalg.norm(V, axis=1, keepdims=True)
    norms[5] = 1
    check(rows, V / norms)


def test_copies_have_the_same_bits():
    V = np.concatenate([X, X, X])
    for rows in (
        SumRows([Rows(Factor(V)), Rows(Factor(V**2))], [1, 1]),
        ScaledRows(Rows(Factor(V)), np.tile(RNG.random(40), 3)),
    ):
        K = products(rows)
        assert (K[:40] == K[40:80]).all()
        assert (K[:40] == K[80:]).all()


def test_selectors_take_them():
    rows = SumRows([Rows(Factor(X)), Rows(Factor(Y))], [1, 1])
    assert k_center(rows, 20)[0].tolist() == k_center(Rows(Factor(np.hstack([X, Y]))), 20)[0].tolist()


def test_inverse_of_zero_is_zero():
    assert inverse(np.array([2.0, 0.0])).tolist() == [0.5, 0.0]
