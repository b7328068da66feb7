import numpy as np
import pytest

from alcli.errors import DataError, UsageError
from alcli.numerics.diversity.kmeans import central_rows
from alcli.numerics.rows import unit_rows
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import alfa_mix
from alcli.strategies.alfa_mix import _cap
from tests.helpers import normal_rows, random_head, view_of

STRATEGY = strategy_of(alfa_mix)
D, C = 6, 4


def choose(X_ND, head, k, labelled=(), labels=(), seed=0, **options):
    view = view_of(X_ND, head=head, labelled=labelled, labels=np.asarray(labels, np.int64))
    return select(STRATEGY, view, k, seed=seed, options=options)


def changed_by_mixing(X, head, anchors, cap):
    """As published: an alpha for every feature, mixed with each anchor, and the class predicted anew."""
    H, W = X.astype(np.float64), head.W_CD
    P = np.exp(head.log_probs(X))
    top = P.argmax(1)
    P[np.arange(len(X)), top] -= 1.0
    g = P @ W
    changed = np.zeros(len(X), bool)
    for a in anchors:
        gap = a - H
        alpha = (
            cap
            / np.sqrt(D)
            * np.linalg.norm(gap, axis=1, keepdims=True)
            * g
            / (np.linalg.norm(g, axis=1, keepdims=True) * gap)
        )
        changed |= head.logits(alpha * a + (1 - alpha) * H).argmax(1) != top
    return changed


@pytest.mark.parametrize("seed", range(4))
def test_candidates_are_those_that_the_published_mixing_changes(seed):
    X, head, k = normal_rows(300, D, seed), random_head(D, C, seed), 7
    labelled, labels = [4, 9, 60, 100, 230], [0, 0, 2, 3, 3]
    anchors = [X[[4, 9]].mean(0), X[60], X[[100, 230]].mean(0)]
    others = np.setdiff1d(np.arange(300), labelled)
    chosen = choose(X, head, k, labelled, labels, seed=seed)
    cap = chosen.record["cap"]
    candidates = others[changed_by_mixing(X[others], head, anchors, cap)]
    assert len(candidates) > k
    assert changed_by_mixing(X[others], head, anchors, cap - 0.03125).sum() <= k
    picks, _ = central_rows(unit_rows(X[candidates]), k, np.random.default_rng(np.random.SeedSequence(seed)))
    assert chosen.rows_K.tolist() == candidates[picks].tolist()


def test_the_cap_rises_until_there_are_more_candidates_than_rows_asked_for():
    caps = np.array([0.01, 0.05, 0.32, 0.4, np.inf])
    assert _cap(caps, 1, 0.1) == pytest.approx(0.1)
    assert _cap(caps, 2, 0.1) == pytest.approx(0.4)
    assert _cap(caps, 4, 0.1) == 1.0
    assert _cap(caps, 0, 1.0) == 1.0


def test_without_labels_there_is_nothing_to_mix_with():
    chosen = choose(normal_rows(40, D), random_head(D, C), 5)
    assert "only 0 candidates" in chosen.notes[0]
    assert len(set(chosen.rows_K.tolist())) == 5


def test_labels_that_are_not_known_are_an_error():
    view = view_of(normal_rows(20, D), head=random_head(D, C), labelled=[1, 2])
    with pytest.raises(DataError, match="labels"):
        select(STRATEGY, view, 3, seed=0, options={})


@pytest.mark.parametrize("step", [0.0, -1.0, 1.5])
def test_steps_out_of_range_are_refused(step):
    with pytest.raises(UsageError, match="step"):
        choose(normal_rows(20, D), random_head(D, C), 3, step=step)
