from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from alcli.errors import UsageError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import feature_margin
from alcli.strategies.feature_margin import boundary_distances, class_gaps
from tests.helpers import TableHead, random_head, view_of

STRATEGY = strategy_of(feature_margin)


def test_distances_are_those_to_the_nearest_point_where_another_class_is_as_likely():
    X, head = np.random.default_rng(0).normal(size=(6, 3)), random_head(3, 4, 1)
    found = boundary_distances(head.logits(X), class_gaps(head.W_CD))
    for x, distance in zip(X, found):
        z = head.logits(x[None])[0]
        a = int(z.argmax())
        least = min(
            minimize(
                lambda d: d @ d,
                np.zeros(3),
                method="SLSQP",
                options={"ftol": 1e-14},
                constraints={
                    "type": "eq",
                    "fun": lambda d, x=x, a=a, c=c: np.diff(head.logits((x + d)[None])[0][[a, c]])[0],
                },
            ).fun
            for c in range(4)
            if c != a
        )
        assert distance == pytest.approx(np.sqrt(least), rel=1e-5)


def test_by_hand():
    # Logits x, -x: the boundary is x = 0. A third class of the same weights as the first has none with it.
    X = np.array([[3.0], [-1.0], [0.0], [-4.0]])
    chosen = select(STRATEGY, view_of(X, head=TableHead([[1], [-1]])), 4, seed=0, options={})
    assert chosen.rows_K.tolist() == [2, 1, 0, 3]
    assert chosen.scores_K.tolist() == [0.0, -1.0, -3.0, -4.0]
    twins = TableHead([[1], [-1], [1]], b_C=np.array([0.0, 0.0, -1.0]))
    chosen = select(STRATEGY, view_of(X, head=twins), 4, seed=0, options={})
    assert chosen.scores_K.tolist() == [0.0, -1.0, -3.0, -4.0]


def test_the_length_of_weights_and_the_temperature_do_not_matter():
    X, head = np.random.default_rng(0).normal(size=(50, 3)), random_head(3, 4, 1)
    one = select(STRATEGY, view_of(X, head=head), 50, seed=0, options={})
    other = select(STRATEGY, view_of(X, head=TableHead(7.0 * head.W_CD, temperature=3.0)), 50, seed=0, options={})
    assert one.rows_K.tolist() == other.rows_K.tolist()
    np.testing.assert_allclose(one.scores_K, other.scores_K, rtol=1e-5)


def test_classes_of_equal_weights_leave_no_boundary_and_rows_come_in_their_order():
    chosen = select(STRATEGY, view_of(np.eye(3), head=TableHead(np.ones((2, 3)))), 3, seed=0, options={})
    assert chosen.rows_K.tolist() == [0, 1, 2]
    assert np.isfinite(chosen.scores_K).all()


def test_a_regression_is_refused():
    with pytest.raises(UsageError, match="boundaries between classes, the labels are numbers"):
        select(STRATEGY, view_of(np.eye(3), head=TableHead(np.ones((1, 3)))), 3, seed=0, options={})
