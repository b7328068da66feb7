import numpy as np
import pytest

from alcli import parsing
from alcli.errors import UsageError
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import acs_fw
from alcli.strategies.acs_fw import expected_log_likelihood, frank_wolfe
from alcli.strategies.sparse_greedy import importance
from tests.dense_sparse import pool
from tests.helpers import TableHead, random_head, view_of

STRATEGY = strategy_of(acs_fw)
C = 4


def choose(X_ND, head, k, seed=0, ids=None, block_rows=8192, **options):
    return select(STRATEGY, view_of(X_ND, head=head, ids=ids, block_rows=block_rows), k, seed=seed, options=options)


@pytest.mark.parametrize(("centre", "gamma_e"), [(True, 0.0), (False, 0.0), (False, 0.7)])
def test_rows_are_expected_log_likelihoods_by_their_definition(centre, gamma_e):
    log_p = np.log(np.random.default_rng(2).dirichlet(np.ones(C), (5, 7)))
    found = expected_log_likelihood(log_p, centre=centre, gamma_e=gamma_e)
    for j in range(5):
        P = np.exp(log_p[j]).mean(0)
        phi = np.array([P @ log_p[j, s] - gamma_e * (P @ np.log(P)) for s in range(7)])
        assert np.allclose(found[j], (phi - centre * phi.mean()) / np.sqrt(7), atol=1e-6)


@pytest.mark.parametrize("centre", [True, False])
def test_the_batch_is_the_coreset_of_these_rows(centre):
    X, head = pool(), random_head(3, C, 2)
    chosen = choose(X, head, 9, seed=3, samples=20, centre=centre)
    E = expected_log_likelihood(head.sample_log_probs(X, head.draw(20, seed=3)), centre=centre, gamma_e=0.0)
    found = frank_wolfe(GradientRows(E), 9)
    picks = found.picks_M.tolist()
    assert chosen.rows_K[: len(picks)].tolist() == picks
    assert len(set(chosen.rows_K.tolist())) == 9
    if len(picks) == 9:
        assert np.allclose(chosen.weights_K, importance(found.weights_M), rtol=1e-4)
        assert chosen.notes == ()


def test_what_the_coreset_lacks_is_filled_by_score_with_the_least_weight():
    X = np.repeat(pool(2, seed=1), 10, axis=0)  # two different rows: a coreset has two at most
    chosen = choose(X, random_head(3, C, 2), 6)
    assert {r // 10 for r in chosen.rows_K[:2]} <= {0, 1}
    assert len(set(chosen.rows_K.tolist())) == 6
    rows = int(chosen.record["coreset-rows"])
    assert ["coreset" in note for note in chosen.notes] == [True]
    assert rows <= 2
    assert (chosen.weights_K[rows:] == chosen.weights_K.min()).all()
    assert (chosen.weights_K > 0).all()


def test_entropy_without_effect_is_said():
    chosen = choose(pool(), random_head(3, C, 2), 2, gamma_e=0.7)
    assert "-p gamma-e=0.7 does nothing in acs-fw: the option counts only with centre=false" in chosen.notes
    assert chosen.rows_K.tolist() == choose(pool(), random_head(3, C, 2), 2).rows_K.tolist()


def test_blocks_and_the_order_of_the_pool_do_not_matter():
    X, head, order = pool(90).astype(np.float32), random_head(3, C, 2), np.random.default_rng(1).permutation(90)
    one, small = choose(X, head, 20), choose(X, head, 20, block_rows=7)
    permuted = choose(X[order], head, 20, ids=order)
    assert one.rows_K.tolist() == small.rows_K.tolist() == order[permuted.rows_K].tolist()
    assert one.weights_K.tobytes() == permuted.weights_K.tobytes()


def test_a_blank_head_whose_draws_agree_leaves_nothing_to_approximate():
    chosen = choose(pool(8), TableHead(np.zeros((C, 3)), spread=0.0), 5, samples=8)
    assert chosen.rows_K.tolist() == [0, 1, 2, 3, 4]
    assert chosen.weights_K.tolist() == [1.0] * 5


def test_one_class():
    assert sorted(choose(pool(5), TableHead([[1.0, 0, 0]]), 9, samples=3).rows_K.tolist()) == list(range(5))


def test_options_out_of_range_are_refused():
    with pytest.raises(UsageError, match="gamma-e"):
        parsing.parse_options(STRATEGY.run, {"gamma-e": "-1"}, "acs-fw")
