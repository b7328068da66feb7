"""The steps of loops: counted under a progress, one loop at a time."""

from __future__ import annotations

import pytest

from alcli.remarks import showing, steps, working


class Heard:
    def __init__(self):
        self.said = []

    def start(self, total, what):
        self.said.append((what, total))

    def advance(self, n):
        self.said.append(n)


def test_without_a_progress_the_items_come_alone():
    assert list(steps("abc", "reading")) == ["a", "b", "c"]


def test_steps_are_counted_and_an_inner_loop_is_not_shown():
    heard = Heard()
    with showing(heard):
        for n in steps((2, 3), "reading", 5, lambda n: n):
            assert list(steps(range(n), "inner", n)) == list(range(n))
        with working("fitting"):
            assert list(steps("x", "inner")) == ["x"]
    assert heard.said == [("reading", 5), 2, 3, ("fitting", None), 1]
    assert list(steps("ab", "after")) == ["a", "b"]
    assert len(heard.said) == 5


def test_inside_work_that_nobody_counts_a_counted_loop_is_shown():
    heard = Heard()
    with showing(heard), working("fitting"):
        assert list(steps(range(2), "folds", 2)) == [0, 1]
        assert list(steps("x", "uncounted")) == ["x"]
    assert heard.said == [("fitting", None), ("fitting: folds", 2), 1, 1, ("fitting", None), 1]


def test_a_loop_that_ends_early_or_fails_makes_room_for_the_next():
    heard = Heard()
    with showing(heard):
        for _ in steps(range(9), "picking", 9):
            break
        with pytest.raises(LookupError), working("fitting"):
            raise LookupError
        assert list(steps("a", "reading", 1)) == ["a"]
    assert heard.said == [("picking", 9), ("fitting", None), ("reading", 1), 1]
