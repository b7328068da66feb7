from __future__ import annotations

import io
import re

import matplotlib
import numpy as np
import pytest
from PIL import Image

from alcli.numerics.metrics import METRICS
from alcli.report.curves import draw
from alcli.report.summary import Curves

NAMES = ("random", "margin", "badge", "coreset")


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
        assert f"<!-- {text} -->" in svg or f"<!-- {text} (%) -->" in svg or f"<!-- test {text} (%) -->" in svg, text


@pytest.mark.parametrize("n_seeds", [1, 2])
@pytest.mark.parametrize("smaller", [True, False])
def test_one_seed_and_errors_can_be_drawn(n_seeds, smaller):
    pictures = draw(curves(n_seeds=n_seeds, smaller=smaller), "random", "title")
    assert pictures["png"].startswith(b"\x89PNG")


def test_twenty_strategies_are_told_apart_by_dashes():
    names = ("random", *(f"s{i}" for i in range(19)))
    svg = draw(curves(names), "random", "title")["svg"].decode()
    styles = set(
        re.findall(
            r'style="fill: none; stroke(?:-dasharray: [\d., ]+; stroke-dashoffset: 0; stroke)?: #[0-9a-f]{6};?[^"]*"',
            svg,
        )
    )
    lines = {s for s in styles if "stroke-width: 1.6" in s}
    assert len(lines) >= 20


def test_a_strategy_with_modifiers_keeps_its_colour_and_changes_its_dash():
    from alcli.report.curves import _styles

    styles = _styles(["random", "margin", "margin+update", "badge", *"abcdefg"])
    assert styles["margin"][0] == styles["margin+update"][0] != styles["badge"][0]
    assert styles["margin"][1] != styles["margin+update"][1]
    assert len({str(style) for style in styles.values()}) == len(styles)


def test_what_every_label_gives_is_a_line_with_a_name():
    plain, with_line = (draw(curves(), "random", "title", full_data=value)["svg"].decode() for value in (None, 0.9))
    assert "<!-- every label -->" in with_line
    assert "<!-- every label -->" not in plain


def test_costs_stand_under_the_axis():
    from dataclasses import replace

    svg = draw(replace(curves(), axis="cost", x_P=np.arange(6) * 12.5), "random", "title", unit=r"US\$")["svg"].decode()
    assert svg.count("<!-- cost of the labels (US\\$) -->") + svg.count("<!-- cost of the labels (US$) -->") == 2
    assert "<!-- labels -->" not in svg
