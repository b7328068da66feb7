import numpy as np
import pytest

from alcli.numerics.diversity.kmeanspp import k_means_pp
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import badge
from tests.committees import fitted_numbers
from tests.helpers import TableHead, random_head, view_of

STRATEGY = strategy_of(badge)


def gradients(X_ND, head):
    """The loss gradient of the last layer at the predicted label, written out: [N, C * D1], float64."""
    p_NC = np.exp(head.log_probs(X_ND))
    p_NC[np.arange(len(p_NC)), p_NC.argmax(1)] -= 1
    phi_ND1 = np.hstack([X_ND, np.ones((len(X_ND), 1))])
    return np.einsum("nc,nd->ncd", p_NC, phi_ND1).reshape(len(X_ND), -1)


@pytest.mark.parametrize("seed", range(5))
def test_the_factored_form_picks_what_the_materialised_form_picks(seed):
    X = np.random.default_rng(seed).standard_normal((300, 9)).astype(np.float32)
    head = random_head(9, 5, seed)
    G = gradients(X, head)
    picks, distances = k_means_pp(
        Rows(Factor(G)),
        40,
        int((G**2).sum(1).argmax()),
        np.random.default_rng(np.random.SeedSequence(seed)),
        from_zero=True,
    )
    chosen = select(STRATEGY, view_of(X, head=head), 40, seed=seed, options={})
    assert chosen.rows_K.tolist() == picks.tolist()
    assert np.allclose(chosen.scores_K, distances, rtol=1e-4)


def test_first_pick_is_the_largest_gradient_by_hand():
    # Two classes, W = [[1], [-1]]: logits differ by 2x; |g| = (1 - p) sqrt(2) sqrt(x^2 + 1) is largest at x = 0.
    X = np.array([[0.0], [3.0], [-3.0]], np.float32)
    chosen = select(STRATEGY, view_of(X, head=TableHead([[1], [-1]])), 1, seed=0, options={})
    assert chosen.rows_K.tolist() == [0]
    assert np.allclose(chosen.scores_K, 0.5 * np.sqrt(2))


def test_residual_of_a_nearly_certain_row_keeps_its_size():
    log_probs = np.array([[np.log1p(-1e-20), np.log(1e-20)]])
    assert np.allclose(badge.residuals(log_probs), [[-1e-20, 1e-20]], rtol=1e-6, atol=0)


def test_residuals_sum_to_zero():
    log_probs = random_head(4, 6).log_probs(np.random.default_rng(0).standard_normal((20, 4)))
    assert np.allclose(badge.residuals(log_probs).sum(1), 0)


def test_certain_rows_have_one_and_the_same_gradient_zero():
    X = np.array([[60.0]] * 30 + [[0.1], [0.2], [-0.1]], np.float32)
    chosen = select(STRATEGY, view_of(X, head=TableHead([[5], [-5]])), 8, seed=1, options={})
    assert set(chosen.rows_K[:3]) == {30, 31, 32}
    assert (chosen.scores_K[:3] > 0).all()
    assert (chosen.scores_K[3:] == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_rows_that_the_head_is_sure_of_come_last(seed):
    """20 rows at the border among 2,000 that are far from it, in many places: as in a pool with a rare class."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.full(2000, 40.0), 100 * rng.standard_normal(2000)]).astype(np.float32)
    X[:20] = rng.standard_normal((20, 2)) / 4
    view = view_of(X, head=TableHead([[1, 0], [-1, 0]]))
    assert set(select(STRATEGY, view, 20, seed=seed, options={}).rows_K.tolist()) == set(range(20))


def test_for_numbers_gradients_are_those_at_one_standard_deviation():
    model, view = fitted_numbers()
    X = view.matrix("features").astype(np.float64)
    phi = np.hstack([X, np.ones((len(X), 1))])
    G = phi * np.sqrt(model.head.noise_variance + model.posterior.variance(model.head.W_CD1, phi))
    picks, distances = k_means_pp(
        Rows(Factor(G)), 15, int((G**2).sum(1).argmax()), np.random.default_rng(np.random.SeedSequence(3))
    )
    chosen = select(STRATEGY, view, 15, seed=3, options={})
    assert chosen.rows_K.tolist() == view.rows[picks].tolist()
    assert np.allclose(chosen.scores_K, distances, rtol=1e-4)
