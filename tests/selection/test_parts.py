"""The rows of candidates: against sums over the rows of each group that are written out in float64."""

import numpy as np
import pytest

from alcli import plugins
from alcli.composition.pairs import names
from alcli.numerics.diversity.herding import max_herding
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.diversity.kmeanspp import k_means_pp
from alcli.numerics.diversity.selectors import SELECTORS
from alcli.numerics.factors import Factor
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.numerics.rows import Rows
from alcli.numerics.rows import unit_rows as unit_features
from alcli.selection.parts import Parts
from alcli.selection.select import select
from alcli.strategies.acs_fw import coreset, expected_log_likelihood
from alcli.strategies.badge import residuals
from alcli.strategies.bait import weights
from alcli.strategies.margin import margin
from alcli.strategies.ntk import change_rows
from tests.dense_sparse import Dense, dense_greedy, dense_iht, written_out
from tests.evidence import prior_of
from tests.helpers import random_head, view_of
from tests.selection.test_group_view import grouped, labels_for

K = 6
# (features, classes): the sums of the second take more numbers than their factors, and stay factors.
SHAPES = [(3, 3), (30, 6)]


def problem(D, C, N=120, G=25, seed=0):
    """(X_ND, groups_N, labelled, head): ragged groups that lie scattered; two of them are labelled in part."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, G, N)
    groups[:G] = np.arange(G)
    labelled = np.flatnonzero(np.isin(groups, [3, 11]))[:-1]
    X = rng.standard_normal((N, D)) + 2.0 * rng.standard_normal((4, D))[groups % 4]
    return X, groups, labelled, random_head(D, C, scale=1.0 / np.sqrt(D), temperature=2.0)


def left(groups):
    return np.setdiff1d(np.arange(groups.max() + 1), [3, 11])


def sums(values_N, groups):
    """The sum of values over the rows of each candidate, [n, ...]."""
    return np.array([values_N[groups == g].sum(axis=0) for g in left(groups)])


def chosen_of(name, D, C, k=K, seed=3, **options):
    X, groups, labelled, head = problem(D, C)
    view = grouped(groups, X_ND=X, labelled=labelled, head=head, labels=labels_for(labelled))
    return select(plugins.strategy(name), view, k, seed=seed, options=options)


def plain(E):
    return Rows(Factor(np.ascontiguousarray(E.reshape(len(E), -1))))


def agrees(chosen, groups, picks, scores):
    assert chosen.rows_K.tolist() == left(groups)[picks].tolist()
    assert np.allclose(chosen.scores_K, scores, rtol=1e-4, atol=1e-6 * np.abs(scores).max())


def with_one(X):
    return np.hstack([X, np.ones((len(X), 1))])


def gradients(X, head):
    return np.einsum("nc,nd->ncd", residuals(head.log_probs(X)), with_one(X))


def generator(seed=3):
    return np.random.default_rng(np.random.SeedSequence(seed))


def test_rows_come_group_by_group_in_the_order_of_ids():
    X, groups, labelled, head = problem(3, 3)
    ids = np.random.default_rng(4).permutation(len(X))
    parts = Parts.of(grouped(groups, X_ND=X, ids=ids, labelled=labelled, head=head))
    expected = [r for g in left(groups) for r in sorted(np.flatnonzero(groups == g), key=lambda r: ids[r])]
    assert parts.view.rows.tolist() == expected
    assert np.array_equal(parts.view.matrix("features"), X[expected])
    assert parts.sizes_N.tolist() == [int((groups == g).sum()) for g in left(groups)]
    assert np.allclose(parts.sums(X[expected]), sums(X, groups))
    assert np.allclose(parts.view.reduced(lambda X_BD: X_BD, "features"), X[expected])
    fewer = Parts.of(grouped(groups, X_ND=X, labelled=labelled, head=head).among(np.array([20, 5])))
    assert fewer.view.rows.tolist() == [*np.flatnonzero(groups == 5), *np.flatnonzero(groups == 20)]


def test_the_rows_of_rows_are_the_rows():
    view = view_of(problem(3, 3)[0])
    parts = Parts.of(view)
    assert parts.view is view
    assert parts.single
    values = np.arange(120.0)
    assert parts.sums(values) is values


def test_a_need_that_is_not_declared_is_refused_for_the_rows_too():
    X, groups, labelled, head = problem(3, 3)
    view = grouped(groups, X_ND=X, labelled=labelled, head=head).restricted_to(("hidden",))
    assert Parts.of(view).view.matrix("hidden").shape == (len(X) - int(np.isin(groups, [3, 11]).sum()), 3)
    with pytest.raises(LookupError, match="read 'log_probs' but declares only"):
        Parts.of(view).view.matrix("log_probs")


def test_hidden_keeps_the_dtype_of_the_features():
    X, groups, labelled, head = problem(3, 3)
    for dtype in (np.float32, np.float64):
        view = grouped(groups, X_ND=X.astype(dtype), labelled=labelled, head=head)
        assert view.matrix("hidden").dtype == view.matrix("features").dtype == dtype
        assert np.allclose(view.matrix("hidden"), view.matrix("features"))


def test_sums_in_few_rows_at_a_time_are_the_same(monkeypatch):
    X, groups, labelled, head = problem(3, 3)
    parts = Parts.of(grouped(groups, X_ND=X, labelled=labelled, head=head))
    X_RD = parts.view.matrix("features")
    whole = parts.sums_of(np.square, X_RD)
    monkeypatch.setattr("alcli.selection.parts.PART_ROWS", 10)
    assert np.array_equal(parts.sums_of(np.square, X_RD), whole)
    assert np.allclose(whole, sums(X**2, groups))


@pytest.mark.parametrize(("D", "C"), SHAPES)
def test_badge_draws_by_the_gradients_of_groups(D, C):
    X, groups, _, head = problem(D, C)
    rows = plain(sums(gradients(X, head), groups))
    picks, distances = k_means_pp(rows, K, int(rows.sq_norms.argmax()), generator(), from_zero=True)
    agrees(chosen_of("badge", D, C), groups, picks, distances)


@pytest.mark.parametrize("selector", ["kcenter", "kmeanspp", "lcmd", "maxdet", "topnorm"])
@pytest.mark.parametrize(("D", "C"), SHAPES)
def test_grad_pairs_choose_among_the_gradients_of_groups(D, C, selector):
    X, groups, _, head = problem(D, C)
    rows = plain(sums(gradients(X, head), groups))
    if selector == "kcenter":
        picks, scores = k_center(rows, K, start_N=rows.sq_norms)
    else:
        picks, scores = SELECTORS[selector](rows, K, generator())
    agrees(chosen_of(f"grad/{selector}", D, C), groups, picks, scores)


@pytest.mark.parametrize(("D", "C"), SHAPES)
def test_grad_fw_is_the_coreset_of_the_gradients_of_groups(D, C):
    X, groups, _, head = problem(D, C)
    G = sums(gradients(X, head), groups)
    picks, scores, w, _, _ = coreset(GradientRows(G.reshape(len(G), -1)), K)
    chosen = chosen_of("grad/fw", D, C)
    agrees(chosen, groups, picks, scores)
    assert np.allclose(chosen.weights_K, w, rtol=1e-4)


def jacobians(X, head):
    p = np.exp(head.log_probs(X))
    A = np.einsum("nc,ck->nck", p, np.eye(p.shape[1])) - p[:, :, None] * p[:, None]
    return np.einsum("nck,nd->nckd", A, X).reshape(len(X), -1)


@pytest.mark.parametrize("name", ["noise-stability", "noise/kcenter"])
@pytest.mark.parametrize(("D", "C"), SHAPES)
def test_noise_stability_is_k_centre_on_the_jacobians_of_groups(D, C, name):
    X, groups, labelled, _ = problem(D, C)
    head = random_head(D, C, scale=1.0 / np.sqrt(D))
    rows = plain(sums(jacobians(X, head), groups))
    picks, scores = k_center(rows, K, start_N=rows.sq_norms)
    view = grouped(groups, X_ND=X, labelled=labelled, head=head)
    agrees(select(plugins.strategy(name), view, K, seed=3, options={}), groups, picks, scores)


def test_sampled_deviations_of_a_group_are_sums_over_its_rows():
    X, groups, labelled, _ = problem(3, 3)
    head = random_head(3, 3)
    lengths = np.linalg.norm(sums(jacobians(X, head), groups), axis=1)
    options = {"estimator": "sampled", "samples": 20_000, "selector": "topnorm", "zeta": 1e-4}
    view = grouped(groups, X_ND=X, labelled=labelled, head=head)
    chosen = select(plugins.strategy("noise-stability"), view, len(lengths), seed=0, options=options)
    found = dict(zip(chosen.rows_K.tolist(), chosen.scores_K.tolist()))
    assert np.allclose([found[g] for g in left(groups)], lengths, rtol=0.05)


def test_norm_output_divides_by_the_norm_of_the_outputs_side_by_side():
    X, groups, labelled, _ = problem(3, 3)
    head = random_head(3, 3)
    outputs = np.exp(head.log_probs(X))
    rows = sums(jacobians(X, head), groups) / np.sqrt(sums((outputs**2).sum(1), groups))[:, None]
    picks, scores = k_center(plain(rows), K, start_N=plain(rows).sq_norms)
    view = grouped(groups, X_ND=X, labelled=labelled, head=head)
    chosen = select(plugins.strategy("noise-stability"), view, K, seed=3, options={"norm_output": True})
    agrees(chosen, groups, picks, scores)


@pytest.mark.parametrize("label_dist", ["temp", "pseudo"])
@pytest.mark.parametrize(("D", "C"), SHAPES)
def test_sparse_strategies_approximate_the_mean_gradient_of_groups(D, C, label_dist):
    X, groups, _, head = problem(D, C)
    p, calibrated = np.exp(head.trained_log_probs(X)), np.exp(head.log_probs(X))
    G, spread = written_out(X, p, {"temp": calibrated, "pseudo": np.eye(C)[p.argmax(1)]}[label_dist])
    sigma = np.sqrt(sums(spread**2, groups)) / len(left(groups))
    dense = Dense(sums(G, groups).reshape(len(sigma), -1), sigma, K, 0.5, 0.01)
    S, w, _ = dense_greedy(dense, K)
    options = {"label_dist": label_dist, "alpha": 0.5, "beta": 0.01}
    chosen = chosen_of("sparse-greedy", D, C, **options)
    assert chosen.rows_K.tolist() == left(groups)[S].tolist()
    assert np.allclose(chosen.weights_K, np.maximum(w / w.mean(), 0.01), rtol=0.02)
    found = chosen_of("sparse-iht", D, C, **options, iterations=20, tol=0.0)
    _, S, _ = dense_iht(dense, K, 20)
    assert sorted(found.rows_K.tolist()) == sorted(left(groups)[S].tolist())


def likelihoods(X, groups, head, samples=100, seed=3):
    draws = head.draw(samples, seed=seed)
    return sums(expected_log_likelihood(head.sample_log_probs(X, draws), centre=True, gamma_e=0.0), groups)


@pytest.mark.parametrize("name", ["acs-fw", "samples/fw"])
def test_likelihoods_of_a_group_are_sums_over_its_rows(name):
    X, groups, _, head = problem(3, 3)
    picks, scores, w, _, _ = coreset(GradientRows(likelihoods(X, groups, head)), K)
    chosen = chosen_of(name, 3, 3)
    agrees(chosen, groups, picks, scores)
    assert np.allclose(chosen.weights_K, w, rtol=1e-4)


def test_samples_pairs_choose_among_the_likelihoods_of_groups():
    X, groups, _, head = problem(3, 3)
    rows = plain(likelihoods(X, groups, head))
    picks, scores = k_center(rows, K, start_N=rows.sq_norms)
    agrees(chosen_of("samples/kcenter", 3, 3), groups, picks, scores)


@pytest.mark.parametrize("candidates", ["auto", 12])
def test_delta_pairs_choose_among_the_changes_by_groups(candidates):
    X, groups, labelled, head = problem(3, 3)
    of_rows = np.flatnonzero(np.isin(groups, left(groups)))
    rows_view = view_of(X, candidates=of_rows, labelled=labelled, labels=labels_for(labelled), head=head)
    _, each, _ = change_rows(rows_view, 1, str(len(of_rows)), generator())
    changes = np.zeros((len(X), int(each.width)))
    changes[of_rows] = each.written_out(0, each.n) * each.scale
    chosen = chosen_of("delta/topnorm", 3, 3, k=12, candidates=candidates)
    lengths = dict(zip(left(groups), np.linalg.norm(sums(changes, groups), axis=1)))
    if candidates == "auto":
        assert chosen.rows_K.tolist() == sorted(lengths, key=lambda g: -lengths[g])[:12]
        assert np.allclose(chosen.scores_K, [lengths[g] for g in chosen.rows_K], rtol=1e-4)
    else:
        assert chosen.notes == ("looked at 12 random candidates, not at all of them (-p candidates)",)
        assert len(set(chosen.rows_K.tolist())) == 12


def information(X, head, full):
    """The information of each row, [N, P, P]."""
    p, C = np.exp(head.log_probs(X)), len(head.W_CD)
    outer = np.einsum("nd,ne->nde", with_one(X), with_one(X))
    if not full:
        return weights(np.log(p), "top", 5)[:, None, None] * outer
    A = np.einsum("nc,ck->nck", p, np.eye(C)) - p[:, :, None] * p[:, None]
    return np.einsum("nck,nde->ncdke", A, outer).reshape(len(X), C * outer.shape[1], -1)


@pytest.mark.parametrize("full", [False, True])
def test_bait_adds_the_information_of_every_row_of_a_group(full):
    X, groups, labelled, head = problem(3, 3)
    each = information(X, head, full)
    of_groups, of_labelled = sums(each, groups), each[labelled].sum(0)
    of_rows = each[np.isin(groups, left(groups))]
    F = (of_rows.sum(0) + of_labelled) / (len(of_rows) + len(labelled))
    M = of_labelled + np.diag(np.resize(prior_of(1.0, 4), len(F)))
    picks, gains = [], []
    for _ in range(4):
        fall = np.array([np.trace(np.linalg.inv(M) @ F - np.linalg.inv(M + one) @ F) for one in of_groups])
        fall[picks] = -np.inf
        picks.append(int(fall.argmax()))
        gains.append(fall.max())
        M = M + of_groups[picks[-1]]
    chosen = chosen_of("bait", 3, 3, k=4, likelihood="full" if full else "binary", forward=1.0)
    agrees(chosen, groups, picks, np.array(gains))
    assert chosen.notes == ()


def test_bait_judges_large_groups_by_their_rows_of_most_information(monkeypatch):
    monkeypatch.setattr("alcli.strategies.bait._MOST_COLUMNS", 2)
    X, groups, labelled, head = problem(3, 3)
    each = information(X, head, False)
    sizes = np.einsum("npp->n", each) / (with_one(X) ** 2).sum(1)
    best = {g: np.flatnonzero(groups == g)[np.argsort(-sizes[groups == g], kind="stable")[:2]] for g in left(groups)}
    of_labelled = each[labelled].sum(0)
    of_rows = each[np.isin(groups, left(groups))]
    F = (of_rows.sum(0) + of_labelled) / (len(of_rows) + len(labelled))
    M = of_labelled + np.diag(prior_of(1.0, 4))
    fall = [np.trace(np.linalg.inv(M) @ F - np.linalg.inv(M + each[rows].sum(0)) @ F) for rows in best.values()]
    chosen = chosen_of("bait", 3, 3, k=1, forward=1.0)
    assert chosen.rows_K.tolist() == [left(groups)[int(np.argmax(fall))]]
    assert np.isclose(chosen.scores_K[0], max(fall), rtol=1e-5)
    assert chosen.notes == ("groups of more than 2 rows were judged by their 2 rows of most information",)


def test_uherding_weighs_a_group_by_the_mean_margin_of_its_rows(monkeypatch):
    X, groups, _, head = problem(3, 3)
    means = np.array([X[groups == g].mean(axis=0) for g in range(25)])
    weights_G = np.array([margin(head.log_probs(X[groups == g])).mean() for g in left(groups)])
    U = unit_features(means)
    picks, gains = max_herding(U[left(groups)], K, U[left(groups)], U[[3, 11]], bandwidth=1.0, weights_M=weights_G)
    for most in (8192, 7):  # the second takes few rows at a time
        monkeypatch.setattr("alcli.selection.parts.PART_ROWS", most)
        agrees(chosen_of("uherding", 3, 3), groups, picks, gains)


@pytest.mark.parametrize(("name", "options"), [("tcm", {"rounds": 0}), ("cluster-margin", {"factor": 1.0})])
def test_the_margin_of_a_group_is_the_mean_of_its_rows(name, options):
    X, groups, _, head = problem(3, 3)
    margins = [margin(head.log_probs(X[groups == g])).mean() for g in left(groups)]
    best = np.argsort(np.negative(margins), kind="stable")[:K]
    chosen = chosen_of(name, 3, 3, **options)
    assert sorted(chosen.rows_K.tolist()) == sorted(left(groups)[best].tolist())
    assert np.allclose(sorted(chosen.scores_K), sorted(np.array(margins)[best]), rtol=1e-5)


@pytest.mark.parametrize("name", names())
def test_every_pair_chooses_groups_the_same_in_any_order_of_the_rows(name):
    X, groups, labelled, head = problem(30, 6)
    ids, order = np.arange(len(X)), np.random.default_rng(2).permutation(len(X))
    given = {"head": head, "labels": labels_for(labelled)}
    one = grouped(groups, X_ND=X, labelled=labelled, **given)
    other = grouped(groups[order], X_ND=X[order], ids=ids[order], labelled=np.argsort(order)[labelled], **given)
    picked, again = (select(plugins.strategy(name), view, K, seed=0, options={}) for view in (one, other))
    assert len(set(picked.rows_K.tolist())) == K
    assert set(picked.rows_K.tolist()) <= set(left(groups).tolist())
    assert picked.rows_K.tolist() == again.rows_K.tolist()
    assert picked.scores_K.tobytes() == again.scores_K.tobytes()
