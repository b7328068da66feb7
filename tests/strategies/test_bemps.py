import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import bemps
from tests.committees import draws_of, fitted
from tests.helpers import TableHead, view_of

STRATEGY = strategy_of(bemps)


def written_out(log_probs, score):
    """What the label of each row does to each row, [N, N], by reweighting the members with the chance they gave to
    the label.
    """
    P = np.exp(log_probs)
    p = P.mean(1)
    after = np.einsum("nsy,msc->nmyc", P / P.sum(axis=1, keepdims=True), P)
    if score == "mse":
        return np.einsum("ny,nmyc->nm", p, (after - p[None, :, None]) ** 2)
    return np.einsum("ny,nmyc->nm", p, after * np.log(after / p[None, :, None]))


@pytest.mark.parametrize("score", ["mse", "log"])
def test_scores_of_a_laplace_posterior_are_those_written_out(score):
    model, view = fitted(n=90)
    expected = written_out(draws_of(model, view, 25, seed=6), score).mean(axis=1)
    chosen = select(STRATEGY, view, 78, seed=6, options={"score": score})
    assert chosen.rows_K.tolist() == view.rows[np.argsort(-expected.astype(np.float32), kind="stable")].tolist()
    assert np.allclose(chosen.scores_K, np.sort(expected)[::-1], rtol=1e-5)
    alone = select(STRATEGY, view, 1, seed=6, options={"score": score})
    assert alone.rows_K.tolist() == chosen.rows_K[:1].tolist()


def test_by_hand_one_row_that_decides_many():
    # Rows 1..6 lie along the first column, row 0 along the second: labels of the first column move six rows.
    X = np.array([[0.0, 3.0], *[[2.0, 0.0]] * 5, [4.0, 0.0]])
    view = view_of(X, head=TableHead(np.zeros((2, 2)), spread=2.0))
    chosen = select(STRATEGY, view, 7, seed=0, options={"samples": 300})
    assert chosen.rows_K[0] == 6
    assert chosen.rows_K[-1] == 0


@pytest.mark.parametrize("score", ["mse", "log"])
def test_a_batch_is_spread_over_what_the_labels_would_change(score):
    # Two independent columns; the best rows by score are all of the first. A batch of two takes one of each.
    rng = np.random.default_rng(0)
    X = np.concatenate([np.c_[3 + rng.random(30), np.zeros(30)], np.c_[np.zeros(20), 3 + rng.random(20)]])
    view = view_of(X, head=TableHead(np.zeros((3, 2)), spread=1.0))
    chosen = select(STRATEGY, view, 2, seed=0, options={"score": score, "keep": 1.0})
    assert sorted(chosen.rows_K // 30) == [0, 1]
    assert (np.diff(chosen.scores_K) <= 0).all()


@pytest.mark.parametrize("score", ["mse", "log"])
@pytest.mark.parametrize("options", [{"keep": 0.2}, {"candidates": 15}])
def test_only_the_best_rows_are_clustered(score, options):
    _, view = fitted(n=87)
    everyone = select(STRATEGY, view, 75, seed=0, options={"score": score}).rows_K
    batch = select(STRATEGY, view, 6, seed=0, options={"score": score, **options})
    assert set(batch.rows_K.tolist()) <= set(everyone[:15].tolist())
    assert batch.notes == (
        ()
        if "keep" in options
        else ("bemps clustered the 15 best candidates, not 38 (keep=0.5): -p candidates=38 clusters all of them",)
    )


def test_an_evaluation_subset_bears_on_the_vectors_of_mse_and_on_the_scores_of_log():
    _, view = fitted(n=120)
    for score, alike in (("mse", True), ("log", False)):
        some, every = (
            select(STRATEGY, view, 108, seed=0, options={"score": score, "evaluation": n}) for n in (20, 108)
        )
        assert (some.scores_K == every.scores_K).all() == alike


def test_draws_that_agree_still_give_a_batch():
    view = view_of(np.random.default_rng(0).standard_normal((20, 3)), head=TableHead(np.eye(3), spread=0.0))
    for score in ("mse", "log"):
        chosen = select(STRATEGY, view, 4, seed=0, options={"score": score})
        assert len(set(chosen.rows_K.tolist())) == 4
        assert np.allclose(chosen.scores_K, 0)


@pytest.mark.parametrize(
    ("name", "value"), [("keep", 0.0), ("keep", 1.5), ("keep", float("nan")), ("evaluation", 0), ("candidates", 0)]
)
def test_options_out_of_range_are_refused(name, value):
    _, view = fitted(n=30)
    with pytest.raises(UsageError, match=name):
        select(STRATEGY, view, 2, seed=0, options={name: value})
