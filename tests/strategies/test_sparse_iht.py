import numpy as np
import pytest

from alcli import parsing
from alcli.errors import UsageError
from alcli.strategies import egl, sparse_greedy, sparse_iht
from alcli.strategies.sparse_greedy import importance
from tests.dense_sparse import dense_iht, dense_of, pool
from tests.helpers import chooser, random_head

choose = chooser(sparse_iht)
C = 4


@pytest.mark.parametrize("label_dist", ["temp", "laplace", "pseudo", "mix"])
@pytest.mark.parametrize("prox_scaled", [False, True])
def test_the_batch_is_that_of_the_published_algorithm_on_gradients_written_out(label_dist, prox_scaled):
    X, head = pool(), random_head(3, C, 2, temperature=1.6)
    alpha = 1.0 if prox_scaled else 1e4
    chosen = choose(
        X, head, 12, label_dist=label_dist, prox_scaled=prox_scaled, alpha=alpha, beta=1e-4, iterations=8, tol=0.0
    )
    _, S, w = dense_iht(dense_of(X, head, 12, label_dist, alpha, 1e-4), 12, 8, prox_scaled)
    assert sorted(chosen.rows_K.tolist()) == sorted(S.tolist())
    by_row = dict(zip(chosen.rows_K.tolist(), chosen.weights_K.tolist()))
    assert np.allclose([by_row[j] for j in S], importance(w), rtol=1e-2, atol=1e-3)


def test_scores_fall():
    chosen = choose(pool(), random_head(3, C, 2, temperature=1.6), 15)
    assert (np.diff(chosen.scores_K) <= 0).all()
    assert {"alpha", "beta", "mean-weight"} == set(chosen.record)


def test_scaled_alpha_does_not_see_the_scale_of_the_features():
    X, head = 100.0 * pool(), random_head(3, C, 2, scale=0.01, temperature=1.6)
    one = choose(X, head, 10, prox_scaled=True)
    other = choose(1000.0 * X, random_head(3, C, 2, scale=1e-5, temperature=1.6), 10, prox_scaled=True)
    assert one.rows_K.tolist() == other.rows_K.tolist()


def test_where_nothing_is_left_to_approximate_it_is_expected_gradient_length():
    X, head = pool(), random_head(3, C, 2, spread=0.0)
    chosen = choose(X, head, 9)
    assert chosen.rows_K.tolist() == chooser(egl)(X, head, 9).rows_K.tolist()
    assert "nothing to approximate" in chosen.notes[-1]


def test_one_row_by_hand():
    # With one pick, no variance and no pull to 1, both take the row whose gradient is best aligned with the mean and
    # largest along it.
    X, head = pool(), random_head(3, C, 2, temperature=1.6)
    chosen = choose(X, head, 1, alpha=0.0, beta=0.0, iterations=1)
    problem = dense_of(X, head, 1, "temp", 0.0, 0.0)
    assert chosen.rows_K.tolist() == [int((problem.Phi.T @ problem.v).argmax())]


def test_it_takes_the_options_of_greedy_but_tau():
    ours, theirs = (set(parsing.options_of(one)) for one in (sparse_iht.sparse_iht, sparse_greedy.sparse_greedy))
    assert theirs - ours == {"tau"}
    assert ours - theirs == {"iterations", "tol", "prox-scaled"}


@pytest.mark.parametrize(("key", "text"), [("iterations", "0"), ("tol", "-1"), ("beta-rel", "-0.1")])
def test_options_out_of_range_are_refused(key, text):
    with pytest.raises(UsageError, match=key):
        parsing.parse_options(sparse_iht.sparse_iht, {key: text}, "sparse-iht")
