import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.blocks import thread_limit, workers
from alcli.numerics.gradients.gradient_rows import GradientRows, combine, correlate, expected_distance


def factors(N, K, D, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, K)).astype(dtype), rng.standard_normal((N, D)).astype(dtype)


def written_out(A_NK, F_ND):
    phi_ND1 = np.hstack([F_ND, np.ones((len(F_ND), 1))]).astype(np.float64)
    return np.einsum("nk,nd->nkd", A_NK.astype(np.float64), phi_ND1)


@pytest.mark.parametrize(("K", "D"), [(3, 6), (6, 2), (4, 3), (2, 0), (1, 1)])
def test_products_are_those_of_the_rows_written_out(K, D):
    A, F = factors(11, K, D)
    rows, G = GradientRows(A, F), written_out(A, F)
    point, w = np.random.default_rng(1).standard_normal((K, D + 1)), np.linspace(-1, 2, 11)
    with workers() as spread:
        assert np.allclose(rows.correlate(point, spread), (G * point).sum((1, 2)), rtol=0, atol=1e-12)
        assert np.allclose(rows.combine(w, spread), np.einsum("n,nkd->kd", w, G), rtol=0, atol=1e-12)
        assert np.allclose(
            rows.inner_with(rows, [4, 0], spread), np.einsum("nkd,mkd->nm", G, G[[4, 0]]), rtol=0, atol=1e-12
        )
    some = np.array([7, 2, 2])
    assert np.allclose(rows.correlate_at(point, some), (G[some] * point).sum((1, 2)), rtol=0, atol=1e-12)
    assert np.allclose(rows.point(some, w[some]), np.einsum("n,nkd->kd", w[some], G[some]), rtol=0, atol=1e-12)
    assert np.allclose(rows.sq_norms, (G**2).sum((1, 2)), rtol=1e-12)
    assert np.allclose(correlate(*rows.factors_at(some), point), (G[some] * point).sum((1, 2)))
    assert np.allclose(combine(*rows.factors_at(some), w[some]), np.einsum("n,nkd->kd", w[some], G[some]))


def test_without_features_rows_are_what_was_given():
    E = np.random.default_rng(0).standard_normal((30, 7)).astype(np.float32)
    rows, point = GradientRows(E), np.arange(7.0)[:, None]
    with workers() as spread:
        assert np.allclose(rows.correlate(point, spread), E @ np.arange(7.0), rtol=1e-5)
        assert np.allclose(rows.combine(np.ones(30), spread)[:, 0], E.sum(0), rtol=1e-4, atol=1e-5)
    assert np.allclose(rows.sq_norms, (E.astype(float) ** 2).sum(1))


@pytest.mark.parametrize(("K", "D"), [(10, 300), (300, 10), (77, 0)])
def test_the_error_of_float32_products_is_below_its_bound(K, D):
    A, F = factors(3000, K, D, dtype=np.float32)
    rows, point = GradientRows(A, F), np.random.default_rng(1).standard_normal((K, D + 1))
    with workers() as spread:
        error = rows.correlate(point, spread) - rows.correlate_at(point, np.arange(3000))
    bound = rows.rounding * np.sqrt(rows.sq_norms) * np.linalg.norm(point)
    assert (np.abs(error) < bound).all()
    assert np.abs(error).max() > 0


@pytest.mark.parametrize("K", [3, 40])
def test_equal_rows_get_equal_bits_at_any_number_of_threads(K):
    A, F = factors(3000, K, 17, dtype=np.float32)
    A, F = np.concatenate([A, A[::-1]]), np.concatenate([F, F[::-1]])
    rows, point, answers = GradientRows(A, F), np.random.default_rng(1).standard_normal((K, 18)), []
    for threads in (1, 2):
        with thread_limit(threads), workers() as spread:
            answers.append((rows.correlate(point, spread), rows.combine(np.linspace(0, 1, 6000), spread)))
    (one, sum_one), (two, sum_two) = answers
    assert one.tobytes() == two.tobytes()
    assert sum_one.tobytes() == sum_two.tobytes()
    assert np.array_equal(one, one[::-1])
    some = rows.correlate_at(point, np.array([5, 5999 - 5, 17, 5999 - 17]))
    assert some[0] == some[1]
    assert some[2] == some[3]


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_rows_of_extreme_size_are_scaled_by_a_power_of_two(size):
    A, F = factors(9, 3, 4, dtype=np.float32)
    rows = GradientRows(A, (F * np.float32(size)).astype(np.float32))
    assert np.log2(rows.scale) % 1 == 0
    assert np.isfinite(rows.sq_norms).all()
    assert np.allclose(
        np.sqrt(rows.sq_norms) * rows.scale,
        np.linalg.norm(A, axis=1) * np.sqrt((F.astype(float) ** 2).sum(1) * size**2 + 1),
        rtol=1e-5,
    )


def distance(P_C):
    return sum(P_C[y] * np.linalg.norm(P_C - np.eye(len(P_C))[y]) for y in range(len(P_C)))


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(2, 5), st.floats(0.1, 30.0), st.integers(0, 10_000))
def test_the_expected_distance_of_a_label_is_its_definition(C, scale, seed):
    z = np.random.default_rng(seed).standard_normal(C) * scale
    log_P = z - np.logaddexp.reduce(z)
    assert np.isclose(expected_distance(log_P[None])[0], distance(np.exp(log_P)), rtol=1e-6, atol=1e-12)


def test_two_classes_by_hand():
    # 2 P (1 - P) sqrt 2
    assert np.allclose(expected_distance(np.log([[0.8, 0.2]])), 2 * 0.8 * 0.2 * np.sqrt(2), rtol=1e-14)


def test_nearly_certain_rows_keep_their_size_and_certain_ones_have_none():
    q = 1e-13
    assert np.allclose(expected_distance(np.array([[np.log1p(-q), np.log(q)]])), 2 * q * np.sqrt(2), rtol=1e-9)
    assert expected_distance(np.array([[0.0, -np.inf, -np.inf]])) == 0
