import numpy as np
import pytest

from alcli.numerics.gradients.fisher import information, softmax_root, with_prior
from alcli.numerics.logistic import log_softmax


def test_softmax_root_is_a_root_and_keeps_its_size_for_sure_rows():
    log_probs = log_softmax(np.random.default_rng(0).standard_normal((20, 5)) * 3)
    R = softmax_root(log_probs)
    p = np.exp(log_probs)
    assert np.allclose(
        R @ R.transpose(0, 2, 1), np.einsum("bc,cd->bcd", p, np.eye(5)) - p[:, :, None] * p[:, None, :], atol=1e-15
    )
    sure = softmax_root(np.array([[-1e-20, np.log(1e-20)]]))[0]
    assert np.allclose(sure @ sure.T, 1e-20 * np.array([[1, -1], [-1, 1]]), rtol=1e-9, atol=0)


@pytest.mark.parametrize("full", [False, True])
def test_information_is_the_sum_of_outer_products(full):
    rng = np.random.default_rng(0)
    H = rng.standard_normal((5000, 4)).astype(np.float32)
    R = softmax_root(log_softmax(rng.standard_normal((5000, 3)))) if full else rng.random((5000, 1, 1))
    V = np.einsum("nkq,nd->nkdq", R, np.hstack([H.astype(np.float64), np.ones((5000, 1))])).reshape(
        5000, -1, R.shape[2]
    )
    assert np.allclose(information(H, R), np.einsum("npq,nrq->pr", V, V), rtol=1e-12)


def test_prior_is_raised_to_what_rounding_leaves():
    M = with_prior(np.diag([1e20, 0.0]), np.ones(2), np.zeros((2, 2)))
    assert M[1, 1] == 1e11
    flat = with_prior(np.diag([0.0, 3.0]), np.array([0.5, 0.0]), np.zeros((2, 2)))
    np.testing.assert_allclose(flat, np.diag([0.5, 3.0]), rtol=1e-8)


def test_every_output_has_the_same_prior():
    prior = np.array([0.5, 0.25, 0.01])
    np.testing.assert_array_equal(with_prior(np.zeros((6, 6)), prior, np.eye(6)), np.diag([*prior, *prior]))
