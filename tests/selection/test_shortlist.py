import numpy as np

from alcli.selection.subsets import Shortlist
from tests.committees import draws_of, fitted, information_by_entropies
from tests.helpers import TableHead, view_of


def test_holds_the_rows_of_highest_bald_in_the_order_of_their_ids():
    _, view = fitted(n=100)
    bald = information_by_entropies(draws_of(None, view, 30))
    order = np.argsort(-bald, kind="stable")
    shortlist = Shortlist.of(view.sampling(30, 0), 20)
    assert shortlist.rows_M.tolist() == sorted(view.rows[order[:20]].tolist())
    assert shortlist.left_out == np.float32(bald[order[20]])
    assert np.allclose(shortlist.bald_M, bald[np.sort(order[:20])], rtol=1e-6)
    assert shortlist.n == 88


def test_rows_of_equal_bald_go_by_id():
    ids = np.array([f"id{i}" for i in range(9)][::-1], object)
    view = view_of(np.ones((9, 2)), ids=ids, head=TableHead(np.eye(2))).sampling(5, 0)
    assert ids[Shortlist.of(view, 3).rows_M].tolist() == ["id0", "id1", "id2"]


def test_notes_say_which_picks_are_certain():
    _, view = fitted(n=60)
    shortlist = Shortlist.of(view.sampling(10, 0), 7)
    above, below = shortlist.left_out * 1.01, shortlist.left_out * 0.99
    said = {
        (above, above): "all picks are certain",
        (above, below, above): "the first 1 of 3 picks are certain",
        (below, above): "no pick is certain",
        (shortlist.left_out,): "no pick is certain",
    }
    for scores, text in said.items():
        (note,) = shortlist.notes("epig", np.array(scores, np.float32))
        assert note.startswith("epig looked at the 7 of 48 candidates")
        assert text in note
    assert Shortlist.of(view.sampling(10, 0), 48).notes("epig", np.zeros(3, np.float32)) == ()
