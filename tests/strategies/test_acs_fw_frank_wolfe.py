import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.blocks import thread_limit
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.strategies.acs_fw import frank_wolfe


def rows_of(E):
    return GradientRows(np.asarray(E))


def dense(E, steps):
    """Algorithm 1 of Pinsler et al. written out; returns the weights."""
    norms, L = np.linalg.norm(E, axis=1), E.sum(0)
    w = np.zeros(len(E))
    for _ in range(steps):
        rest = L - w @ E
        f = int((E @ rest / norms).argmax())
        vertex = norms.sum() / norms[f] * E[f]
        step = (vertex - w @ E) @ rest / ((vertex - w @ E) ** 2).sum()
        w *= 1 - step
        w[f] += step * norms.sum() / norms[f]
    return w


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_published_algorithm_written_out(seed):
    E = np.random.default_rng(seed).standard_normal((30, 6))
    found = frank_wolfe(rows_of(E), 8)
    w = dense(E, len(found.distances))
    assert sorted(found.picks_M.tolist()) == np.flatnonzero(w).tolist()
    assert np.allclose(found.weights_M, w[found.picks_M], rtol=1e-8, atol=1e-10)
    assert np.isclose(found.distances[-1], np.linalg.norm(E.sum(0) - w @ E))


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12))
def test_the_distance_never_rises_and_weights_stay_in_the_polytope(seed, S, b):
    E = np.random.default_rng(seed).standard_normal((12, S))
    found = frank_wolfe(rows_of(E), b)
    start = np.linalg.norm(E.sum(0))
    assert (np.diff(found.distances, prepend=start) <= 1e-9 * (1 + start)).all()
    assert (found.weights_M >= 0).all()
    assert (found.weights_M * np.linalg.norm(E[found.picks_M], axis=1)).sum() <= np.linalg.norm(E, axis=1).sum() * (
        1 + 1e-12
    )
    assert len(found.picks_M) <= b


def test_two_orthogonal_rows_by_hand():
    # L = (3, 4), total length 7. First (0, 4), the larger: vertex (0, 7), step 28/49 = 4/7, weight 4/7 * 7/4 = 1.
    # What is left is (3, 0): vertex (7, 0), from (0, 4): 21/65 of (7, -4).
    found = frank_wolfe(rows_of([[3.0, 0], [0, 4.0]]), 2)
    assert found.picks_M.tolist() == [1, 0]
    assert np.allclose(found.scores_M, [4, 3])
    assert np.allclose(found.weights_M, [1 - 21 / 65, 21 / 65 * 7 / 3])


def test_copies_are_not_picked_again_but_the_first():
    E = np.repeat(np.random.default_rng(0).standard_normal((6, 4)), 3, axis=0)
    assert (frank_wolfe(rows_of(E), 5).picks_M % 3 == 0).all()


@pytest.mark.parametrize("E", [np.zeros((4, 3)), np.array([[1.0, 2], [-1, -2]])])
def test_rows_that_sum_to_zero_need_no_coreset(E):
    assert len(frank_wolfe(rows_of(E), 2).picks_M) == 0


def test_it_stops_where_the_sum_is_reached():
    found = frank_wolfe(rows_of(np.outer([1.0, 2, 3], [1.0, 0])), 3)  # one direction: a single row says it all
    assert len(found.picks_M) == 1
    assert found.distances[-1] < 1e-12


def test_the_number_of_threads_does_not_matter():
    E, answers = np.random.default_rng(0).standard_normal((6000, 20)).astype(np.float32), []
    for threads in (1, 2):
        with thread_limit(threads):
            answers.append(frank_wolfe(rows_of(E), 30))
    assert answers[0].picks_M.tolist() == answers[1].picks_M.tolist()
    assert answers[0].weights_M.tobytes() == answers[1].weights_M.tobytes()
