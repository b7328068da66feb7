from __future__ import annotations

import io
import re

import matplotlib
import numpy as np
import pytest
from PIL import Image

from alcli.numerics.metrics import METRICS
from alcli.report.curves import Drawn
from alcli.report.curves import draw as draw_curves
from alcli.report.pictures import Appearance
from alcli.report.summary import Curves

NAMES = ("random", "margin", "badge", "coreset")


def draw(curves, baseline, title, look=Appearance(), **more):
    return draw_curves(Drawn(curves, baseline, title, **more), look)


def curves(names=NAMES, n_seeds=4, smaller=False):
    rng = np.random.default_rng(0)
    values = {
        name: 0.5 + 0.1 * i + np.linspace(0, 0.2, 6) + 0.01 * rng.standard_normal((n_seeds, 6))
        for i, name in enumerate(names)
    }
    return Curves(METRICS["rmse" if smaller else "accuracy"], np.arange(6) * 10 + 5, values, {})


def test_the_same_curves_give_the_same_bytes_and_no_date():
    one, two = draw(curves(), "random", "title"), draw(curves(), "random", "title")
    assert one == two
    assert b"<dc:date>" not in one["svg"]


def test_a_users_matplotlib_settings_do_not_matter():
    before = draw(curves(), "random", "title")
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 20, "lines.linewidth": 9}):
        assert draw(curves(), "random", "title") == before


def test_the_png_shows_every_strategy_in_its_colour():
    image = np.asarray(Image.open(io.BytesIO(draw(curves(), "random", "title")["png"])).convert("RGB")).reshape(-1, 3)
    assert len(image) > 500_000
    for colour in ("000000", "0072B2", "D55E00", "009E73"):
        wanted = np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)])
        assert (np.abs(image.astype(int) - wanted).max(axis=1) < 12).sum() > 300, colour


def test_the_svg_has_a_line_per_strategy_and_panel_and_a_band_for_each():
    svg = draw(curves(), "random", "title")["svg"].decode()
    assert len(re.findall(r'<g id="FillBetweenPolyCollection_\d+">|<g id="PolyCollection_\d+">', svg)) == 4 + 3
    for text in ("margin", "accuracy", "labels", "title"):
        assert f">{text}</text>" in svg or f">{text} (%)</text>" in svg or f">test {text} (%)</text>" in svg, text


@pytest.mark.parametrize("n_seeds", [1, 2])
@pytest.mark.parametrize("smaller", [True, False])
def test_one_seed_and_errors_can_be_drawn(n_seeds, smaller):
    pictures = draw(curves(n_seeds=n_seeds, smaller=smaller), "random", "title")
    assert pictures["png"].startswith(b"\x89PNG")


def test_of_many_strategies_the_best_are_in_colour_and_the_rest_in_grey():
    """The strategies of `curves` get better in their order; a metric that should be small turns the order round."""
    names = ("random", *(f"s{i:02d}" for i in range(19)))
    for smaller, best in ((False, {"random", *names[-5:]}), (True, {"random", *names[1:6]})):
        svg = draw(curves(names, smaller=smaller), "random", "title")["svg"].decode()
        legend = svg[svg.index('id="legend_1"') :]
        for name in names:
            assert (f">{name}</text>" in legend) == (name in best), name
        grey = " ".join(re.findall(r">([^<]*)</text>", legend)).partition("in grey: ")[2]
        assert set(re.findall(r"s\d\d|random", grey)) == set(names) - best
        assert svg.count("stroke: #b8b8b8") >= 2 * 14, "a line in each panel"


def test_a_strategy_with_modifiers_keeps_its_colour_and_changes_its_dash():
    from alcli.report.curves import _styles

    styles = _styles(["random", "margin", "margin+update", "badge", *"abcdefg"])
    assert styles["margin"][0] == styles["margin+update"][0] != styles["badge"][0]
    assert styles["margin"][1] != styles["margin+update"][1]
    assert len({str(style) for style in styles.values()}) == len(styles)


def test_what_every_label_gives_is_a_line_with_a_name():
    plain, with_line = (draw(curves(), "random", "title", full_data=value)["svg"].decode() for value in (None, 0.9))
    assert ">every label</text>" in with_line
    assert ">every label</text>" not in plain


def test_costs_stand_under_the_axis():
    from dataclasses import replace

    svg = draw(replace(curves(), axis="cost", x_P=np.arange(6) * 12.5), "random", "title", unit="US$")["svg"].decode()
    assert svg.count(">cost of the labels (US$)</text>") == 2
    assert ">labels</text>" not in svg


def test_a_band_ends_where_the_metric_does():
    """Half the interval of two seeds is 6.35 standard deviations wide, far more than an accuracy can be."""
    from alcli.report.curves import figure_of

    values = {"random": np.array([[0.1, 0.9], [0.9, 0.2]]), "margin": np.array([[0.5, 0.5], [0.4, 0.9]])}
    figure = figure_of(Drawn(Curves(METRICS["accuracy"], np.arange(2), values, {}), "random", "title"), 11.0)
    left, right = figure.axes
    heights = np.concatenate([band.get_paths()[0].vertices[:, 1] for band in left.collections])
    assert (heights.min(), heights.max()) == (0.0, 100.0)
    assert np.abs(right.collections[0].get_paths()[0].vertices[:, 1]).max() > 100.0


def test_ticks_stand_at_rounds():
    from alcli.report.curves import figure_of

    for n, step in ((6, 1), (9, 2), (30, 4)):
        x_P = np.arange(n) * 10 + 5
        some = Curves(METRICS["accuracy"], x_P, {"random": np.full((2, n), 0.5), "margin": np.full((2, n), 0.6)}, {})
        ticks = figure_of(Drawn(some, "random", "title"), 11.0).axes[0].get_xticks()
        assert ticks.tolist() == x_P[::step].tolist()
        assert len(ticks) <= 8
