import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import margin, tcm, typiclust
from tests.helpers import random_head, view_of


def choose(strategy, k, n_labelled, **options):
    X = np.random.default_rng(0).standard_normal((120, 5)).astype(np.float32)
    return select(
        strategy_of(strategy),
        view_of(X, labelled=np.arange(n_labelled), head=random_head(5, 4)),
        k,
        seed=3,
        options=options,
    )


@pytest.mark.parametrize(
    ("n_labelled", "rounds", "k", "phase"),
    [
        (0, 3, 10, typiclust),
        (29, 3, 10, typiclust),
        (30, 3, 10, margin),
        (60, 3, 10, margin),
        (0, 0, 10, margin),
        (9, 1, 10, typiclust),
        (30, 3, 11, typiclust),
    ],
)
def test_typiclust_until_so_many_batches_are_labelled_then_margin(n_labelled, rounds, k, phase):
    chosen, expected = choose(tcm, k, n_labelled, rounds=rounds), choose(phase, k, n_labelled)
    assert chosen.rows_K.tolist() == expected.rows_K.tolist()
    assert chosen.scores_K.tobytes() == expected.scores_K.tobytes()
    assert phase.__name__.rpartition(".")[2] in chosen.notes[0]


def test_the_note_says_why():
    assert choose(tcm, 10, 12).notes == ("picked by typiclust: 12 labelled rows are fewer than 3 batches of 10",)
    assert choose(tcm, 10, 30).notes == ("picked by margin: 30 labelled rows are no fewer than 3 batches of 10",)


def test_without_a_head_typiclust_picks():
    X = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)
    chosen = select(strategy_of(tcm), view_of(X, labelled=np.arange(40)), 5, seed=1, options={})
    assert (
        chosen.rows_K.tolist()
        == select(strategy_of(typiclust), view_of(X, labelled=np.arange(40)), 5, seed=1, options={}).rows_K.tolist()
    )
    assert chosen.notes == ("picked by typiclust: there is no head",)


def test_a_negative_number_of_rounds_is_refused():
    with pytest.raises(UsageError, match="rounds"):
        choose(tcm, 3, 0, rounds=-1)
