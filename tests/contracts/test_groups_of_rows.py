"""Groups of rows: a strategy that looks at predictions reads the rows of each group, or says that it does not."""

from __future__ import annotations

import numpy as np
import pytest

from alcli import described, plugins
from alcli.numerics.network import Network
from alcli.selection.group_view import GroupedView
from alcli.selection.select import select
from alcli.strategies.ent_gradnorm import norms
from tests.helpers import view_of
from tests.selection.test_group_view import GROUPS, HEAD, LABELLED, X, grouped, labels_for

NAMES = plugins.names("strategies")
LOOKING = [
    name
    for name in NAMES
    if plugins.strategy(name).needs_head and not plugins.strategy(name).pointwise and not plugins.strategy(name).audits
    if name not in ("auto", "probcover")
]
# Otherwise it picks by features alone, while there are few labels.
OPTIONS = {"tcm": {"rounds": 0}}
SAID = "looks at the mean row of each group"


def labels():
    return labels_for(LABELLED)


@pytest.mark.parametrize("name", LOOKING)
def test_a_strategy_looks_at_the_rows_of_groups_or_says_that_it_looks_at_means(name, monkeypatch):
    looked, parts = [], GroupedView.parts

    def recorded(view):
        looked.append(name)
        return parts(view)

    monkeypatch.setattr(GroupedView, "parts", recorded)
    strategy, view = plugins.strategy(name), grouped(labels=labels())
    found = select(strategy, view, 5, seed=0, options=OPTIONS.get(name, {}))
    if strategy.of_means:
        assert [note for note in found.notes if SAID in note] == [
            f"{name} {SAID}: its mean features and mean probabilities"
        ]
        assert described.OF_MEANS in described.described(name).paragraphs
    else:
        assert looked
        assert not [note for note in found.notes if note.startswith(f"{name} {SAID}")]


@pytest.mark.parametrize("name", [name for name in LOOKING if plugins.strategy(name).of_means])
def test_groups_of_one_row_and_rows_are_no_matter_for_a_remark(name):
    strategy = plugins.strategy(name)
    single = grouped(np.arange(len(X)), labels=labels())
    rows = view_of(X, labelled=LABELLED, head=HEAD, labels=labels())
    for view in (single, rows):
        assert not [note for note in select(strategy, view, 5, seed=0, options={}).notes if SAID in note]


@pytest.mark.parametrize("fallback", ["none", "entropy"])
@pytest.mark.parametrize("name", ["ent-gradnorm", "lplgrad"])
def test_the_gradient_of_the_entropy_of_a_group_is_the_mean_over_its_rows(name, fallback):
    view = grouped(labels=labels())
    found = select(plugins.strategy(name), view, 6, seed=0, options={"fallback": fallback})
    network = Network(HEAD.layers, HEAD.activation, HEAD.W_CD1)
    lengths, entropies = norms(network, X, "fro")
    open_groups = np.setdiff1d(np.unique(GROUPS), np.unique(GROUPS[LABELLED]))
    means = {int(g): (lengths[g == GROUPS].mean(), entropies[g == GROUPS].mean()) for g in open_groups}
    by_entropy = fallback == "entropy" and any("took the highest entropies" in note for note in found.notes)
    best = sorted(means, key=lambda g: -np.float32(means[g][by_entropy]))[:6]
    assert found.rows_K.tolist() == best
    np.testing.assert_allclose(found.scores_K, [means[g][by_entropy] for g in best], rtol=1e-5)


def test_a_part_of_the_groups_is_drawn_whole():
    found = select(plugins.strategy("ent-gradnorm"), grouped(labels=labels()), 3, seed=0, options={"candidates": 4})
    assert any("looked at 4 random candidates" in note for note in found.notes)
    assert len(set(found.rows_K.tolist())) == 3
