import numpy as np
import pytest

from alcli.numerics.blocks import thread_limit
from alcli.strategies.falcun import falcun_draws, relevances

FREE = np.array([True, True, False, True])


def predictions(n, C=4, seed=0):
    P = np.random.default_rng(seed).dirichlet(np.full(C, 0.5), n)
    top = np.sort(P, axis=1)
    return P, 1.0 - (top[:, -1] - top[:, -2])


def test_relevance_by_hand():
    u, d = np.array([0.1, 0.2, 0.9, 0.4]), np.array([0.5, 0.3, 0.0, 0.1])
    assert np.allclose(relevances(u, d, FREE, "paper"), [1.1, 0.7, 0.0, 0.4])  # (d - 0.1) / 0.4 over the free rows
    assert np.allclose(relevances(u, d, FREE, "official"), [0.5, 0.3, 0.0, 0.1])
    assert np.allclose(relevances(u, np.full(4, 0.3), FREE, "paper"), [0.1, 0.2, 0.0, 0.4])


@pytest.mark.parametrize("form", ["paper", "official"])
def test_each_pick_is_drawn_by_the_relevance_written_out(form):
    P, u = predictions(200)
    picks, scores = falcun_draws(P, u, 25, np.random.default_rng(4), gamma=10.0, form=form)
    uniforms, free = np.random.default_rng(4).random(25), np.ones(200, bool)
    for t, (pick, score) in enumerate(zip(picks, scores)):
        d = np.minimum(u, np.abs(P[:, None] - P[picks[:t]][None]).sum(-1).min(axis=1)) if t else u
        scaled = (d - d[free].min()) / (d[free].max() - d[free].min())
        r = np.where(free, u + scaled if form == "paper" else d, 0.0)
        cumulated = np.cumsum(r**10 / (r**10).sum())
        assert pick == np.searchsorted(cumulated, uniforms[t])
        assert score == pytest.approx(r[pick])
        free[pick] = False


def test_draws_follow_the_law():
    P, u = predictions(6, 3)
    first = np.array(
        [falcun_draws(P, u, 1, np.random.default_rng(s), gamma=2.0, form="official")[0][0] for s in range(4000)]
    )
    assert np.abs(np.bincount(first, minlength=6) / 4000 - u**2 / (u**2).sum()).max() < 0.04


def test_rows_that_are_all_certain_are_drawn_with_equal_chance_and_never_twice():
    P = np.tile([1.0, 0.0], (20, 1))
    picks, scores = falcun_draws(P, np.zeros(20), 20, np.random.default_rng(0), gamma=10.0, form="official")
    assert sorted(picks) == list(range(20))
    assert (scores == 0.0).all()


def test_a_large_gamma_takes_the_most_relevant():
    P, u = predictions(50)
    picks, _ = falcun_draws(P, u, 1, np.random.default_rng(0), gamma=1e6, form="paper")
    assert picks[0] == u.argmax()


def test_the_number_of_threads_does_not_matter():
    P, u = predictions(5000, 7)
    answers = []
    for threads in (1, 2):
        with thread_limit(threads):
            answers.append(
                falcun_draws(P.astype(np.float32), u, 30, np.random.default_rng(0), gamma=10.0, form="paper")[
                    0
                ].tolist()
            )
    assert answers[0] == answers[1]
