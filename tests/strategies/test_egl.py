import numpy as np

from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import egl
from tests.committees import fitted_numbers
from tests.helpers import TableHead, random_head, view_of

STRATEGY = strategy_of(egl)


def test_the_score_is_the_expected_length_of_the_gradient_written_out():
    X = np.random.default_rng(0).standard_normal((20, 3))
    head = random_head(3, 4, 1)
    p, phi = np.exp(head.log_probs(X)), np.hstack([X, np.ones((20, 1))])
    g = np.einsum("nyc,nd->nycd", p[:, None] - np.eye(4), phi)
    lengths = (p * np.sqrt((g**2).sum((2, 3)))).sum(1)
    chosen = select(STRATEGY, view_of(X, head=head), 20, seed=0, options={})
    assert chosen.rows_K.tolist() == np.argsort(-lengths.astype(np.float32), kind="stable").tolist()
    assert np.allclose(chosen.scores_K, np.sort(lengths)[::-1], rtol=1e-6)


def test_by_hand():
    # One column x, logits x and -x: p = 1/2 at 0, length 2 * 1/4 * sqrt 2 * |[0, 1]|.
    chosen = select(STRATEGY, view_of(np.array([[0.0], [9.0]]), head=TableHead([[1], [-1]])), 1, seed=0, options={})
    assert chosen.rows_K.tolist() == [0]
    assert np.allclose(chosen.scores_K, np.sqrt(2) / 2)


def test_longer_features_count_more():
    X = np.array([[1.0, 0.0], [1.0, 7.0]])  # the head does not see the second column
    assert select(STRATEGY, view_of(X, head=TableHead([[1, 0], [-1, 0]])), 1, seed=0, options={}).rows_K.tolist() == [1]


def test_for_numbers_it_is_the_expected_length_over_the_predicted_normal():
    model, view = fitted_numbers()
    X = view.matrix("features").astype(np.float64)
    f, phi = model.mean(X), np.hstack([X, np.ones((len(X), 1))])
    sd = np.sqrt(model.head.noise_variance + model.posterior.variance(model.head.W_CD1, phi)[:, 0])
    y = f[:, None] + sd[:, None] * np.random.default_rng(0).standard_normal((1, 20_000))
    lengths = np.abs(f[:, None] - y).mean(axis=1) * np.linalg.norm(phi, axis=1)
    chosen = select(STRATEGY, view, view.n, seed=0, options={})
    assert np.allclose(chosen.scores_K, lengths[np.searchsorted(view.rows, chosen.rows_K)], rtol=0.02)
    assert (np.diff(chosen.scores_K) <= 0).all()
