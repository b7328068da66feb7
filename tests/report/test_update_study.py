from __future__ import annotations

import pytest

from alcli.report.update_study import draw, means, recovered, tables

METHODS = {"base": 0.5, "retrain": 0.7, "second-order auto": 0.65, "second-order gamma 10": 0.4}


def rows():
    out = []
    for seed in (0, 1):
        for m in (10, 20):
            for method, accuracy in METHODS.items():
                one = {
                    "seed": seed,
                    "method": method,
                    "accuracy": accuracy + 0.01 * seed,
                    "nll": 1.0 - accuracy,
                    "seconds": 0.001 * (1 + seed),
                    "gamma": None,
                    "ess": None,
                }
                out.append({"experiment": "growing", "n_labelled": 50, "n_new": m, **one})
                out.append(
                    {
                        "experiment": "stages",
                        "n_labelled": 5 * m,
                        "n_new": 10,
                        **one,
                        "seconds": 0.002 if method == "retrain" else 0.001,
                    }
                )
            for gamma in (1.0, 10.0):
                out.append(
                    {
                        "experiment": "gamma",
                        "n_labelled": 50,
                        "n_new": m,
                        **one,
                        "method": "second-order",
                        "gamma": gamma,
                    }
                )
    return out


def test_means_are_over_seeds():
    found = means(rows())
    one = next(r for r in found if r["experiment"] == "growing" and r["method"] == "base" and r["n_new"] == 10)
    assert (one["seeds"], one["accuracy"], one["seconds"]) == (2, pytest.approx(0.505), pytest.approx(0.0015))
    assert one["accuracy_se"] == pytest.approx(0.005)


def test_what_is_recovered_is_a_share_of_what_retraining_gains():
    share = recovered(means(rows()))
    assert share == {
        "base": 0.0,
        "retrain": pytest.approx(1.0),
        "second-order auto": pytest.approx(0.75),
        "second-order gamma 10": pytest.approx(-0.5),
    }
    flat = [r | {"accuracy": 0.5} for r in means(rows())]
    assert recovered(flat)["retrain"] != recovered(flat)["retrain"], "no gain, no share"


def test_tables_show_each_method_once_and_times_against_the_update():
    growing, stages, seconds, ratio, steps = tables(rows())
    assert growing.header == ("method", "10", "20", "of retraining's gain", "nll at +20")
    assert growing.rows[2] == ("second-order auto", "65.5", "65.5", "75 %", "0.350")
    assert stages.header == ("method", "50", "100")
    assert dict((row[0], row[1:]) for row in ratio.rows)["retrain"] == ("2", "2")
    assert [row[0] for row in seconds.rows] == ["retrain", "second-order auto", "second-order gamma 10"]
    assert [row[0] for row in steps.rows] == ["gamma 1", "gamma 10"]


def test_the_picture_is_the_same_bytes_each_time():
    one, two = draw(rows(), "title"), draw(rows(), "title")
    assert one == two
    assert one["png"].startswith(b"\x89PNG")
    assert b"<svg" in one["svg"]
