import numpy as np
import pytest

from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import auto, lcmd, margin, maxherding, uherding
from tests.helpers import random_head, view_of

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
        (maxherding, {}, "auto took maxherding: there is no head"),
        (maxherding, {"labelled": [3, 4]}, "auto took maxherding: 2 labels show one class, and a head needs two"),
        (
            uherding,
            {"labelled": range(20), "head": random_head(5, 2)},
            "auto took uherding: 20 labels of 2 classes are at most 10 a class",
        ),
        (
            uherding,
            {"labelled": range(21), "head": random_head(5, 2)},
            "auto took uherding: 21 labels of 2 classes are more than 10 a class, and 99 candidates are few enough "
            "to be covered",
        ),
        (uherding, {"head": random_head(5, 4)}, "auto took uherding: 0 labels of 4 classes are at most 10 a class"),
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
        "auto took margin: 21 labels of 2 classes are more than 10 a class, and uherding would take minutes for 99 "
        "candidates",
    )
    assert chosen.rows_K.tolist() == other.rows_K.tolist()
    assert chosen.scores_K.tobytes() == other.scores_K.tobytes()


def test_numbers_are_for_lcmd():
    _, other = both(lcmd, labelled=[1, 2], head=random_head(5, 1), labels=np.array([0.5, 1.0]))
    chosen = select(
        STRATEGY.suited(True),
        view_of(X, labelled=[1, 2], labels=np.array([0.5, 1.0]), head=random_head(5, 1)),
        7,
        seed=0,
        options={},
    )
    assert chosen.notes[0] == "auto took lcmd: the labels are numbers"
    assert chosen.rows_K.tolist() == other.rows_K.tolist()


def test_it_does_without_a_head():
    assert STRATEGY.cold
    assert STRATEGY.needs_head
