from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli import parsing, plugins
from alcli.errors import UsageError
from alcli.selection.select import select
from alcli.strategies import margin, relevance
from tests.helpers import TableHead, chooser, normal_rows, random_head, view_of

choose = chooser(relevance)
FIRST = TableHead([[1.0], [0.0]])  # the logit of class 0 against class 1 is the feature


def rows_of(probs_N):
    """Rows to which the head FIRST gives these probabilities of class 0."""
    p_N = np.array(probs_N)
    return np.log(p_N / (1.0 - p_N))[:, None]


def by_definition(head, X_ND, aim):
    """(the class of least expected size, the distance of each row's probability of it from aim)."""
    probs_NC = np.exp(head.logits(X_ND))
    probs_NC /= probs_NC.sum(axis=1, keepdims=True)
    rare = probs_NC.mean(axis=0).argmin()
    return rare, np.abs(probs_NC[:, rare] - aim)


@pytest.mark.parametrize(
    ("aim", "order"), [(0.6, [1, 2, 3, 0]), (0.8, [2, 3, 1, 0]), (1.0, [3, 2, 1, 0]), (0.01, [4, 5, 0, 1])]
)
def test_likely_rows_by_hand(aim, order):
    X_ND = rows_of([0.2, 0.55, 0.7, 0.95, 0.01, 0.02])  # 2.43 of 6 rows are expected to be of class 0
    chosen = choose(X_ND, FIRST, 4, aim=aim, unsure=0.0)
    assert chosen.rows_K.tolist() == order
    np.testing.assert_allclose(
        chosen.scores_K, 1.0 - np.abs(np.array([0.2, 0.55, 0.7, 0.95, 0.01, 0.02])[order] - aim), atol=1e-7
    )


@pytest.mark.parametrize(
    ("unsure", "order", "picked_for"),
    [
        (0.5, [2, 1, 3, 0], [0.75, 0.5, 0.75, 0.5]),  # row 1 is the next but one to 0.75
        (0.25, [2, 1, 3, 0], [0.75, 0.75, 0.75, 0.5]),
        (0.75, [2, 1, 0, 3], [0.75, 0.5, 0.5, 0.5]),
    ],
)
def test_turns_by_hand(unsure, order, picked_for):
    probs = np.array([0.25, 0.54, 0.7, 0.98, 0.001, 0.01, 0.002])
    chosen = choose(rows_of(probs), FIRST, 4, aim=0.75, unsure=unsure)
    assert chosen.rows_K.tolist() == order
    np.testing.assert_allclose(chosen.scores_K, 1.0 - np.abs(probs[order] - picked_for), atol=1e-7)


def test_batches_of_one_row_take_turns_as_labels_come():
    X_ND, labelled, picked = rows_of([0.52, 0.53, 0.7, 0.74, *[0.001] * 8]), [11, 10], []
    for _ in range(4):
        view = view_of(X_ND, labelled=labelled, head=FIRST)
        picked += select(plugins.strategy("relevance"), view, 1, seed=0, options={}).rows_K.tolist()
        labelled.append(picked[-1])
    assert picked == [3, 0, 2, 1]
    whole = select(plugins.strategy("relevance"), view_of(X_ND, labelled=[11, 10], head=FIRST), 4, seed=0, options={})
    assert whole.rows_K.tolist() == picked


@pytest.mark.parametrize("unsure", [0.0, 0.3, 0.5, 1.0])
def test_turns_pass_over_what_is_taken_until_nothing_is_left(unsure):
    X_ND, head = normal_rows(40, 3).astype(float), random_head(3, 3)
    rare, _ = by_definition(head, X_ND, 1.0)
    p_N = np.exp(head.log_probs(X_ND))[:, rare]
    left, expected, n_unsure = list(range(40)), [], 0
    for i in range(40):
        is_unsure = int((i + 1) * unsure) > n_unsure
        n_unsure += is_unsure
        expected.append(min(left, key=lambda j, wanted=0.5 if is_unsure else 0.8: abs(p_N[j] - wanted)))
        left.remove(expected[-1])
    assert choose(X_ND, head, 40, aim=0.8, unsure=unsure).rows_K.tolist() == expected


def test_the_rare_class_is_the_one_that_is_expected_to_be_the_smallest():
    few, most = rows_of([0.9, 0.1, 0.1, 0.1]), rows_of([0.1, 0.9, 0.9, 0.9])
    assert choose(few, FIRST, 1, aim=1.0, unsure=0.0).rows_K.tolist() == [0]
    assert choose(most, FIRST, 1, aim=1.0, unsure=0.0).rows_K.tolist() == [0]  # its probability of class 1 is 0.9
    # Class 0 is predicted for three rows of four, and 1.63 rows are expected to be of it.
    assert choose(rows_of([0.1, 0.51, 0.51, 0.51]), FIRST, 1, aim=1.0, unsure=0.0).rows_K.tolist() == [1]


@pytest.mark.parametrize("C", [2, 3, 7])
@pytest.mark.parametrize("aim", [0.3, 0.6, 1.0])
def test_it_is_the_definition(C, aim):
    for seed in range(5):
        X_ND, head = normal_rows(60, 4, seed).astype(float), random_head(4, C, seed)
        _, distances_N = by_definition(head, X_ND, aim)
        chosen = choose(X_ND, head, 20, aim=aim, unsure=0.0)
        assert chosen.rows_K.tolist() == np.argsort(distances_N)[:20].tolist()
        np.testing.assert_allclose(chosen.scores_K, 1.0 - np.sort(distances_N)[:20], atol=1e-6)


@given(st.lists(st.integers(-400, 400), min_size=2, max_size=20, unique_by=abs))
def test_with_two_classes_the_unsure_rows_are_those_of_margin(hundredths):
    X_ND = np.array(hundredths)[:, None] / 100.0
    found = choose(X_ND, FIRST, len(X_ND), aim=0.9, unsure=1.0).rows_K
    assert found.tolist() == chooser(margin)(X_ND, FIRST, len(X_ND)).rows_K.tolist()


def test_a_single_class_leaves_the_order_of_the_ids():
    chosen = choose(normal_rows(5, 2), TableHead(np.ones((1, 2))), 3)
    assert chosen.rows_K.tolist() == [0, 1, 2]
    assert chosen.scores_K.tolist() == [0.75, 0.5, 0.75]


@pytest.mark.parametrize("aim", ["0", "-1", "1.1", "nan"])
def test_an_aim_that_is_no_probability_is_refused(aim):
    with pytest.raises(UsageError, match="'aim' must be above 0 and at most 1"):
        parsing.parse_options(plugins.strategy("relevance").declared, {"aim": aim}, "strategy 'relevance'")


@pytest.mark.parametrize("unsure", ["-0.1", "1.1", "nan"])
def test_a_share_that_is_none_is_refused(unsure):
    with pytest.raises(UsageError, match="'unsure' must be from 0 to 1"):
        parsing.parse_options(plugins.strategy("relevance").declared, {"unsure": unsure}, "strategy 'relevance'")


def test_labels_that_are_numbers_are_not_for_it():
    assert plugins.strategy("relevance").needs_classes
