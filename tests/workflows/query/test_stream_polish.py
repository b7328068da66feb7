"""A stream polishes its models between items: the head that it saves is the head of an update with the same labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alcli.data.head_file import load_head
from alcli.data.pool import open_pool
from alcli.workflows.fit_head import fit_head
from alcli.workflows.query.polishing import POLISH_EVERY, Polisher
from alcli.workflows.recipe import Recipe
from tests.helpers import brief, names_for_linear_heads
from tests.pools import names, tiny_features, write_labels, write_pool
from tests.workflows.query.test_stream import HEAD, NEW, run, true

X_ND, Y_N = tiny_features(60)


def absorbed_in(talk, path="all.csv"):
    """A label file of what the stream absorbed and of what the head knew."""
    lines = Path("labels.csv").read_text() + "".join(f"{item['id']},{true(item)['label']}\n" for item in talk.items)
    Path(path).write_text(lines)
    return path


@pytest.mark.parametrize("n", [3, POLISH_EVERY, 17])
def test_the_saved_head_is_at_the_map_of_all_labels(head, alcli, n):
    talk = run(n=n, out=NEW, polish="auto")
    alcli(
        "fit-head", "pool.parquet", "-l", absorbed_in(talk), "-o", "fresh.safetensors", "--prior-precision", "1"
    ).done()
    one, other = load_head(NEW), load_head(Path("fresh.safetensors"))
    np.testing.assert_allclose(one.model.head.W_CD1, other.model.head.W_CD1, rtol=0, atol=2e-3)
    assert sorted(one.absorbed.id_L) == sorted(other.absorbed.id_L)
    assert one.fitted_on == 20


def test_a_head_whose_labels_have_doubled_is_fitted_anew(tiny, alcli):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", HEAD).done()
    talk = run(n=24, out=NEW, polish="auto")
    one = load_head(NEW)
    assert one.fitted_on == 40, "the 20th label of the stream is the 40th of the head"
    lines = Path(absorbed_in(talk)).read_text().splitlines()
    Path("forty.csv").write_text("\n".join(lines[:41]) + "\n")
    alcli("fit-head", "pool.parquet", "-l", "forty.csv", "-o", "fresh.safetensors").done()
    fresh = load_head(Path("fresh.safetensors")).model
    assert one.model.head.prior_precision == pytest.approx(fresh.head.prior_precision, rel=1e-9)
    assert one.model.posterior.curvature == pytest.approx(fresh.posterior.curvature, rel=1e-4)


@pytest.mark.parametrize("strategy", names_for_linear_heads())
def test_the_item_after_a_polish_is_that_of_a_query_with_the_polished_head(head, alcli, strategy):
    """The 12th item is chosen by a model that was polished after 10 labels and then absorbed one."""
    ask = {"strategy": strategy, "options": {name: str(value) for name, value in brief(strategy).items()}}
    talk = run(**ask, n=12, out=NEW, polish="auto")
    first = run(**ask, n=10, out=Path("ten.safetensors"), polish="auto")
    assert [item["id"] for item in first.items] == [item["id"] for item in talk.items[:10]]
    write_labels("one.csv", {talk.items[10]["id"]: true(talk.items[10])["label"]})
    alcli("update", "ten.safetensors", "-P", "pool.parquet", "-l", "one.csv", "--polish", "none").done()
    other = run(**ask, n=1, head=Path("ten.safetensors"), polish="none")
    assert talk.items[11]["id"] == other.items[0]["id"]
    assert talk.items[11]["confidence"] == pytest.approx(other.items[0]["confidence"], rel=1e-5)


def test_the_same_labels_give_the_same_items_and_head(head):
    one, other = (run(n=23, out=Path(name), polish="auto") for name in ("a.safetensors", "b.safetensors"))
    assert one.items == other.items
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()


def test_a_temperature_that_a_renewal_changes_reaches_the_scores(tiny, alcli):
    """A ridge head has another temperature after a fit; the items are those of the new one."""
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", HEAD, "--head", "ridge").done()
    talk = run(n=22, out=NEW, polish="auto")
    assert load_head(NEW).fitted_on == 40
    assert load_head(NEW).model.temperature != load_head(HEAD).model.temperature
    twenty = run(n=20, out=Path("twenty.safetensors"), polish="auto")
    assert [i["id"] for i in twenty.items] == [i["id"] for i in talk.items[:20]]
    write_labels("one.csv", {talk.items[20]["id"]: true(talk.items[20])["label"]})
    alcli("update", "twenty.safetensors", "-P", "pool.parquet", "-l", "one.csv", "--polish", "none").done()
    other = run(n=1, head=Path("twenty.safetensors"), polish="none")
    assert talk.items[21]["id"] == other.items[0]["id"]
    assert talk.items[21]["score"] == pytest.approx(other.items[0]["score"], rel=1e-5)


def test_a_regression_is_polished_too(folder, alcli):
    y_N = X_ND @ np.array([1.0, -2, 0.5, 0, 3]) + 50
    ids = names(60)
    write_pool("pool.parquet", X_ND, label=[None] * 60)
    write_labels("labels.csv", {ids[i]: y_N[i] for i in range(8)})
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", HEAD, "--task", "regression").done()
    talk = run(
        lambda item: {"id": item["id"], "label": y_N[ids.index(item["id"])]},
        strategy="maxherding",
        n=14,
        out=NEW,
        polish="auto",
    )
    said = {item["id"]: y_N[ids.index(item["id"])] for item in talk.items}
    write_labels("all.csv", {ids[i]: y_N[i] for i in range(8)} | said)
    one = load_head(NEW)
    assert one.fitted_on >= 16
    fresh = fit_head(
        open_pool("pool.parquet"),
        ["all.csv"],
        None,
        Recipe(prior_precision=one.model.head.prior_precision),
        task="regression",
    ).head
    np.testing.assert_allclose(one.model.mean(X_ND), fresh.model.mean(X_ND), rtol=1e-6)
    np.testing.assert_allclose(one.model.label_variance(X_ND), fresh.model.label_variance(X_ND), rtol=1e-6)


def test_without_the_old_items_a_stream_keeps_to_the_closed_form(head):
    write_pool("rest.parquet", X_ND[10:], names(60)[10:])
    with_polish = run(n=12, out=NEW, pool="rest.parquet", polish="auto")
    assert any("10 of 20 labelled items are not in rest.parquet" in note for note in with_polish.notes)
    run(n=12, out=Path("plain.safetensors"), pool="rest.parquet", polish="none")
    assert np.array_equal(load_head(NEW).model.head.W_CD1, load_head(Path("plain.safetensors")).model.head.W_CD1)


def test_polishes_come_after_ten_labels_or_a_twentieth_of_all(head):
    open_head, pool = load_head(HEAD), open_pool("pool.parquet")
    polisher = Polisher(pool, open_head, print)
    assert [n for n in range(13) if polisher.is_due(n)] == [10, 11, 12]
    polisher._rows_L = np.zeros(1000, np.int64)
    assert next(n for n in range(60) if polisher.is_due(n)) == 52


def test_polish_is_for_streams(head, alcli):
    alcli("query", "pool.parquet", "-H", HEAD, "-n", 1, "--polish", "none").refused(2, "--polish", "--stream")


def test_hidden_layers_stay_in_a_stream(tiny, alcli):
    """A renewal would train them again, and the logits of the candidates follow the last layer alone."""
    pytest.importorskip("torch")
    mlp = ("--head", "mlp", "-p", "epochs=3", "-p", "widths=8")
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", HEAD, *mlp).done()
    talk = run(n=22, out=NEW, polish="auto")
    before, after = load_head(HEAD), load_head(NEW)
    assert after.fitted_on == 20
    assert all(
        np.array_equal(a, b)
        for one, other in zip(before.model.head.layers, after.model.head.layers)
        for a, b in zip(one, other)
    )
    twenty = run(n=20, out=Path("twenty.safetensors"), polish="auto")
    assert [i["id"] for i in twenty.items] == [i["id"] for i in talk.items[:20]]
    write_labels("one.csv", {talk.items[20]["id"]: true(talk.items[20])["label"]})
    alcli("update", "twenty.safetensors", "-P", "pool.parquet", "-l", "one.csv", "--polish", "none").done()
    other = run(n=1, head=Path("twenty.safetensors"), polish="none")
    assert talk.items[21]["id"] == other.items[0]["id"]
    assert talk.items[21]["score"] == pytest.approx(other.items[0]["score"], rel=1e-5)
