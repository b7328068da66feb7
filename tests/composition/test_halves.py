"""Pairs of an embedding and a selector: what every pair promises, and which named strategies are pairs."""

import numpy as np
import pytest

from alcli import plugins
from alcli.composition import pairs as _pairs
from alcli.composition.halves import EMBED, composed
from alcli.errors import UsageError
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.diversity.kmeanspp import k_means_pp
from alcli.numerics.diversity.selectors import SELECTORS
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows
from alcli.selection.select import select
from alcli.strategies.badge import residuals
from tests.helpers import random_head, view_of

PAIRS = _pairs.names()
N, D, C, K = 120, 6, 4, 15
LABELLED = np.arange(0, N, 11)


def pool(n=N, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 5, (n, 1)) + 0.4 * rng.standard_normal((n, D))).astype(np.float32)


def picked(name, X_ND, k=K, seed=3, options=None, labelled=LABELLED, **rest):
    strategy = plugins.strategy(name)
    labels = X_ND[np.asarray(labelled, np.int64)].argmax(axis=1) % C
    head = random_head(D, C) if strategy.needs_head else None
    return select(
        strategy,
        view_of(X_ND, labelled=labelled, labels=labels, head=head, **rest),
        k,
        seed=seed,
        options=options or {},
    )


def same(one, other):
    return one.rows_K.tolist() == other.rows_K.tolist() and one.scores_K.tobytes() == other.scores_K.tobytes()


@pytest.mark.parametrize("name", PAIRS)
def test_every_pair_picks_distinct_candidates_the_same_every_time(name):
    candidates = np.setdiff1d(np.arange(0, N, 2), LABELLED)
    chosen = picked(name, pool(), candidates=candidates)
    assert len(set(chosen.rows_K.tolist())) == K
    assert set(chosen.rows_K.tolist()) <= set(candidates.tolist())
    assert np.isfinite(chosen.scores_K).all()
    assert chosen.scores_K.dtype == np.float32
    assert same(chosen, picked(name, pool(), candidates=candidates, block_rows=7))


@pytest.mark.parametrize("name", PAIRS)
def test_picks_follow_the_ids_when_rows_are_permuted(name):
    X_ND, order, ids = pool(), np.random.default_rng(1).permutation(N), np.arange(N) * 3 - 100
    straight = picked(name, X_ND, ids=ids)
    permuted = picked(name, X_ND[order], labelled=np.flatnonzero(np.isin(order, LABELLED)), ids=ids[order])
    assert ids[straight.rows_K].tolist() == ids[order][permuted.rows_K].tolist()


@pytest.mark.parametrize("name", PAIRS)
def test_any_batch_size_up_to_all_candidates(name):
    assert len(set(picked(name, pool()[:30], k=100, labelled=[]).rows_K.tolist())) == 30
    assert len(picked(name, pool()[:30], k=1, labelled=[0]).rows_K) == 1


@pytest.mark.parametrize("name", PAIRS)
def test_the_seed_matters_exactly_when_the_pair_draws(name):
    strategy = plugins.strategy(name)
    options = {"candidates": 60} if name.startswith("delta") else {}
    answers = {tuple(picked(name, pool(), seed=s, options=options).rows_K.tolist()) for s in range(4)}
    assert (len(answers) > 1) == (strategy.random or strategy.samples > 0)


@pytest.mark.parametrize(
    ("name", "pair", "options"),
    [
        ("coreset", "feature/kcenter", {}),
        ("kmeans", "feature/kmeans", {}),
        ("lcmd", "feature/lcmd", {}),
        ("kdpp", "feature/kdpp", {}),
        ("noise-stability", "noise/kcenter", {}),
        ("noise-stability", "noise/kmeanspp", {"selector": "kmeanspp"}),
        ("noise-stability", "noise/kdpp", {"selector": "kdpp"}),
        ("noise-stability", "noise/topnorm", {"selector": "topnorm"}),
        ("acs-fw", "samples/fw", {}),
        ("ntk", "delta/kmeanspp", {"acquisition": "mlmoc-sq", "diversify": "kmeanspp"}),
    ],
)
@pytest.mark.parametrize("labelled", [[], LABELLED])
def test_a_named_strategy_is_its_pair(name, pair, options, labelled):
    one, other = picked(name, pool(), options=options, labelled=labelled), picked(pair, pool(), labelled=labelled)
    assert one.rows_K.tolist() == other.rows_K.tolist()
    if name != "ntk":  # its first score is the acquisition
        assert one.scores_K.tobytes() == other.scores_K.tobytes()
    assert (one.weights_K is None) == (other.weights_K is None)


def test_the_pair_of_badge_draws_as_published():
    """badge itself counts the gradient 0 as drawn."""
    X_ND = pool(60)
    P = random_head(D, C).log_probs(X_ND).astype(np.float32)
    rows = Rows(Factor(residuals(P)), Factor(X_ND, offset=1.0))
    rng = np.random.default_rng(np.random.SeedSequence(0))
    expected, _ = k_means_pp(rows, K, int(rows.sq_norms.argmax()), rng)
    found = picked("grad/kmeanspp", X_ND, labelled=[], seed=0).rows_K.tolist()
    assert found == expected.tolist()
    assert found[0] == picked("badge", X_ND, labelled=[], seed=0).rows_K[0]
    assert found != picked("badge", X_ND, labelled=[], seed=0).rows_K.tolist()


def test_rows_without_a_gradient_count_as_covered_by_kcenter():
    X_ND = pool(60)
    P = random_head(D, C).log_probs(X_ND).astype(np.float32)
    rows = Rows(Factor(residuals(P)), Factor(X_ND, offset=1.0))
    expected, _ = k_center(rows, K, start_N=rows.sq_norms)
    assert picked("grad/kcenter", X_ND, labelled=[]).rows_K.tolist() == expected.tolist()


def test_probabilities_have_no_more_directions_than_classes_and_it_is_said():
    assert picked("prob/maxdet", pool()).notes == (
        f"the rows have rank {C}: beyond {C} picks, determinants are 0 and say nothing",
    )
    assert picked("prob/kdpp", pool()).notes[0].startswith(f"the rows have rank {C}")
    assert picked("prob/maxdet", pool(), k=C).notes == ()


def test_topnorm_takes_the_longest_rows():
    X_ND = pool()
    expected = np.argsort(-np.linalg.norm(X_ND.astype(np.float64), axis=1), kind="stable")[:K]
    assert picked("feature/topnorm", X_ND, labelled=[]).rows_K.tolist() == expected.tolist()


@pytest.mark.parametrize("pair", list(_pairs.REFUSED))
def test_a_senseless_pair_is_refused_naming_both_halves_and_why(pair):
    with pytest.raises(UsageError) as error:
        plugins.strategy("/".join(pair))
    assert f"embedding '{pair[0]}'" in str(error.value)
    assert f"selector '{pair[1]}'" in str(error.value)
    assert _pairs.REFUSED[pair][0] in str(error.value)
    assert error.value.hint


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("features/kcenter", "no embedding is named 'features'"),
        ("grad/kmean", "no selector is named 'kmean'"),
        ("/", "no embedding"),
        ("a/b/c", "no embedding is named 'a'"),
        ("grad/kmeans/x", "no selector is named 'kmeans/x'"),
    ],
)
def test_an_unknown_half_is_named(name, what):
    with pytest.raises(UsageError, match=what):
        plugins.strategy(name)


def test_tables_agree():
    assert set(EMBED) == set(_pairs.EMBEDDINGS)
    assert set(_pairs.SELECTORS) == {*SELECTORS, "fw"}
    assert {pair for pair in _pairs.REFUSED} <= {(e, s) for e in _pairs.EMBEDDINGS for s in _pairs.SELECTORS}
    assert len(PAIRS) == len(_pairs.EMBEDDINGS) * len(_pairs.SELECTORS) - len(_pairs.REFUSED)


@pytest.mark.parametrize("selector", ["kcenter", "lcmd"])
def test_probabilities_of_labelled_rows_are_centres(selector):
    X_ND, head = pool(), random_head(D, C)
    P_NC = np.exp(head.log_probs(X_ND))
    rest = np.setdiff1d(np.arange(len(X_ND)), LABELLED)
    gaps = np.linalg.norm(P_NC[rest][:, None] - P_NC[LABELLED], axis=2)
    if selector == "kcenter":
        expected = rest[gaps.min(axis=1).argmax()]
    else:
        largest = np.bincount(gaps.argmin(axis=1), gaps.min(axis=1) ** 2).argmax()
        expected = rest[np.where(gaps.argmin(axis=1) == largest, gaps.min(axis=1), -1.0).argmax()]
    assert picked(f"prob/{selector}", X_ND, k=1).rows_K.tolist() == [expected]
    assert "labelled" in composed(f"prob/{selector}").needs
    assert picked(f"prob/{selector}", X_ND, k=1, labelled=[]).rows_K.tolist() == [int((P_NC**2).sum(axis=1).argmax())]


def test_only_features_and_probabilities_need_the_labelled_rows_and_only_as_centres():
    assert "labelled" in composed("feature/kcenter").needs
    assert "labelled" in composed("feature/lcmd").needs
    assert composed("feature/kmeanspp").needs == ("features",)
    assert not composed("feature/kdpp").needs_head
    assert composed("prob/kmeans").needs_classes


def test_completion_knows_pairs():
    assert "grad/" in plugins.strategy_names("gr")
    assert plugins.strategy_names("grad/km") == ["grad/kmeanspp", "grad/kmeans"]
    assert "prob/topnorm" not in plugins.strategy_names("prob/")
    assert plugins.strategy_names("badg") == ["badge"]
