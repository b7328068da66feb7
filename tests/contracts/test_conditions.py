"""Conditions on options, of every strategy: where a condition does not hold the option does nothing, and a remark says
so; where it holds there is no remark.
"""

from __future__ import annotations

import itertools
import typing
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from alcli import parsing, plugins
from alcli.errors import UsageError
from alcli.heads._contract import LinearHead, Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.posteriors._contract import Evidence
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.conditions import CLASSES, Setting, conditions, given, kebab, where
from alcli.selection.presets import PRESET
from alcli.selection.select import select
from tests.helpers import view_of
from tests.pools import tiny_features

N, D, C, M = 70, 4, 3, 5
LABELLED = np.arange(14)
X, Y = tiny_features(N, D)
MOST_SETTINGS = 12  # of an option, in which the condition does not hold


def strategies():
    return {name: plugins.strategy(name) for name in plugins.names("strategies")}


def conditional(strategy, regression=False):
    """The conditions of a strategy's options; of numbers also the options that the strategy for numbers lacks."""
    suited = strategy.suited(regression)
    # A preset stands for values of other options, and each of these is remarked on by itself.
    lacking = sorted(strategy.options - suited.options - {PRESET})
    return {name: CLASSES for name in lacking} | conditions(suited)


CASES = [(name, option) for name, one in strategies().items() for option in conditional(one)]
OF_NUMBERS = [
    (name, option)
    for name, one in strategies().items()
    if one.numbers is not None
    for option in conditional(one, regression=True)
]


def classifier():
    data = Training(X[LABELLED], Y[LABELLED], np.ones(len(LABELLED)), C)
    return replace(fit(data, FitSpec(softmax.head, LaplaceShared)), temperature=1.4)


def network():
    rng = np.random.default_rng(3)
    last = LinearHead("softmax", rng.standard_normal((C, M + 1)), 1.0, temperature=1.4)
    head = NetworkHead(((rng.standard_normal((M, D)), rng.standard_normal(M)),), "tanh", last)
    data = Evidence(head.last_layer(X[LABELLED]), np.eye(C)[Y[LABELLED]], np.ones(len(LABELLED)), "softmax")
    return Model(head, LaplaceShared.fit(head.W_CD1, data, prior_precision=1.0)[1], 1.4)


def regressor():
    y = X @ np.arange(D) + 0.3 * np.random.default_rng(0).standard_normal(N)
    return fit(Training(X[LABELLED], y[LABELLED], np.ones(len(LABELLED)), None), FitSpec(ridge.head, LaplaceShared))


MODELS = {"linear": classifier(), "point": replace(classifier(), posterior=None), "network": network()}
VIEWS = {
    kind: view_of(X, labelled=LABELLED, head=model, labels=Y[LABELLED].astype(np.int64))
    for kind, model in MODELS.items()
}
NUMBERS = view_of(X, labelled=LABELLED, head=regressor(), labels=X[LABELLED] @ np.arange(D))


def values(strategy, option):
    """Some values of an option: all its choices, or its default and two numbers near it."""
    function = next(one for one in strategy.declared if kebab(option) in parsing.options_of(one))
    hint, default = parsing.hints_of(function)[option], strategy.defaults[option]
    base = typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint
    if typing.get_origin(base) is Literal:
        return list(typing.get_args(base))
    if base is bool:
        return [False, True]
    if base is int:
        return [default, 1, 3]
    if default is None:
        return [None, 0.0, 0.5]
    return [default, 0.25, 0.5] if base is float else [default, "0.3", "2"]


def settings(strategy, option, only):
    """All combinations of the options that a condition reads, of the option itself, and of one or several picks."""
    read = sorted({*only.options, option})
    for combination in itertools.product(*(values(strategy, name) for name in read)):
        for k in (1, 7):
            yield dict(zip(read, combination)), k


def chosen(strategy, view, k, options):
    found = select(strategy, view, k, seed=3, options=options)
    weights = b"" if found.weights_K is None else found.weights_K.tobytes()
    return found, (found.rows_K.tobytes(), found.scores_K.tobytes(), weights)


def says(found, option):
    return [text for text in found.notes if text.startswith(f"-p {kebab(option)}=") and "does nothing" in text]


def idle_pairs(strategy, option, only, view):
    """Pairs of settings that differ in the option alone, in both of which the condition does not hold."""
    suited = strategy.suited(view.regression)
    groups = {}
    for options, k in settings(strategy, option, only):
        now = Setting(suited.defaults | options, view, k, suited.under(options).needs)
        if not only.holds(now):
            rest = tuple((name, value) for name, value in options.items() if name != option)
            groups.setdefault((rest, k), []).append(options)
    for (_, k), several in list(groups.items())[:MOST_SETTINGS]:
        if len(several) > 1:
            yield several[0], several[-1], k


def usable(strategy, view):
    return view.has_posterior or not strategy.needs_posterior


def check_idle(strategy, option, only, view):
    """The number of pairs that were checked. Options that refuse each other are no pair."""
    checked = 0
    for one, other, k in idle_pairs(strategy, option, only, view):
        if not (usable(strategy.under(one), view) and usable(strategy.under(other), view)):
            continue
        try:
            (first, a), (second, b) = chosen(strategy, view, k, one), chosen(strategy, view, k, other)
        except UsageError:
            continue
        assert a == b, (one, other, k)
        assert len(says(first, option)) == len(says(second, option)) == 1
        checked += 1
    return checked


@pytest.mark.parametrize(("name", "option"), CASES)
def test_an_option_whose_condition_does_not_hold_does_nothing_and_that_is_said(name, option):
    strategy = plugins.strategy(name)
    only = conditional(strategy)[option]
    assert sum(check_idle(strategy, option, only, view) for view in VIEWS.values()) > 0


@pytest.mark.parametrize(("name", "option"), OF_NUMBERS)
def test_an_option_that_numbers_have_no_use_for_does_nothing_and_that_is_said(name, option):
    strategy = plugins.strategy(name)
    only = conditional(strategy, regression=True)[option]
    assert check_idle(strategy, option, only, NUMBERS) > 0


@pytest.mark.parametrize(("name", "option"), CASES)
def test_an_option_whose_condition_holds_is_not_remarked_on(name, option):
    strategy = plugins.strategy(name)
    only, checked = conditional(strategy)[option], 0
    for view, (options, k) in itertools.product(VIEWS.values(), list(settings(strategy, option, only))):
        now = Setting(strategy.defaults | options, view, k, strategy.under(options).needs)
        if checked == MOST_SETTINGS or not only.holds(now) or not usable(strategy.under(options), view):
            continue
        try:
            found, _ = chosen(strategy, view, k, options)
        except UsageError:
            continue
        assert says(found, option) == []
        checked += 1
    assert checked > 0


def test_a_default_is_not_remarked_on():
    for name, strategy in strategies().items():
        if "predicted_loss" not in strategy.needs:
            found, _ = chosen(strategy, VIEWS["linear"], 5, {})
            assert not [text for text in found.notes if "does nothing" in text], name


def test_a_mix_names_the_part_in_which_an_option_does_nothing():
    mix = plugins.strategy("noise-stability:0.5,bald:0.5")
    found = select(mix, VIEWS["linear"], 6, seed=0, options={"samples": 7})
    assert len([text for text in found.notes if "-p samples=7 does nothing in noise-stability" in text]) == 1
    assert not [text for text in found.notes if "does nothing in bald" in text]


def test_conditions_are_put_into_words():
    both = given(form="gradient") & (given(label_dist=("mix", "temp")) | where("for a rainy day", lambda now: False))
    assert both.text == "with form=gradient, and only with label-dist=mix|temp, or for a rainy day"
    assert both.options == {"form", "label_dist"}
    off = Setting({"form": "bayesian", "label_dist": "mix"}, VIEWS["linear"], 1)
    assert both.unmet(off) == "with form=gradient"
    assert both.unmet(replace(off, options={"form": "gradient", "label_dist": "pseudo"})).startswith("with label-dist")
    assert both.unmet(replace(off, options={"form": "gradient", "label_dist": "temp"})) == ""
