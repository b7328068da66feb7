import numpy as np
import pytest

from alcli import parsing
from alcli.errors import UsageError
from alcli.strategies import egl, sparse_greedy
from alcli.strategies.sparse_greedy import importance
from tests.dense_sparse import Dense, dense_greedy, dense_of, pool
from tests.helpers import TableHead, chooser, random_head

choose = chooser(sparse_greedy)
C = 4


@pytest.mark.parametrize("label_dist", ["temp", "laplace", "pseudo", "mix"])
@pytest.mark.parametrize("tau", [None, 1.0])
def test_the_batch_is_that_of_the_published_algorithm_on_gradients_written_out(label_dist, tau):
    X, head = pool(), random_head(3, C, 2, temperature=1.6)
    chosen = choose(X, head, 12, label_dist=label_dist, tau=tau, alpha=0.5, beta=1e-4)
    problem = dense_of(X, head, 12, label_dist, 0.5, 1e-4)
    S, w, _ = dense_greedy(problem, 12, tau)
    assert chosen.rows_K.tolist() == S
    assert np.allclose(chosen.weights_K, importance(w), rtol=1e-3, atol=1e-4)


def test_scores_are_decreases_in_units_of_the_squared_target():
    X, head = pool(), random_head(3, C, 2, temperature=1.6)
    chosen = choose(X, head, 5, alpha=0.0, beta=0.0)
    problem = dense_of(X, head, 5, "temp", 0.0, 0.0)
    w = np.zeros(60)
    first = int(chosen.rows_K[0])
    w[first] = -problem.gradient(w)[first] / (2 * problem.norms[first])
    assert np.isclose(chosen.scores_K[0], 1 - problem.f1(w) / problem.f1(np.zeros(60)), rtol=1e-4)


def test_raw_weights_of_the_terms_are_reported_and_reproduce_the_batch():
    X, head = pool(), random_head(3, C, 2, temperature=1.6)
    one = choose(X, head, 10, alpha_rel=0.5, beta_rel=0.1)
    again = choose(X, head, 10, alpha=one.record["alpha"], beta=one.record["beta"])
    assert one.rows_K.tolist() == again.rows_K.tolist()
    assert np.allclose(one.weights_K, again.weights_K, rtol=1e-5)
    problem = dense_of(X, head, 10, "temp", one.record["alpha"], one.record["beta"])
    assert np.isclose(one.record["mean-weight"], dense_greedy(problem, 10)[1].mean(), rtol=1e-3)
    assert np.isclose(
        one.record["alpha"], 0.5 * (problem.v**2).sum() / np.sort(problem.sigma**2)[-10:].sum(), rtol=1e-4
    )
    assert one.notes == ()


def test_the_bayesian_form_on_likelihoods_written_out():
    X, head = pool(40), random_head(3, C, 2)
    chosen = choose(X, head, 8, seed=3, form="bayesian", samples=15, alpha=0.5, beta=1e-3)
    log_p = head.sample_log_probs(X, head.draw(15, seed=3))
    P = np.exp(log_p).mean(1)
    g = -(log_p - log_p.mean(1, keepdims=True)) / np.sqrt(15)
    expected = np.einsum("nsc,nc->ns", g, P)
    sigma = (P * np.sqrt(((g - expected[:, :, None]) ** 2).sum(1))).sum(1) / 40
    S, w, _ = dense_greedy(Dense(expected, sigma, 8, 0.5, 1e-3), 8)
    assert chosen.rows_K.tolist() == S
    assert np.allclose(chosen.weights_K, importance(w), rtol=1e-3, atol=1e-4)


def test_where_nothing_is_left_to_approximate_it_is_expected_gradient_length_and_says_so():
    X, head = pool(), random_head(3, C, 2, spread=0.0)
    chosen = choose(X, head, 9)
    longest = chooser(egl)(X, head, 9)
    assert chosen.rows_K.tolist() == longest.rows_K.tolist()
    assert np.allclose(chosen.scores_K, longest.scores_K, rtol=1e-5)
    assert chosen.weights_K.tolist() == [1.0] * 9
    assert "took laplace" in chosen.notes[0]
    assert "nothing to approximate" in chosen.notes[1]


def test_a_large_alpha_takes_the_largest_variances():
    X, head = pool(), random_head(3, C, 2, temperature=1.6)
    longest = chooser(egl)(X, head, 9)
    assert sorted(choose(X, head, 9, alpha_rel=1e9).rows_K.tolist()) == sorted(longest.rows_K.tolist())


@pytest.mark.parametrize("form", ["gradient", "bayesian"])
@pytest.mark.parametrize(
    "W", [[[1.0, 0.0]], [[50.0, 0], [-50.0, 0]], [[0.0, 0], [0, 0], [0, 0]]], ids=["one class", "certain", "blank"]
)
def test_heads_that_say_little(form, W):
    X = np.random.default_rng(0).choice([-1.0, 1.0], (12, 2)).astype(np.float32)
    chosen = choose(X, TableHead(W), 30, form=form, samples=4)
    assert sorted(chosen.rows_K.tolist()) == list(range(12))
    assert np.isfinite(chosen.scores_K).all()
    assert (chosen.weights_K > 0).all()


@pytest.mark.parametrize(
    ("key", "text"), [("alpha", "-1"), ("tau", "-0.1"), ("eps", "0"), ("label-dist", "tmp"), ("form", "bayes")]
)
def test_options_out_of_range_are_refused(key, text):
    with pytest.raises(UsageError, match=key):
        parsing.parse_options(sparse_greedy.sparse_greedy, {key: text}, "sparse-greedy")
