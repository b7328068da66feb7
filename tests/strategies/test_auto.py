import numpy as np
import pytest

from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.strategies import auto, margin, maxherding, relevance, uherding
from tests.helpers import TableHead, random_head, view_of

STRATEGY = strategy_of(auto)
X = np.random.default_rng(0).standard_normal((120, 5)).astype(np.float32)


def both(expected, **view):
    """(what auto chose, what the strategy would choose)."""
    view = {"labels": np.zeros(len(view.get("labelled", ())), int), **view}
    chosen = select(STRATEGY, view_of(X, **view), 7, seed=0, options={})
    other = select(strategy_of(expected), view_of(X, **view), 7, seed=0, options={})
    return chosen, other


@pytest.mark.parametrize(
    ("expected", "view", "said"),
    [
        (maxherding, {}, "auto takes maxherding: there is no head"),
        (maxherding, {"labelled": [3, 4]}, "auto takes maxherding: 2 labels show one class, and a head needs two"),
        (
            uherding,
            {"labelled": range(20), "head": random_head(5, 2)},
            "auto takes uherding: 20 labels of 2 classes are at most 10 a class",
        ),
        (
            uherding,
            {"labelled": range(21), "head": random_head(5, 2)},
            "auto takes uherding: 21 labels of 2 classes are more than 10 a class, and 99 candidates are few enough "
            "to be covered",
        ),
        (uherding, {"head": random_head(5, 4)}, "auto takes uherding: 0 labels of 4 classes are at most 10 a class"),
    ],
)
def test_it_is_the_strategy_that_its_note_names(expected, view, said):
    chosen, other = both(expected, **view)
    assert chosen.notes[0] == said
    assert chosen.record == {"chosen": said.split()[2].rstrip(":"), **other.record}
    assert chosen.rows_K.tolist() == other.rows_K.tolist()
    assert chosen.scores_K.tobytes() == other.scores_K.tobytes()


def test_margin_with_many_labels_in_a_pool_that_takes_minutes_to_cover(monkeypatch):
    assert auto.choice(1_001, 100, 1_000_000, 500)[0] == "uherding"
    assert auto.choice(1_000, 100, 1_000_001, 500)[0] == "uherding"
    assert auto.choice(1_001, 100, 1_000_001, 500)[0] == "margin"
    monkeypatch.setattr(auto, "LARGE", 99 * 5 - 1)
    chosen, other = both(margin, labelled=range(21), head=random_head(5, 2))
    assert chosen.notes == (
        "auto takes margin: 21 labels of 2 classes are more than 10 a class, and uherding would take minutes for 99 "
        "candidates",
    )
    assert chosen.rows_K.tolist() == other.rows_K.tolist()
    assert chosen.scores_K.tobytes() == other.scores_K.tobytes()


def head_that_finds(n):
    """A head of two classes that predicts class 1 for n of the 120 rows: those of the largest first coordinates."""
    largest = np.sort(X[:, 0].astype(float))[::-1]
    border = (largest[n - 1] + largest[n]) / 2 if n else largest[0] + 1
    W_CD = np.zeros((2, 5))
    W_CD[:, 0] = [-1, 1]
    return TableHead(W_CD, [border, -border])


@pytest.mark.parametrize(
    ("n", "labelled", "expected", "said"),
    [
        (0, [], relevance, "0 of 120 candidates, fewer than 5%"),
        (5, [], relevance, "5 of 120 candidates, fewer than 5%"),
        (6, [], uherding, None),  # exactly 5%
        (114, [], uherding, None),
        (115, [], relevance, "5 of 120 candidates, fewer than 5%"),  # the other class is the rare one
        (3, range(40), relevance, None),
        (120 - 1, range(40), relevance, None),
    ],
)
def test_relevance_where_a_head_of_two_classes_hardly_predicts_one_of_them(n, labelled, expected, said):
    head = head_that_finds(n)
    assert (head.log_probs(X).argmax(axis=1) == 1).sum() == n
    chosen, other = both(expected, labelled=labelled, head=head)
    assert chosen.record["chosen"] == expected.__name__.rpartition(".")[2]
    assert said is None or chosen.notes == (
        f"auto takes relevance: the head predicts the rarer of two classes for {said}",
    )
    assert chosen.rows_K.tolist() == other.rows_K.tolist()
    assert chosen.scores_K.tobytes() == other.scores_K.tobytes()


def test_of_three_classes_one_may_be_rare():
    head = TableHead(np.vstack([head_that_finds(1).W_CD, np.zeros(5)]), [0, 0, -50])
    assert select(STRATEGY, view_of(X, head=head), 7, seed=0, options={}).record["chosen"] == "uherding"


def test_numbers_are_for_maxherding():
    _, other = both(maxherding, labelled=[1, 2], head=random_head(5, 1), labels=np.array([0.5, 1.0]))
    chosen = select(
        STRATEGY.suited(True),
        view_of(X, labelled=[1, 2], labels=np.array([0.5, 1.0]), head=random_head(5, 1)),
        7,
        seed=0,
        options={},
    )
    assert chosen.notes[0] == "auto takes maxherding: the labels are numbers"
    assert chosen.rows_K.tolist() == other.rows_K.tolist()


def test_it_does_without_a_head():
    assert STRATEGY.cold
    assert STRATEGY.needs_head


def test_the_choice_is_said_before_the_work():
    """Whoever asks for a batch hears it before the strategy that was taken has read a feature."""
    heard, read = [], []

    class Watched(ArraySource):
        def take(self, rows):
            read.append(len(heard))
            return super().take(rows)

    X_ND = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    view = View(Watched(X_ND, np.arange(50)), np.arange(50), np.empty(0, np.int64))
    view.tell = heard.append
    chosen = select(STRATEGY, view, 3, seed=0, options={})
    assert heard == ["auto takes maxherding: there is no head"]
    assert chosen.notes[0] == heard[0]
    assert read
    assert min(read) == 1
