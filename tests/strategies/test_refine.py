import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import margin, refine, uherding
from tests.helpers import random_head, view_of

D, C = 5, 4


def rows(n=400, seed=0):
    return np.random.default_rng(seed).standard_normal((n, D)).astype(np.float32)


def view(n=400, labelled=(3, 50, 51, 300)):
    return view_of(
        rows(n), labelled=labelled, head=random_head(D, C), ids=np.array([f"id{i:04}" for i in range(n)][::-1], object)
    )


def choose(k, seed=0, of=refine, **options):
    return select(strategy_of(of), view(), k, seed=seed, options=options)


def test_a_single_sure_filter_over_all_candidates_leaves_its_own_batch():
    assert set(choose(12, filters="margin", rounds=1).rows_K) == set(choose(12, of=margin).rows_K)


def test_what_is_left_shrinks_and_the_batch_is_what_uherding_picks_of_it():
    chosen = choose(12, seed=4, filters="margin+badge")
    left = [chosen.record[f"candidates-{i}"] for i in range(1, 6)]
    assert (np.diff([396, *left]) <= 0).all()
    assert left[-1] >= 12
    whole = choose(12, of=uherding)
    assert set(chosen.rows_K) != set(whole.rows_K)


def test_filters_that_keep_all_leave_the_batch_of_uherding():
    chosen, whole = choose(100, filters="random", batches=60, rounds=2), choose(100, of=uherding)
    assert chosen.record["candidates-2"] == 396
    assert chosen.rows_K.tolist() == whole.rows_K.tolist()
    assert np.allclose(chosen.scores_K, whole.scores_K, rtol=1e-6)


def test_the_parts_of_a_round_hold_the_share_alpha_of_what_is_left(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        refine, "select", lambda strategy, part, k, **rest: (sizes.append(part.n), select(strategy, part, k, **rest))[1]
    )
    choose(10, filters="margin", batches=2, rounds=3, candidates=200, alpha=0.5)
    assert sizes[:2] == [200, 200]
    left = choose(10, filters="margin", batches=2, rounds=1, candidates=200).record["candidates-1"]
    assert sizes[2:4] == [max(10, int(0.5 * left))] * 2


def test_candidates_between_rounds_are_limited(monkeypatch):
    monkeypatch.setattr(refine, "_MOST", 30)
    assert choose(12, filters="random", batches=9, rounds=1).record["candidates-1"] == 30


def test_every_filter_that_is_offered_can_filter():
    for name in refine._FILTERS:
        assert len(set(choose(9, filters=name, rounds=2, batches=1).rows_K)) == 9


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"filters": "margin+bald"}, "'bald' cannot filter"),
        ({"filters": ""}, "cannot filter"),
        ({"alpha": 0.0}, "alpha"),
        ({"rounds": 0}, "rounds"),
        ({"batches": 0}, "batches"),
        ({"candidates": 0}, "candidates"),
    ],
)
def test_options_out_of_range_are_refused(options, what):
    with pytest.raises(UsageError, match=what):
        choose(3, **options)
