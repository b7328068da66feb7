"""Strategies made of others: prefilter, balance and mixes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli import parsing, plugins
from alcli.composition.modifiers import equal_shares, mixed, modified, quotas
from alcli.errors import UsageError
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.live.live import Live
from alcli.selection.group_source import Grouping, GroupSource
from alcli.selection.group_view import GroupedView
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.workflows.recipe import Recipe
from tests.helpers import random_head, view_of

N, D, C = 90, 5, 3
LABELLED = np.arange(0, N, 9)
BASES = ["margin", "random", "badge", "coreset", "bald", "bait", "typiclust", "grad/kcenter"]


def pool(seed=0):
    return np.random.default_rng(seed).standard_normal((N, D)).astype(np.float32)


def view(X=None, **rest):
    X = pool() if X is None else X
    return view_of(X, labelled=LABELLED, labels=np.zeros(len(LABELLED), int), head=random_head(D, C), **rest)


def pick(name, k, options, seed=3, **rest):
    strategy, own = modified(plugins.strategy(name), options)
    return select(strategy, view(**rest), k, seed=seed, options=own)


def margins(X):
    p = np.sort(np.exp(random_head(D, C).log_probs(X)), 1)
    return 1 - (p[:, -1] - p[:, -2])


@pytest.mark.parametrize("name", BASES)
def test_prefilter_is_the_strategy_on_the_most_uncertain_candidates(name):
    X = pool()
    candidates = np.setdiff1d(np.arange(N), LABELLED)
    kept = candidates[np.argsort(-margins(X)[candidates], kind="stable")[:24]]
    one = pick(name, 6, {"prefilter": 0.3})
    other = select(plugins.strategy(name), view(candidates=kept), 6, seed=3, options={})
    assert one.rows_K.tolist() == other.rows_K.tolist()
    assert one.scores_K.tobytes() == other.scores_K.tobytes()
    assert one.notes[-1] == "chose among the 24 of 80 candidates of smallest margin (prefilter=0.3)"


def test_prefilter_never_keeps_fewer_than_are_wanted():
    assert len(pick("coreset", 20, {"prefilter": 0.01}).rows_K) == 20


@pytest.mark.parametrize("name", BASES)
def test_balance_takes_predicted_classes_evenly_and_each_by_the_strategy(name):
    X = pool()
    chosen = pick(name, 9, {"balance": "predicted"})
    classes = random_head(D, C).log_probs(X).argmax(1)
    assert np.bincount(classes[chosen.rows_K], minlength=C).tolist() == [3, 3, 3]
    assert len(set(classes[chosen.rows_K[:3]])) == 3
    candidates = np.setdiff1d(np.arange(N), LABELLED)
    for c in range(C):
        own = select(
            plugins.strategy(name), view(candidates=candidates[classes[candidates] == c]), 3, seed=3, options={}
        )
        assert chosen.rows_K[classes[chosen.rows_K] == c].tolist() == own.rows_K.tolist()


def test_the_share_of_a_prefilter_is_not_rounded_up_by_the_last_bit():
    fifty = np.setdiff1d(np.arange(N), LABELLED)[:50]
    assert 0.14 * len(fifty) > 7
    assert (
        pick("coreset", 6, {"prefilter": 0.14}, candidates=fifty)
        .notes[-1]
        .startswith("chose among the 7 of 50 candidates")
    )


@pytest.mark.parametrize("k", [1, 2])
def test_balance_takes_classes_in_turn_where_there_are_fewer_rows_than_classes(k):
    strategy, own = modified(plugins.strategy("random"), {"balance": "predicted"})
    classes, labelled = random_head(D, C).log_probs(pool()).argmax(1), LABELLED.tolist()
    for _ in range(12 // k):
        now = view_of(pool(), labelled=labelled, labels=np.zeros(len(labelled), int), head=random_head(D, C))
        labelled += select(strategy, now, k, seed=3, options=own).rows_K.tolist()
    assert np.bincount(classes[labelled[len(LABELLED) :]], minlength=C).tolist() == [4, 4, 4]


def test_prefilter_comes_before_balance():
    X = pool()
    chosen = pick("random", 9, {"prefilter": 0.3, "balance": "predicted"})
    candidates = np.setdiff1d(np.arange(N), LABELLED)
    kept = candidates[np.argsort(-margins(X)[candidates], kind="stable")[:24]]
    assert set(chosen.rows_K.tolist()) <= set(kept.tolist())
    sizes = np.bincount(random_head(D, C).log_probs(X).argmax(1)[kept], minlength=C)
    assert (
        np.bincount(random_head(D, C).log_probs(X).argmax(1)[chosen.rows_K], minlength=C).tolist()
        == equal_shares(sizes, 9).tolist()
    )


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize(
    "options", [{"prefilter": 0.5}, {"balance": "predicted"}, {"prefilter": 0.5, "balance": "predicted"}]
)
def test_modified_strategies_keep_the_promises_of_strategies(name, options):
    strategy, own = modified(plugins.strategy(name), options)
    assert own == {}
    assert strategy.needs_head
    first, ids, order = pick(name, 11, options), np.arange(N) * 2 + 5, np.random.default_rng(1).permutation(N)
    assert len(set(first.rows_K.tolist())) == 11
    assert not np.isin(first.rows_K, LABELLED).any()
    assert first.rows_K.tolist() == pick(name, 11, options, block_rows=7).rows_K.tolist()
    straight = pick(name, 11, options, ids=ids)
    X = pool()
    permuted = select(
        strategy,
        view_of(
            X[order],
            labelled=np.flatnonzero(np.isin(order, LABELLED)),
            labels=np.zeros(10, int),
            head=random_head(D, C),
            ids=ids[order],
        ),
        11,
        seed=3,
        options={},
    )
    assert ids[straight.rows_K].tolist() == ids[order][permuted.rows_K].tolist()
    assert len(pick(name, 1000, options).rows_K) == N - len(LABELLED)


def test_options_of_the_strategy_itself_go_through():
    one = pick("bald", 5, {"prefilter": 0.5, "samples": 3})
    assert one.scores_K.tobytes() != pick("bald", 5, {"prefilter": 0.5, "samples": 30}).scores_K.tobytes()
    strategy, own = modified(plugins.strategy("margin"), {})
    assert strategy == plugins.strategy("margin")
    assert own == {}


def test_a_mix_is_its_parts_one_after_another():
    mix = plugins.strategy("margin:0.6,coreset:0.4")
    chosen = select(mix, view(), 10, seed=3, options={})
    first = select(plugins.strategy("margin"), view(), 6, seed=3, options={})
    left = np.setdiff1d(np.arange(N), np.append(LABELLED, first.rows_K))
    second = select(plugins.strategy("coreset"), view(candidates=left), 4, seed=3, options={})
    assert chosen.rows_K.tolist() == [*first.rows_K.tolist(), *second.rows_K.tolist()]
    assert chosen.notes == ("6 by margin, 4 by coreset; scores can be compared only within a part",)


def test_a_mix_needs_what_its_parts_need_and_knows_their_options():
    mix = plugins.strategy("random:0.5,bald:0.5")
    assert set(mix.needs) == {"row_key", "sample_log_probs"}
    assert mix.needs_posterior
    assert {"samples", "prefilter", "balance"} <= mix.options
    assert not plugins.strategy("random:0.5,coreset:0.5").needs_head
    parsed = parsing.parse_options(mix.declared, {"samples": "4", "prefilter": "0.5"}, "mix")
    strategy, own = modified(mix, parsed)
    chosen = select(strategy, view(), 8, seed=0, options=own)
    assert len(set(chosen.rows_K.tolist())) == 8


@pytest.mark.parametrize("name", ["auto:0.5,random:0.5", "tcm:0.5,probcover:0.5"])
def test_a_mix_begins_without_a_head_where_its_parts_do(name):
    mix, cold = plugins.strategy(name), view_of(pool())
    assert mix.needs_head
    assert mix.cold
    assert len(set(select(mix, cold, 8, seed=0, options={}).rows_K.tolist())) == 8
    assert not plugins.strategy("auto:0.5,margin:0.5").cold


def test_a_mix_goes_with_labels_that_are_numbers_where_its_parts_do():
    y = np.linspace(-1.0, 1.0, len(LABELLED))
    model = fit(
        Training(pool()[LABELLED].astype(np.float64), y, np.ones(len(y)), None),
        Recipe(prior_precision=1.0).checked().spec(regression=True),
    )
    now = view_of(pool(), labelled=LABELLED, head=model, labels=y)
    for first in ("badge", "auto"):
        mix = plugins.strategy(f"{first}:0.5,coreset:0.5")
        assert not mix.needs_classes
        assert "log_probs" not in mix.suited(True).needs
        mine = select(mix.suited(True), now, 8, seed=3, options={}).rows_K[:4]
        assert mine.tolist() == select(plugins.strategy(first), now, 4, seed=3, options={}).rows_K.tolist()
        live = Live(
            ArraySource(pool(), np.arange(N)),
            np.setdiff1d(np.arange(N), LABELLED),
            LABELLED,
            model,
            mix,
            seed=3,
            labels=y,
        )
        assert len(live.choose(3).rows_K) == 3
    assert plugins.strategy("badge:0.5,margin:0.5").needs_classes


def test_space_around_the_parts_of_a_mix_is_no_part_of_their_names():
    spaced, plain = (
        select(plugins.strategy(name), view(), 10, seed=3, options={})
        for name in ("margin:0.6, coreset:0.4", "margin:0.6,coreset:0.4")
    )
    assert spaced.rows_K.tolist() == plain.rows_K.tolist()


def test_a_mix_may_hold_pairs_and_one_row_at_a_time_follows_the_shares():
    assert len(select(plugins.strategy("grad/kcenter:0.5,margin:0.5"), view(), 4, seed=0, options={}).rows_K) == 4
    mix = plugins.strategy("margin:0.25,coreset:0.75")
    by_margin = sum("by margin" in select(mix, view(), 1, seed=s, options={}).notes[-1] for s in range(200))
    assert 30 <= by_margin <= 70


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("margin:0.5", "to 0.5"),
        ("margin:x,random:1", "got 'margin:x'"),
        ("margin:-1,random:2", "positive"),
        ("margin,random:1", "got 'margin'"),
        ("margn:0.5,random:0.5", "'margn'"),
        (":1", "got ':1'"),
        ("margin:nan", "positive"),
        ("prob/topnorm:1", "topnorm"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused(name, what):
    with pytest.raises(UsageError, match=what):
        mixed(name, plugins.strategy)


@pytest.mark.parametrize(
    ("name", "key", "text"),
    [
        ("margin", "prefilter", "0"),
        ("margin", "prefilter", "1.5"),
        ("margin", "prefilter", "nan"),
        ("margin", "balance", "true"),
        ("typiclust", "min-size", "-1"),
        ("tcm", "rounds", "-1"),
        ("cluster-margin", "eps", "0"),
        ("cluster-margin", "eps", "inf"),
        ("bait", "forward", "0.5"),
        ("acs-fw", "gamma-e", "inf"),
        ("sparse-iht", "beta-rel", "inf"),
    ],
)
def test_values_are_checked_before_data_is_read(name, key, text):
    with pytest.raises(UsageError, match=key):
        parsing.parse_options(plugins.strategy(name).declared, {key: text}, f"strategy '{name}'")


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8), st.integers(0, 60))
def test_equal_shares_are_as_equal_as_sizes_allow(sizes, k):
    k = min(k, sum(sizes))
    found = equal_shares(np.array(sizes), k)
    assert found.sum() == k
    assert (found <= sizes).all()
    assert (found >= 0).all()
    for i, size in enumerate(sizes):
        if found[i] < size:
            assert found[i] >= found.max() - 1


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6), st.integers(1, 100), st.floats(0, 0.999))
def test_quotas_are_shares_rounded_up_or_down(shares, k, draw):
    shares = np.array(shares) / sum(shares)
    found = quotas(shares, k, draw)
    assert found.sum() == k
    assert (np.abs(found - shares * k) < 1 + 1e-6).all()


@pytest.mark.parametrize("name", ["margin", "badge", "margin:0.5,coreset:0.5"])
def test_in_the_middle_of_a_loop_they_choose_what_they_would_on_the_pool_of_the_moment(name):
    data = Training(pool()[LABELLED].astype(np.float64), LABELLED // 9 % C, np.ones(len(LABELLED)), C)
    model = fit(data, Recipe(prior_precision=1.0).checked().spec(regression=False))
    strategy, own = modified(plugins.strategy(name), {"prefilter": 0.5, "balance": "predicted"})
    source, rest = ArraySource(pool(), np.arange(N)), np.setdiff1d(np.arange(N), LABELLED)
    live = Live(source, rest, LABELLED, model, strategy, seed=3, options=own)
    for row in (1, 2, 40):
        live.tell(row, row % C)
        model = model.update(Training(pool()[[row]].astype(np.float64), np.array([row % C]), np.ones(1), C))
    now = view_of(pool(), labelled=[*LABELLED, 1, 2, 40], head=model)
    assert live.choose(7).rows_K.tolist() == select(strategy, now, 7, seed=3, options=own).rows_K.tolist()


def test_modifiers_choose_among_groups():
    X = pool()
    group_N = np.arange(N) // 3
    source = ArraySource(X, np.random.default_rng(5).permutation(N))  # rows in another order than their ids
    keys = source.row_keys(np.arange(N))[::3]
    groups = GroupSource(source, Grouping(group_N, np.arange(N // 3), keys))
    for name, options in [
        ("margin", {"prefilter": 0.5}),
        ("coreset", {"balance": "predicted"}),
        ("badge", {"prefilter": 0.4, "balance": "predicted"}),
    ]:
        grouped = GroupedView(groups, np.arange(2, N // 3), np.arange(6), random_head(D, C), labels=np.zeros(6, int))
        strategy, own = modified(plugins.strategy(name), options)
        chosen = select(strategy, grouped, 6, seed=0, options=own)
        assert len(set(chosen.rows_K.tolist())) == 6
        assert chosen.rows_K.min() >= 2


def weighted(name):
    return select(plugins.strategy(name), view(), 10, seed=3, options={})


def test_a_mix_keeps_weights_where_every_part_gives_them():
    mix = weighted("sparse-greedy:0.6,acs-fw:0.4")
    first = select(plugins.strategy("sparse-greedy"), view(), 6, seed=3, options={})
    left = np.setdiff1d(np.arange(N), np.append(LABELLED, first.rows_K))
    second = select(plugins.strategy("acs-fw"), view(candidates=left), 4, seed=3, options={})
    assert mix.weights_K.tolist() == [*first.weights_K.tolist(), *second.weights_K.tolist()]
    assert mix.notes[-1] == "6 by sparse-greedy, 4 by acs-fw; scores and weights can be compared only within a part"


@pytest.mark.parametrize("name", ["sparse-greedy:0.6,random:0.4", "random:0.4,sparse-greedy:0.6"])
def test_a_mix_without_weights_for_every_row_has_none_and_says_so(name):
    mix = weighted(name)
    assert mix.weights_K is None
    assert "weights of sparse-greedy are left out: the rest of the batch has no weights" in mix.notes
    assert mix.notes[-1].endswith("; scores can be compared only within a part")


def test_a_part_that_found_nothing_left_takes_no_weights_away():
    few = view(candidates=[1, 2, 3])
    mix = select(plugins.strategy("sparse-greedy:0.99,random:0.01"), few, 3, seed=3, options={})
    assert len(mix.weights_K) == 3


def test_records_of_parts_stand_under_their_names():
    mix = weighted("sparse-greedy:0.6,uherding:0.4")
    parts = {
        name: select(plugins.strategy(name), view(), 6, seed=3, options={}).record
        for name in ("sparse-greedy", "uherding")
    }
    assert set(mix.record) == {f"{name}.{key}" for name, record in parts.items() for key in record}
    assert mix.record["sparse-greedy.alpha"] == parts["sparse-greedy"]["alpha"]


def test_weights_follow_their_rows_when_classes_are_taken_in_turn():
    chosen = pick("sparse-greedy", 9, {"balance": "predicted"})
    classes = random_head(D, C).log_probs(pool()).argmax(1)
    candidates = np.setdiff1d(np.arange(N), LABELLED)
    for c in range(C):
        own = select(
            plugins.strategy("sparse-greedy"),
            view(candidates=candidates[classes[candidates] == c]),
            3,
            seed=3,
            options={},
        )
        mine = classes[chosen.rows_K] == c
        assert chosen.weights_K[mine].tolist() == own.weights_K.tolist()
        assert chosen.record[f"class-{c}.alpha"] == own.record["alpha"]
    assert "scores and weights can be compared only within a class" in chosen.notes[-1]
