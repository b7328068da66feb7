"""A live pool chooses what a selection from scratch would choose, for every strategy there is."""

from __future__ import annotations

import numpy as np
import pytest

from alcli import plugins
from alcli.errors import DataError
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead
from alcli.heads.softmax import softmax
from alcli.live.live import Live
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import pointwise, strategy_of
from alcli.selection.view import View
from tests.helpers import brief, names_for_linear_heads

N, D, C, L, SEED = 300, 6, 4, 20, 3
RNG = np.random.default_rng(0)
Y = RNG.integers(C, size=N)
X = 2 * RNG.standard_normal((C, D))[Y] + RNG.standard_normal((N, D))
IDS = RNG.permutation(N)
NAMES = names_for_linear_heads()


def source(dtype=np.float64):
    return ArraySource(X.astype(dtype), IDS)


@pytest.fixture(scope="module")
def model() -> Model:
    return fit(
        Training(X[:L], Y[:L], np.ones(L), C), FitSpec(softmax.head, LaplaceShared, prior_precision=0.1, curvature=0.1)
    )


def with_hidden_layers(model):
    """The same last layer and posterior over D hidden features of tanh."""
    rng = np.random.default_rng(5)
    layers = (
        (rng.standard_normal((8, D)), rng.standard_normal(8)),
        (rng.standard_normal((D, 8)), rng.standard_normal(D)),
    )
    return Model(NetworkHead(layers, "tanh", model.head), model.posterior, model.temperature, model.gamma)


def strategy(name):
    return strategy_of(plugins.load("strategies", name))


def live(name, model, dtype=np.float64, **more):
    chosen = strategy(name) if isinstance(name, str) else name
    return Live(
        source(dtype),
        np.arange(L, N),
        np.arange(L),
        model if chosen.needs_head else None,
        chosen,
        seed=SEED,
        labels=Y[:L],
        options=brief(chosen.name),
        **more,
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_each_choice_is_that_of_a_selection_from_scratch(name, dtype, model):
    pool, told, closed = live(name, model, dtype), list(range(L)), list(range(L))
    for step in range(15):
        row, score = pool.next()
        view = View(source(dtype), np.setdiff1d(np.arange(N), closed), np.array(told), pool.model, labels=Y[told])
        expected = select(strategy(name), view, 1, seed=SEED, options=brief(name))
        assert row == expected.rows_K[0]
        assert score == pytest.approx(float(expected.scores_K[0]), rel=1e-5)
        closed.append(row)
        if step % 5 == 4:
            pool.skip(row)
        else:
            told.append(row)
            pool.tell(row, Y[row])


@pytest.mark.parametrize("name", ["margin", "badge", "uherding", "predictive-variance"])
def test_after_another_model_is_adopted_each_choice_is_that_of_the_new_model(name, model):
    rows = np.arange(L, 3 * L)
    other = fit(
        Training(X[rows], Y[rows], np.ones(2 * L), C), FitSpec(softmax.head, LaplaceShared, prior_precision=1.0)
    )
    pool, told = live(name, model), list(range(L))
    before = pool.choose(5).rows_K
    pool.adopt(other)
    for _ in range(4):
        view = View(source(), np.setdiff1d(np.arange(N), told), np.array(told), pool.model, labels=Y[told])
        expected = select(strategy(name), view, 5, seed=SEED, options={})
        assert np.array_equal(pool.choose(5).rows_K, expected.rows_K)
        told.append(int(expected.rows_K[0]))
        pool.tell(told[-1], Y[told[-1]])
    assert not np.array_equal(before, live(name, other).choose(5).rows_K)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["badge", "entropy"])
def test_each_choice_of_a_head_with_hidden_layers_is_that_of_a_selection_from_scratch(name, dtype, model):
    test_each_choice_is_that_of_a_selection_from_scratch(name, dtype, with_hidden_layers(model))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", [n for n in NAMES if not strategy_of(plugins.load("strategies", n)).random])
@pytest.mark.parametrize("known", [0, 40])
def test_choices_among_copies_and_ties_are_those_from_scratch(name, dtype, known, model):
    """Each row stands three times in a grid full of ties; labels come for rows of the pool and for others, from none
    known on.
    """
    rng = np.random.default_rng(4)
    grid = np.repeat(rng.integers(-2, 3, (100, D)), 3, axis=0)[rng.permutation(N)].astype(dtype)
    pool_source, chosen = ArraySource(grid, IDS), strategy(name)
    seen = model if chosen.needs_head else None
    pool = Live(pool_source, np.arange(100, N), np.arange(known), seen, chosen, options=brief(name))
    told, closed = list(range(known)), list(range(100))
    for step in range(30):
        row, score = pool.next()
        view = View(pool_source, np.setdiff1d(np.arange(N), closed), np.array(told, np.int64), pool.model)
        expected = select(chosen, view, 1, seed=0, options=brief(name))
        assert row == expected.rows_K[0]
        assert score == pytest.approx(float(expected.scores_K[0]), rel=1e-5)
        closed.append(row)
        if step % 4 == 3:
            pool.skip(row)
            row = 50 + step
        told.append(row)
        pool.tell(row, step % C)


@pytest.mark.parametrize("name", [n for n in NAMES if strategy_of(plugins.load("strategies", n)).single])
def test_a_pointwise_form_picks_what_a_batch_of_one_holds(name, model):
    chosen = strategy(name)
    for told in (np.arange(L), np.arange(0)):
        view = View(source(), np.arange(L, N), told, model)
        one, single = (select(form, view, 1, seed=SEED, options={}) for form in (chosen, chosen.single))
        assert one.rows_K.tolist() == single.rows_K.tolist()
        assert single.scores_K == pytest.approx(one.scores_K, rel=1e-6)
        for need in chosen.single.needs:
            blocks = {
                int(r): v
                for rows_B, values_B in View(source(), np.arange(L, N), told, model).blocks(need)
                for r, v in zip(rows_B, values_B)
            }
            np.testing.assert_allclose(view.matrix(need), [blocks[r] for r in view.rows.tolist()], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_several_are_chosen_as_from_scratch(name, model):
    pool = live(name, model)
    first = pool.next()[0]
    pool.tell(first, Y[first])
    view = View(
        source(),
        np.setdiff1d(np.arange(L, N), first),
        np.append(np.arange(L), first),
        pool.model,
        labels=Y[[*range(L), first]],
    )
    expected = select(strategy(name), view, 7, seed=SEED, options=brief(name))
    assert pool.choose(7).rows_K.tolist() == expected.rows_K.tolist()


def test_the_model_is_the_one_that_absorbed_the_labels_in_their_order(model):
    pool, rows = live("margin", model), []
    for _ in range(12):
        row = pool.next()[0]
        pool.tell(row, Y[row])
        rows.append(row)
    expected = model.update(Training(X[rows], Y[rows], np.ones(12), C))
    np.testing.assert_allclose(pool.model.head.W_CD1, expected.head.W_CD1, rtol=0, atol=1e-10)
    np.testing.assert_allclose(pool.model.posterior.precision, expected.posterior.precision, rtol=1e-10)


def test_asking_again_changes_nothing_and_a_pool_runs_out(model):
    pool = live("entropy", model)
    assert pool.next() == pool.next()
    for _ in range(N - L):
        pool.skip(pool.next()[0])
    assert pool.n == 0
    assert pool.next() is None
    assert len(pool.choose(3).rows_K) == 0


def test_a_label_for_a_row_that_is_no_candidate_is_absorbed(model):
    pool = Live(source(), np.arange(100, N), np.arange(L), model, strategy("coreset"), seed=SEED)
    pool.next()
    pool.tell(50, Y[50])
    expected = model.update(Training(X[50:51], Y[50:51], np.ones(1), C))
    assert np.array_equal(pool.model.head.W_CD1, expected.head.W_CD1)
    view = View(source(), np.arange(100, N), np.append(np.arange(L), 50), pool.model)
    assert pool.next()[0] == select(strategy("coreset"), view, 1, seed=SEED, options={}).rows_K[0]
    assert np.array_equal(pool.features(np.array([50, 120])), X[[50, 120]])


@pytest.mark.parametrize("need", ["features", "logits"])
def test_ties_go_to_the_lowest_id(model, need):
    @pointwise(needs=[need])
    def flat(block_B):
        return np.zeros(len(block_B))

    assert IDS[live(flat.strategy, model).next()[0]] == IDS[L:].min()


def test_a_score_that_is_no_number_is_refused_with_its_row(model):
    @pointwise(needs=["logits"])
    def broken(logits_BC):
        return np.full(len(logits_BC), np.nan)

    with pytest.raises(DataError, match=r"row .*: the score is not a finite number"):
        live(broken.strategy, model).next()


def test_a_head_with_hidden_layers_is_followed_by_what_its_last_layer_sees(model):
    network = Model(with_hidden_layers(model).head, model.posterior, 1.3, model.gamma)
    pool = live("margin", network, np.float32)
    for _ in range(10):
        row = pool.next()[0]
        pool.tell(row, Y[row])
    pool.next()
    np.testing.assert_allclose(
        pool._logits.logits(slice(0, N - L)),
        pool.model.logits(X[pool._held.rows_M].astype(np.float32)),
        rtol=0,
        atol=1e-4,
    )
