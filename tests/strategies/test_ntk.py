from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize

from alcli import plugins
from alcli.errors import DataError, UsageError
from alcli.heads import mlp
from alcli.heads import softmax as softmax_family
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.ridge import ridge as ridge_head
from alcli.live.live import Live
from alcli.numerics.logistic import log_softmax
from alcli.numerics.tangent.look_ahead import MOST_HELD
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.simulation.contenders import contender
from alcli.simulation.oracle import Oracle
from alcli.simulation.round import RoundState
from alcli.strategies import ntk
from alcli.strategies.ntk import FEW, IN_TURN, PROXY
from tests.helpers import TableHead, random_head, view_of

STRATEGY = strategy_of(ntk)
N, D, C = 60, 5, 3
LABELLED = np.array([50, 3, 17, 21, 44, 8, 30])
LABELS = np.array([0, 1, 2, 0, 1, 2, 1])
X = (np.random.default_rng(0).standard_normal((N, D)) + np.random.default_rng(1).integers(0, 3, (N, 1))).astype(
    np.float32
)


class Hidden(TableHead):
    """A head with one hidden layer of given weights."""

    activation, dim = "tanh", D

    def __init__(self, M=6, seed=0, link="softmax"):
        rng = np.random.default_rng(seed)
        super().__init__(rng.standard_normal((C, M)), rng.standard_normal(C))
        self.layers, self.link = ((rng.standard_normal((M, D)), rng.standard_normal(M)),), link

    def hidden(self, X_BD):
        return np.tanh(X_BD.astype(np.float64) @ self.layers[0][0].T + self.layers[0][1])

    def logits(self, X_BD):
        return super().logits(self.hidden(X_BD))


def chosen(k=5, seed=0, head=None, X=X, **options):
    labels, options = options.pop("labels", LABELS), {"batch": "top"} | options
    labelled = options.pop("labelled", LABELLED)
    view = view_of(X, labelled=labelled, labels=labels, head=random_head(X.shape[1], C) if head is None else head)
    return select(STRATEGY, view, k, seed=seed, options=options)


def by_refitting(prior, *, extra=(), labels=()):
    """For every row that is not labelled: (row, summed change of the outputs of all of these) if its predicted class
    were its label.
    """
    phi = np.column_stack([X, np.ones(N)]).astype(np.float64)
    rows, Y = [*LABELLED, *extra], np.eye(C)[[*LABELS, *labels]]
    solved = lambda rows, Y: phi @ np.linalg.solve(phi[rows].T @ phi[rows] + prior * np.eye(D + 1), phi[rows].T @ Y)  # noqa: E731
    before, pool = solved(rows, Y), np.setdiff1d(np.arange(N), LABELLED)
    scores = {}
    for j in np.setdiff1d(pool, extra):
        after = solved([*rows, j], np.vstack([Y, np.eye(C)[before[j].argmax()]]))
        scores[int(j)] = np.linalg.norm(after - before, axis=1)[pool].sum()
    return scores, before


def test_the_picks_are_those_of_a_refit_for_every_row():
    scores, _ = by_refitting(0.5)
    picks = chosen(k=N, ridge="0.5")
    assert picks.rows_K.tolist() == sorted(scores, key=lambda j: -scores[j])
    assert np.allclose(picks.scores_K, [scores[j] for j in picks.rows_K.tolist()], rtol=1e-5)
    assert picks.notes == (PROXY,)


@pytest.mark.parametrize("acquisition", ["mlmoc", "mlmoc-sq", "emoc", "eer", "flip"])
@pytest.mark.parametrize("head", [None, Hidden()], ids=["linear", "hidden"])
@pytest.mark.parametrize("kernel", ["class-average", "empirical"])
def test_the_closed_form_is_a_regression_from_scratch_for_every_acquisition(acquisition, head, kernel):
    one = chosen(k=N, head=head, acquisition=acquisition, kernel=kernel)
    other = chosen(k=N, head=head, acquisition=acquisition, kernel=kernel, look_ahead="refit")
    assert np.allclose(one.scores_K, other.scores_K, rtol=1e-4)
    assert one.rows_K[:5].tolist() == other.rows_K[:5].tolist()


def test_a_head_of_its_own_so_that_the_given_one_does_not_matter_where_it_is_linear():
    assert (
        chosen(head=random_head(D, C, seed=1)).rows_K.tolist() == chosen(head=random_head(D, C, seed=2)).rows_K.tolist()
    )
    assert chosen(head=Hidden(seed=1), k=20).rows_K.tolist() != chosen(head=Hidden(seed=2), k=20).rows_K.tolist()


def test_all_kernels_of_a_linear_head_are_one():
    kernels = ["class-average", "sum-of-logits", "first-logit", "empirical", "infinite", "nngp"]
    assert len({chosen(k=20, kernel=kernel).scores_K.tobytes() for kernel in kernels}) == 1
    assert len({chosen(k=20, kernel=kernel, head=Hidden()).scores_K.tobytes() for kernel in [*kernels, "gp"]}) == 7


@pytest.mark.parametrize("kernel", ["class-average", "empirical"])
def test_features_in_another_unit_leave_the_picks_of_a_head_with_hidden_layers(kernel):
    """The head of the other unit is the same function: its first layer takes the unit back."""
    head, other, unit = Hidden(), Hidden(), np.float32(1024.0)
    W, b = head.layers[0]
    other.layers, other.hidden = ((W / unit, b),), lambda X_BD: head.hidden(X_BD / unit)
    one, two = chosen(k=20, head=head, kernel=kernel), chosen(k=20, head=other, X=unit * X, kernel=kernel)
    assert one.rows_K.tolist() == two.rows_K.tolist()
    assert one.scores_K == pytest.approx(two.scores_K, rel=1e-6)
    assert one.record["ridge"] == pytest.approx(two.record["ridge"], rel=1e-9)


def test_a_fitted_head_with_hidden_layers_is_not_looked_at_as_if_it_had_none():
    """The weights of a softmax at its optimum sum to 0 over the classes."""
    pytest.importorskip("torch")
    labelled = np.arange(20)
    model = fit(
        Training(X[labelled], labelled % C, np.ones(20), C),
        FitSpec(mlp.mlp.head, LaplaceShared, options={"widths": "8", "activation": "tanh"}),
    )
    assert np.abs(model.head.W_CD1.sum(axis=0)).max() < 1e-8
    asked = {"labelled": labelled, "labels": labelled % C, "k": 10}
    last = chosen(head=random_head(8, C), X=model.head.hidden(X), **asked)
    total = chosen(head=model, kernel="sum-of-logits", **asked)
    assert total.scores_K == pytest.approx(last.scores_K, rel=1e-3)
    assert chosen(head=model, **asked).scores_K != pytest.approx(last.scores_K, rel=1e-2)


def test_the_ridge_is_the_one_of_least_leave_one_out_error_unless_given():
    found = chosen()
    near = {
        value: chosen(ridge=str(value)).record["left-out-error"]
        for value in found.record["ridge"] * np.array([0.1, 1.0, 10.0])
    }
    assert found.record["left-out-error"] == min(near.values())
    assert chosen(ridge="3").record["ridge"] == 3.0


@pytest.mark.parametrize("ridge", ["0", "-1", "inf", "nan", "much"])
def test_a_ridge_that_is_no_positive_number_is_refused(ridge):
    with pytest.raises(UsageError, match="positive number or auto"):
        chosen(ridge=ridge)


def squared_head(prior=0.5):
    return fit(
        Training(X[LABELLED], LABELS, np.ones(7), C), FitSpec(ridge_head.head, LaplaceShared, prior_precision=prior)
    )


def test_a_head_of_squared_loss_is_anchored_at():
    model = squared_head()
    phi = np.column_stack([X, np.ones(N)]).astype(np.float64)
    logits = model.head.logits(X)
    residuals = np.eye(C)[LABELS] - logits[LABELLED]
    solve = lambda rows, R: phi @ np.linalg.solve(phi[rows].T @ phi[rows] + 2.0 * np.eye(D + 1), phi[rows].T @ R)  # noqa: E731
    f = logits + solve(LABELLED, residuals)
    pool = np.setdiff1d(np.arange(N), LABELLED)
    scores = {}
    for j in pool:
        after = logits + solve([*LABELLED, j], np.vstack([residuals, np.eye(C)[f[j].argmax()] - logits[j]]))
        scores[int(j)] = np.linalg.norm(after - f, axis=1)[pool].sum()
    for anchor in ("auto", "current"):
        picks = chosen(k=N, head=model, ridge="2.0", anchor=anchor)
        assert np.allclose(picks.scores_K, [scores[j] for j in picks.rows_K.tolist()], rtol=1e-5)
    zero = chosen(k=N, head=model, ridge="2.0", anchor="zero")
    assert np.array_equal(zero.scores_K, chosen(k=N, ridge="2.0").scores_K)


def test_the_outputs_of_a_softmax_head_are_no_anchor():
    with pytest.raises(UsageError, match="squared loss"):
        chosen(anchor="current")


def test_a_subset_is_noted_and_holds_when_rows_leave_the_pool():
    picks = chosen(k=20, candidates=20, seed=3)
    assert picks.notes == ("looked at 20 random candidates, not at all of them (-p candidates)", PROXY)
    first = int(picks.rows_K[0])
    later = chosen(k=20, candidates=20, seed=3, labelled=np.append(LABELLED, first), labels=np.append(LABELS, 1))
    assert len(set(picks.rows_K.tolist()) & set(later.rows_K.tolist())) == 19
    assert len(chosen(k=20, candidates=4).rows_K) == 20


def test_imputed_batches_are_refits_under_the_predicted_labels():
    picks, extra, labels = chosen(k=6, ridge="0.5", batch="impute"), [], []
    for row, score in zip(picks.rows_K.tolist(), picks.scores_K, strict=True):
        scores, outputs = by_refitting(0.5, extra=extra, labels=labels)
        assert row == max(scores, key=scores.__getitem__)
        assert score == pytest.approx(scores[row], rel=1e-5)
        extra.append(row)
        labels.append(int(outputs[row].argmax()))
    assert picks.rows_K.tolist() != chosen(k=6, ridge="0.5").rows_K.tolist()
    assert picks.notes == (IN_TURN, PROXY)
    assert np.array_equal(chosen(k=6, ridge="0.5", batch="auto").scores_K, picks.scores_K)


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({"acquisition": "mlmoc-sq"}, "impute"),
        ({"acquisition": "emoc"}, "impute"),
        ({"kernel": "gp"}, "impute"),
        ({"head": "hidden"}, "impute"),
        ({"acquisition": "flip"}, "top"),
        ({"acquisition": "eer"}, "top"),
        ({"look_ahead": "refit"}, "top"),
        ({"look_ahead": "one-step"}, "top"),
        ({"diversify": "kmeanspp"}, "top"),
        ({"kernel": "empirical", "head": "hidden"}, "top"),
    ],
)
def test_batches_are_imputed_where_that_is_cheap(options, taken):
    options = {**options, "head": Hidden() if "head" in options else None}
    of_auto = chosen(k=6, batch="auto", **options)
    assert np.array_equal(of_auto.scores_K, chosen(k=6, batch=taken, **options).scores_K)
    assert (IN_TURN in of_auto.notes) == (taken == "impute")


def test_batches_are_not_imputed_where_the_covariance_is_not_kept(monkeypatch):
    monkeypatch.setattr("alcli.numerics.tangent.look_ahead.MOST_HELD", 53 * 53 - 1)
    assert IN_TURN not in chosen(k=6, batch="auto").notes


def test_a_ridge_below_the_least_is_said():
    assert any("raised from 1e-30" in note for note in chosen(ridge="1e-30").notes)
    assert not any("raised" in note for note in chosen(ridge="1").notes)


def test_a_kernel_that_makes_no_difference_is_said():
    assert any("-p kernel=infinite does nothing in ntk" in note for note in chosen(kernel="infinite").notes)
    for options in ({}, {"kernel": "gp"}, {"kernel": "infinite", "head": Hidden()}):
        assert not any("does nothing" in note for note in chosen(**options).notes)


def test_a_head_of_squared_loss_needs_no_note_on_the_regression():
    assert chosen(head=squared_head()).notes == ()


@pytest.mark.parametrize("how", [{"batch": "impute"}, {"diversify": "kmeanspp"}], ids=["impute", "kmeanspp"])
def test_copies_of_one_row_are_all_taken_by_the_best_scores_and_not_otherwise(how):
    best = int(chosen(k=1, ridge="0.1").rows_K[0])
    copied = np.vstack([X, np.repeat(X[best : best + 1], 5, axis=0)])
    copies = {best, *range(N, N + 5)}
    assert set(chosen(k=6, X=copied, ridge="0.1").rows_K.tolist()) == copies
    others = [len(copies & set(chosen(k=6, X=copied, ridge="0.1", seed=s, **how).rows_K.tolist())) for s in range(3)]
    assert max(others) <= 3
    if "diversify" in how:
        assert max(others) == 1


def test_k_means_on_changes_starts_at_the_best_score_and_measures_changes():
    picks = chosen(k=4, ridge="0.5", diversify="kmeanspp")
    best = chosen(k=1, ridge="0.5", acquisition="mlmoc-sq")
    first = chosen(k=1, ridge="0.5")
    assert picks.rows_K[0] == first.rows_K[0]
    scores = dict(
        zip(
            *(a.tolist() for a in (lambda s: (s.rows_K, s.scores_K))(chosen(k=N, ridge="0.5", acquisition="mlmoc-sq"))),
            strict=True,
        )
    )
    assert picks.scores_K[0] == pytest.approx(scores[int(picks.rows_K[0])], rel=1e-5)  # the length of all its changes
    assert best.scores_K[0] == pytest.approx(max(scores.values()))


def test_one_step_is_the_prior_kernel_and_one_step_size_for_all():
    picks = chosen(k=N, look_ahead="one-step", ridge="0.5")
    phi = np.column_stack([X, np.ones(N)]).astype(np.float64)
    pool = np.setdiff1d(np.arange(N), LABELLED)
    _, f = by_refitting(0.5)
    change = np.abs(phi[pool] @ phi[pool].T).sum(axis=0) / (phi[pool] ** 2).sum(axis=1).mean()
    lengths = np.linalg.norm(np.eye(C)[f[pool].argmax(axis=1)] - f[pool], axis=1)
    expected = dict(zip(pool.tolist(), change * lengths, strict=True))
    assert np.allclose(picks.scores_K, [expected[r] for r in picks.rows_K.tolist()], rtol=1e-5)


# -- refits of the softmax head
# ------------------------------------------------------------------------------------------------------


def softmax_head(**more):
    training = Training(X[LABELLED], LABELS, np.ones(7), C)
    return fit(training, FitSpec(softmax_family.softmax.head, LaplaceShared, prior_precision=0.3, **more))


def by_refitting_softmax(head, measure):
    """measure(probabilities after, before) at the pool for every row of it, if its likeliest class were its label."""
    phi, pool = head.head.last_layer(X), np.setdiff1d(np.arange(N), LABELLED)
    penalty = np.full((C, phi.shape[1]), 0.3)
    penalty[:, -1] = 0.1

    def after(rows, y):
        def objective(w):
            W = w.reshape(C, -1)
            log_p = log_softmax(phi[rows] @ W.T)
            slope = (np.exp(log_p) - np.eye(C)[y]).T @ phi[rows] + penalty * W
            return -log_p[np.arange(len(y)), y].sum() + 0.5 * (penalty * W**2).sum(), slope.ravel()

        start = np.zeros(C * phi.shape[1])
        found = scipy.optimize.minimize(objective, start, jac=True, method="BFGS", options={"gtol": 1e-9})
        return np.exp(log_softmax(phi[pool] @ found.x.reshape(C, -1).T))

    before = after(LABELLED, LABELS)
    changed = {int(j): after([*LABELLED, j], [*LABELS, int(p.argmax())]) for j, p in zip(pool, before, strict=True)}
    return {j: measure(after, before) for j, after in changed.items()}


MEASURES = {
    "mlmoc": lambda after, before: np.linalg.norm(after - before, axis=1).sum(),
    "mlmoc-sq": lambda after, before: np.linalg.norm(after - before),
    "flip": lambda after, before: (after.argmax(axis=1) != before.argmax(axis=1)).sum(),
}


@pytest.mark.parametrize("acquisition", MEASURES)
@pytest.mark.parametrize("columns", [D, 40], ids=["more labels than features", "fewer"])
def test_refits_of_a_softmax_head_are_those_of_a_general_optimiser(acquisition, columns, monkeypatch):
    wide = np.random.default_rng(7).standard_normal((N, columns)).astype(np.float32)
    monkeypatch.setitem(globals(), "X", X if columns == D else wide)
    head = softmax_head()
    expected = by_refitting_softmax(head, MEASURES[acquisition])
    picks = chosen(k=N, head=head, X=X, look_ahead="softmax", acquisition=acquisition)
    assert [expected[r] for r in picks.rows_K.tolist()] == pytest.approx(picks.scores_K, rel=1e-4, abs=1e-6)
    assert picks.notes == ()


def test_refits_of_a_softmax_head_keep_hidden_layers_and_serve_all_acquisitions():
    pytest.importorskip("torch")
    labelled = np.arange(20)
    training = Training(X[labelled], labelled % C, np.ones(20), C)
    model = fit(training, FitSpec(mlp.mlp.head, LaplaceShared, options={"widths": "8"}))
    over = fit(
        replace(training, X_LD=model.head.hidden(training.X_LD)),
        FitSpec(softmax_family.softmax.head, LaplaceShared, prior_precision=model.head.prior_precision),
    )
    asked = {"labelled": labelled, "labels": labelled % C, "k": N, "look_ahead": "softmax"}
    for acquisition in ("mlmoc", "mlmoc-sq", "emoc", "flip", "eer"):
        one = chosen(head=model, acquisition=acquisition, **asked)
        other = chosen(head=over, X=model.head.hidden(X), acquisition=acquisition, **asked)
        assert np.isfinite(one.scores_K).all()
        assert one.scores_K == pytest.approx(other.scores_K, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": "impute"}, "takes the best scores"),
        ({"diversify": "kmeanspp"}, "takes the best scores"),
        ({"head": "squared"}, "refits a softmax head"),
        ({"labelled": np.empty(0, np.int64), "labels": np.empty(0, np.int64)}, "there are none"),
    ],
)
def test_refits_of_a_softmax_head_that_do_not_go(options, message):
    head = squared_head() if options.get("head") else softmax_head()
    with pytest.raises(UsageError, match=message):
        chosen(**{**options, "head": head}, look_ahead="softmax")


# -- regressions
# ------------------------------------------------------------------------------------------------------------------


def numbers(k=N, **options):
    return chosen(k=k, head=random_head(D, 1), labels=np.array([0.3, -2.0, 5.0, 1.0, 0.0, 2.5, -1.0]), **options)


@pytest.mark.parametrize("look_ahead", ["ntk", "refit"])
def test_in_a_regression_the_residual_is_what_the_posterior_expects(look_ahead):
    picks = numbers(ridge="0.5", look_ahead=look_ahead)
    phi = np.column_stack([X, np.ones(N)]).astype(np.float64)
    pool = np.setdiff1d(np.arange(N), LABELLED)
    c = 0.5 * phi[pool] @ np.linalg.solve(phi[LABELLED].T @ phi[LABELLED] + 0.5 * np.eye(D + 1), phi[pool].T)
    d = np.diag(c) + 0.5
    deviation = np.sqrt(picks.record["left-out-error"] * d / 0.5)
    draws = np.abs(np.random.default_rng(0).standard_normal(200_000)).mean()
    expected = dict(zip(pool.tolist(), np.abs(c).sum(axis=0) / d * deviation * draws, strict=True))
    assert np.allclose(picks.scores_K, [expected[r] for r in picks.rows_K.tolist()], rtol=0.01)


def test_in_a_regression_batches_can_be_imputed_and_emoc_is_mlmoc():
    assert np.array_equal(numbers(acquisition="emoc").scores_K, numbers().scores_K)
    assert np.array_equal(numbers(k=1, batch="impute").rows_K, numbers(k=1).rows_K)
    assert len(set(numbers(k=10, batch="impute").rows_K.tolist())) == 10


@pytest.mark.parametrize("acquisition", ["flip", "eer"])
def test_in_a_regression_there_are_no_classes_to_look_at(acquisition):
    with pytest.raises(UsageError, match="labels are numbers"):
        numbers(acquisition=acquisition)


# -- what is refused
# --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": "impute", "diversify": "kmeanspp"}, "one of them"),
        ({"batch": "impute", "look_ahead": "refit"}, "closed form"),
        ({"batch": "impute", "look_ahead": "one-step"}, "look-ahead=ntk"),
        ({"diversify": "kmeanspp", "look_ahead": "refit"}, "closed form"),
        ({"batch": "impute", "kernel": "empirical", "head": Hidden()}, "scalar"),
        ({"look_ahead": "one-step", "kernel": "empirical", "head": Hidden()}, "scalar"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(UsageError, match=message):
        chosen(**options)


def test_changes_of_too_many_pairs_are_not_kept(monkeypatch):
    monkeypatch.setattr("alcli.numerics.tangent.look_ahead.MOST_HELD", 100)
    with pytest.raises(UsageError, match="at most 10 candidates, not 53; use -p candidates=10"):
        chosen(diversify="kmeanspp", head=Hidden())
    with pytest.raises(UsageError, match="at most 10 candidates, not 53; use -p candidates=10"):
        chosen(diversify="kmeanspp", kernel="gp")
    assert len(chosen(diversify="kmeanspp").rows_K) == 5  # the changes of a linear kernel are known by their factors
    assert MOST_HELD >= FEW**2


def test_changes_of_all_candidates_are_looked_at_where_they_are_short(monkeypatch):
    monkeypatch.setattr("alcli.strategies.ntk.FEW", 20)

    def chosen_by(head, **options):
        return select(
            plugins.strategy("delta/kmeanspp"),
            view_of(X, labelled=LABELLED, labels=LABELS, head=head),
            5,
            seed=0,
            options=options,
        )

    assert chosen_by(random_head(D, C)).notes == ()
    assert chosen_by(Hidden()).notes == ("looked at 20 random candidates, not at all of them (-p candidates)",)
    assert chosen_by(Hidden(), candidates="53").notes == ()
    assert "30 random" in chosen_by(random_head(D, C), candidates="30").notes[0]
    monkeypatch.setattr("alcli.strategies.ntk.MOST_PRIMAL", D)
    assert "20 random" in chosen_by(random_head(D, C)).notes[0]


def test_a_coupled_kernel_of_too_many_rows_is_refused(monkeypatch):
    monkeypatch.setattr("alcli.numerics.tangent.regression.MOST_COUPLED", 7 * (7 + 53) * 9 - 1)
    with pytest.raises(
        DataError, match=r"too large for 7 labelled rows, 53 candidates and 3 classes .* use kernel=class-average"
    ):
        chosen(kernel="empirical", head=Hidden())
    assert len(chosen(kernel="empirical").rows_K) == 5


def test_features_that_the_head_does_not_take_are_refused_where_it_is_looked_into():
    wide = np.column_stack([X, X])
    assert len(chosen(X=wide, head=random_head(D, C)).rows_K) == 5
    for head in (Hidden(), squared_head()):
        with pytest.raises(DataError, match="takes features of length 5, these have 10"):
            chosen(X=wide, head=head)


def test_labels_that_are_not_known_are_asked_for():
    with pytest.raises(DataError, match="give them with -l"):
        select(STRATEGY, view_of(X, labelled=LABELLED, head=random_head(D, C)), 3, seed=0, options={})


# -- one label at a time, and on the command line
# -----------------------------------------------------------------------------------


def test_a_loop_over_single_labels_chooses_what_a_selection_from_scratch_would():
    source, model, y = ArraySource(X, np.arange(N)), squared_head(), np.arange(N) % C
    live = Live(
        source,
        np.setdiff1d(np.arange(N), LABELLED),
        LABELLED,
        model,
        STRATEGY,
        options={"anchor": "zero"},
        labels=LABELS,
    )
    told: list[int] = []
    for _ in range(4):
        labelled = np.array([*LABELLED, *told])
        view = View(source, np.setdiff1d(np.arange(N), labelled), labelled, model, labels=np.array([*LABELS, *y[told]]))
        expected = select(STRATEGY, view, 1, seed=0, options={"anchor": "zero"})
        row, score = live.next()
        assert (row, np.float32(score)) == (int(expected.rows_K[0]), expected.scores_K[0])
        live.tell(row, int(y[row]))
        told.append(row)


def test_labels_come_from_files_or_from_the_head_that_absorbed_them(head, alcli):
    from_head = alcli("query", "pool.parquet", "-H", "head.safetensors", "-s", "ntk", "-n", "5").done().out
    from_file = alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "ntk", "-n", "5").done().out
    both = alcli("query", "pool.parquet", "-H", "head.safetensors", "-l", "more.csv", "-s", "ntk", "-n", "5").done().out
    both_files = alcli("query", "pool.parquet", "-l", "labels.csv", "-l", "more.csv", "-s", "ntk", "-n", "5").done().out
    assert from_head == from_file
    assert both == both_files
    assert set(both.split()) != set(from_file.split())


def test_a_stream_and_an_imputed_batch_begin_with_the_best_row(head, alcli):
    asked = ("query", "pool.parquet", "-H", "head.safetensors", "-s", "ntk")
    first = alcli(*asked, "-n", "1").done().lines[0]
    assert f'"id": "{first}"' in alcli(*asked, "-n", "2", "--stream").done().lines[0]
    imputed = alcli(*asked, "-n", "3", "-p", "impute=argmax").done().lines
    assert imputed[0] == first
    assert len(set(imputed)) == 3


def test_a_simulation_uses_each_label_at_once():
    source, y, options = ArraySource(X, np.arange(N)), np.arange(N) % C, {"anchor": "zero"}
    oracle = Oracle(np.where(np.isin(np.arange(N), LABELLED), 0, y), np.arange(N))
    oracle.ask(LABELLED)
    model = fit(Training(X[:9], y[:9], np.ones(9), C), FitSpec(ridge_head.head, LaplaceShared))
    chosen_at_once = contender("ntk+update").choose(
        RoundState(source, oracle, model, C, np.empty(0, np.int64)), 4, 0, options
    )
    told = LABELLED.tolist()
    for row, score in zip(chosen_at_once.rows_K.tolist(), chosen_at_once.scores_K, strict=True):
        view = View(
            source, np.setdiff1d(np.arange(N), told), np.array(told), model, labels=oracle.truth(np.array(told))
        )
        expected = select(STRATEGY, view, 1, seed=0, options=options)
        assert (row, score) == (int(expected.rows_K[0]), expected.scores_K[0])
        told.append(row)
