"""Figures checked by hand on curves of three points: 10, 20 and 40 labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from alcli.numerics.metrics import METRICS
from alcli.report.summary import curves_of, paired_interval, summarise

ACCURACY = METRICS["accuracy"]
LABELS = [10, 20, 40]
RANDOM = {0: [0.5, 0.6, 0.7], 1: [0.3, 0.4, 0.5]}  # mean 0.4, 0.5, 0.6
MARGIN = {0: [0.5, 0.7, 0.8], 1: [0.3, 0.6, 0.6]}  # mean 0.4, 0.65, 0.7


def rows(curves, metric="accuracy"):
    return [
        dict(
            strategy=s,
            seed=seed,
            round=r,
            n_labels=LABELS[r],
            **{metric: v},
            seconds_fit=1.0,
            seconds_select=0.5,
            seconds_evaluate=0.25,
        )
        for s, seeds in curves.items()
        for seed, values in seeds.items()
        for r, v in enumerate(values)
    ]


def lines(curves, *, smaller=False):
    return {
        line.strategy: line
        for line in summarise(curves_of(rows(curves), replace(ACCURACY, larger_is_better=not smaller)), "random")
    }


def test_the_area_is_the_mean_height_over_labels():
    found = lines({"random": RANDOM, "margin": MARGIN})
    # random: (10 * 0.45 + 20 * 0.55) / 30; margin: (10 * 0.525 + 20 * 0.675) / 30
    assert found["random"].area == pytest.approx(15.5 / 30)
    assert found["margin"].area == pytest.approx(18.75 / 30)
    assert found["margin"].final == pytest.approx(0.7)


def test_the_difference_is_paired_by_seed_with_students_interval():
    found = lines({"random": RANDOM, "margin": MARGIN})["margin"]
    # By seed, differences at the three points: (0, 0.1, 0.1) and (0, 0.2, 0.1).
    by_seed = [(10 * 0.05 + 20 * 0.1) / 30, (10 * 0.1 + 20 * 0.15) / 30]
    half = 12.706204736 * abs(by_seed[1] - by_seed[0]) / np.sqrt(2) / np.sqrt(2)  # t of 1 degree of freedom at 0.975
    assert found.difference == pytest.approx(np.mean(by_seed))
    assert found.low == pytest.approx(np.mean(by_seed) - half)
    assert found.high == pytest.approx(np.mean(by_seed) + half)


def test_labels_to_a_level_are_read_off_the_mean_curve():
    found = lines({"random": RANDOM, "margin": MARGIN})
    # The baseline gains 0.4 -> 0.6: the levels are 0.56, 0.58, 0.6.
    assert found["random"].labels_to == (32.0, 36.0, 40.0)
    assert found["margin"].labels_to == (16.4, 17.2, 18.0)


def test_a_level_never_reached_stays_empty():
    weak = {seed: [v - 0.2 for v in values] for seed, values in RANDOM.items()}
    assert lines({"random": RANDOM, "weak": weak})["weak"].labels_to == (None, None, None)


def test_a_baseline_that_gains_nothing_sets_no_level():
    flat = {0: [0.5, 0.5, 0.5], 1: [0.5, 0.5, 0.5]}
    assert lines({"random": flat, "margin": MARGIN})["margin"].labels_to == (None, None, None)


def test_levels_of_an_error_are_reached_from_above():
    error = {
        name: {s: [1 - v for v in values] for s, values in curve.items()}
        for name, curve in {"random": RANDOM, "margin": MARGIN}.items()
    }
    found = lines(error, smaller=True)
    assert found["margin"].labels_to == (16.4, 17.2, 18.0)
    assert found["margin"].difference == pytest.approx(
        -lines({"random": RANDOM, "margin": MARGIN})["margin"].difference
    )


def test_one_seed_has_a_difference_and_no_interval():
    found = lines({"random": {0: RANDOM[0]}, "margin": {0: MARGIN[0]}})["margin"]
    assert found.difference == pytest.approx(2.5 / 30)
    assert (found.low, found.high) == (None, None)


def test_seconds_are_those_of_a_whole_run():
    assert lines({"random": RANDOM})["random"].seconds == {
        "seconds_fit": 3.0,
        "seconds_select": 1.5,
        "seconds_evaluate": 0.75,
    }


def test_the_columns_of_the_table():
    line = lines({"random": RANDOM, "margin": MARGIN})["margin"]
    assert list(line.row()) == [
        "strategy",
        "metric",
        "seeds",
        "area",
        "final",
        "labels_to_80",
        "labels_to_90",
        "labels_to_100",
        "difference",
        "difference_low",
        "difference_high",
        "detectable",
        "mean_rank",
        "friedman_p",
        "nemenyi_p",
        "holm_p",
        "seconds_fit",
        "seconds_select",
        "seconds_evaluate",
    ]


def test_the_interval_agrees_with_scipys_t_test():
    from scipy import stats

    values = np.array([0.3, 0.1, 0.4, 0.1, 0.5])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert paired_interval(values) == pytest.approx((values.mean(), expected.low, expected.high))


def test_rows_can_come_in_any_order():
    shuffled = rows({"random": RANDOM, "margin": MARGIN})
    first = curves_of(shuffled, ACCURACY)
    second = curves_of(shuffled[:1] + shuffled[1:][::-1], ACCURACY)
    assert first.x_P.tolist() == second.x_P.tolist() == LABELS
    assert all(np.array_equal(first.values_SP[s], second.values_SP[s]) for s in ("random", "margin"))


def full(curves, value, *, smaller=False):
    found = curves_of(rows(curves), replace(ACCURACY, larger_is_better=not smaller))
    return {line.strategy: line for line in summarise(found, "random", value)}


def test_labels_to_shares_of_the_full_data_value_and_what_that_saves():
    found = full({"random": RANDOM, "margin": MARGIN}, 0.7)
    # The levels are 0.56 and 0.63: random passes the first at 20 + 20 * 0.6 and never the second.
    at_80, at_90 = found["random"].reaches
    assert (at_80.level, at_80.needed, at_80.saved, at_80.at_least) == (pytest.approx(0.56), 32.0, None, None)
    assert (at_90.level, at_90.needed, at_90.saved, at_90.at_least) == (pytest.approx(0.63), None, None, None)
    at_80, at_90 = found["margin"].reaches
    assert (at_80.needed, at_80.saved, at_80.at_least) == (16.4, 15.6, None)
    assert (at_90.needed, at_90.saved, at_90.at_least) == (19.2, None, 20.8)
    row = found["margin"].row()
    assert {key: row[key] for key in row if "full" in key} == {
        "full_data": 0.7,
        "labels_to_80_of_full": 16.4,
        "labels_saved_at_80_of_full": 15.6,
        "labels_to_90_of_full": 19.2,
        "labels_saved_at_90_of_full": None,
    }


def test_a_strategy_that_needs_more_than_random_saves_less_than_nothing():
    found = full({"random": MARGIN, "worse": RANDOM}, 0.7)["worse"].reaches
    assert (found[0].saved, found[1].needed, found[1].saved, found[1].at_least) == (-15.6, None, None, None)


def test_a_level_below_the_first_point_is_there_from_the_start():
    found = full({"random": RANDOM, "margin": MARGIN}, 0.4)["margin"].reaches
    assert [(one.needed, one.saved) for one in found] == [(10.0, 0.0), (10.0, 0.0)]


def test_shares_of_an_error_are_shares_of_the_way_to_it():
    error = {
        name: {s: [1 - v for v in values] for s, values in curve.items()}
        for name, curve in {"random": RANDOM, "margin": MARGIN}.items()
    }
    # From 0.6 down to 0.3: 80 % of the way is 0.36, 90 % is 0.33; margin has 0.6, 0.35, 0.3 and random ends with 0.4.
    found = full(error, 0.3, smaller=True)
    assert [one.level for one in found["margin"].reaches] == pytest.approx([0.36, 0.33])
    assert [one.needed for one in found["margin"].reaches] == [19.6, 28.0]
    assert [one.at_least for one in found["margin"].reaches] == [20.4, 12.0]
    assert [one.needed for one in full(error, 0.7, smaller=True)["margin"].reaches] == [None, None], (
        "every label does worse than the first"
    )


COSTS = {"random": {0: [4.0, 10.0, 16.0], 1: [2.0, 8.0, 14.0]}, "thrifty": {0: [4.0, 7.0, 10.0], 1: [2.0, 5.0, 8.0]}}


def costly():
    return [
        row | {"cost": COSTS[row["strategy"]][row["seed"]][row["round"]]}
        for row in rows({"random": RANDOM, "thrifty": MARGIN})
    ]


def test_with_costs_curves_are_read_at_equal_costs():
    found = curves_of(costly(), ACCURACY)
    # Up to what thrifty has spent: 4, 7, 10 in seed 0 and 2, 5, 8 in seed 1, where random is halfway through its
    # first round, then at its end.
    assert found.axis == "cost"
    assert found.x_P.tolist() == [3.0, 6.0, 9.0]
    assert found.values_SP["random"] == pytest.approx(np.array([[0.5, 0.55, 0.6], [0.3, 0.35, 0.4]]))
    assert found.values_SP["thrifty"] == pytest.approx(np.array([MARGIN[0], MARGIN[1]]))
    line = summarise(found, "random")[1]
    assert line.area == pytest.approx((0.525 + 0.675) / 2)
    # random gains 0.4 -> 0.5; thrifty's mean is 0.4, 0.65: 0.5 is there at 3 + 3 * 0.4.
    assert line.labels_to[-1] == pytest.approx(4.2)
    assert line.row()["cost_to_100"] == pytest.approx(4.2)
    assert "labels_to_100" not in line.row()


def test_a_run_that_ends_early_shortens_the_costs_and_not_the_others():
    short = [row for row in costly() if row["round"] < 2 or row["strategy"] == "random"]
    found = curves_of(short, ACCURACY)
    assert found.x_P.tolist() == [3.0, 4.5, 6.0]
    assert found.values_SP["thrifty"][:, -1].tolist() == [0.7, 0.6]


def test_equal_costs_are_labels():
    even = [row | {"n_labels": 10 + 10 * row["round"]} for row in rows({"random": RANDOM, "margin": MARGIN})]
    priced = [row | {"cost": 0.25 * row["n_labels"]} for row in even]
    by_cost, by_labels = (summarise(curves_of(some, ACCURACY), "random")[1] for some in (priced, even))
    assert by_cost.area == pytest.approx(by_labels.area)
    assert by_cost.labels_to == pytest.approx([0.25 * labels for labels in by_labels.labels_to])
