import numpy as np
import pytest

from alcli.errors import DataError
from alcli.numerics.blocks import workers
from alcli.numerics.gradients.design import Design, MovingCovariance
from alcli.numerics.gradients.design_shards import choose, design_team
from alcli.numerics.gradients.fisher import information, softmax_root, with_prior
from alcli.numerics.logistic import log_softmax


def problem(n=60, D=4, C=3, full=True, seed=0):
    """(H, R, M, F) of n rows; M of ten other rows."""
    rng = np.random.default_rng(seed)
    H = rng.standard_normal((n + 10, D)).astype(np.float32)
    log_probs = log_softmax(2.0 * rng.standard_normal((n + 10, C)))
    R = softmax_root(log_probs) if full else np.sqrt(1.0 - np.exp(2 * log_probs).sum(1))[:, None, None]
    F = information(H, R) / len(H)
    return H[:n], R[:n], with_prior(information(H[n:], R[n:]), np.full(D + 1, 0.3), F), F


def written_out(H, R):
    """V of every row, [N, K D1, Q]."""
    phi = np.hstack([H.astype(np.float64), np.ones((len(H), 1))])
    return np.einsum("nkq,nd->nkdq", R, phi).reshape(len(H), -1, R.shape[2])


class Moving(Design):
    """A design with the covariance that it is under."""

    def __init__(self, H, R, M, F, spread):
        super().__init__(H, R, spread)
        self.covariance = MovingCovariance(M, F)
        self.begin(self.covariance.inverse_PP, self.covariance.inverse_PP @ F @ self.covariance.inverse_PP)

    def add(self, j):
        self.move(self.covariance.added(self.columns(j), self.S_NQQ[j]))

    def take_away(self, j):
        self.move(self.covariance.taken_away(self.columns(j), self.S_NQQ[j]))


def chosen(H, R, M, F, k, ahead):
    with design_team(H, R) as team:
        return choose(team, M, F, k, ahead)


def trace(M, F):
    return float(np.trace(np.linalg.inv(M) @ F))


@pytest.fixture(params=[False, True], ids=["one factor a row", "full"])
def given(request):
    """(H, R, M, F) of a problem, and V of its rows."""
    H, R, M, F = problem(full=request.param)
    return H, R, M, F, written_out(H, R)


def test_gains_and_losses_are_differences_of_the_trace(given):
    H, R, M, F, V = given
    with workers() as spread:
        design = Moving(H, R, M, F, spread)
        assert np.allclose(design.gains(), [trace(M, F) - trace(M + v @ v.T, F) for v in V], rtol=1e-10)
        for j in (3, 17, 40):
            design.add(j)
        M3 = M + sum(V[j] @ V[j].T for j in (3, 17, 40))
        for j in (3, 17, 40):
            assert np.isclose(design.losses()[j], trace(M3 - V[j] @ V[j].T, F) - trace(M3, F), rtol=1e-10)


def test_what_is_maintained_is_what_would_be_recomputed(given):
    H, R, M, F, V = given
    with workers() as spread:
        design = Moving(H, R, M, F, spread)
        for j in (5, 6, 7, 30, 59, 5):
            design.add(j)
            M = M + V[j] @ V[j].T
        for j in (6, 5, 59):
            design.take_away(j)
            M = M - V[j] @ V[j].T
        afresh = Moving(H, R, M, F, spread)
    assert np.allclose(design.covariance.inverse_PP, afresh.covariance.inverse_PP, rtol=1e-9, atol=1e-12)
    assert np.allclose(design.S_NQQ, afresh.S_NQQ, rtol=1e-9, atol=1e-12)
    assert np.allclose(design.G_NQQ, afresh.G_NQQ, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("k", "ahead"), [(1, 1), (4, 8), (5, 5), (3, 60)])
def test_choice_is_the_greedy_one_by_brute_force(given, k, ahead):
    H, R, M, F, V = given
    found, scores = chosen(H, R, M, F, k, ahead)
    picks, gains = [], []
    for _ in range(ahead):
        after = [np.inf if j in picks else trace(M + v @ v.T, F) for j, v in enumerate(V)]
        picks.append(int(np.argmin(after)))
        gains.append(trace(M, F) - after[picks[-1]])
        M = M + V[picks[-1]] @ V[picks[-1]].T
    while len(picks) > k:
        after = [trace(M - V[j] @ V[j].T, F) for j in picks]
        worst = int(np.argmin(after))
        M = M - V[picks[worst]] @ V[picks[worst]].T
        del picks[worst], gains[worst]
    assert found.tolist() == picks
    assert np.allclose(scores, gains, rtol=1e-9)


def test_two_classes_in_full_are_one_matrix_with_half_the_prior():
    # p - e is (1, -1) times one number, so only w_1 - w_2 has information, at twice the prior variance; the other
    # half stays as it was.
    rng = np.random.default_rng(1)
    H, log_probs = rng.standard_normal((30, 3)), log_softmax(rng.standard_normal((30, 2)))
    w = np.exp(log_probs).prod(1)
    R1, R2 = np.sqrt(w)[:, None, None], softmax_root(log_probs)
    F1, F2 = information(H, R1), information(H, R2)
    one = chosen(H, R1, 0.5 * np.eye(4), F1, 5, 10)
    two = chosen(H, R2, np.eye(8), F2, 5, 10)
    assert one[0].tolist() == two[0].tolist()
    assert np.allclose(one[1], two[1], rtol=1e-9)


def test_copies_of_a_row_gain_less_than_twice_and_tie_by_place():
    H = np.array([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    R = np.ones((4, 1, 1))
    picks, gains = chosen(H, R, np.eye(3), information(H, R) / 4, 4, 4)
    assert picks.tolist()[0] == 0
    assert [j for j in picks.tolist() if j != 3] == [0, 1, 2]
    assert picks.tolist().index(3) < 3
    assert gains[0] > gains[1]


def test_by_hand_in_one_dimension_without_features():
    # D = 0: only the bias. M = 2, F = 1, w = 1, 4: gains w q / (1 + w r) with r = 1/2, q = 1/4.
    R = np.sqrt([1.0, 4.0])[:, None, None]
    picks, gains = chosen(np.empty((2, 0)), R, np.array([[2.0]]), np.array([[1.0]]), 2, 2)
    assert picks.tolist() == [1, 0]
    assert np.allclose(gains, [1 / 2 - 1 / 6, 1 / 6 - 1 / 7])


def test_information_that_is_not_positive_definite_is_refused():
    with pytest.raises(DataError, match="not positive definite"):
        chosen(np.zeros((2, 1)), np.ones((2, 1, 1)), -np.eye(2), np.eye(2), 1, 1)
