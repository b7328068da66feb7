"""A pool of 300 groups of rows: pure, split between two classes but sure, and truly unsure.

The mean features of a split group lie where those of an unsure group lie. A method that looks at the mean row cannot
tell the two apart; one that sums over rows can.
"""

from dataclasses import replace

import numpy as np
import pytest

from alcli import plugins
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.selection.select import select
from alcli.workflows.recipe import Recipe
from tests.pools import CLASSES, PURE, SPLIT, UNSURE, dense, group_names, write_pool
from tests.selection.test_group_view import grouped
from tests.workflows.simulate.runs import run, summary

RECIPE = Recipe(prior_precision=1.0)
SURE_CHOICE = ["noise-stability", "badge", "egl", "bait", "uherding", "sparse-greedy"]
SURE_CHOICE += [f"{embedding}/kcenter" for embedding in ("grad", "noise", "delta", "samples")]
# These draw, or approximate the whole pool, so some of their picks are sure groups.
MIXED_CHOICE = ["sparse-iht", "acs-fw", "grad/fw", "samples/fw"]
MIXED_CHOICE += [f"{embedding}/kmeanspp" for embedding in ("grad", "noise", "delta", "samples")]


@pytest.fixture(scope="module")
def situation():
    """(the view under a head that knows 15 groups, the kind of each group)."""
    X_ND, y_N, groups_N, kind_G = dense()
    known = np.concatenate([np.flatnonzero(kind_G == kind)[:n] for kind, n in ((PURE, 6), (SPLIT, 6), (UNSURE, 3))])
    rows = np.flatnonzero(np.isin(groups_N, known))
    spec = replace(RECIPE.checked().spec(regression=False), seed=0)
    model = fit(Training(X_ND[rows], y_N[rows], np.ones(len(rows)), 3), spec)
    return grouped(groups_N, X_ND=X_ND, labelled=rows, head=model, labels=y_N[rows]), kind_G


@pytest.mark.parametrize(
    ("name", "share"), [(name, 0.85) for name in SURE_CHOICE] + [(name, 0.45) for name in MIXED_CHOICE]
)
def test_unsure_groups_are_picked(situation, name, share):
    view, kind_G = situation
    strategy = plugins.strategy(name)
    picked = [kind_G[select(strategy, view, 20, seed=seed, options={}).rows_K] for seed in range(3)]
    assert np.mean(kind_G[view.rows] == UNSURE) <= 0.2
    assert np.mean(np.concatenate(picked) == UNSURE) >= share


def test_mean_features_cannot_tell_split_from_unsure(situation):
    view, kind_G = situation
    # The norm of the deviation at the mean features, the largest of which noise-stability would take.
    mean_GC = np.exp(view._answers.model().log_probs(view.matrix("features")))
    picked = kind_G[view.rows[np.argsort(np.sort(mean_GC, axis=1)[:, -1])[:20]]]
    assert np.mean(picked == SPLIT) > 0.3


def test_simulate_gains_over_random(tmp_path, no_pictures):
    X_ND, y_N, groups_N, _ = dense()
    path = tmp_path / "pool.parquet"
    write_pool(
        path,
        X_ND,
        [f"r{i:04d}" for i in range(len(X_ND))],
        group=group_names(groups_N),
        label=[CLASSES[c] for c in y_N],
    )
    names = ["random", "noise-stability", "badge", "sparse-greedy", "bait", "uherding", "grad/kcenter"]
    out = tmp_path / "out"
    run(
        path,
        out,
        strategies=names,
        batch=6,
        rounds=4,
        initial=6,
        n_seeds=4,
        recipe=replace(RECIPE, calibrate="temperature"),
    )
    found = {row["strategy"]: row for row in summary(out)}
    final = {name: float(row["final"]) for name, row in found.items()}
    for name in names[1:]:
        assert float(found[name]["difference"]) > 0.0, name
        assert final[name] > final["random"] + 0.005, name
