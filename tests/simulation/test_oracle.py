from __future__ import annotations

import numpy as np
import pytest

from alcli.simulation.oracle import Oracle


def test_labels_are_told_only_for_rows_that_were_asked_for_and_counted():
    oracle = Oracle(np.arange(10) * 10, np.array([1, 3, 5, 7]))
    oracle.ask(np.array([5, 1]))
    assert oracle.queries == 2
    assert oracle.labelled.tolist() == [5, 1]
    assert oracle.labels().tolist() == [50, 10]
    assert oracle.candidates.tolist() == [3, 7]


@pytest.mark.parametrize("rows", [[0], [1], [3, 3]], ids=["not askable", "asked before", "twice at once"])
def test_a_row_that_may_not_be_asked_for_is_refused_and_not_counted(rows):
    oracle = Oracle(np.zeros(5), np.array([1, 3]))
    oracle.ask(np.array([1]))
    with pytest.raises(LookupError):
        oracle.ask(np.array(rows))
    assert oracle.queries == 1


def test_items_of_several_rows_are_labelled_whole_and_counted_once():
    rows = {0: [4, 1], 1: [0], 2: [2, 3, 5]}
    oracle = Oracle(
        np.array([10, 11, 12, 13, 14, 15]),
        np.arange(3),
        lambda items: np.concatenate([np.empty(0, np.int64), *(rows[int(i)] for i in items)]).astype(np.int64),
    )
    oracle.ask(np.array([2, 0]))
    assert oracle.queries == 2
    assert oracle.labelled.tolist() == [2, 3, 5, 4, 1]
    assert oracle.labels().tolist() == [12, 13, 15, 14, 11]
    assert oracle.candidates.tolist() == [1]
    with pytest.raises(LookupError):
        oracle.labels_of(np.array([0]))
