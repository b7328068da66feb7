import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.strategies import falcun
from alcli.strategies.falcun import falcun_draws
from alcli.strategies.margin import margin
from tests.helpers import TableHead, chooser, normal_rows, random_head

choose = chooser(falcun)


@pytest.mark.parametrize("form", ["paper", "official"])
def test_draws_from_the_probabilities_and_margins_of_the_head(form):
    X, head = normal_rows(200, 5), random_head(5, 4)
    log_probs = head.log_probs(X).astype(np.float32)
    rng = np.random.default_rng(np.random.SeedSequence(5))
    picks, scores = falcun_draws(np.exp(log_probs), margin(log_probs).astype(np.float64), 20, rng, gamma=4.0, form=form)
    chosen = choose(X, head, 20, seed=5, gamma=4.0, form=form)
    assert chosen.rows_K.tolist() == picks.tolist()
    assert np.allclose(chosen.scores_K, scores)


def test_a_batch_holds_each_kind_of_doubt():
    # Three corners of doubt, 30 rows each, between classes 0-1, 1-2 and 0-2; many sure rows.
    head = TableHead(6.0 * np.eye(3))
    doubts = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1]], np.float32)
    X = np.concatenate([np.repeat(doubts, 30, axis=0), np.tile([5.0, 0, 0], (200, 1))]).astype(np.float32)
    for seed in range(5):
        picks = choose(X, head, 3, seed=seed).rows_K
        assert sorted(picks // 30) == [0, 1, 2]


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("inf")])
def test_gamma_out_of_range_is_refused(gamma):
    with pytest.raises(UsageError, match="gamma"):
        choose(normal_rows(9, 5), random_head(5, 2), 2, gamma=gamma)
