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


@pytest.mark.parametrize("values", [{"surprise": 1}, {"head": "sofmax"}, {"prior_precision": "much"}, {"prior_precision": -1}, {"options": 3}, {"posterior": "../x"}])
def test_what_is_no_recipe(values):
    with pytest.raises(DataError, match=r"h\.safetensors: .*recipe"):
        Recipe.from_json(values, "h.safetensors")


@pytest.mark.parametrize(("recipe", "message"), [
    (Recipe(head="sofmax"), "sofmax"), (Recipe(posterior="laplce"), "laplce"), (Recipe(covariance="shred"), "shred"), (Recipe(calibrate="x"), "calibration"),
    (Recipe(prior_precision=0), "prior precision"), (Recipe(prior_precision=float("nan")), "prior precision"), (Recipe(options={"no-such": "1"}), "no-such"),
])  # fmt: skip
def test_refusals(recipe, message):
    with pytest.raises(UsageError, match=message):
        recipe.checked()


def test_heads_by_task():
    assert Recipe().spec(regression=False).head.tasks >= {"classification"}
    assert Recipe().spec(regression=True).head.tasks >= {"regression"}
    assert Recipe(posterior="none").spec(regression=False).posterior is None
