import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.blocks import BLOCK_ROWS, thread_limit, workers
from alcli.numerics.factors import Factor
from alcli.numerics.gradients.softmax_jacobian import SoftmaxJacobian, about_top
from alcli.numerics.logistic import log_softmax
from alcli.numerics.rows import Rows


def exact(logits_NC):
    """diag(p) - p p' in extended precision, 1 - p as the sum of the others: [N, C, C]."""
    e_NC = np.exp(logits_NC.astype(np.longdouble) - logits_NC.max(axis=1, keepdims=True))
    p_NC = e_NC / e_NC.sum(axis=1, keepdims=True)
    A_NCC = -np.einsum("nc,nd->ncd", p_NC, p_NC)
    for c in range(logits_NC.shape[1]):
        A_NCC[:, c, c] = p_NC[:, c] * np.delete(p_NC, c, axis=1).sum(axis=1)
    return A_NCC


def products(rows):
    with workers() as spread:
        return rows.inner_with(rows, np.arange(rows.n), spread)


def logits_of_all_kinds(n, C, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, C)) * rng.choice([0.01, 0.1, 1, 5, 15], size=(n, 1))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(2, 9), st.integers(0, 99))
def test_products_are_those_of_the_written_out_jacobians_relative_to_their_norms(n, C, seed):
    logits = logits_of_all_kinds(n, C, seed)
    A = exact(logits)
    G = np.einsum("ncd,mcd->nm", A, A)
    norms = np.sqrt(np.diag(G))
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
        rows = Rows(SoftmaxJacobian(log_softmax(logits), dtype))
        assert (np.abs(products(rows) - G) <= tolerance * np.outer(norms, norms) + 1e-40).all()
        assert np.allclose(rows.sq_norms.astype(float), np.diag(G).astype(float), rtol=4 * tolerance, atol=0)
        among = rows.among(slice(0, n), slice(n // 2, n))
        assert (np.abs(among - G[:, n // 2 :]) <= tolerance * np.outer(norms, norms[n // 2 :]) + 1e-40).all()
        written = rows.factors[0].written_out(0, n).reshape(n, C, C)
        assert (np.abs(written - A).max(axis=(1, 2)) <= tolerance * norms + 1e-40).all()


def test_agrees_with_the_textbook_form_where_nothing_cancels():
    p = np.random.default_rng(0).dirichlet(np.ones(5), 30)
    q = p**2
    textbook = p @ p.T - p @ q.T - q @ p.T + (p @ p.T) ** 2
    assert np.allclose(products(Rows(SoftmaxJacobian(np.log(p)))), textbook, atol=1e-14)


def test_two_classes_by_hand():
    # A = p (1 - p) [[1, -1], [-1, 1]]: products are 4 p (1 - p) q (1 - q).
    p = np.array([0.3, 0.5, 0.9, 1 - 1e-9])
    rows = Rows(SoftmaxJacobian(np.log(np.column_stack([p, [0.7, 0.5, 0.1, 1e-9]]))))
    variance = p * [0.7, 0.5, 0.1, 1e-9]
    assert np.allclose(products(rows), 4 * np.outer(variance, variance), rtol=1e-7, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_one_hot_row_is_zero_and_orthogonal_to_all(dtype):
    log_probs = np.array([[0.0, -800.0, -900.0], [-1.1, -1.1, -1.1], [-0.1, -3.0, -3.0]])
    rows = Rows(SoftmaxJacobian(log_probs, dtype))
    assert rows.sq_norms[0] == 0
    assert (products(rows)[0] == 0).all()


def test_s_is_precise_for_a_row_that_float32_calls_certain():
    s, top = about_top(
        np.array([[np.float32(-1e-12), np.log(1e-12)], [np.log(0.4), np.log(0.6)], [np.log(0.5), np.log(0.5)]])
    )
    assert top.tolist() == [0, 1, 2]
    assert np.allclose(s[0], [-1e-12, 1e-12], rtol=1e-6, atol=0)
    assert np.allclose(s[1:], [[0.4, -0.4], [0.5, 0.5]])


def test_a_row_does_not_depend_on_the_rows_behind_it_nor_on_threads():
    log_probs = log_softmax(logits_of_all_kinds(2 * BLOCK_ROWS + 9, 5, 1)).astype(np.float32)
    X = np.random.default_rng(0).standard_normal((len(log_probs), 3)).astype(np.float32)
    answers = set()
    for n in (BLOCK_ROWS + 1, BLOCK_ROWS + 700, len(log_probs)):
        for threads in (1, 2):
            with thread_limit(threads), workers() as spread:
                rows = Rows(Factor(X[:n]), SoftmaxJacobian(log_probs[:n], np.float32))
                answers.add(rows.inner_with(rows, np.arange(32), spread)[: BLOCK_ROWS + 1].tobytes())
    assert len(answers) == 1
