"""Recipes are checked whole, and survive the way through a head file."""

from __future__ import annotations

import json

import pytest

from alcli.errors import DataError, UsageError
from alcli.workflows.recipe import Recipe


def test_a_recipe_survives_json():
    recipe = Recipe(head="ridge", prior_precision=0.1, calibrate="none", seed=3)
    assert Recipe.from_json(json.loads(json.dumps(recipe.as_json())), "h") == recipe
    assert Recipe.from_json({}, "h") == Recipe()


@pytest.mark.parametrize(
    "values",
    [
        {"surprise": 1},
        {"head": "sofmax"},
        {"prior_precision": "much"},
        {"prior_precision": -1},
        {"options": 3},
        {"posterior": "../x"},
    ],
)
def test_what_is_no_recipe(values):
    with pytest.raises(DataError, match=r"h\.safetensors: .*recipe"):
        Recipe.from_json(values, "h.safetensors")


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(head="sofmax"), "sofmax"),
        (Recipe(posterior="laplce"), "laplce"),
        (Recipe(covariance="shred"), "shred"),
        (Recipe(calibrate="x"), "calibration"),
        (Recipe(prior_precision=0), "prior precision"),
        (Recipe(prior_precision=float("nan")), "prior precision"),
        (Recipe(options={"no-such": "1"}), "no-such"),
    ],
)
def test_refusals(recipe, message):
    with pytest.raises(UsageError, match=message):
        recipe.checked()


def test_heads_by_task():
    assert Recipe().spec(regression=False).head.tasks >= {"classification"}
    assert Recipe().spec(regression=True).head.tasks >= {"regression"}
    assert Recipe(posterior="none").spec(regression=False).posterior is None


def test_the_paper_preset_fixes_curvature_and_gamma_of_a_classification():
    assert Recipe(preset="paper").spec(regression=False).gamma == 10.0
    assert Recipe(preset="paper").spec(regression=False).curvature == 1.0
    assert Recipe(preset="paper").spec(regression=True).gamma is None
    with pytest.raises(UsageError, match="papr"):
        Recipe(preset="papr").checked()


@pytest.mark.parametrize("kind", ["ensemble", "dropout", "variational"])
def test_what_is_for_laplace_is_refused_elsewhere(kind):
    assert Recipe(posterior=kind).checked().spec(regression=True).posterior.kind == kind
    for values in ({"covariance": "block"}, {"preset": "paper"}):
        with pytest.raises(
            UsageError, match=f"{next(iter(values.values()))} is for --posterior laplace, not for {kind}"
        ):
            Recipe(posterior=kind, **values).checked()


def test_options_of_the_posterior_have_a_prefix():
    spec = Recipe(covariance="full", options={"posterior.max-parameters": "9"}).checked().spec(regression=False)
    assert spec.posterior_options == {"max_parameters": 9}
    for key in ("posterior.max-parameter", "posterior.prior-precision"):
        with pytest.raises(UsageError, match="no parameter"):
            Recipe(covariance="full", options={key: "9"}).checked()
