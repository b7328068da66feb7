"""An update leaves the head that a fit to the same labels would give, and renews it where its labels have doubled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alcli.data.head_file import load_head, save_head
from alcli.data.pool import open_pool
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool

X_ND, Y_N = tiny_features(60)
IDS = names(60)
HEAD, NEW, FRESH = Path("head.safetensors"), Path("new.safetensors"), Path("fresh.safetensors")
UPDATE = ("update", HEAD, "-P", "pool.parquet")
FIXED = ("--prior-precision", "1")


def labels(path, rows, *, shift=0, weight=None):
    """Write labels of rows; `shift` makes all of them wrong."""
    head = "id,label\n" if weight is None else "id,label,weight\n"
    tail = "" if weight is None else f",{weight}"
    Path(path).write_text(head + "".join(f"{IDS[i]},{CLASSES[(Y_N[i] + shift) % 3]}{tail}\n" for i in rows))
    return path


@pytest.fixture
def fit(tiny, alcli):
    """A function that fits a head to rows of the tiny pool."""

    def run(rows, *options, out=HEAD):
        labels("fit.csv", rows)
        alcli("fit-head", "pool.parquet", "-l", "fit.csv", "-o", out, "--force", *options).done()
        return load_head(out)

    return run


@pytest.fixture
def update(alcli):
    """A function that updates head.safetensors in place; it returns the head and the report."""

    def run(*options):
        report = json.loads(alcli(*UPDATE, "--json", *options).done().out)
        return load_head(HEAD), report

    return run


def same(one, other, atol=2e-3):
    np.testing.assert_allclose(one.model.head.W_CD1, other.model.head.W_CD1, rtol=0, atol=atol)
    np.testing.assert_allclose(one.model.predictive(X_ND), other.model.predictive(X_ND), rtol=0, atol=atol)
    assert sorted(one.absorbed.id_L) == sorted(other.absorbed.id_L)


@pytest.mark.parametrize("form", ["shared", "kron", "diag"])
def test_an_update_equals_a_fit_at_the_same_prior(fit, update, form):
    fresh = fit(range(30), *FIXED, "--covariance", form, out=FRESH)
    before = fit(range(20), *FIXED, "--covariance", form)
    head, report = update("-l", "more.csv")
    assert (report["polished"], report["renewed"], head.fitted_on) == (True, False, 20)
    curvature = before.model.posterior.curvature
    assert head.model.posterior.curvature == curvature
    np.testing.assert_allclose(head.model.head.W_CD1, fresh.model.head.W_CD1, rtol=0, atol=2e-3)
    np.testing.assert_allclose(head.model.log_probs(X_ND), fresh.model.log_probs(X_ND), rtol=0, atol=5e-3)


def test_many_small_updates_equal_one_fit(fit, update):
    fresh = fit(range(32), *FIXED, out=FRESH)
    fit(range(20), *FIXED)
    for i in range(20, 32):
        head, _ = update("-l", labels("one.csv", [i]))
    np.testing.assert_allclose(head.model.head.W_CD1, fresh.model.head.W_CD1, rtol=0, atol=2e-3)


def test_labels_that_have_doubled_renew_the_head(fit, update):
    fresh = fit(range(40), out=FRESH)
    fit(range(20))
    head, report = update("-l", labels("some.csv", range(20, 39)))
    assert (report["renewed"], head.fitted_on) == (False, 20)
    head, report = update("-l", labels("one.csv", [39]))
    assert (report["renewed"], head.fitted_on) == (True, 40)
    assert report["prior_precision"] == pytest.approx(fresh.model.head.prior_precision, rel=1e-9)
    assert head.model.posterior.curvature == pytest.approx(fresh.model.posterior.curvature, rel=1e-4)
    same(head, fresh, 1e-4)


def test_a_ridge_head_of_a_few_labels_is_not_destroyed_by_many(tiny, alcli):
    y_N = X_ND @ np.array([1.0, -2, 0.5, 0, 3]) + 1000 + np.random.default_rng(0).standard_normal(60)
    write_pool("pool.parquet", X_ND, label=[None] * 60)
    for name, rows in (("few.csv", range(6)), ("many.csv", range(6, 50)), ("all.csv", range(50))):
        write_labels(name, {IDS[i]: y_N[i] for i in rows})
    ridge = ("--task", "regression")
    alcli("fit-head", "pool.parquet", "-l", "few.csv", *ridge, "-o", HEAD).done()
    alcli("fit-head", "pool.parquet", "-l", "all.csv", *ridge, "-o", FRESH).done()
    alcli(*UPDATE, "-l", "many.csv").done()
    one, other = load_head(HEAD).model, load_head(FRESH).model
    assert one.head.prior_precision == pytest.approx(other.head.prior_precision)
    np.testing.assert_allclose(one.mean(X_ND), other.mean(X_ND), rtol=1e-9)
    np.testing.assert_allclose(one.label_variance(X_ND), other.label_variance(X_ND), rtol=1e-9)


@pytest.mark.parametrize("method", ["second-order", "first-order", "mc"])
def test_what_is_given_back_leaves_no_trace(fit, update, method):
    """Whatever absorbed it; labels that first-order and mc absorb never were in the posterior."""
    before = fit(range(20), *FIXED)
    _, report = update("-l", labels("wrong.csv", range(20, 30), shift=1), "--method", method)
    assert report["polished"] == (method == "second-order")
    held = load_head(HEAD).absorbed
    assert held.is_held_L.sum() == (30 if method == "second-order" else 20)
    head, report = update("--remove", "wrong.csv")
    assert report["removed"] == 10
    same(head, before)
    np.testing.assert_allclose(head.model.posterior.precision, before.model.posterior.precision, rtol=1e-9)


@pytest.mark.parametrize("method", ["first-order", "mc"])
def test_in_closed_form_too_the_posterior_gives_back_only_what_it_holds(fit, alcli, update, method):
    before = fit(range(20), *FIXED)
    update("-l", "more.csv", "--method", method)
    done = alcli(*UPDATE, "--remove", "more.csv", "--polish", "none").done()
    assert f"10 labels were absorbed by {'first-order or mc'}" in done.err
    assert "--method refit" in done.err
    precision = load_head(HEAD).model.posterior.precision
    np.testing.assert_allclose(precision, before.model.posterior.precision, rtol=1e-12)


def test_a_polish_puts_every_label_into_the_posterior(fit, update):
    fresh = fit(range(40), *FIXED, out=FRESH)
    fit(range(25), *FIXED)
    update("-l", labels("a.csv", range(25, 32)), "--method", "first-order")
    head, _ = update("-l", labels("b.csv", range(32, 40)))
    assert head.absorbed.is_held_L.all()
    scale = head.model.posterior.curvature / fresh.model.posterior.curvature
    gram = (fresh.model.posterior.precision - np.diag([1.0] * 5 + [0.1])) * scale
    np.testing.assert_allclose(head.model.posterior.precision - np.diag([1.0] * 5 + [0.1]), gram, rtol=1e-9)


def test_all_labels_can_be_given_back(fit, update):
    fit(range(20))
    head, report = update("--remove", labels("all.csv", range(20)))
    assert report["absorbed"] == 0
    assert not head.model.head.W_CD1.any()


def test_wrong_labels_are_corrected(fit, alcli, update):
    fresh = fit(range(30), *FIXED, out=FRESH)
    fit(range(20), *FIXED)
    update("-l", labels("wrong.csv", range(20, 30), shift=1))
    before = HEAD.read_bytes()
    alcli(*UPDATE, "-l", "more.csv").refused(65, "more.csv: line 2", "--corrections")
    assert HEAD.read_bytes() == before
    head, report = update("-l", "more.csv", "--corrections")
    assert (report["corrected"], report["new_labels"], report["absorbed"]) == (10, 10, 30)
    np.testing.assert_allclose(head.model.head.W_CD1, fresh.model.head.W_CD1, rtol=0, atol=2e-3)
    _, report = update("-l", "more.csv", "--corrections")
    assert (report["corrected"], report["already_absorbed"]) == (0, 10)


def test_in_a_file_the_last_label_corrects_those_before(fit, alcli):
    wrong, right = CLASSES[(Y_N[20] + 1) % 3], CLASSES[Y_N[20]]
    fit(range(20))
    Path("twice.csv").write_text(f"id,label\n{IDS[20]},{wrong}\n{IDS[20]},{right}\n")
    alcli(*UPDATE, "-l", "twice.csv").refused(65, "twice.csv: line 3", right, wrong)
    done = alcli(*UPDATE, "-l", "twice.csv", "--corrections").done()
    assert "1 row corrects a label" in done.err
    assert load_head(HEAD).absorbed.label_L[-1] == Y_N[20]
    alcli("fit-head", "pool.parquet", "-l", "fit.csv", "-l", "twice.csv", "-o", NEW).refused(65, "line 3")
    alcli("fit-head", "pool.parquet", "-l", "fit.csv", "-l", "twice.csv", "-o", NEW, "--corrections").done()


@pytest.mark.parametrize("how", [("--method", "refit"), ("--corrections",)], ids=["refit", "corrections"])
def test_another_weight_of_a_known_label(fit, alcli, how):
    fit(range(20), *FIXED)
    labels("heavy.csv", [3], weight=4)
    done = alcli(*UPDATE, "-l", "heavy.csv").done()
    assert "1 known label has another weight" in done.err
    assert (load_head(HEAD).absorbed.weight_L == 1).all()
    alcli(*UPDATE, "-l", "heavy.csv", *how).done()
    head = load_head(HEAD)
    assert sorted(head.absorbed.weight_L)[-1] == 4
    Path("weighted.csv").write_text(
        "id,label,weight\n" + "".join(f"{IDS[i]},{CLASSES[Y_N[i]]},{4 if i == 3 else 1}\n" for i in range(20))
    )
    alcli("fit-head", "pool.parquet", "-l", "weighted.csv", "-o", FRESH, *FIXED).done()
    np.testing.assert_allclose(head.model.head.W_CD1, load_head(FRESH).model.head.W_CD1, rtol=0, atol=2e-3)


def test_a_refit_without_labels_renews_a_head_that_has_drifted(fit, alcli, update):
    fresh = fit(range(30), out=FRESH)
    fit(range(20))
    update("-l", "more.csv", "--method", "first-order", "--gamma", "3")
    drifted = load_head(HEAD)
    assert np.abs(drifted.model.head.W_CD1 - fresh.model.head.W_CD1).max() > 0.5
    head, report = update("--method", "refit")
    assert (report["new_labels"], report["absorbed"], head.fitted_on) == (0, 30, 30)
    same(head, fresh, 1e-4)


def test_a_head_that_does_not_say_what_it_was_fitted_on_is_renewed(fit, update):
    fresh = fit(range(21), out=FRESH)
    save_head(HEAD, replace(fit(range(20)), fitted_on=0), overwrite=True)
    head, report = update("-l", labels("one.csv", [20]))
    assert report["renewed"]
    same(head, fresh, 1e-4)


def test_where_the_pool_lacks_old_items_the_closed_form_stays(fit, alcli):
    fit(range(20), *FIXED)
    write_pool("rest.parquet", X_ND[15:], IDS[15:])
    done = alcli("update", HEAD, "-P", "rest.parquet", "-l", "more.csv", "-o", NEW).done()
    assert "15 of 30 labelled items are not in rest.parquet" in done.err
    alcli(*UPDATE, "-l", "more.csv", "--polish", "none").done()
    assert np.array_equal(load_head(NEW).model.head.W_CD1, load_head(HEAD).model.head.W_CD1)


def test_the_paper_preset_is_the_published_rule_on_any_head(fit, alcli, update):
    """Prior precision 1, curvature 1, gamma 10, by an independent loop over the new rows."""
    before = fit(range(20))
    assert before.model.posterior.curvature != 1
    W = before.model.head.W_CD1.copy()
    head, report = update("-l", "more.csv", "--preset", "paper")
    assert report["gamma"] == 10
    phi_ND1 = np.column_stack([X_ND.astype(np.float64), np.ones(60)])
    P = np.diag([1.0] * 5 + [0.1]) + phi_ND1[:20].T @ phi_ND1[:20]
    rows = np.arange(20, 30)
    for i in rows[np.argsort(open_pool("pool.parquet").ids.hashes(rows))]:
        phi = phi_ND1[i]
        P += np.outer(phi, phi)
        p = np.exp(W @ phi - (W @ phi).max())
        W += 10 * np.outer(np.eye(3)[Y_N[i]] - p / p.sum(), np.linalg.solve(P, phi))
    np.testing.assert_allclose(head.model.head.W_CD1, W, rtol=0, atol=1e-8)
    np.testing.assert_allclose(head.model.posterior.precision, P, rtol=1e-9)
    alcli(*UPDATE, "-l", "more.csv", "--preset", "paper", "--method", "mc").refused(2, "--preset paper")


def test_fit_head_with_the_paper_preset_has_the_posterior_of_the_paper(fit, update):
    before = fit(range(20), "--preset", "paper")
    phi = np.column_stack([X_ND[:20].astype(np.float64), np.ones(20)])
    np.testing.assert_allclose(before.model.posterior.precision, np.diag([1.0] * 5 + [0.1]) + phi.T @ phi, rtol=1e-9)
    assert before.model.head.prior_precision != 1
    _, report = update("-l", "more.csv")
    assert (report["gamma"], report["polished"]) == (10, False)


def test_a_step_size_on_another_curvature_is_remarked_on(fit, alcli):
    fit(range(20))
    done = alcli(*UPDATE, "-l", "more.csv", "--gamma", "10").done()
    assert "--gamma 10 multiplies steps of a posterior of curvature" in done.err


def test_test_rows_are_judged_before_and_after(tiny, alcli):
    split = ["test" if i >= 40 else None for i in range(60)]
    write_pool("pool.parquet", X_ND, split=split, label=[CLASSES[y] for y in Y_N])
    labels("few.csv", range(6))
    alcli("fit-head", "pool.parquet", "-l", "few.csv", "-o", HEAD, *FIXED).done()
    report = json.loads(alcli(*UPDATE, "-l", labels("b.csv", range(6, 11)), "--json", "-o", NEW).done().out)
    for key, path in (("_before", HEAD), ("", NEW)):
        log_probs = load_head(path).model.predictive(X_ND[40:])
        assert report[f"test_accuracy{key}"] == (log_probs.argmax(axis=1) == Y_N[40:]).mean()
        assert report[f"test_nll{key}"] == pytest.approx(-log_probs[np.arange(20), Y_N[40:]].mean())
    said = alcli(*UPDATE, "-l", labels("wrong.csv", range(11, 40), shift=1)).done().err
    assert "the test accuracy became worse by this update" in said
    assert "the test nll became worse by this update" in said
    assert said.splitlines()[-1].count("test accuracy") == 1, "the last line has all that cron should mail"


def test_a_test_row_of_an_unknown_class_counts_as_wrong(tiny, alcli):
    label = [CLASSES[y] for y in Y_N]
    label[45] = "yak"
    write_pool("pool.parquet", X_ND, split=["test" if i >= 40 else None for i in range(60)], label=label)
    labels("few.csv", range(10))
    alcli("fit-head", "pool.parquet", "-l", "few.csv", "-o", HEAD, *FIXED).done()
    report = json.loads(alcli(*UPDATE, "-l", labels("b.csv", range(10, 20)), "--json").done().out)
    right = load_head(HEAD).model.predictive(X_ND[40:]).argmax(axis=1) == Y_N[40:]
    right[5] = False
    assert report["test_accuracy"] == pytest.approx(right.mean())
    Path("yak.csv").write_text(f"id,label\n{IDS[20]},yak\n")
    report = json.loads(alcli(*UPDATE, "-l", "yak.csv", "--allow-new-classes", "--json").done().out)
    assert report["n_test"] == 20
    assert report["test_accuracy_before"] == pytest.approx(right.mean())
