"""`update` of heads that learnt from the pool: both models absorb each label once, and a refit reads the pool again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from alcli.data.head_file import load_head
from alcli.data.pool import open_pool
from alcli.heads._comparators import first_order, reweight, stable_step
from alcli.heads._contract import Training
from tests.pools import GATHERED, gathered, write_labels, write_pool

X_ND, Y_N, NAMES_CD = gathered()
HEAD, NEW = Path("head.safetensors"), Path("new.safetensors")
UPDATE = ("update", HEAD, "-P", "pool.parquet")
POOL = ("--prior", "pool")
CLOSED = ("--polish", "none")
NAMED = ("--class-names", "names.parquet")
KINDS = pytest.mark.parametrize("kind", [POOL, NAMED], ids=["pool", "names"])


@pytest.fixture
def fit(named, alcli):
    """A function that fits head.safetensors, or another, with options."""

    def run(*options, labels=("labels.csv",), out=HEAD):
        given = [text for path in labels for text in ("-l", path)]
        alcli("fit-head", "pool.parquet", *given, *options, "-o", out, "--force").done()
        return load_head(out)

    return run


@pytest.fixture
def update(alcli):
    """A function that updates head.safetensors into new.safetensors, and returns that head."""

    def run(*options, labels="more.csv"):
        alcli(*UPDATE, *(("-l", labels) if labels else ()), "-o", NEW, "--force", *options).done()
        return load_head(NEW)

    return run


def models(head):
    return [head.model] if head.predictor is None else [head.model, head.predictor]


def rows(first, last):
    return Training(X_ND[first:last], Y_N[first:last], np.ones(last - first), 6)


def in_order_of_hashes(first, last):
    """The rows in the order in which an update in closed form takes them."""
    return rows(first, last).rows(np.argsort(open_pool("pool.parquet").ids.hashes(np.arange(first, last))))


def close(one, other, atol):
    assert len(models(one)) == len(models(other))
    for mine, theirs in zip(models(one), models(other)):
        np.testing.assert_allclose(mine.head.W_CD1, theirs.head.W_CD1, rtol=0, atol=atol)
        np.testing.assert_allclose(mine.predictive(X_ND), theirs.predictive(X_ND), rtol=0, atol=atol)


@KINDS
@pytest.mark.parametrize("mode", ["sequential", "batch"])
def test_each_model_takes_its_own_second_order_step(fit, update, kind, mode):
    before, after = fit(*kind), update("--mode", mode, *CLOSED)
    assert len(models(after)) == len(models(before)) == (2 if kind == POOL else 1)
    for old, new in zip(models(before), models(after)):
        expected = old.update(in_order_of_hashes(18, 30), mode=mode)
        np.testing.assert_allclose(new.head.W_CD1, expected.head.W_CD1, rtol=0, atol=1e-12)
        np.testing.assert_allclose(new.posterior.covariance, expected.posterior.covariance, rtol=1e-9)
        assert np.abs(new.head.W_CD1 - old.head.W_CD1).max() > 1e-3
    assert len(after.absorbed.id_L) == 30
    assert (after.class_names is None) == (kind == POOL)
    assert after.class_names is None or np.array_equal(after.class_names.features_KD, NAMES_CD)


@KINDS
def test_each_model_takes_its_own_first_order_step(fit, update, kind):
    before, after = fit(*kind), update("--method", "first-order")
    for old, new in zip(models(before), models(after)):
        data = in_order_of_hashes(18, 30)
        np.testing.assert_array_equal(new.head.W_CD1, first_order(old, data, gamma=stable_step(old, data)).head.W_CD1)


@KINDS
def test_each_model_reweights_its_own_draws(fit, update, kind):
    before, after = fit(*kind), update("--method", "mc")
    for old, new in zip(models(before), models(after)):
        expected = reweight(old, rows(18, 30), gamma=1.0, n_samples=1000).collapsed()
        np.testing.assert_allclose(new.head.W_CD1, expected.head.W_CD1, rtol=0, atol=1e-12)


@KINDS
def test_a_refit_is_a_fit_to_all_labels(fit, update, kind):
    fit(*kind)
    refitted = update("--method", "refit")
    fresh = fit(*kind, labels=("labels.csv", "more.csv"), out=Path("fresh.safetensors"))
    close(refitted, fresh, 1e-5)
    for mine, theirs in zip(models(refitted), models(fresh)):
        centre = theirs.head.prior_mean_CD1
        assert (centre is None) == (mine.head.prior_mean_CD1 is None)
        assert centre is None or np.abs(centre - mine.head.prior_mean_CD1).max() < 1e-9


@KINDS
def test_a_refit_reads_the_pool_that_it_is_given(fit, update, kind):
    fit(*kind)
    one = update("--method", "refit")
    write_pool("pool.parquet", np.where(np.arange(240)[:, None] < 90, X_ND, X_ND[::-1]))
    other = update("--method", "refit")
    assert np.abs(models(one)[-1].head.W_CD1 - models(other)[-1].head.W_CD1).max() > 1e-3


@KINDS
def test_a_label_counts_once(fit, alcli, kind):
    fit(*kind)
    report = json.loads(alcli(*UPDATE, "-l", "more.csv", "-l", "labels.csv", "--json").done().out)
    assert (report["new_labels"], report["already_absorbed"], report["absorbed"]) == (12, 18, 30)
    before = HEAD.read_bytes()
    for options in ((), CLOSED, ("--mode", "batch")):
        report = json.loads(alcli(*UPDATE, "-l", "more.csv", "--json", *options).done().out)
        assert (report["new_labels"], report["already_absorbed"]) == (0, 12)
        assert HEAD.read_bytes() == before


@KINDS
def test_labels_that_are_given_back_leave_both_models(fit, alcli, update, kind):
    """A single label without a trace; of several the posterior keeps none, and a refit keeps none in the weights."""
    before = fit(*kind)
    write_labels("one.csv", {"r020": GATHERED[Y_N[20]]})
    alcli(*UPDATE, "-l", "one.csv", *CLOSED).done()
    close(update("--remove", "one.csv", *CLOSED, labels=None), before, 1e-9)
    alcli(*UPDATE, "-l", "more.csv", *CLOSED).done()
    back = update("--remove", "more.csv", *CLOSED, labels=None)
    assert sorted(back.absorbed.id_L) == sorted(before.absorbed.id_L)
    for old, new in zip(models(before), models(back)):
        np.testing.assert_allclose(new.posterior.covariance, old.posterior.covariance, rtol=1e-6)
    close(update("--remove", "more.csv", "--method", "refit", labels=None), before, 1e-5)


def test_with_names_all_labels_can_be_given_back(fit, update):
    fit(*NAMED)
    back = update("--remove", "labels.csv", "--method", "refit", labels=None)
    close(back, fit(*NAMED, labels=("none.csv",)), 1e-9)
    assert len(back.absorbed.id_L) == 0


def test_without_names_some_must_stay(fit, alcli):
    fit(*POOL)
    before = HEAD.read_bytes()
    alcli(*UPDATE, "--remove", "labels.csv", "--method", "refit").refused(65, "label")
    assert HEAD.read_bytes() == before


@KINDS
@pytest.mark.parametrize("how", [(), ("--method", "refit")], ids=["second-order", "refit"])
def test_a_class_that_is_new(fit, alcli, update, kind, how):
    before = fit(*kind)
    write_labels("yaks.csv", {"r040": "yak", "r041": "yak", "r042": "ant"})
    alcli(*UPDATE, "-l", "yaks.csv", *how).refused(65, "yaks.csv: line 2", "'yak'", "--allow-new-classes")
    after = update("--allow-new-classes", *how, labels="yaks.csv")
    assert after.classes == (*GATHERED, "yak")
    assert [len(model.head.W_CD1) for model in models(after)] == [7] * len(models(before))
    for old, new in zip(models(before), models(after)):
        yak = np.exp(new.predictive(X_ND[[40]]))[0, 6]
        assert yak > 2 * np.exp(old.with_new_classes(1).predictive(X_ND[[40]]))[0, 6]


@KINDS
def test_a_refit_with_a_class_that_is_new_is_a_fit_to_all_labels(fit, update, kind):
    fit(*kind)
    write_labels("yaks.csv", {"r040": "yak", "r041": "yak"})
    refitted = update("--allow-new-classes", "--method", "refit", labels="yaks.csv")
    fresh = fit(*kind, labels=("labels.csv", "yaks.csv"), out=Path("fresh.safetensors"))
    assert refitted.classes == fresh.classes == (*GATHERED, "yak")
    close(refitted, fresh, 1e-5)


def test_a_class_with_a_name_and_no_label_yet_is_known(fit, update):
    write_labels("labels.csv", {f"r{i:03d}": GATHERED[Y_N[i]] for i in range(18) if Y_N[i] != 4})
    before = fit(*NAMED)
    after = update()
    assert after.classes == before.classes == GATHERED
    assert (before.absorbed.label_L != 4).all()
    assert (after.absorbed.label_L == 4).sum() == 2


def test_names_alone_are_where_updates_begin(fit, alcli):
    before = fit(*NAMED, labels=("none.csv",))
    done = alcli(*UPDATE, "-l", "labels.csv", "-o", NEW, *CLOSED).done()
    assert "the head has no label" in done.err
    after = load_head(NEW)
    expected = before.model.update(in_order_of_hashes(0, 18)).head.W_CD1
    np.testing.assert_allclose(after.model.head.W_CD1, expected, rtol=0, atol=1e-12)
    assert len(after.absorbed.id_L) == 18
    assert len(after.anchor_id) > 0


@KINDS
def test_without_a_posterior_only_a_refit_absorbs(fit, alcli, update, kind):
    fit(*kind, "--posterior", "none")
    alcli(*UPDATE, "-l", "more.csv").refused(65, "no posterior", "--method refit")
    close(update("--method", "refit"), fit(*kind, "--posterior", "none", labels=("labels.csv", "more.csv")), 1e-5)


def test_a_new_class_of_another_type_is_refused(named, alcli):
    write_labels("numbers.csv", {f"r{i:03d}": int(Y_N[i]) for i in range(18)})
    Path("numbers.jsonl").write_text("".join(f'{{"id": "r{i:03d}", "label": {Y_N[i]}}}\n' for i in range(18)))
    alcli("fit-head", "pool.parquet", "-l", "numbers.jsonl", "-o", HEAD).done()
    before = HEAD.read_bytes()
    write_labels("new.csv", {"r050": "yak"})
    alcli(*UPDATE, "-l", "new.csv", "--allow-new-classes").refused(65, "new.csv: line 2", "'yak'", "type integer")
    assert HEAD.read_bytes() == before
    write_labels("new.csv", {"r050": 6})
    alcli(*UPDATE, "-l", "new.csv", "--allow-new-classes").done()
    assert load_head(HEAD).classes == tuple("0123456")
