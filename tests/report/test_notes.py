from __future__ import annotations

import random

import pytest

from alcli.report.notes import folded


def take(labels, name, least="at most"):
    return f"auto takes {name}: {labels} labels of 10 classes are {least} 10 a class"


AUTO = [
    ("auto", seed, number, take(10 * number, *(["uherding"] if number <= 10 else ["bait", "more than"])))
    for seed in range(3)
    for number in range(1, 13)
]
OTHERS = [("coreset", seed, number, "some rows are alike") for seed in (0, 2) for number in (1, 2, 5)]


def test_what_differs_in_numbers_alone_is_told_once():
    assert folded([*AUTO, *OTHERS], 3) == [
        f"auto: {take(10, 'uherding')} (round 1; likewise in rounds 2 to 10)",
        f"auto: {take(110, 'bait', 'more than')} (round 11; likewise in round 12)",
        "coreset: some rows are alike (rounds 1 to 2, 5; 2 of 3 seeds)",
    ]


def test_the_order_in_which_runs_finish_does_not_matter():
    by_strategy = [*AUTO, *OTHERS]
    for seed in range(5):
        auto, others = list(AUTO), list(OTHERS)
        random.Random(seed).shuffle(auto)
        random.Random(seed).shuffle(others)
        assert folded([*auto, *others], 3) == folded(by_strategy, 3)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ([(0, 1, "a")], "s: a (round 1)"),
        ([(0, 1, "a"), (0, 2, "a")], "s: a (rounds 1 to 2)"),
        ([(0, 3, "1 of 2.5")], "s: 1 of 2.5 (round 3)"),
        ([(0, 3, "1 of 2.5"), (0, 4, "7 of 1,000")], "s: 1 of 2.5 (round 3; likewise in round 4)"),
        ([(0, 3, "x 1e+20")], "s: x 1e+20 (round 3)"),
        ([(0, 1, "11 of 106"), (0, 1, "11 of 105")], "s: 11 of 106 (round 1; likewise later in it)"),
    ],
)
def test_one_remark(said, line):
    assert folded([("s", *one) for one in said], 1) == [line]


def test_numbers_of_the_same_round_differ_by_seed():
    assert folded([("s", 0, 1, "3 of 4"), ("s", 1, 1, "2 of 4")], 2) == [
        "s: 3 of 4 (round 1, with other numbers in other seeds)"
    ]
    assert folded([("s", 0, 1, "3 of 4"), ("s", 1, 1, "2 of 4")], 5) == [
        "s: 3 of 4 (round 1, with other numbers in other seeds; 2 of 5 seeds)"
    ]


def test_nothing_said():
    assert folded([], 3) == []


def test_remarks_of_two_strategies_stay_apart():
    assert folded([("b", 0, 1, "x"), ("a", 0, 1, "x")], 1) == ["b: x (round 1)", "a: x (round 1)"]


def test_other_numbers_of_a_round_are_those_of_other_seeds_or_of_its_later_parts():
    assert folded([("s", 0, 1, "7 rows"), ("s", 1, 1, "8 rows")], 2) == [
        "s: 7 rows (round 1, with other numbers in other seeds)"
    ]
    assert folded([("s", 0, 1, "7 rows"), ("s", 0, 1, "6 rows"), ("s", 1, 1, "7 rows")], 2) == [
        "s: 7 rows (round 1; likewise later in it)"
    ]
