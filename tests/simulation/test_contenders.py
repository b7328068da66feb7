"""Names of contenders, and what `+update` does to a round."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.softmax import softmax
from alcli.posteriors.ensemble import Ensemble
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.simulation.contenders import contender, names
from alcli.simulation.oracle import Oracle
from alcli.simulation.round import RoundState

C, D, N = 3, 4, 50
SPEC = FitSpec(softmax.head, LaplaceShared, prior_precision=0.5)


def problem():
    rng = np.random.default_rng(1)
    y = np.arange(N) % C
    return rng.standard_normal((N, D)) + 1.5 * np.eye(C, D)[y], y


def round_state(y=None):
    X, truth = problem()
    first = np.arange(9)
    model = fit(Training(X[first], truth[first], np.ones(9), C), SPEC)
    oracle = Oracle(truth if y is None else y, np.arange(N))
    oracle.ask(first)
    return RoundState(ArraySource(X, np.arange(N)), oracle, model, C, np.empty(0, np.int64), spec=SPEC)


def by_hand(name, k, every, fitted=False):
    """Select, ask, absorb, select again: with the model's own update and nothing kept between the steps.

    fitted: instead of the update, a fit from zero to all labels so far.
    """
    X, y = problem()
    s = round_state()
    from alcli import plugins

    model, labelled = s.model, list(range(9))
    for first in range(0, k, every):
        view = View(s.source, np.setdiff1d(np.arange(N), labelled), np.array(labelled), model)
        rows = select(
            strategy_of(plugins.load("strategies", name)), view, min(every, k - first), seed=5, options={}
        ).rows_K
        labelled += rows.tolist()
        if fitted:
            rows, curvature = np.array(labelled), s.model.posterior.curvature
            model = fit(Training(X[rows], y[rows], np.ones(len(rows)), C), replace(SPEC, curvature=curvature))
        else:
            model = model.update(Training(X[rows], y[rows], np.ones(len(rows)), C))
    return labelled[9:]


@pytest.mark.parametrize("every", [1, 2, 5])
@pytest.mark.parametrize("name", ["margin", "badge", "entropy", "bald", "feature-margin", "predictive-variance"])
def test_update_absorbs_each_label_before_the_next_pick(name, every):
    s = round_state()
    picked = contender(f"{name}+update").choose(s, 5, 5, {"update_every": every}).rows_K
    if every == 1 or name != "badge":  # badge draws its later picks of a step
        assert picked.tolist() == by_hand(name, 5, every)
    assert s.oracle.labelled.tolist()[9:] == picked.tolist()


@pytest.mark.parametrize(
    "name",
    ["bald", "feature-margin", "predictive-variance", "noise-stability", "noise/topnorm", "samples/topnorm", "epig"],
)
def test_update_goes_with_all_that_a_head_or_its_posterior_says(name):
    now, later = round_state(), round_state()
    later.absorb(np.arange(9))  # once more: the head has moved, the open rows are the same
    first, second = (s.pick(contender(f"{name}+update").base, 5, 0, {}) for s in (now, later))
    assert not np.array_equal(first.scores_K, second.scores_K)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("name", ["margin", "entropy", "bald", "coreset", "feature-margin", "predictive-variance"])
def test_with_a_polish_each_pick_is_that_of_a_head_fitted_to_all_labels_so_far(name, every):
    s = round_state()
    picked = contender(f"{name}+update").choose(s, 7, 5, {"update_every": every, "polish": True}).rows_K
    assert picked.tolist() == by_hand(name, 7, every, fitted=True)


def test_a_polished_head_is_the_fit_of_all_labels_so_far():
    X, y = problem()
    s = round_state()
    s.oracle.ask(np.arange(20, 30))
    s.absorb(np.arange(20, 30))
    rows = np.concatenate([np.arange(9), np.arange(20, 30)])
    exact = fit(Training(X[rows], y[rows], np.ones(19), C), SPEC)
    assert np.abs(s.model.head.W_CD1 - exact.head.W_CD1).max() > 1e-2
    s.polish()
    assert np.abs(s.model.head.W_CD1 - exact.head.W_CD1).max() < 1e-3


def test_update_every_a_whole_batch_is_the_strategy_alone():
    for name in ("margin", "badge", "coreset"):
        alone = contender(name).choose(round_state(), 6, 3, {})
        whole = contender(f"{name}+update").choose(round_state(), 6, 3, {"update_every": 6})
        assert np.array_equal(alone.rows_K, whole.rows_K)
        assert np.array_equal(alone.scores_K, whole.scores_K)


def test_update_makes_a_difference_and_uses_only_labels_it_asked_for():
    picks = contender("margin+update").choose(round_state(), 8, 0, {}).rows_K
    assert picks.tolist() != contender("margin").choose(round_state(), 8, 0, {}).rows_K.tolist()
    _, y = problem()
    other = y.copy()
    rest = np.setdiff1d(np.arange(9, N), picks)
    other[rest] = (other[rest] + 1) % C
    assert np.array_equal(contender("margin+update").choose(round_state(other), 8, 0, {}).rows_K, picks)
    other[picks[0]] = (other[picks[0]] + 1) % C
    assert not np.array_equal(contender("margin+update").choose(round_state(other), 8, 0, {}).rows_K, picks)


@pytest.mark.parametrize("name", ["margin+update", "badge+update", "coreset+update"])
def test_what_is_left_is_taken_when_a_batch_is_larger(name):
    s = round_state()
    assert sorted(contender(name).choose(s, 99, 0, {"update_every": 3}).rows_K) == list(range(9, N))
    assert len(s.oracle.candidates) == 0
    assert len(contender(name).choose(s, 4, 0, {}).rows_K) == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("margn+update", "no strategy is named 'margn'; did you mean 'margin'"),
        ("optimal-lookahead", "did you mean 'optimal-look-ahead'"),
        ("margin+updat", r"'margin\+updat': no modifier is named 'updat'; did you mean 'update'"),
        ("margin+update+update", r"'\+update' stands twice"),
        ("margin+", r"no modifier is named ''"),
    ],
)
def test_a_senseless_name_is_refused_by_its_parts(name, words):
    with pytest.raises(UsageError, match=words):
        contender(name)


@pytest.mark.parametrize("name", ["random+update", "a=random+update"])
def test_a_modifier_that_changes_nothing_is_refused_unless_an_option_looks_at_the_head(name):
    with pytest.raises(
        UsageError,
        match=r"'random' looks at neither the head nor the labelled rows, so '\+update' would change nothing; use "
        r"'random' alone",
    ):
        contender(name).check_modifiers({"prefilter": 1.0})
    contender(name).check_modifiers({"prefilter": 0.3})
    contender(name).check_modifiers({"balance": "predicted"})
    contender("margin+update").check_modifiers({})


def test_options_belong_to_both_parts():
    one = contender("typiclust+update")
    assert {"update-every", "neighbours"} <= one.options
    assert one.parse({"update-every": "3", "neighbours": "7"}) == {"update_every": 3, "neighbours": 7}
    with pytest.raises(
        UsageError, match=r"strategy 'typiclust\+update': parameter 'update-every' must be an integer, got 'x'"
    ):
        one.parse({"update-every": "x"})


def test_what_the_head_cannot_serve_is_refused():
    with pytest.raises(UsageError, match=r"'margin\+update' absorbs labels"):
        contender("margin+update").check(FitSpec(softmax.head, None), {}, False)
    with pytest.raises(
        UsageError, match=r"'margin\+update' absorbs labels in closed form, which --posterior ensemble rules out"
    ):
        contender("margin+update").check(FitSpec(softmax.head, Ensemble), {}, False)
    with pytest.raises(UsageError, match="'optimal-look-ahead' needs one covariance"):
        contender("optimal-look-ahead").check(FitSpec(softmax.head, None), {}, False)
    with pytest.raises(UsageError, match="'optimal-look-ahead' needs one covariance"):
        contender("optimal-look-ahead").check(FitSpec(softmax.head, Ensemble), {}, False)
    for spec in (FitSpec(softmax.head, None), FitSpec(softmax.head, None, options={"aux_loss": False})):
        with pytest.raises(UsageError, match="'learning-loss' looks at the loss-prediction branch"):
            contender("learning-loss").check(spec, {}, False)
    contender("learning-loss").check(FitSpec(softmax.head, None, options={"aux_loss": True}), {}, False)
    contender("margin").check(FitSpec(softmax.head, Ensemble), {}, False)
    contender("margin").check(FitSpec(softmax.head, None), {}, False)


def test_oracles_are_offered_to_simulations_only():
    from alcli import plugins

    assert "optimal-look-ahead" in names()
    assert "optimal-look-ahead" not in plugins.names("strategies")
    assert contender("optimal-look-ahead").is_oracle
    assert not contender("margin+update").is_oracle


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("margin+update", r"'\+update' asks for a few labels at a time"),
        ("optimal-look-ahead", "judges batches of a fixed number of rows"),
    ],
)
def test_what_a_budget_does_not_go_with(name, words):
    with pytest.raises(UsageError, match=words):
        contender(name).check_budget({})
    contender("grad/kcenter").check_budget({})
