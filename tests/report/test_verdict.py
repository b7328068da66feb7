from __future__ import annotations

from dataclasses import replace

import pytest

from alcli.numerics.metrics import METRICS
from alcli.report.summary import Line
from alcli.report.verdict import agreement, detectable, number, verdicts


def line(
    strategy, difference=None, low=None, high=None, *, metric="accuracy", labels=100.0, friedman=None, nemenyi=None
):
    return Line(
        strategy, METRICS[metric], 5, 0.7, 0.8, (None, None, labels), difference, low, high, {}, 1.0, friedman, nemenyi
    )


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            line("margin", 0.021, 0.012, 0.030, labels=None),
            "margin: better than random by 2.1 points of accuracy on average over the curve (95% interval 1.2 to 3.0)",
        ),
        (
            line("margin", -0.021, -0.030, -0.012),
            "margin: worse than random by 2.1 points of accuracy on average over the curve (95% interval 1.2 to 3.0)",
        ),
        (
            line("margin", 0.004, -0.002, 0.010),
            "margin: no clear difference from random (0.4 points of accuracy higher on average over the curve, 95% "
            "interval -0.2 to 1.0)",
        ),
        (
            line("margin", -0.004, -0.010, 0.002),
            "margin: no clear difference from random (0.4 points of accuracy lower on average over the curve, 95% "
            "interval -0.2 to 1.0)",
        ),
        (
            line("margin", 0.021),
            "margin: 2.1 points of accuracy higher than random on average over the curve (one seed, so no interval)",
        ),
        (
            line("margin", 0.0, 0.0, 0.0),
            "margin: no clear difference from random (the same on average over the curve, 95% interval 0.0 to 0.0)",
        ),
        (line("margin", -1e-17), "margin: the same as random on average over the curve (one seed, so no interval)"),
    ],
    ids=["better", "worse", "neither, higher", "neither, lower", "one seed", "the same", "the same with one seed"],
)
def test_the_sentence_says_what_the_interval_says(found, sentence):
    assert verdicts([line("random"), found], "random") == [sentence]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            line("coreset", -1500.0, -2000.0, -1000.0, metric="rmse", labels=None),
            "better than random by 1,500 rmse on average over the curve (95% interval 1,000 to 2,000)",
        ),
        (
            line("coreset", 1500.0, 1000.0, 2000.0, metric="rmse"),
            "worse than random by 1,500 rmse on average over the curve (95% interval 1,000 to 2,000)",
        ),
        (
            line("coreset", 5.0, -10.0, 20.0, metric="rmse"),
            "no clear difference from random (5 rmse higher on average over the curve, 95% interval -10 to 20)",
        ),
        (
            line("coreset", 0.0, 0.0, 0.0, metric="rmse"),
            "no clear difference from random (the same on average over the curve, 95% interval 0 to 0)",
        ),
    ],
)
def test_a_smaller_error_is_better(found, words):
    assert verdicts([line("random", metric="rmse"), found], "random") == [f"coreset: {words}"]


def test_a_better_strategy_is_told_with_the_labels_it_saves():
    said = verdicts([line("random", labels=1077.0), line("badge", 0.03, 0.02, 0.04, labels=607.4)], "random")
    assert said[0].endswith("; reaches random's final value with 607 labels instead of 1,077")


def test_signs_are_shown_on_demand():
    assert (
        number(METRICS["accuracy"], 0.0314, sign=True),
        number(METRICS["rmse"], -2.5, sign=True),
        number(METRICS["accuracy"], 0.5),
    ) == ("+3.1", "-2.5", "50.0")
    assert (
        number(METRICS["accuracy"], -1e-17, sign=True),
        number(METRICS["accuracy"], -0.0004),
        number(METRICS["accuracy"], -0.0006),
    ) == ("+0.0", "0.0", "-0.1")


@pytest.mark.parametrize(
    ("value", "text"),
    [(37570.4, "37,570"), (9999.4, "9,999"), (0.01234567, "0.01235"), (-123456.7, "-123,457"), (2e20, "2e+20")],
)
def test_numbers_of_any_size_are_read_at_a_glance(value, text):
    assert number(METRICS["rmse"], value) == text


def test_of_an_oracle_it_is_said_that_it_is_one():
    found = [line("random"), line("margin", 0.021), line("optimal", 0.021)]
    plain, oracle = verdicts(found, "random", oracles=["optimal"])
    assert "oracle" not in plain
    assert oracle.endswith("; an oracle: it is told true labels, so it is no strategy to use")


@pytest.mark.parametrize(
    ("friedman", "nemenyi", "sentence"),
    [
        (None, (None, None), ""),
        (0.2, (0.1, 0.3), "all strategies together: no clear difference (Friedman's test over 5 seeds, p = 0.2)"),
        (
            0.004,
            (0.1, 0.3),
            "all strategies together: they differ (Friedman's test over 5 seeds, p = 0.004); but no single one "
            "differs clearly from random (Nemenyi's test)",
        ),
        (
            0.004,
            (0.01, 0.3),
            "all strategies together: they differ (Friedman's test over 5 seeds, p = 0.004); a differs from random "
            "(Nemenyi's test)",
        ),
        (
            0.004,
            (0.01, 0.03),
            "all strategies together: they differ (Friedman's test over 5 seeds, p = 0.004); a, b differ from "
            "random (Nemenyi's test)",
        ),
    ],
)
def test_one_sentence_for_all(friedman, nemenyi, sentence):
    lines = [line("random", friedman=friedman), *(line(s, friedman=friedman, nemenyi=p) for s, p in zip("ab", nemenyi))]
    assert agreement(lines) == sentence


def test_costs_are_told_as_costs():
    base, ours = (
        replace(one, axis="cost")
        for one in (line("random", labels=1077.25), line("badge", 0.03, 0.02, 0.04, labels=60.741))
    )
    said = verdicts([base, ours], "random")
    assert said[0].endswith("; reaches random's final value at a cost of 60.74 instead of 1,077")


def test_the_smallest_difference_that_is_clear():
    base = line("random")
    two = [base, line("margin", 0.02, 0.01, 0.03), line("badge", 0.01, -0.01, 0.03)]
    assert detectable(two) == (
        "with 5 seeds the smallest difference to random that is clear is 1.0 to 2.0 points of accuracy, by strategy; "
        "more --seeds lower it"
    )
    assert "is clear is 1.0 points of accuracy; more" in detectable(two[:2])
    assert detectable([base, line("margin", 0.02)]) == "", "one seed has no interval"
