from __future__ import annotations

import pytest

from alcli.errors import UsageError
from alcli.simulation.contenders import names
from alcli.simulation.plan import FULL_DATA, Cell, Plan, initial_rng, selection_seed, split_rng, with_baseline
from alcli.workflows.recipe import Recipe


def plan(**changes):
    values = dict(
        strategies=("random", "margin"), n_seeds=2, batch=5, rounds=3, initial=4, spec=Recipe().spec(regression=False)
    )
    return Plan(**(values | changes))


def test_the_grid_goes_seed_by_seed():
    assert list(plan().cells()) == [Cell("random", 0), Cell("margin", 0), Cell("random", 1), Cell("margin", 1)]


def test_the_baseline_comes_first_and_nothing_twice():
    assert with_baseline(["margin", "random", "margin"]) == ("random", "margin")


@pytest.mark.parametrize(
    ("field", "value", "option"),
    [("batch", 0, "-n"), ("rounds", 0, "--rounds"), ("n_seeds", 0, "--seeds"), ("initial", 1, "--initial")],
)
def test_a_number_too_small_is_refused_by_its_option(field, value, option):
    with pytest.raises(UsageError, match=rf"^{option} must be at least \d, got {value}"):
        plan(**{field: value})


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_outside_of_0_and_1_is_refused(fraction):
    with pytest.raises(UsageError, match="--test-fraction must be between 0 and 1"):
        plan(test_fraction=fraction)


def test_every_draw_has_a_stream_of_its_own():
    cells = [Cell(strategy, seed) for strategy in ("random", "margin") for seed in (0, 1)]
    seeds = {selection_seed(cell, number) for cell in cells for number in range(5)}
    assert len(seeds) == 20
    assert all(0 <= seed < 2**63 for seed in seeds)
    firsts = {rng(seed).integers(2**62) for rng in (split_rng, initial_rng) for seed in range(3)}
    assert len(firsts) == 6


def test_an_alias_does_not_change_a_draw():
    assert selection_seed(Cell("mine=margin+update", 3), 2) == selection_seed(Cell("margin+update", 3), 2)
    assert selection_seed(Cell("mine=margin", 3), 2) != selection_seed(Cell("margin+update", 3), 2)


def test_a_seed_does_not_change_from_version_to_version():
    """Published simulations stay repeatable: this number may only change with a note in the changelog."""
    assert selection_seed(Cell("margin", 3), 2) == 2126881068465140577


def test_every_label_is_fitted_once_for_each_split():
    assert list(plan().full_data(one_split=True)) == [Cell(FULL_DATA, 0)]
    assert list(plan().full_data(one_split=False)) == [Cell(FULL_DATA, 0), Cell(FULL_DATA, 1)]
    assert FULL_DATA not in names()
