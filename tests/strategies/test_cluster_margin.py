import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.strategies import cluster_margin
from alcli.strategies.margin import margin
from tests.helpers import TableHead, chooser, normal_rows, random_head

choose = chooser(cluster_margin)


def test_picks_are_of_small_margin_with_their_margins_as_scores():
    X, head = normal_rows(200, 5), random_head(5, 4)
    scores = margin(head.log_probs(X))
    chosen = choose(X, head, 8, factor=3.0)
    assert set(chosen.rows_K) <= set(np.argsort(-scores)[:24])
    assert np.allclose(chosen.scores_K, scores[chosen.rows_K])


def test_a_factor_of_one_is_the_margin_batch():
    X, head = normal_rows(200, 5), random_head(5, 4)
    assert set(choose(X, head, 8, factor=1.0).rows_K) == set(np.argsort(-margin(head.log_probs(X)))[:8])


def test_small_clusters_of_doubt_are_served_before_large_ones():
    # All rows lie on the boundary of the first feature, in clusters of 40, 3 and 12 along the others.
    X = np.zeros((55, 4), np.float32)
    X[np.arange(55), np.repeat([1, 2, 3], [40, 3, 12])] = 9.0
    X[:, 1:] += 0.1 * normal_rows(55, 3)
    head = TableHead([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]])
    for seed in range(4):
        picks = choose(X, head, 3, seed=seed, factor=100.0, eps=3.0).rows_K
        assert np.digitize(picks, [40, 43]).tolist() == [1, 2, 0]


def test_the_clusters_are_at_least_as_many_as_rows_asked_for():
    X, head = normal_rows(200, 5), random_head(5, 4)
    assert choose(X, head, 12).record["clusters"] == 12
    assert choose(X, head, 12, eps=1e-6).record["clusters"] == 200
    assert choose(X, head, 12, candidates=50, factor=2.0).record["clusters"] == 12
    assert choose(X, head, 12, factor=1e308).rows_K.tolist() == choose(X, head, 12, factor=100.0).rows_K.tolist()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"factor": 0.0}, "factor"),
        ({"eps": -1.0}, "eps"),
        ({"candidates": 0}, "candidates"),
        ({"candidates": 20_001}, "20,000"),
    ],
)
def test_options_out_of_range_are_refused(options, what):
    with pytest.raises(UsageError, match=what):
        choose(normal_rows(9, 5), random_head(5, 2), 2, **options)


def test_too_many_rows_of_small_margin_are_refused(monkeypatch):
    monkeypatch.setattr(cluster_margin, "_MOST", 50)
    with pytest.raises(UsageError, match="too many to cluster"):
        choose(normal_rows(200, 5), random_head(5, 4), 10, candidates=50)
