"""`update` is the model's own update on the rows of the new labels, whatever their order, and refit is the fit to all
of them.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from alcli.data.head_file import load_head
from alcli.data.pool import open_pool
from alcli.heads._contract import Training
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool

X_ND, Y_N = tiny_features()
UPDATE = ("update", "head.safetensors", "-P", "pool.parquet")
CLOSED = ("--polish", "none")


def in_order_of_hashes(rows) -> np.ndarray:
    """The rows in the order in which an update in closed form takes them."""
    rows = np.array(rows)
    return rows[np.argsort(open_pool("pool.parquet").ids.hashes(rows))]


def weights(path: str) -> np.ndarray:
    return load_head(Path(path)).model.head.W_CD1


@pytest.mark.parametrize("mode", ["sequential", "batch"])
@pytest.mark.parametrize("gamma", ["auto", "0.5"])
def test_it_is_the_update_of_the_model(head, alcli, mode, gamma):
    before = load_head(head).model
    alcli(*UPDATE, "-l", "more.csv", "-o", "new.safetensors", "--mode", mode, "--gamma", gamma, *CLOSED).done()
    rows = in_order_of_hashes(range(20, 30))
    data = Training(X_ND[rows], Y_N[rows], np.ones(10), 3)
    expected = before.update(data, gamma=None if gamma == "auto" else 0.5, mode=mode)
    found = load_head(Path("new.safetensors")).model
    np.testing.assert_allclose(found.head.W_CD1, expected.head.W_CD1, rtol=0, atol=1e-12)
    assert np.allclose(found.posterior.covariance, expected.posterior.covariance, rtol=1e-9)
    assert not np.array_equal(found.head.W_CD1, before.head.W_CD1)


@pytest.mark.parametrize(
    "options",
    [["--mode", "sequential"], ["--mode", "batch"], ["--method", "refit"], ["--polish", "none"]],
    ids=" ".join,
)
def test_the_order_of_the_labels_does_not_matter(head, alcli, options):
    alcli(*UPDATE, "-l", "more.csv", "-o", "a.safetensors", *options).done()
    lines = Path("more.csv").read_text().splitlines()
    tail = lines[1:]
    random.Random(0).shuffle(tail)
    Path("shuffled.csv").write_text("\n".join([lines[0], *tail]) + "\n")
    alcli(*UPDATE, "-l", "shuffled.csv", "-o", "b.safetensors", *options).done()
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


def test_refit_recovers_all_labels_from_the_pool(head, alcli):
    """Also after second-order updates, whose labels the head knows by hash alone."""
    write_labels("all.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(32)})
    write_labels("last.csv", {"r030": CLASSES[Y_N[30]], "r031": CLASSES[Y_N[31]]})
    alcli(*UPDATE, "-l", "more.csv").done()
    report = json.loads(alcli(*UPDATE, "-l", "last.csv", "--method", "refit", "--json").done().out)
    assert (report["new_labels"], report["absorbed"]) == (2, 32)
    alcli("fit-head", "pool.parquet", "-l", "all.csv", "-o", "whole.safetensors", "--prior-precision", "1").done()
    assert np.allclose(weights("head.safetensors"), weights("whole.safetensors"), atol=1e-6)


def test_refit_keeps_weights(tiny, alcli):
    Path("w.csv").write_text(
        "id,label,weight\n" + "".join(f"r{i:03d},{CLASSES[Y_N[i]]},{1 + i % 3}\n" for i in range(20))
    )
    alcli("fit-head", "pool.parquet", "-l", "w.csv", "-o", "head.safetensors", "--prior-precision", "1").done()
    alcli(*UPDATE, "-l", "more.csv", "--method", "refit").done()
    alcli(
        "fit-head", "pool.parquet", "-l", "w.csv", "-l", "more.csv", "-o", "whole.safetensors", "--prior-precision", "1"
    ).done()
    assert np.allclose(weights("head.safetensors"), weights("whole.safetensors"), atol=1e-6)


def test_a_changed_label(head, alcli):
    write_labels("changed.csv", {"r000": CLASSES[(Y_N[0] + 1) % 3]})
    before = head.read_bytes()
    alcli(*UPDATE, "-l", "changed.csv").refused(
        65, "changed.csv", "line 2", "'r000'", f"'{CLASSES[Y_N[0]]}'", "--method refit"
    )
    assert head.read_bytes() == before
    report = json.loads(alcli(*UPDATE, "-l", "changed.csv", "--method", "refit", "--json").done().out)
    assert (report["new_labels"], report["absorbed"]) == (1, 20)
    alcli(
        "fit-head",
        "pool.parquet",
        "-l",
        "labels.csv",
        "-l",
        "changed.csv",
        "-o",
        "whole.safetensors",
        "--prior-precision",
        "1",
    ).done()
    assert np.allclose(weights("head.safetensors"), weights("whole.safetensors"), atol=1e-6)


def test_refit_needs_every_item(head, alcli):
    write_pool("half.parquet", X_ND[10:], names(60)[10:])
    alcli("update", head, "-P", "half.parquet", "-l", "more.csv", "--method", "refit").refused(
        65, "half.parquet", "all 30", "10 of them", "not in"
    )
    alcli("update", head, "-P", "half.parquet", "-l", "more.csv").done()


def test_a_head_without_a_posterior(tiny, alcli):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--posterior", "none").done()
    alcli(*UPDATE, "-l", "more.csv").refused(65, "posterior", "--method refit")
    alcli(*UPDATE, "-l", "more.csv", "--method", "refit").done()


def test_a_copy_without_new_labels(head, alcli):
    alcli(*UPDATE, "-l", "labels.csv", "-o", "copy.safetensors").done()
    assert Path("copy.safetensors").read_bytes() == head.read_bytes()


def test_another_layout_of_the_pool_gives_the_same_head(head, alcli):
    alcli(*UPDATE, "-l", "more.csv", "-o", "a.safetensors").done()
    order = np.random.default_rng(0).permutation(60)
    write_pool("pool.parquet", X_ND[order], [names(60)[i] for i in order], row_group_size=7)
    alcli(*UPDATE, "-l", "more.csv", "-o", "b.safetensors").done()
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


def test_regression(tiny, alcli):
    """With a squared loss one update of ridge is the refit."""
    y_N = X_ND @ np.array([1.0, -2, 0.5, 0, 3]) + 0.1
    write_labels("labels.csv", {f"r{i:03d}": y_N[i] for i in range(20)})
    write_labels("more.csv", {f"r{i:03d}": y_N[i] for i in range(20, 30)})
    write_pool("pool.parquet", X_ND, label=[None] * 60)
    alcli(
        "fit-head",
        "pool.parquet",
        "-l",
        "labels.csv",
        "-o",
        "head.safetensors",
        "--task",
        "regression",
        "--prior-precision",
        "1",
    ).done()
    for method in ("second-order", "refit"):
        alcli(*UPDATE, "-l", "more.csv", "-o", f"{method}.safetensors", "--method", method).done()
    assert np.allclose(weights("second-order.safetensors"), weights("refit.safetensors"), atol=1e-7)
    write_labels("more.csv", {"r030": "cat"})
    alcli(*UPDATE, "-l", "more.csv").refused(65, "more.csv", "line 2", "'cat'", "number")


def test_first_order_is_one_gradient_step_a_label(head, alcli):
    before = load_head(head).model
    report = json.loads(
        alcli(*UPDATE, "-l", "more.csv", "-o", "new.safetensors", "--method", "first-order", "--json").done().out
    )
    W_CD1 = before.head.W_CD1.copy()
    rows = in_order_of_hashes(range(20, 30))
    phi_LD1 = before.head.last_layer(X_ND[rows])
    assert report["gamma"] == pytest.approx(1 / (phi_LD1**2).sum(axis=1).mean())
    for phi_D1, y in zip(phi_LD1, Y_N[rows]):
        p_C = np.exp(W_CD1 @ phi_D1) / np.exp(W_CD1 @ phi_D1).sum()
        W_CD1 += report["gamma"] * np.outer(np.eye(3)[y] - p_C, phi_D1)
    assert np.allclose(weights("new.safetensors"), W_CD1, atol=1e-12)


def test_mc_without_evidence_is_the_mean_of_the_draws_and_says_how_many_count(head, alcli):
    before = load_head(head).model
    flat = json.loads(
        alcli(*UPDATE, "-l", "more.csv", "-o", "flat.safetensors", "--method", "mc", "--gamma", "1e-12", "--json")
        .done()
        .out
    )
    assert flat["effective_samples"] == pytest.approx(flat["hypotheses"])
    draws_SCD1 = before.posterior.sample(before.head.W_CD1, flat["hypotheses"], seed=0)
    assert np.allclose(weights("flat.safetensors"), draws_SCD1.mean(axis=0), atol=1e-8)
    full = json.loads(alcli(*UPDATE, "-l", "more.csv", "-o", "full.safetensors", "--method", "mc", "--json").done().out)
    assert 1 <= full["effective_samples"] < flat["effective_samples"]


def test_a_new_class_is_refused_unless_allowed_and_then_learned(head, alcli):
    write_labels("new.csv", {"r030": "zebra", "r031": "zebra"})
    before = load_head(head)
    alcli(*UPDATE, "-l", "new.csv").refused(65, "zebra", "--allow-new-classes")
    alcli(*UPDATE, "-l", "new.csv", "--allow-new-classes").done()
    after = load_head(head)
    assert after.classes == (*before.classes, "zebra")
    assert after.model.head.W_CD1[3].any(), "the row of the new class has moved from zero"
    assert (after.model.log_probs(X_ND[30:32])[:, 3] > np.log(0.25)).all()
    alcli(*UPDATE, "-l", "new.csv", "--method", "refit").done()


def test_labels_can_be_given_back(head, alcli):
    """In closed form the posterior is exactly as before; a refit is the fit without the labels."""
    before = load_head(head)
    alcli(*UPDATE, "-l", "more.csv", "--mode", "batch", *CLOSED).done()
    Path("back.txt").write_text("".join(f"r{i:03d}\n" for i in range(20, 30)))
    alcli(*UPDATE, "--remove", "back.txt", "-o", "undone.safetensors", *CLOSED).done()
    undone = load_head(Path("undone.safetensors"))
    assert sorted(undone.absorbed.id_L) == sorted(before.absorbed.id_L)
    assert np.allclose(undone.model.posterior.precision, before.model.posterior.precision, rtol=1e-9)
    alcli(*UPDATE, "--remove", "back.txt", "--method", "refit", "-o", "refitted.safetensors").done()
    assert np.allclose(weights("refitted.safetensors"), before.model.head.W_CD1, atol=1e-5)
    alcli("update", "undone.safetensors", "-P", "pool.parquet", "--remove", "back.txt").refused(65, "back.txt", "r020")
    alcli(*UPDATE).refused(2, "--remove")


def test_a_covariance_that_cannot_give_back_in_closed_form_says_refit(tiny, alcli):
    alcli(
        "fit-head",
        "pool.parquet",
        "-l",
        "labels.csv",
        "-o",
        "head.safetensors",
        "--prior-precision",
        "1",
        "--covariance",
        "kron",
    ).done()
    Path("back.txt").write_text("r001\n")
    alcli(*UPDATE, "--remove", "back.txt", *CLOSED).refused(65, "refit")
    alcli(*UPDATE, "--remove", "back.txt").done()
