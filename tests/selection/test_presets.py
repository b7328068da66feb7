"""The option `preset`: published settings by a name."""

from __future__ import annotations

import numpy as np
import pytest

from alcli import described, parsing, plugins
from alcli.errors import UsageError
from alcli.selection.presets import PRESET, Presets, expanded
from alcli.selection.select import select
from tests.committees import fitted, fitted_numbers

WITH_PRESETS = {name for name in plugins.names("strategies") if PRESET in plugins.strategy(name).options}
# The values of the papers' tables, from the papers: alpha, and beta over the number of draws.
TABLES = {
    ("sparse-greedy", "general-mnist"): (1e-8, 1e-1),
    ("sparse-greedy", "general-svhn"): (1e-1, 1e-1),
    ("sparse-greedy", "general-cifar-10"): (1e-2, 1e-1),
    ("sparse-greedy", "bayesian-fmnist"): (2, 0.5 / 100),
    ("sparse-greedy", "bayesian-cifar-10"): (2, 1 / 2000),
    ("sparse-greedy", "bayesian-cifar-100"): (1, 0.5 / 2000),
    ("sparse-iht", "general-mnist"): (1e-8, 1e-4),
    ("sparse-iht", "general-svhn"): (1e-8, 1e-4),
    ("sparse-iht", "general-cifar-10"): (1e-8, 1e-6),
    ("sparse-iht", "bayesian-fmnist"): (1, 1e-3 / 100),
    ("sparse-iht", "bayesian-cifar-10"): (1, 1e-6 / 2000),
    ("sparse-iht", "bayesian-cifar-100"): (1, 1e-6 / 2000),
}


def presets():
    for name in sorted(WITH_PRESETS):
        hint = parsing.hints_of(plugins.strategy(name).run)[PRESET]
        for preset in next(one for one in hint.__metadata__ if isinstance(one, Presets)).values:
            yield name, preset


def same(one, other):
    weights = [None if found.weights_K is None else found.weights_K.tolist() for found in (one, other)]
    return (one.rows_K.tolist(), one.scores_K.tolist()) == (other.rows_K.tolist(), other.scores_K.tolist()) and (
        weights[0] == weights[1]
    )


def test_the_strategies_of_four_papers_have_presets():
    assert {"sparse-greedy", "sparse-iht", "noise-stability", "ntk", "lplgrad"} == WITH_PRESETS


@pytest.mark.parametrize(("name", "preset"), list(presets()))
def test_a_preset_is_its_values(name, preset):
    strategy = plugins.strategy(name)
    values = expanded(strategy, {PRESET: preset})
    assert PRESET not in values
    assert {option.replace("_", "-"): value for option, value in values.items()}
    # Every value is one that can be typed.
    typed = {
        key: parsing.typed(value) if not isinstance(value, float) else repr(value) for key, value in values.items()
    }
    assert parsing.parse_options(strategy.declared, typed, name) == values
    if (name, preset) in TABLES:
        assert (values["alpha"], values["beta"]) == TABLES[name, preset]


@pytest.mark.parametrize("preset", ["general-mnist", "bayesian-fmnist"])
def test_the_batch_of_a_preset_is_that_of_its_values(preset):
    strategy, (_, view) = plugins.strategy("sparse-greedy"), fitted(n=60)
    by_name = select(strategy, view, 5, seed=0, options={PRESET: preset})
    by_values = select(strategy, view, 5, seed=0, options=expanded(strategy, {PRESET: preset}))
    assert same(by_name, by_values)
    assert np.isclose(by_name.record["alpha"], TABLES["sparse-greedy", preset][0])
    assert np.isclose(by_name.record["beta"], TABLES["sparse-greedy", preset][1])
    assert strategy.under({PRESET: "bayesian-fmnist"}).posterior_asked_by == "form=bayesian"


def test_an_option_that_is_given_as_well_counts():
    strategy, (_, view) = plugins.strategy("noise-stability"), fitted(n=60)
    assert expanded(strategy, {PRESET: "paper", "samples": 5})["samples"] == 5
    one = select(strategy, view, 5, seed=0, options={PRESET: "paper", "samples": 5})
    other = select(strategy, view, 5, seed=0, options={"estimator": "sampled", "samples": 5})
    assert same(one, other)
    assert not same(one, select(strategy, view, 5, seed=0, options={PRESET: "paper"}))
    assert same(
        select(strategy, view, 5, seed=0, options={PRESET: "none"}), select(strategy, view, 5, seed=0, options={})
    )


def test_a_preset_for_classes_does_nothing_for_numbers_and_that_is_said():
    strategy, (_, view) = plugins.strategy("sparse-greedy"), fitted_numbers(n=60)
    found = select(strategy, view, 5, seed=0, options={PRESET: "general-mnist"})
    assert same(found, select(strategy, view, 5, seed=0, options={}))
    assert any("-p preset=general-mnist does nothing in sparse-greedy" in note for note in found.notes)


def test_an_unknown_preset_is_refused_with_the_nearest_name():
    strategy, (_, view) = plugins.strategy("ntk"), fitted(n=60)
    with pytest.raises(UsageError, match=r"one of none, paper, code, got 'papers'.*did you mean 'paper'"):
        parsing.parse_options(strategy.declared, {PRESET: "papers"}, "ntk")
    with pytest.raises(UsageError, match="must be one of none, paper, code"):
        select(strategy, view, 5, seed=0, options={PRESET: "papers"})


def test_presets_are_listed():
    for name in WITH_PRESETS:
        option = next(one for one in described.described(name).options if one.name == PRESET)
        assert option.choices == ("none", *(preset for strategy, preset in presets() if strategy == name))
        assert set(option.meanings) == set(option.choices)
