import numpy as np
import pytest

from alcli import parsing
from alcli.errors import UsageError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import bait
from tests.evidence import prior_of
from tests.helpers import random_head, view_of

STRATEGY = strategy_of(bait)


def pool(n=50, D=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, D)).astype(np.float32)


def information_of(X, head, kind, top=2):
    """What each row adds to M, written out from the definition: [N, P, P]."""
    p = np.exp(head.log_probs(X).astype(np.float32).astype(np.float64))
    phi = np.hstack([X.astype(np.float64), np.ones((len(X), 1))])
    outer = np.einsum("nd,ne->nde", phi, phi)
    C = p.shape[1]
    residuals = np.eye(C)[None] - p[:, None]  # [N, label, C]
    if kind == "full":
        A = np.einsum("ny,nyc,nyk->nck", p, residuals, residuals)
        return np.einsum("nck,nde->ncdke", A, outer).reshape(len(X), C * phi.shape[1], -1)
    if kind == "binary":
        w = p.max(1) * (1 - p.max(1))
    else:
        order = np.argsort(-p, 1, kind="stable")[:, : C if kind == "trace" else top]
        share = np.take_along_axis(p, order, 1) / np.take_along_axis(p, order, 1).sum(1, keepdims=True)
        w = (share * np.take_along_axis((residuals**2).sum(2), order, 1)).sum(1)
    return w[:, None, None] * outer


@pytest.mark.parametrize("kind", ["binary", "trace", "top", "full"])
def test_first_pick_is_the_best_by_brute_force(kind):
    X, head, labelled = pool(), random_head(4, 3, prior_precision=0.4), np.arange(0, 50, 5)
    options = {"likelihood": "full"} if kind == "full" else {"weight": kind, "top": 2}
    each = information_of(X, head, kind)
    F, M = each.mean(0), each[labelled].sum(0) + np.diag(np.resize(prior_of(0.4, 5), each.shape[1]))
    gains = np.array([np.trace(np.linalg.inv(M) @ F) - np.trace(np.linalg.inv(M + one) @ F) for one in each])
    gains[labelled] = -np.inf
    chosen = select(
        STRATEGY,
        view_of(X, labelled=labelled, labels=np.zeros(10, int), head=head),
        1,
        seed=0,
        options=options | {"forward": 1.0},
    )
    assert chosen.rows_K.tolist() == [int(gains.argmax())]
    assert np.allclose(chosen.scores_K, gains.max(), rtol=1e-5)
    assert chosen.record == {"prior-precision": 0.4}


def test_fisher_information_of_the_pool_is_a_mean_however_many_blocks_it_has():
    X, head = pool(1000), random_head(4, 3)
    once = select(STRATEGY, view_of(X, head=head), 1, seed=0, options={})
    often = select(STRATEGY, view_of(np.tile(X, (6, 1)), head=head), 1, seed=0, options={})
    assert often.rows_K.tolist() == once.rows_K.tolist()
    assert np.allclose(often.scores_K, once.scores_K, rtol=1e-5)


def test_every_weight_is_between_nothing_and_one_and_keeps_its_size_for_sure_rows():
    log_probs = random_head(4, 6, scale=3.0).log_probs(pool(200).astype(np.float64))
    for kind in ("binary", "trace", "top"):
        w = bait.weights(log_probs, kind, 2)
        assert ((w > 0) & (w <= 1)).all()
        sure = bait.weights(np.array([[-1e-20, np.log(1e-20)]]), kind, 2)
        assert np.isclose(sure[0], {"binary": 1e-20, "trace": 2e-20, "top": 2e-20}[kind], rtol=1e-9, atol=0)
    assert np.allclose(bait.weights(log_probs, "top", 6), bait.weights(log_probs, "trace", 2))


def test_of_two_diffuse_rows_the_surer_one_weighs_less_unless_binary():
    # p_max 0.1 and 0.3 of 50 classes: the binary weight p (1 - p) rises towards p = 1/2.
    log_probs = np.log(np.array([[0.1] + [0.9 / 49] * 49, [0.3] + [0.7 / 49] * 49]))
    order = {kind: np.diff(bait.weights(log_probs, kind, 5))[0] for kind in ("binary", "trace", "top")}
    assert order["binary"] > 0 > order["trace"]
    assert order["top"] < 0


def test_full_of_too_many_weights_is_refused_with_what_to_do():
    with pytest.raises(UsageError, match=r"5000 x 5000.*4096") as error:
        select(STRATEGY, view_of(pool(30, 499), head=random_head(499, 10)), 3, seed=0, options={"likelihood": "full"})
    assert "likelihood=binary" in error.value.hint


@pytest.mark.parametrize("text", ["0", "-1", "inf", "x", "nan"])
def test_prior_is_a_positive_number_or_auto(text):
    with pytest.raises(UsageError, match="prior"):
        parsing.parse_options(STRATEGY.run, {"prior": text}, "strategy 'bait'")


def test_pruning_changes_what_is_kept_but_not_how_much():
    X, head = pool(300, 6), random_head(6, 4)
    plain = select(STRATEGY, view_of(X, head=head), 20, seed=0, options={"forward": 1.0})
    pruned = select(STRATEGY, view_of(X, head=head), 20, seed=0, options={"forward": 3.0})
    assert len(set(plain.rows_K.tolist())) == len(set(pruned.rows_K.tolist())) == 20
    assert plain.rows_K.tolist() != pruned.rows_K.tolist()


def test_any_number_of_picks_before_pruning_is_at_most_the_pool():
    view = view_of(pool(), head=random_head(4, 3))
    whole, more = (select(STRATEGY, view, 3, seed=0, options={"forward": forward}) for forward in (50 / 3, np.inf))
    assert more.rows_K.tolist() == whole.rows_K.tolist()
    assert select(STRATEGY, view, 3, seed=0, options={"forward": 1e308}).rows_K.tolist() == whole.rows_K.tolist()
