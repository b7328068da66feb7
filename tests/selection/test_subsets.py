"""Random candidates by a hash of their ids."""

import numpy as np

from alcli.selection.subsets import by_hash, some_places
from tests.helpers import view_of

X = np.random.default_rng(0).standard_normal((40, 2))


def test_the_same_ids_are_drawn_wherever_their_rows_lie():
    order = np.random.default_rng(1).permutation(40)
    straight, permuted = view_of(X, labelled=[7]), view_of(X[order], ids=order, labelled=np.flatnonzero(order == 7))
    one, other = (some_places(view, 12, np.random.default_rng(3)) for view in (straight, permuted))
    assert one[0].tolist() == other[0].tolist() == sorted(one[0].tolist())
    assert straight.rows[one[0]].tolist() == order[permuted.rows[other[0]]].tolist()
    assert one[1] == ("looked at 12 random candidates, not at all of them (-p candidates)",)


def test_fewer_are_the_first_of_more():
    few, many = (set(some_places(view_of(X), n, np.random.default_rng(3))[0].tolist()) for n in (9, 30))
    assert few < many
    assert sorted(by_hash(view_of(X), np.random.default_rng(3)).tolist()) == list(range(40))


def test_where_all_are_looked_at_nothing_is_drawn_or_said():
    rng = np.random.default_rng(3)
    places, notes = some_places(view_of(X), 40, rng)
    assert places.tolist() == list(range(40))
    assert notes == ()
    assert rng.random() == np.random.default_rng(3).random()
