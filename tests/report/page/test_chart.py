"""Curves of the page: where their points, intervals and ticks stand."""

from __future__ import annotations

import re

import pytest

from alcli.report.page.chart import MOST, CurvePoint, chart


def drawn(curves, *, share=True):
    return chart(curves, x_label="labels", y_label="accuracy", words="Accuracy", share=share)


def test_points_stand_between_the_ticks_as_their_numbers_do():
    found = drawn({"audit": [CurvePoint(40, 0.8, 0.7, 0.9), CurvePoint(80, 0.9, 0.85, 0.95)]})
    first, second = found.drawings[0].dots
    at = {float(tick.text.rstrip("%")): tick.at for tick in found.up}
    (a, y_a), (b, y_b) = sorted(at.items())[0], sorted(at.items())[-1]

    def height(percent):
        return y_a + (percent - a) * (y_b - y_a) / (b - a)

    for dot, percent, low, high in ((first, 80, 70, 90), (second, 90, 85, 95)):
        assert dot.y == pytest.approx(height(percent), abs=0.2)
        assert dot.low == pytest.approx(height(low), abs=0.2)
        assert dot.high == pytest.approx(height(high), abs=0.2)
    assert first.x < second.x
    assert first.words == "40: 80.0% (95% interval 70.0% to 90.0%)"
    assert re.fullmatch(r"M[\d.]+ [\d.]+L[\d.]+ [\d.]+", found.drawings[0].path)


def test_curves_differ_by_shape_and_dashes_as_well():
    found = drawn({str(k): [CurvePoint(0, 0.1 * k), CurvePoint(1, 0.5)] for k in range(MOST)})
    assert len({curve.shape for curve in found.drawings}) == len({curve.dash for curve in found.drawings}) == MOST


@pytest.mark.parametrize(
    "points", [[CurvePoint(20, 0.5)], [CurvePoint(20, 1.0), CurvePoint(40, 1.0)], [CurvePoint(0, 0.0)]]
)
def test_a_single_value_has_room(points):
    found = drawn({"audit": points})
    left, top, width, height = found.box
    for dot in found.drawings[0].dots:
        assert left <= dot.x <= left + width
        assert top <= dot.y <= top + height
        assert dot.low is None
    assert len(found.across) > 1


def test_shares_have_no_tick_beyond_one():
    found = drawn({"audit": [CurvePoint(1, 0.97, 0.9, 1.0), CurvePoint(2, 0.999, 0.99, 1.0)]})
    assert all(0 <= float(tick.text.rstrip("%")) <= 100 for tick in found.up)


def test_numbers_that_are_no_shares():
    found = drawn({"rmse": [CurvePoint(1, 30000.0), CurvePoint(2, 20000.0)]}, share=False)
    assert "%" not in "".join(tick.text for tick in found.up)
    assert found.drawings[0].dots[0].words == "1: 3e+04"
