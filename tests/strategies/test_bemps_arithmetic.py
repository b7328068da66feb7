import numpy as np
import pytest

from alcli.strategies.bemps import Judges, core_mse, kernel_sum
from tests.committees import members, of_probs


def written_out(rows, judges):
    """sum_y p(y) |q_y(x') - p(x')|^2 for every pair, q_y by reweighting members with the chance they gave to y."""
    P, Q = np.exp(rows), np.exp(judges)
    p, q = P.mean(1), Q.mean(1)
    weights = P / P.sum(axis=1, keepdims=True)
    moved = np.einsum("bsy,esc->beyc", weights, Q)
    return np.einsum("by,beyc->be", p, (moved - q[None, :, None]) ** 2)


@pytest.mark.parametrize(("B", "E", "S", "C"), [(4, 6, 5, 3), (3, 2, 1, 4), (3, 3, 8, 1), (2, 5, 3, 20)])
def test_pairs_and_sums_equal_the_reweighted_predictions_written_out(B, E, S, C):
    rows, judges = members(B, S, C), members(E, S, C, seed=1)
    expected = written_out(rows, judges)
    assert np.allclose(Judges(judges).moved(rows), expected, atol=1e-15)
    assert np.allclose(core_mse(rows, kernel_sum(judges)), expected.sum(axis=1), atol=1e-14)


def test_by_hand():
    # Two sure, opposed members: the label of the row leaves one of them. A judge they disagree on moves from (1/2,
    # 1/2) to a corner.
    row, agreed = of_probs([[[1, 0], [0, 1]]]), of_probs([[[0.4, 0.6], [0.4, 0.6]]])
    assert np.allclose(Judges(np.concatenate([row, agreed])).moved(row), [[0.5, 0]])


def test_the_published_sum_ranks_rows_alike():
    # sum over members of |P_m - q_y|^2 is S times CoreMSE plus what does not depend on the row.
    rows, judges = members(30, 6, 4), members(10, 6, 4, seed=1)
    P, Q = np.exp(rows), np.exp(judges)
    weights = P / P.sum(axis=1, keepdims=True)
    moved = np.einsum("bsy,esc->beyc", weights, Q)
    published = np.einsum("by,besyc->b", P.mean(1), (Q[None, :, :, None] - moved[:, :, None]) ** 2)
    ours = core_mse(rows, kernel_sum(judges))
    assert np.ptp(published - 6 * ours) < 1e-12


def test_probabilities_that_underflow_are_no_trouble():
    rows = np.array([[[0.0, -900.0, -1000.0], [-900.0, 0.0, -1000.0]]])
    with np.errstate(all="raise", under="ignore"):
        assert np.allclose(core_mse(rows, kernel_sum(rows)), 0.5)
