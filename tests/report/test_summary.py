"""Figures checked by hand on curves of three points: 10, 20 and 40 labels."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.report.summary import curves_of, paired_interval, summarise

LABELS = [10, 20, 40]
RANDOM = {0: [0.5, 0.6, 0.7], 1: [0.3, 0.4, 0.5]}  # mean 0.4, 0.5, 0.6
MARGIN = {0: [0.5, 0.7, 0.8], 1: [0.3, 0.6, 0.6]}  # mean 0.4, 0.65, 0.7


def rows(curves, metric="accuracy"):
    return [
        dict(strategy=s, seed=seed, round=r, n_labels=LABELS[r], **{metric: v}, seconds_fit=1.0, seconds_select=0.5, seconds_evaluate=0.25)
        for s, seeds in curves.items()
        for seed, values in seeds.items()
        for r, v in enumerate(values)
    ]


def lines(curves, *, smaller=False):
    return {line.strategy: line for line in summarise(curves_of(rows(curves), "accuracy", smaller_is_better=smaller), "random")}


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
    error = {name: {s: [1 - v for v in values] for s, values in curve.items()} for name, curve in {"random": RANDOM, "margin": MARGIN}.items()}
    found = lines(error, smaller=True)
    assert found["margin"].labels_to == (16.4, 17.2, 18.0)
    assert found["margin"].difference == pytest.approx(-lines({"random": RANDOM, "margin": MARGIN})["margin"].difference)


def test_one_seed_has_a_difference_and_no_interval():
    found = lines({"random": {0: RANDOM[0]}, "margin": {0: MARGIN[0]}})["margin"]
    assert found.difference == pytest.approx(2.5 / 30)
    assert (found.low, found.high) == (None, None)


def test_seconds_are_those_of_a_whole_run():
    assert lines({"random": RANDOM})["random"].seconds == {"seconds_fit": 3.0, "seconds_select": 1.5, "seconds_evaluate": 0.75}


def test_the_columns_of_the_table():
    line = lines({"random": RANDOM, "margin": MARGIN})["margin"]
    assert list(line.row()) == [
        "strategy", "metric", "seeds", "area", "final", "labels_to_80", "labels_to_90", "labels_to_100",
        "difference", "difference_low", "difference_high", "mean_rank", "friedman_p", "nemenyi_p", "seconds_fit", "seconds_select", "seconds_evaluate",
    ]  # fmt: skip


def test_the_interval_agrees_with_scipys_t_test():
    from scipy import stats

    values = np.array([0.3, 0.1, 0.4, 0.1, 0.5])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert paired_interval(values) == pytest.approx((values.mean(), expected.low, expected.high))


def test_rows_can_come_in_any_order():
    shuffled = rows({"random": RANDOM, "margin": MARGIN})
    first = curves_of(shuffled, "accuracy", smaller_is_better=False)
    second = curves_of(shuffled[:1] + shuffled[1:][::-1], "accuracy", smaller_is_better=False)
    assert first.labels_P.tolist() == second.labels_P.tolist() == LABELS
    assert all(np.array_equal(first.values_SP[s], second.values_SP[s]) for s in ("random", "margin"))
