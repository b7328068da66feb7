import numpy as np
import pytest

from alcli.errors import DataError, UsageError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import direct
from alcli.strategies.direct import _shares
from tests.helpers import TableHead, random_head, view_of

STRATEGY = strategy_of(direct)


def choose(X_ND, head, k, labelled=(), labels=(), seed=0, **options):
    view = view_of(X_ND, head=head, labelled=labelled, labels=np.asarray(labels, np.int64))
    return select(STRATEGY, view, k, seed=seed, options=options)


def on_a_line(n=101):
    """Two classes: p_1 falls with the row number from nearly 1 to nearly 0, even at row 50."""
    return np.linspace(-1, 1, n, dtype=np.float32)[:, None], TableHead([[3.0], [-3.0]])


def test_the_batch_lies_where_the_labels_say_that_the_class_ends_and_not_where_the_head_does():
    # Class 1 ends at row 20 by the labels, at row 50 by the head.
    X, head = on_a_line()
    labelled = [0, 10, 19, 22, 40, 60, 90]
    chosen = choose(X, head, 8, labelled, [1, 1, 1, 0, 0, 0, 0])
    assert set(chosen.rows_K) >= {20, 21}
    assert (np.abs(chosen.rows_K - 20.5) < 8).all()


def test_what_labels_leave_open_is_drawn_from_for_the_rarest_class():
    X, head = on_a_line()
    labelled = [0, 40, 60, 70, 80, 90]
    drawn = [choose(X, head, 6, labelled, [1, 1, 0, 0, 0, 0], seed=s, per_class=3).rows_K[:3] for s in range(20)]
    assert all(((rows > 40) & (rows < 60)).all() for rows in drawn)
    assert len(np.unique(drawn)) > 12


def test_a_class_without_labels_gets_its_most_confident_rows():
    X = np.random.default_rng(0).standard_normal((300, 3)).astype(np.float32)
    head = TableHead(2.0 * np.eye(3))
    labelled = np.flatnonzero(head.logits(X).argmax(1) != 2)[:30]
    labels = head.logits(X[labelled]).argmax(1)
    chosen = choose(X, head, 12, labelled, labels)
    predicted = head.logits(X[chosen.rows_K]).argmax(1)
    assert (predicted == 2).sum() >= 4


def test_scores_are_how_near_the_class_is_to_the_most_probable():
    X, head = on_a_line()
    chosen = choose(X, head, 6, [0, 100], [1, 0])
    p = np.exp(head.log_probs(X[chosen.rows_K]))
    gaps = 1.0 - (p.max(axis=1, keepdims=True) - p)
    assert all(min(abs(score - g)) < 1e-6 for score, g in zip(chosen.scores_K, gaps))


def test_shares_add_up_and_differ_by_one_at_most():
    assert _shares(7, 3) == [3, 2, 2]
    assert _shares(2, 4) == [1, 1, 0, 0]
    assert _shares(0, 2) == [0, 0]


def test_labels_that_are_not_known_are_an_error():
    with pytest.raises(DataError, match="labels"):
        select(STRATEGY, view_of(on_a_line()[0], head=random_head(1, 2), labelled=[1]), 3, seed=0, options={})


def test_per_class_must_be_positive():
    with pytest.raises(UsageError, match="per-class"):
        choose(*on_a_line(), 3, per_class=0)
