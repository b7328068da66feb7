"""What every strategy promises, asked of all that are found in the folder."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from alcli import parsing, plugins
from alcli.numerics.blocks import thread_limit
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from tests.helpers import TableHead, brief, random_head, view_of

NAMES = plugins.names("strategies")
HEAD_SAYS = {
    "predicted_loss",
    "hidden",
    "hidden_sq_norm",
    "logits",
    "log_probs",
    "trained_log_probs",
    "predictive",
    "logit_variance",
    "sample_log_probs",
}
ALL_NEEDS = HEAD_SAYS | {
    "features",
    "row_key",
    "sq_norm",
    "labelled_distance",
    "labelled",
    "labelled_targets",
    "targets",
    "network",
}
N, D, C, K = 230, 6, 4, 25
LABELLED = np.arange(0, 230, 19)


@pytest.fixture(params=NAMES)
def strategy(request):
    return strategy_of(plugins.load("strategies", request.param))


def pool(seed=0, n=N):
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 5, (n, 1)) + 0.4 * rng.standard_normal((n, D))).astype(np.float32)


def head_for(strategy, D=D):
    return random_head(D, C) if strategy.needs_head else None


def labels_of(X_ND, labelled=()):
    """Some class for every labelled row, which follows from its features."""
    return X_ND[np.asarray(labelled, np.int64)].argmax(axis=1) % C


def picked(strategy, X_ND, k=K, seed=7, options=None, **view_options):
    labels = labels_of(X_ND, view_options.get("labelled", ()))
    view = view_of(X_ND, head=head_for(strategy, X_ND.shape[1]), labels=labels, **view_options)
    return select(strategy, view, k, seed=seed, options=brief(strategy.name) | (options or {}))


def same(one, other):
    return one.rows_K.tolist() == other.rows_K.tolist() and one.scores_K.tobytes() == other.scores_K.tobytes()


def test_picks_are_distinct_candidates_with_finite_float32_scores(strategy):
    candidates = np.setdiff1d(np.arange(0, N, 2), LABELLED)
    chosen = picked(strategy, pool(), labelled=LABELLED, candidates=candidates)
    assert chosen.rows_K.dtype == np.int64
    assert chosen.scores_K.dtype == np.float32
    assert len(chosen.rows_K) == len(chosen.scores_K) == len(set(chosen.rows_K.tolist())) == K
    assert set(chosen.rows_K.tolist()) <= set(candidates.tolist())
    assert np.isfinite(chosen.scores_K).all()


def test_the_same_seed_gives_the_same_answer(strategy):
    assert same(picked(strategy, pool(), labelled=LABELLED), picked(strategy, pool(), labelled=LABELLED))


def test_the_seed_matters_exactly_when_the_strategy_is_declared_random(strategy):
    few = (
        {"candidates": N // 2} if "candidates" in parsing.options_of(strategy.run) else {}
    )  # some draw only where there are many
    few |= {"form": "bayesian"} if "form" in parsing.options_of(strategy.run) else {}
    answers = {
        tuple(picked(strategy, pool(), labelled=LABELLED, seed=s, options=few).rows_K.tolist()) for s in range(5)
    }
    assert (len(answers) > 1) == (strategy.random or strategy.samples > 0)


@pytest.mark.parametrize("block_rows", [1, 7, 64])
def test_block_size_does_not_matter(strategy, block_rows):
    whole = picked(strategy, pool(), labelled=LABELLED)
    assert same(whole, picked(strategy, pool(), labelled=LABELLED, block_rows=block_rows))


def test_the_number_of_threads_does_not_matter(strategy):
    X_ND = pool(n=5000)
    with thread_limit(1):
        one = picked(strategy, X_ND, labelled=LABELLED)
    with thread_limit(2):
        assert same(one, picked(strategy, X_ND, labelled=LABELLED))


@pytest.mark.parametrize("kind", ["int", "str"])
def test_picks_follow_the_ids_when_rows_are_permuted(strategy, kind):
    X_ND, order = pool(), np.random.default_rng(1).permutation(N)
    ids = np.arange(N) * 3 - 100 if kind == "int" else np.array([f"item-{i}" for i in range(N)], object)
    straight = picked(strategy, X_ND, labelled=LABELLED, ids=ids)
    permuted = picked(strategy, X_ND[order], labelled=np.flatnonzero(np.isin(order, LABELLED)), ids=ids[order])
    assert ids[straight.rows_K].tolist() == ids[order][permuted.rows_K].tolist()
    assert straight.scores_K.tobytes() == permuted.scores_K.tobytes()


@pytest.mark.parametrize(("asked", "given"), [(1, 1), (40, 40), (41, 40), (1000, 40), (0, 0)])
def test_any_batch_size_up_to_all_candidates(strategy, asked, given):
    chosen = picked(strategy, pool()[:40], k=asked)
    assert len(set(chosen.rows_K.tolist())) == len(chosen.rows_K) == len(chosen.scores_K) == given


def test_a_single_candidate_is_picked(strategy):
    assert picked(strategy, pool()[:5], k=3, labelled=[0, 1, 3, 4]).rows_K.tolist() == [2]


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1])
@pytest.mark.parametrize("labelled", [[], [3, 4]])
def test_identical_rows_are_picked_in_the_order_of_their_ids_unless_drawn(strategy, value, labelled):
    ids = np.array([f"id{i}" for i in range(60)][::-1], object)
    chosen = picked(strategy, np.full((60, D), value, np.float32), k=20, ids=ids, labelled=labelled)
    names = ids[chosen.rows_K].tolist()
    assert len(set(names)) == 20
    if strategy.ties_drawn:
        others = [
            picked(strategy, np.full((60, D), value, np.float32), k=20, ids=ids, labelled=labelled, seed=seed)
            for seed in (1, 2)
        ]
        assert len({frozenset(ids[one.rows_K]) for one in (chosen, *others)}) == 3
    elif not strategy.random:
        assert names == sorted(np.delete(ids, labelled).tolist())[:20]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_float_type_of_features(strategy, dtype):
    X_ND = pool().astype(dtype)
    chosen = picked(strategy, X_ND if dtype == np.float64 else X_ND.astype(np.float32), labelled=LABELLED)
    assert len(set(chosen.rows_K.tolist())) == K


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_norms_give_finite_scores(strategy, scale, dtype):
    X_ND = pool().astype(dtype) * dtype(scale)
    X_ND[5] = 0.0
    X_ND[6] = pool()[6]
    with np.errstate(all="raise", under="ignore"):
        chosen = select(
            strategy,
            view_of(X_ND, labelled=LABELLED, labels=labels_of(X_ND, LABELLED), head=_tamed(strategy, scale)),
            K,
            seed=0,
            options=brief(strategy.name),
        )
    assert np.isfinite(chosen.scores_K).all()
    assert len(set(chosen.rows_K.tolist())) == K


def _tamed(strategy, scale):
    """A head whose weights undo the scale: the features are hostile, not the logits."""
    return TableHead(random_head(D, C).W_CD / scale, spread=0.5 / scale) if strategy.needs_head else None


def test_a_single_column_and_many_columns(strategy):
    for width in (1, 300):
        X_ND = np.random.default_rng(0).standard_normal((50, width)).astype(np.float32)
        assert len(set(picked(strategy, X_ND, k=20).rows_K.tolist())) == 20


def test_without_labels_it_still_selects_when_it_needs_no_head(strategy):
    assert len(set(picked(strategy, pool()).rows_K.tolist())) == K


def test_inputs_are_not_modified(strategy):
    X_ND, labelled = pool(), LABELLED.copy()
    candidates = np.setdiff1d(np.arange(N), labelled)[::-1].copy()
    before = X_ND.copy(), labelled.copy(), candidates.copy()
    X_ND.setflags(write=False)
    picked(strategy, X_ND, labelled=labelled, candidates=candidates)
    for now, then in zip((X_ND, labelled, candidates), before, strict=True):
        assert np.array_equal(now, then)


def test_reading_what_was_not_declared_raises(strategy):
    view = view_of(pool(), labelled=LABELLED, head=random_head(D, C)).restricted_to(strategy.needs)
    readers = {name: getattr(view, name) for name in ("labelled", "labelled_targets", "network")} | {
        "targets": lambda: view.targets(3, np.random.default_rng(0))
    }
    for need in ALL_NEEDS.difference(strategy.needs):
        with pytest.raises(LookupError, match=need):
            readers.get(need, lambda need=need: view.matrix(need))()
        if need not in readers:
            with pytest.raises(LookupError, match=need):
                next(iter(view.blocks(need)))


def test_needs_are_known_and_declared_in_the_source(strategy):
    assert set(strategy.needs) <= ALL_NEEDS
    summary = plugins.summary("strategies", strategy.run.__name__.replace("_", "-"))
    assert summary.needs == strategy.needs


def test_docstring_says_source_cost_and_passes(strategy):
    summary = plugins.summary("strategies", strategy.run.__name__.replace("_", "-"))
    assert summary.line.endswith(".")
    assert len(summary.line) > 20
    assert all(summary.sections.get(section) for section in ("Source", "Cost", "Passes"))
    assert strategy.run.__doc__


def test_the_summary_fits_a_line_of_the_list_and_is_its_own(strategy):
    lines = [plugins.summary("strategies", name).line for name in NAMES]
    line = plugins.summary("strategies", strategy.run.__name__.replace("_", "-")).line
    assert len(line) <= 62
    assert line.isascii()
    assert lines.count(line) == 1


def test_the_docstring_explains_each_option_of_the_signature_and_no_other(strategy):
    doc = inspect.getdoc(inspect.getmodule(strategy.run))
    section = doc.partition("\nOptions:\n")[2]
    explained = re.findall(r"^    ([a-z-]+): .{10,}", section, flags=re.MULTILINE)
    assert explained == list(parsing.options_of(strategy.run))


def test_no_option_has_the_name_of_a_common_option(strategy):
    """A common option of the same name would be the one that the command line parses."""
    common = set(parsing.options_of(*(function for function in strategy.declared if function is not strategy.run)))
    ours = {"impute", "cost-col", "targets"}
    assert not set(parsing.options_of(strategy.run)) & (common | ours)


def test_a_test_file_of_the_same_name_exists(strategy):
    assert (Path(__file__).parents[1] / "strategies" / f"test_{strategy.run.__name__}.py").is_file()


def test_options_have_defaults_and_types_that_the_command_line_can_read(strategy):
    name = strategy.run.__name__
    needs = {*strategy.needs, *(need for _, more in strategy.needs_with for need in more)}
    assert ("sample_log_probs" in needs) == (strategy.samples > 0)
    for key, parameter in parsing.options_of(strategy.run).items():
        assert parameter.default is not inspect.Parameter.empty, f"{name}: {key} has no default"
        text = (
            str(parameter.default).lower()
            if parameter.default is None or isinstance(parameter.default, bool)
            else str(parameter.default)
        )
        assert parsing.parse_options(strategy.run, {key: text}, name) == {parameter.name: parameter.default}
