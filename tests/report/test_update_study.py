from __future__ import annotations

import pytest

from alcli.report.pictures import Appearance
from alcli.report.update_picture import draw
from alcli.report.update_study import best_steps, growing_rows, means, recovered, tables

METHODS = {"base": 0.5, "retrain": 0.7, "second-order auto": 0.65, "second-order gamma 10": 0.4}
SEEDS = (0, 1)


def one(experiment, n_labelled, n_new, seed, method, accuracy, gamma=None, seconds=0.001):
    return {
        "experiment": experiment,
        "seed": seed,
        "n_labelled": n_labelled,
        "n_new": n_new,
        "method": method,
        "gamma": gamma,
        "accuracy": accuracy + 0.01 * seed,
        "nll": 1.0 - accuracy,
        "ece": 0.1 * accuracy,
        "flips": 0.2,
        "seconds": seconds * (1 + seed),
        "ess": None,
    }


def rows():
    out = []
    for seed in SEEDS:
        for m in (10, 20):
            out += [one("growing", 50, m, seed, method, accuracy) for method, accuracy in METHODS.items()]
            out += [one("gamma", 50, m, seed, "second-order", 0.5 + gamma / 100, gamma) for gamma in (1.0, 10.0)]
            # A larger step is better for one set, and worse for both together.
            out += [one("gamma", 50, m, seed, "first-order", 0.55, 1.0)]
            out += [one("gamma", 50, m, seed, "first-order", 0.62 if m == 10 else 0.4, 2.0)]
        for n, m in ((50, 10), (1000, 50)):
            out += [
                one("stages", n, m, seed, method, accuracy, seconds=0.002 if method == "retrain" else 0.001)
                for method, accuracy in METHODS.items()
            ]
    return out


def growing():
    found = means(rows())
    return growing_rows(found, best_steps(found))


def test_means_are_over_seeds():
    found = means(rows())
    first = next(r for r in found if r["experiment"] == "growing" and r["method"] == "base" and r["n_new"] == 10)
    assert (first["seeds"], first["accuracy"], first["seconds"]) == (
        2,
        pytest.approx(0.505),
        pytest.approx(0.0015),
    )
    assert (first["accuracy_se"], first["ece"], first["flips"]) == pytest.approx((0.005, 0.05, 0.2))


def test_the_best_step_is_best_over_all_sizes_and_becomes_a_method():
    assert best_steps(means(rows())) == {"second-order": 10.0, "first-order": 1.0}
    named = {r["method"] for r in growing()}
    assert named == {*METHODS, "second-order, best step 10", "first-order, best step 1"}


def test_what_is_recovered_is_a_share_of_what_retraining_gains():
    assert recovered(growing()) == pytest.approx(
        {
            "base": 0.0,
            "retrain": 1.0,
            "second-order auto": 0.75,
            "second-order gamma 10": -0.5,
            "second-order, best step 10": 0.5,
            "first-order, best step 1": 0.25,
        }
    )
    flat = [r | {"accuracy": 0.5} for r in growing()]
    assert recovered(flat)["retrain"] != recovered(flat)["retrain"], "no gain, no share"


def test_tables_show_each_method_once_and_times_against_the_update():
    accuracy, share, stages, stage_share, seconds, ratio, second, first = tables(rows())
    assert accuracy.header == (
        "method",
        "10",
        "20",
        "of retraining's gain",
        "least of a seed",
        "nll at +20",
        "ece % at +20",
        "flips % at +20",
    )
    assert accuracy.rows[2] == ("second-order auto", "65.5", "65.5", "75 %", "75 %", "0.350", "6.5", "20.0")
    assert accuracy.rows[-1][:4] == ("first-order, best step 1", "55.5", "55.5", "25 %")
    assert share.rows[3] == ("second-order gamma 10", "-50 %", "-50 %")
    assert stages.header[:3] == ("method", "50 + 10", "1000 + 50")
    assert stages.header[3] == "nll at the last"
    assert stage_share.rows[2] == ("second-order auto", "75 %", "75 %")
    assert dict((row[0], row[1:]) for row in ratio.rows)["retrain"] == ("2", "2")
    assert [row[0] for row in seconds.rows] == ["retrain", "second-order auto", "second-order gamma 10"]
    assert [row[0] for row in second.rows] == ["gamma 1", "gamma 10"]
    assert first.rows == (("gamma 1", "55.5", "55.5", "25 %"), ("gamma 2", "62.5", "40.5", "5 %"))


def test_the_least_of_a_seed_is_that_of_the_worst_seed():
    worse = [
        r | {"accuracy": r["accuracy"] - 0.1} if r["seed"] == 1 and r["method"] == "second-order auto" else r
        for r in rows()
    ]
    line = next(row for row in tables(worse)[0].rows if row[0] == "second-order auto")
    assert line[3:5] == ("50 %", "25 %")


def test_no_gain_is_a_dash():
    flat = [r | {"accuracy": 0.5} for r in rows()]
    assert all(cell == "-" for row in tables(flat)[1].rows for cell in row[1:])


def test_numbers_of_logarithmic_axes_are_plain_text():
    spread = [row | {"seconds": row["seconds"] * (1000 if row["method"] == "retrain" else 1)} for row in rows()]
    svg = draw(spread, "title", Appearance())["svg"].decode()
    assert "mathdefault" not in svg
    assert all(f">{number}<" in svg for number in (10, 100, 1000))


def test_the_picture_is_the_same_bytes_each_time():
    first, two = draw(rows(), "title", Appearance()), draw(rows(), "title", Appearance())
    assert first == two
    assert first["png"].startswith(b"\x89PNG")
    assert b"<svg" in first["svg"]
