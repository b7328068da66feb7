"""Queries and streams with heads that learnt from the pool: who chooses, who predicts, and what is saved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import alcli as package
from alcli.data.head_file import load_head
from alcli.heads._contract import Training
from tests.helpers import brief_options, names_for_linear_heads
from tests.pools import GATHERED, gathered, write_labels, write_pool

X_ND, Y_N, NAMES_CD = gathered()
LABELS = ("-l", "labels.csv")
NONE = ("-l", "none.csv")
NAMED = ("--class-names", "names.parquet")
POOL = ("--prior", "pool")
HEAD, NEW = Path("head.safetensors"), Path("new.safetensors")
WHO = "the strategy looks at the plain model of the head; the model that knows the pool predicts"


@pytest.fixture
def fit(named, alcli):
    """A function that fits head.safetensors with options."""

    def run(*options):
        alcli("fit-head", "pool.parquet", *options, "-o", HEAD, "--force").done()
        return load_head(HEAD)

    return run


@pytest.fixture
def query(alcli, named):
    """A function that queries pool.parquet and returns the rows of the selection and the remarks."""

    def run(*options, strategy="margin", n=8):
        done = alcli("query", "pool.parquet", "-s", strategy, "-n", n, "--format", "jsonl", *options).done()
        return [json.loads(line) for line in done.lines], done.err

    return run


def picks(found):
    return [(row["id"], row["score"]) for row in found]


def check_predictions(found, model):
    """`predicted` and `confidence` of rows are those of a model."""
    rows = [int(row["id"][1:]) for row in found]
    probs = np.exp(model.predictive(X_ND[rows]))
    assert [row["predicted"] for row in found] == [GATHERED[c] for c in probs.argmax(axis=1)]
    assert [row["confidence"] for row in found] == pytest.approx(probs.max(axis=1).tolist(), rel=1e-5)


def test_without_names_the_plain_model_chooses_and_the_other_predicts(fit, query):
    plain, said = query(*LABELS)
    assert WHO not in said
    head = fit(*LABELS, *POOL)
    for options in ((*LABELS, *POOL), ("-H", HEAD)):
        found, said = query(*options)
        assert picks(found) == picks(plain)
        assert said.count(WHO) == 1
        check_predictions(found, head.predictor)
    assert [row["confidence"] for row in found] != [row["confidence"] for row in plain]


def test_with_names_one_model_does_both(fit, query):
    head = fit(*LABELS, *NAMED)
    (found, said), (by_head, _) = query(*LABELS, *NAMED), query("-H", HEAD)
    assert found == by_head
    assert "fitted a softmax head on 18 labels, 6 names of classes and the pool" in said
    assert WHO not in said
    check_predictions(found, head.model)
    top = np.sort(np.exp(head.model.log_probs(X_ND[[int(row["id"][1:]) for row in found]])), axis=1)
    assert [row["score"] for row in found] == pytest.approx((1 - top[:, -1] + top[:, -2]).tolist(), rel=1e-5)


@pytest.mark.parametrize("strategy", [name for name in names_for_linear_heads() if name != "qbc"])
def test_names_are_enough_for_every_strategy(query, strategy):
    found, _ = query(*NONE, *NAMED, *brief_options(strategy), strategy=strategy, n=3)
    assert len({row["id"] for row in found}) == 3
    assert all(int(row["id"][1:]) < 180 for row in found)


def test_a_strategy_that_looks_at_no_model_is_told_of_none(fit, query):
    head = fit(*LABELS, *POOL)
    found, said = query("-H", HEAD, strategy="coreset")
    assert WHO not in said
    check_predictions(found, head.predictor)


def test_an_imputed_batch(fit, query):
    head = fit(*LABELS, *POOL)
    found, _ = query("-H", HEAD, "-p", "impute=argmax", n=4)
    check_predictions(found, head.predictor)
    model = head.model
    for row in found:
        place = int(row["id"][1:])
        label = int(model.predictive(X_ND[[place]]).argmax())
        assert row["imputed"] == GATHERED[label]
        model = model.update(Training(X_ND[[place]], np.array([label]), np.ones(1), 6))


def test_what_does_not_go_together_is_refused_before_data_is_read(folder, alcli):
    ask = ("query", "missing.parquet", "-s", "margin", "-n", 1)
    alcli(*ask, *NAMED, "-H", HEAD).refused(2, "--class-names", "-H", "fit-head")
    for prior in ("pool", "plain"):
        alcli(*ask, "--prior", prior, "-H", HEAD).refused(2, "--prior", "-H", "fit-head")
    alcli(*ask, *NAMED, "--prior", "plain").refused(2, "--class-names", "--prior pool")
    alcli(*ask, "--prior", "poool").refused(2, "did you mean 'pool'")


def test_names_that_make_no_head(named, alcli):
    ask = ("query", "pool.parquet", "-s", "margin", "-n", 1, *NAMED)
    write_pool("names.parquet", NAMES_CD[:1], ["ant"])
    alcli(*ask, *NONE).refused(65, "margin", "none")
    write_labels("ants.csv", {"r000": "ant", "r006": "ant"})
    alcli(*ask, "-l", "ants.csv").refused(65, "2 classes")
    write_pool("names.parquet", NAMES_CD[:, :5], GATHERED)
    alcli(*ask, *LABELS).refused(65, "names.parquet", "D=5", "D=16")
    write_pool("names.parquet", np.full((6, 16), np.nan, np.float32), GATHERED)
    alcli(*ask, *LABELS).refused(65, "names.parquet", "nan")
    alcli(*ask, *LABELS, "--bad-rows", "skip").refused(65, "names.parquet", "usable vector")
    alcli("query", "pool.parquet", "-s", "margin", "-n", 1, "--class-names", "gone.parquet").refused(66, "gone.parquet")


@pytest.mark.parametrize("options", [POOL, NAMED])
def test_numbers_have_no_classes_to_find(query, options):
    label = [float(x) if i < 60 else None for i, x in enumerate(X_ND[:, 0])]
    write_pool("pool.parquet", X_ND, label=label)
    (found, said), (plain, _) = (query(*more, strategy="predictive-variance") for more in (options, ()))
    assert found == plain
    assert "the labels are numbers, so there are no classes to find in the pool, and the prior is plain" in said


def test_groups_have_the_mean_of_the_predictor(query, fit, alcli):
    write_pool("pool.parquet", X_ND, group=[f"g{i // 12:02d}-{c}" for i, c in enumerate(Y_N)])
    write_labels("labels.csv", {f"g00-{c}": GATHERED[c] for c in range(6)})
    head = fit(*LABELS, *POOL)
    found, _ = query("-H", HEAD, n=3)
    for row in found:
        first, c = int(row["id"][1:3]) * 12, int(row["id"][4])
        members = [i for i in range(first, first + 12) if Y_N[i] == c]
        probs_C = np.exp(head.predictor.predictive(X_ND[members])).mean(axis=0)
        assert row["predicted"] == GATHERED[int(probs_C.argmax())]
        assert row["confidence"] == pytest.approx(probs_C.max(), rel=1e-5)


def test_python_chooses_as_the_command_does(query):
    for options, call in (((*LABELS, *POOL), {"prior": "pool"}), ((*LABELS, *NAMED), {"class_names": "names.parquet"})):
        found, _ = query(*options)
        batch = package.select("pool.parquet", 8, strategy="margin", labels="labels.csv", note=lambda _: None, **call)
        assert [dict(zip(batch.columns, row)) for row in zip(*batch.columns.values())] == found
        head = package.fit_head("pool.parquet", "labels.csv", note=lambda _: None, **call)
        assert (
            package.select("pool.parquet", 8, strategy="margin", head=head, note=lambda _: None).columns
            == batch.columns
        )


# -- streams ---------------------------------------------------------------------------------------


def conversation(alcli, *options, n=5, label=lambda row: GATHERED[Y_N[row]]):
    """The items of a stream whose annotator answers each of them at once, and its remarks.

    The answers are found by playing the stream again with one more answer each time.
    """
    said: list[bytes] = []
    while True:
        done = alcli(
            "query", "pool.parquet", "-s", "margin", "-n", n, "--stream", *options, stdin=b"".join(said)
        ).done()
        items = [json.loads(line) for line in done.lines]
        if len(said) == n:
            return items, done.err
        row = int(items[-1]["id"][1:])
        said.append(json.dumps({"id": items[-1]["id"], "label": label(row)}).encode() + b"\n")


def test_a_stream_scores_by_one_model_and_predicts_by_the_other(fit, alcli):
    head = fit(*LABELS, *POOL)
    items, said = conversation(alcli, "-H", HEAD, "-o", NEW, "--polish", "none")
    assert WHO in said
    model, predictor = head.model, head.predictor
    for item in items:
        row = int(item["id"][1:])
        check_predictions([item], predictor)
        top = np.sort(np.exp(model.log_probs(X_ND[[row]])))[0]
        assert item["score"] == pytest.approx(1 - top[-1] + top[-2], rel=1e-5)
        one = Training(X_ND[[row]], Y_N[[row]], np.ones(1), 6)
        model, predictor = model.update(one), predictor.update(one)
    saved = load_head(NEW)
    np.testing.assert_allclose(saved.model.head.W_CD1, model.head.W_CD1, rtol=0, atol=1e-9)
    np.testing.assert_allclose(saved.predictor.head.W_CD1, predictor.head.W_CD1, rtol=0, atol=1e-9)
    assert len(saved.absorbed.id_L) == 23


def test_a_stream_begins_with_names_alone(named, alcli):
    items, said = conversation(alcli, *NONE, *NAMED, "-o", NEW)
    assert "fitted a softmax head on 0 labels, 6 names of classes and the pool" in said
    saved = load_head(NEW)
    assert (len(saved.absorbed.id_L), saved.predictor, saved.class_names.names) == (5, None, GATHERED)
    assert len({item["id"] for item in items}) == 5
    assert all("confidence" in item for item in items)


def test_a_stream_fits_both_models_and_keeps_them(named, alcli):
    items, _ = conversation(alcli, *LABELS, *POOL, "-o", NEW)
    plain, _ = conversation(alcli, *LABELS)
    assert picks(items) == picks(plain)
    assert [item["confidence"] for item in items] != [item["confidence"] for item in plain]
    assert load_head(NEW).predictor is not None


@pytest.mark.parametrize("options", [(*LABELS, *POOL), (*LABELS, *NAMED), (*NONE, *NAMED)])
def test_a_class_that_is_new_enters_both_models(fit, alcli, options):
    head = fit(*options)
    items, _ = conversation(alcli, "-H", HEAD, "-o", NEW, "--allow-new-classes", n=3, label=lambda row: "yak")
    saved = load_head(NEW)
    assert saved.classes == (*GATHERED, "yak")
    row = int(items[0]["id"][1:])
    for old, new in ((head.model, saved.model), (head.predictor, saved.predictor)):
        assert (old is None) == (new is None)
        if new is not None:
            assert len(new.head.W_CD1) == 7
            before = np.exp(old.with_new_classes(1).predictive(X_ND[[row]]))[0, 6]
            assert np.exp(new.predictive(X_ND[[row]]))[0, 6] > 2 * before


def test_a_refused_line_leaves_both_models(fit, alcli):
    fit(*LABELS, *POOL)
    lines = [{"id": "r000", "label": "bee"}, {"id": "r100", "label": "yak"}, {"id": "r200", "label": "ant"}]
    said = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    done = alcli("query", "pool.parquet", "-s", "margin", "-n", 2, "--stream", "-H", HEAD, "-o", NEW, stdin=said).done()
    assert ["error" in json.loads(line) for line in done.lines] == [False, True, True, True]
    assert NEW.read_bytes() == HEAD.read_bytes()
