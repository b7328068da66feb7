import numpy as np

from alcli.numerics.hashing import uniforms
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import variation_ratio
from tests.committees import draws_of, fitted, members, of_probs


def test_by_hand():
    # Votes 1, 0, 0, 1 of four for two classes: half are not for the modal one. Votes 2, 1, 1: a third.
    two = of_probs([[[0.1, 0.9], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]]])
    three = of_probs([[[0.1, 0.2, 0.7], [0.2, 0.5, 0.3], [0.2, 0.6, 0.2]]])
    assert np.allclose(variation_ratio.variation_ratio(two), 0.5)
    assert np.allclose(variation_ratio.variation_ratio(three), 1 / 3)


def test_counts_votes_where_least_confident_looks_at_the_mean():
    unanimous_but_unsure = of_probs([[[0.51, 0.49], [0.52, 0.48]]])
    assert variation_ratio.variation_ratio(unanimous_but_unsure).tolist() == [0]


def test_lies_between_0_and_what_equal_votes_give():
    scores = variation_ratio.variation_ratio(members(200, 12, 4))
    assert scores.min() >= 0
    assert scores.max() <= 0.75
    assert np.allclose(scores * 12, np.round(scores * 12))


def test_one_draw_or_one_class_agrees_with_itself():
    assert (variation_ratio.variation_ratio(members(5, 1, 4)) == 0).all()
    assert (variation_ratio.variation_ratio(np.zeros((5, 3, 1))) == 0).all()


def test_a_laplace_posterior_gives_what_the_arrays_give_with_ties_drawn():
    model, view = fitted()
    chosen = select(strategy_of(variation_ratio), view, 20, seed=0, options={"samples": 9})
    votes = draws_of(model, view, 9).argmax(axis=2)
    scores = np.array([1 - np.bincount(v).max() / 9 for v in votes]).astype(np.float32)
    drawn = uniforms(view.row_keys(view.rows), 0, 2)
    assert len(set(scores.tolist())) < 10
    assert chosen.rows_K.tolist() == view.rows[np.lexsort((drawn, -scores))[:20]].tolist()
