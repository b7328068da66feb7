"""A ranking that scores only what can win picks what one that scores everything does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli import plugins
from alcli.heads._contract import LinearHead, Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads.softmax import softmax as softmax_head
from alcli.live import ranking as _ranking
from alcli.live.live import Live
from alcli.numerics.blocks import thread_limit
from alcli.numerics.rows import sq_norms
from alcli.posteriors.laplace_block import LaplaceBlock
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import pointwise, strategy_of
from alcli.selection.view import View
from alcli.strategies.badge import residuals
from alcli.strategies.margin import margin

N, D, C, L = 6000, 8, 9, 30
RNG = np.random.default_rng(0)
Y = RNG.integers(C, size=N)
X = (2 * RNG.standard_normal((C, D))[Y] + RNG.standard_normal((N, D))).astype(np.float32)


class Counting:
    """A margin, or a gradient's norm, that counts the rows it is asked of; `bounded` is the same with a modulus."""

    def __init__(self, name):
        self.rows = 0

        def score(log_probs_BC, sq_norm_B=0.0):
            self.rows += len(log_probs_BC)
            if name == "margin":
                return margin(log_probs_BC)
            return np.linalg.norm(residuals(log_probs_BC), axis=1) * np.sqrt(sq_norm_B + 1.0)

        def run(*block):
            return score(*block)

        needs = ["log_probs"] if name == "margin" else ["log_probs", "sq_norm"]
        self.plain = pointwise(needs=needs)(run).strategy
        self.bounded = pointwise(needs=needs, modulus=lambda l1_B, C, sq_norm_B=0.0: l1_B * np.sqrt(sq_norm_B + 1.0))(
            lambda *block: score(*block)
        ).strategy


@pytest.fixture(scope="module")
def model() -> Model:
    return fit(
        Training(X[:L], Y[:L], np.ones(L), C),
        FitSpec(softmax_head.head, LaplaceShared, prior_precision=0.3, curvature=0.1),
    )


def picks(strategy, model, dtype=np.float32, steps=25, k=1):
    pool, found = Live(ArraySource(X.astype(dtype), np.arange(N)), np.arange(L, N), np.arange(L), model, strategy), []
    for step in range(steps):
        chosen = pool.choose(k)
        found.append((chosen.rows_K.tolist(), chosen.scores_K.tolist()))
        assert pool.choose(k).rows_K.tolist() == chosen.rows_K.tolist()
        if step == 7:
            pool.skip(int(chosen.rows_K[0]))
        elif step == 9:  # several labels wait for a choice
            for row in range(2000, 2006):
                pool.tell(row, int(Y[row]))
        else:
            pool.tell(int(chosen.rows_K[0]), int(Y[chosen.rows_K[0]]))
    return found


@pytest.mark.parametrize("k", [1, 400])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["margin", "gradient"])
def test_the_picks_are_those_of_scoring_everything(name, dtype, k, model):
    assert picks(Counting(name).bounded, model, dtype, k=k) == picks(Counting(name).plain, model, dtype, k=k)


def test_most_rows_are_left_alone(model):
    bounded, plain = Counting("margin"), Counting("margin")
    pools = [
        Live(ArraySource(X, np.arange(N)), np.arange(L, N), np.arange(L), model, s)
        for s in (bounded.bounded, plain.plain)
    ]
    for step in range(11):
        for pool, count in zip(pools, (bounded, plain)):
            row = pool.next()[0]
            pool.tell(row, int(Y[row]))
            if step == 0:
                assert count.rows >= N - L, "all are scored once"
                count.rows = 0
    assert bounded.rows < plain.rows / 2


def test_a_posterior_that_moves_each_class_its_own_way_is_followed_by_scoring_everything():
    posterior = fit(
        Training(X[:L], Y[:L], np.ones(L), C),
        FitSpec(softmax_head.head, LaplaceBlock, prior_precision=0.3, curvature=0.1),
    )
    assert picks(Counting("margin").bounded, posterior, steps=6) == picks(Counting("margin").plain, posterior, steps=6)


@pytest.mark.parametrize("name", ["bounded", "plain"])
def test_threads_change_nothing(name, model, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    found = []
    for threads in (1, 3):
        with thread_limit(threads):
            found.append(picks(getattr(Counting("margin"), name), model))
    assert found[0] == found[1]


def test_classes_may_be_added_between_labels(model):
    def run(strategy):
        pool, found = Live(ArraySource(X, np.arange(N)), np.arange(L, N), np.arange(L), model, strategy), []
        for step in range(12):
            if step in (3, 4, 8):
                pool.add_classes(1)
            row = pool.next()[0]
            expected = select(
                strategy,
                View(ArraySource(X, np.arange(N)), np.setdiff1d(np.arange(L, N), found), np.arange(L), pool.model),
                1,
                seed=0,
                options={},
            )
            assert row == expected.rows_K[0]
            found.append(row)
            pool.tell(row, pool.model.n_classes - 1 if step in (3, 4, 8) else int(Y[row]))
        return found

    assert run(Counting("margin").bounded) == run(Counting("margin").plain)


def test_what_labels_change_beside_the_model_is_never_taken_from_before(model):
    @pointwise(needs=["log_probs", "labelled_distance"], modulus=lambda l1_B, C, distance_B: l1_B)
    def both(log_probs_BC, distance_B):
        return margin(log_probs_BC) * distance_B

    pool = Live(ArraySource(X, np.arange(N)), np.arange(L, N), np.arange(L), model, both.strategy)
    assert pool._logits.drift is None


@pytest.mark.parametrize("plateau", [False, True])
def test_drawn_ties_are_drawn_in_a_loop_as_in_a_batch(model, plateau):
    @pointwise(needs=["log_probs"], ties_drawn=True)
    def rounded(log_probs_BC):
        return np.zeros(len(log_probs_BC)) if plateau else np.round(margin(log_probs_BC), 1)

    source, strategy = ArraySource(X, np.arange(N)), rounded.strategy
    firsts = set()
    for seed in range(6):
        view = View(source, np.arange(L, N), np.arange(L), model)
        expected = select(strategy, view, 1, seed=seed, options={})
        row, score = Live(source, np.arange(L, N), np.arange(L), model, strategy, seed=seed).next()
        assert (row, score) == (expected.rows_K[0], pytest.approx(float(expected.scores_K[0]), abs=1e-6))
        firsts.add(row)
    assert len(firsts) > 1


def test_a_strategy_that_looks_at_draws_is_asked_about_every_row(model):
    @pointwise(needs=["sample_log_probs"], samples=3)
    def disagreement(log_probs_BSC):
        return log_probs_BSC.std(axis=1).sum(axis=1)

    source = ArraySource(X[:400], np.arange(400))
    pool = Live(source, np.arange(L, 400), np.arange(L), model, disagreement.strategy, seed=4)
    for closed in range(5):
        row, score = pool.next()
        expected = select(
            disagreement.strategy,
            View(source, np.flatnonzero(pool._open_M) + L, np.arange(L), pool.model),
            1,
            seed=4,
            options={},
        )
        assert row == expected.rows_K[0]
        assert score == pytest.approx(float(expected.scores_K[0]), rel=1e-5)
        assert pool.n == 400 - L - closed
        pool.tell(row, int(Y[row]))


DECLARED = {
    n: form
    for n in plugins.names("strategies")
    for s in [strategy_of(plugins.load("strategies", n))]
    for form in [s if s.pointwise else s.single]
    if form and form.modulus
}


@given(seed=st.integers(0, 10_000), size=st.sampled_from([1e-4, 0.01, 0.3, 3.0, 30.0]), n_classes=st.integers(1, 12))
def test_no_score_moves_farther_than_its_modulus(seed, size, n_classes):
    rng = np.random.default_rng(seed)
    X_BD = rng.choice([0.1, 1.0, 10.0]) * rng.standard_normal((50, 4))
    model = Model(LinearHead("softmax", rng.standard_normal((n_classes, 5)) * rng.choice([0.3, 3.0]), 1.0))
    p, q = (model.log_probs(X_BD), model.log_probs(X_BD + size * rng.standard_normal((50, 4))))
    kept = dict.fromkeys(("sq_norm", "hidden_sq_norm"), sq_norms(X_BD))
    for form in [*DECLARED.values(), Counting("margin").bounded, Counting("gradient").bounded]:
        before, after = (form.run(*(kept.get(need, log_probs) for need in form.needs)) for log_probs in (p, q))
        bound_B = form.modulus(
            np.abs(np.exp(p) - np.exp(q)).sum(axis=1), n_classes, *(kept[need] for need in form.needs if need in kept)
        )
        assert (np.abs(after - before) <= bound_B + 1e-9 * np.maximum(1.0, np.abs(after))).all()


def test_the_border_is_the_kth_largest_or_the_least():
    assert _ranking._largest(2, np.array([3.0, 1.0, 2.0])) == 2.0
    assert _ranking._largest(5, np.array([3.0, 1.0, 2.0])) == 1.0
