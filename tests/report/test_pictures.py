"""Pictures fit: every text lies inside, whatever the width."""

from __future__ import annotations

import re

import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.report import by_class, curves, pictures, wins
from alcli.report.pictures import FORMATS, Appearance
from alcli.simulation.plan import Cell
from alcli.simulation.results import Details
from tests.report.test_curves import curves as some_curves

NAMES = ("random", *(f"strategy-{i}" for i in range(12)))
TITLE = (
    "a pool with quite a long name of a file.parquet: 100 labels to start with, 100 more a round, and_a_word" + "_" * 90
)
HALVES = Details((5, 5), (5, 5), (2, 3), (0,) * 14 + (10,), (0,) * 14 + (5,))


def figures(names, width):
    """Every picture of a simulation."""
    found = some_curves(names)
    details = {Cell(name, seed): HALVES for name in names for seed in (0, 1)}
    return {
        "curves": curves.figure_of(curves.Drawn(found, "random", TITLE, full_data=0.9), width or 11.0),
        "wins": wins.figure_of(found, TITLE, width),
        "confidence": by_class.figure_of(details, dict(zip(names, names)), TITLE, width or 11.0),
    }


def overhang(figure):
    """How far anything that is drawn reaches out of the picture, in inches; at most 0 where nothing does."""
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return max(-box.x0, -box.y0, box.x1 - width, box.y1 - height)


@pytest.mark.parametrize(("n", "width"), [(1, 3.4), (1, 16.0), (3, None), (3, 3.4), (3, 5.0), (13, None), (13, 3.4)])
def test_no_text_is_clipped_at_any_width(n, width):
    with pictures._styled():
        for name, figure in figures(NAMES[:n], width).items():
            pictures.fit(figure)
            figure.draw_without_rendering()
            assert overhang(figure) < 0.01, name
            if width is not None:
                assert figure.get_figwidth() == width


def test_without_the_fit_the_title_is_clipped():
    """The check above can fail."""
    with pictures._styled():
        figure = figures(NAMES[:3], 3.4)["curves"]
        figure.draw_without_rendering()
        assert overhang(figure) > 1


def test_breaking_keeps_every_letter():
    with pictures._styled():
        figure = figures(NAMES[:3], 3.4)["curves"]
        pictures.fit(figure)
        assert re.sub(r"\s", "", figure._suptitle.get_text()) == re.sub(r"\s", "", TITLE)


def test_every_format_and_its_text():
    drawn = curves.Drawn(some_curves(), "random", "labels for $5 or $6")
    found = curves.draw(drawn, Appearance(FORMATS))
    assert list(found) == list(FORMATS)
    assert found["pdf"].startswith(b"%PDF")
    assert b"CreationDate" not in found["pdf"]
    assert b">labels for $5 or $6</text>" in found["svg"], "text, not outlines and not a formula"
    assert found == curves.draw(drawn, Appearance(FORMATS))


def test_a_narrow_picture_has_its_panels_above_each_other():
    drawn = curves.Drawn(some_curves(), "random", "title")
    (a, b), (c, d) = (curves.figure_of(drawn, width).axes for width in (11.0, 3.4))
    assert [axes.get_subplotspec().is_first_row() for axes in (a, b, c, d)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"formats": ("gif",)}, "a picture can be png, svg, pdf, got 'gif'"),
        ({"formats": ()}, "a picture can be png, svg, pdf"),
        ({"width": 0.5}, "must be 2.5 to 60 inches, got 0.5; a column"),
        ({"width": float("nan")}, "must be 2.5 to 60 inches"),
    ],
)
def test_a_look_that_no_picture_can_have_is_refused(wrong, words):
    with pytest.raises(UsageError, match=words):
        Appearance(**wrong)


def test_bars_are_the_shares_of_the_rows_by_confidence():
    one = Details((4, 6), (5, 5), (3, 4), (0, 2) + (0,) * 12 + (8,), (0, 1) + (0,) * 12 + (6,))
    figure = by_class.figure_of({Cell("margin", 0): one, Cell("margin", 1): one}, {"margin": "margin"}, "title", 5.0)
    right, wrong = figure.axes[0].containers
    assert np.allclose([bar.get_height() for bar in right], [0, 10] + [0] * 12 + [60])
    assert np.allclose([bar.get_height() for bar in wrong], [0, 10] + [0] * 12 + [20])
