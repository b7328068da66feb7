"""Predictions for a whole pool, against the head asked by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import alcli.data.streamed.feature_blocks as blocks_module
from alcli.data.head_file import load_head
from alcli.numerics.blocks import thread_limit
from alcli.numerics.logistic import softmax
from tests.pools import CLASSES, fixed, group_names, names, patches, tiny_features, write_labels, write_pool
from tests.shell import untouched

X_ND, Y_N = tiny_features()
PREDICT = ("predict", "pool.parquet", "-H", "head.safetensors")
POSTERIORS = {
    "shared": (), "shared-cat": ("--covariance", "shared-cat"), "block": ("--covariance", "block"),
    "kron": ("--covariance", "kron"), "diag": ("--covariance", "diag"), "full": ("--covariance", "full"),
    "ensemble": ("--posterior", "ensemble"), "dropout": ("--posterior", "dropout"),
    "variational": ("--posterior", "variational"), "none": ("--posterior", "none"),
}  # fmt: skip


def rows(outcome):
    return [json.loads(line) for line in outcome.done().lines]


def model():
    return load_head(Path("head.safetensors")).model


@pytest.fixture
def numbers(tiny, alcli):
    """A pool whose first 20 rows have numbers as labels, and a head; returns the features with a bias column."""
    write_pool(
        "pool.parquet", X_ND, label=[float(x) + 0.5 * (i % 3) if i < 20 else None for i, x in enumerate(X_ND[:, 0])]
    )
    alcli("fit-head", "pool.parquet", "-o", "head.safetensors").done()
    return np.column_stack([X_ND.astype(float), np.ones(60)])


# -- classes ----------------------------------------------------------------------------------------------------------


def test_every_row_in_the_order_of_the_pool_with_the_class_and_its_probability(head, alcli):
    found = rows(alcli(*PREDICT, "--format", "jsonl", "--probs"))
    probs_NC = np.exp(model().predictive(X_ND))
    assert [r["id"] for r in found] == names(60)
    assert [r["predicted"] for r in found] == [CLASSES[c] for c in probs_NC.argmax(axis=1)]
    assert [np.float32(r["confidence"]) for r in found] == probs_NC.max(axis=1).astype(np.float32).tolist()
    assert list(found[0]["probs"]) == list(CLASSES)
    assert (
        np.array([list(r["probs"].values()) for r in found], np.float32).tolist()
        == probs_NC.astype(np.float32).tolist()
    )
    assert np.allclose([sum(r["probs"].values()) for r in found], 1, atol=1e-6)


def test_the_mean_field_probabilities_by_hand(head, alcli):
    """softmax(z / sqrt(1 + pi/8 s 3/2)), s = phi^T P^-1 phi, with the matrices of the file and three classes."""
    phi_ND1 = np.column_stack([X_ND.astype(float), np.ones(60)])
    posterior = model().posterior
    s_N = posterior.noise_variance * np.einsum("nd,de,ne->n", phi_ND1, posterior.state.covariance, phi_ND1)
    expected = softmax(phi_ND1 @ model().head.W_CD1.T / np.sqrt(1 + np.pi / 8 * 1.5 * s_N)[:, None])
    found = rows(alcli(*PREDICT, "--format", "jsonl", "--probs", "--variance"))
    assert np.allclose([list(r["probs"].values()) for r in found], expected, rtol=1e-5)
    assert np.allclose([r["variance"] for r in found], s_N, rtol=1e-5)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_variance_is_that_of_the_logit_of_the_predicted_class(tiny, alcli, posterior):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", *POSTERIORS[posterior]).done()
    done = alcli(*PREDICT, "--format", "jsonl", "--variance")
    found, fitted = rows(done), model()
    assert [r["confidence"] for r in found] == pytest.approx(np.exp(fitted.predictive(X_ND)).max(axis=1), rel=1e-6)
    if posterior == "none":
        assert "no column 'variance': the head has no posterior" in done.err
        assert list(found[0]) == ["id", "predicted", "confidence"]
        return
    variance_NC = np.broadcast_to(fitted.logit_variance(X_ND), (60, 3))
    expected = [variance_NC[i, CLASSES.index(r["predicted"])] for i, r in enumerate(found)]
    assert [r["variance"] for r in found] == pytest.approx(expected, rel=1e-6)
    assert min(expected) > 0


def test_a_head_with_hidden_layers(tiny, alcli):
    fit = ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--head", "mlp")
    alcli(*fit, "-p", "widths=8", "-p", "epochs=30").done()
    found = rows(alcli(*PREDICT, "--format", "jsonl"))
    assert [r["confidence"] for r in found] == pytest.approx(np.exp(model().predictive(X_ND)).max(axis=1), rel=1e-6)


@pytest.mark.parametrize(("labels", "kind"), [([7, -3, 12], pa.int64()), ([True, False, True], pa.bool_())])
def test_classes_keep_their_type(tiny, alcli, labels, kind):
    write_pool("pool.parquet", X_ND, label=pa.array([labels[y] for y in Y_N], kind))
    alcli("fit-head", "pool.parquet", "-o", "head.safetensors").done()
    alcli(*PREDICT, "-o", "p.parquet", "--probs").done()
    table = pq.read_table("p.parquet")
    assert table.schema.field("predicted").type == kind
    assert np.mean([a == labels[y] for a, y in zip(table["predicted"].to_pylist(), Y_N)]) > 0.9
    text = csv.DictReader(alcli(*PREDICT).done().out.decode().splitlines())
    assert [row["predicted"] for row in text] == [str(v).lower() for v in table["predicted"].to_pylist()]


def test_a_class_may_be_called_as_a_column_is(tiny, alcli):
    odd = ("id", "p:id", 'conf,"x"')
    write_labels("labels.csv", {f"r{i:03d}": odd[Y_N[i]] for i in range(20)})
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    alcli(*PREDICT, "--probs", "-o", "p.parquet").done()
    in_order = sorted(odd)
    assert pq.read_table("p.parquet").column_names == ["id", "predicted", "confidence", *(f"p:{c}" for c in in_order)]
    found = rows(alcli(*PREDICT, "--probs", "--format", "jsonl"))
    assert list(found[0]["probs"]) == in_order


# -- numbers ----------------------------------------------------------------------------------------------------------


def test_a_number_and_its_standard_deviation_in_closed_form(numbers, alcli):
    """Ridge regression by hand: P = (X^T X + lambda I), w = P^-1 X^T y, sd^2 = noise (1 + phi^T P^-1 phi)."""
    found = rows(alcli(*PREDICT, "--format", "jsonl"))
    fitted = model()
    noise, W_D1 = fitted.head.noise_variance, fitted.head.W_CD1[0]
    assert [r["predicted"] for r in found] == pytest.approx(numbers @ W_D1, rel=1e-6)
    spread_N = np.einsum("nd,de,ne->n", numbers, fitted.posterior.state.covariance, numbers)
    assert [r["sd"] for r in found] == pytest.approx(np.sqrt(noise * (1 + spread_N)), rel=1e-6)
    assert list(found[0]) == ["id", "predicted", "sd"]


def test_without_a_posterior_sd_is_the_noise(numbers, alcli):
    alcli("fit-head", "pool.parquet", "-o", "head.safetensors", "--posterior", "none", "--force").done()
    sd = {np.float32(r["sd"]) for r in rows(alcli(*PREDICT, "--format", "jsonl"))}
    assert sd == {np.float32(model().head.noise_variance ** 0.5)}


def test_what_a_head_for_numbers_does_not_have_is_said(numbers, alcli):
    done = alcli(*PREDICT, "--probs", "--variance").done()
    assert done.lines[0] == "id,predicted,sd"
    assert "there are no class probabilities: the head predicts numbers" in done.err
    assert "there is no column 'variance': the head predicts numbers" in done.err


# -- formats, stdout, files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [(), ("--probs",), ("--probs", "--variance")])
def test_all_formats_say_the_same_and_stdout_is_the_file(head, alcli, more):
    expected = rows(alcli(*PREDICT, *more, "--format", "jsonl"))
    for form in ("csv", "jsonl", "parquet"):
        alcli(*PREDICT, *more, "-o", f"p.{form}").done()
    for form in ("csv", "jsonl"):
        assert alcli(*PREDICT, *more, "--format", form, "-o", "-").done().out == Path(f"p.{form}").read_bytes()
    flat = [
        {k: v for k, v in row.items() if k != "probs"} | {f"p:{k}": v for k, v in row.get("probs", {}).items()}
        for row in expected
    ]
    table = pq.read_table("p.parquet")
    assert table.column_names == list(flat[0])
    for found in (table.to_pylist(), list(csv.DictReader(Path("p.csv").read_text().splitlines()))):
        for a, b in zip(found, flat, strict=True):
            assert {k: v if isinstance(b[k], str) else np.float32(v) for k, v in a.items()} == {
                k: v if isinstance(v, str) else np.float32(v) for k, v in b.items()
            }


def test_parquet_goes_to_a_pipe(head, alcli):
    from tests.shell import process

    alcli(*PREDICT, "-o", "p.parquet").done()
    assert process(*PREDICT, "--format", "parquet", "-q").done().out == Path("p.parquet").read_bytes()


def test_an_output_is_replaced_whole_or_left_as_it_was(head, alcli):
    Path("p.csv").write_text("before")
    X = X_ND.copy()
    X[50, 2] = np.nan
    write_pool("bad.parquet", X)
    with untouched(head.parent):
        alcli("predict", "bad.parquet", "-H", head, "-o", "p.csv").refused(65, "bad.parquet", "row 50", "r050")
    alcli(*PREDICT, "-o", "p.csv").done()
    assert len(Path("p.csv").read_text().splitlines()) == 61


def test_an_output_that_is_read_is_refused(head, alcli):
    with untouched(head.parent):
        alcli(*PREDICT, "-o", "pool.parquet").refused(2, "pool.parquet", "is read")
        alcli(*PREDICT, "-o", "head.safetensors", "--format", "csv").refused(2, "head.safetensors", "is read")
        alcli(*PREDICT, "-o", "nowhere/p.csv").refused(73, "nowhere")


# -- rows -------------------------------------------------------------------------------------------------------------


def test_labelled_rows_are_kept_or_dropped_and_test_rows_are_predicted(tiny, alcli):
    write_pool("pool.parquet", X_ND, split=["test" if i >= 50 else None for i in range(60)])
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    everything = alcli(*PREDICT).done().lines
    assert alcli(*PREDICT, "--labelled", "keep").done().lines == everything
    assert alcli(*PREDICT, "--labelled", "drop").done().lines == [everything[0], *everything[21:]]
    alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv").done()
    left = [line.partition(",")[0] for line in alcli(*PREDICT, "--labelled", "drop").done().lines[1:]]
    assert left == names(60)[30:]


def test_bad_rows_are_refused_or_left_out(head, alcli):
    vectors = [None if i == 4 else row for i, row in enumerate(X_ND.tolist())]
    write_pool("bad.parquet", pa.array(vectors, pa.list_(pa.float32(), 5)))
    alcli("predict", "bad.parquet", "-H", head).refused(65, "bad.parquet", "row 4", "null", "--bad-rows skip")
    done = alcli("predict", "bad.parquet", "-H", head, "--bad-rows", "skip").done()
    whole = alcli(*PREDICT).done().lines
    assert done.lines == whole[:5] + whole[6:]
    assert "1 row without a usable vector was left out" in done.err


def test_another_width_is_one_sentence(head, alcli):
    write_pool("wide.parquet", np.ones((4, 6), np.float32))
    alcli("predict", "wide.parquet", "-H", head).refused(65, "wide.parquet has D=6", "expects 5", "fit a new head")


def test_an_empty_pool(head, alcli):
    write_pool("empty.parquet", X_ND[:0], ids=pa.array([], pa.string()))
    ask = ("predict", "empty.parquet", "-H", head)
    alcli(*ask).refused(65, "0 rows", "--allow-empty")
    assert alcli(*ask, "--allow-empty").done().out == b"id,predicted,confidence\n"
    alcli(*ask, "--allow-empty", "-o", "p.parquet").done()
    assert pq.read_table("p.parquet").schema.types == [pa.string(), pa.string(), pa.float32()]


def test_an_id_that_is_an_integer_stays_one(head, alcli):
    write_pool("pool.parquet", X_ND, ids=np.arange(60)[::-1])
    found = rows(alcli(*PREDICT, "--format", "jsonl"))
    assert [r["id"] for r in found] == list(range(59, -1, -1))


# -- groups -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["together", "scattered"])
def grouped(folder, request):
    """A pool of groups whose rows lie together or scattered, labels of 12 groups; returns (X_ND, groups_N)."""
    X, y, groups = patches()
    order = np.arange(len(X)) if request.param == "together" else np.random.default_rng(0).permutation(len(X))
    X, y, groups = X[order], y[order], groups[order]
    write_pool("pool.parquet", X, group=group_names(groups), row_group_size=7)
    write_labels("labels.csv", {f"g{g:03d}": CLASSES[g % 3] for g in range(12)})
    return X, groups


def in_order(groups):
    """The groups in the order of their first rows."""
    return list(dict.fromkeys(groups.tolist()))


def test_a_group_has_the_mean_probabilities_of_its_rows(grouped, alcli):
    X, groups = grouped
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    done = alcli(*PREDICT, "--probs", "--format", "jsonl", "--variance")
    found = rows(done)
    probs_NC = np.exp(model().predictive(X))
    assert [r["id"] for r in found] == group_names(in_order(groups))
    expected = np.array([probs_NC[groups == g].mean(axis=0) for g in in_order(groups)])
    assert np.allclose([list(r["probs"].values()) for r in found], expected, atol=1e-6)
    assert [r["predicted"] for r in found] == [CLASSES[c] for c in expected.argmax(axis=1)]
    assert "there is no column 'variance': the rows of a group have a logit each" in done.err
    assert f"make {len(found)} groups by column 'group'" in done.err


def test_query_says_the_same_of_a_group(grouped, alcli):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    predicted = {r["id"]: (r["predicted"], r["confidence"]) for r in rows(alcli(*PREDICT, "--format", "jsonl"))}
    asked = rows(
        alcli("query", "pool.parquet", "-H", "head.safetensors", "-n", 99, "-s", "margin", "--format", "jsonl")
    )
    assert len(asked) == 8
    assert {r["id"]: (r["predicted"], r["confidence"]) for r in asked}.items() <= predicted.items()
    left = rows(alcli(*PREDICT, "--format", "jsonl", "--labelled", "drop"))
    assert {r["id"] for r in left} == {r["id"] for r in asked}


def test_without_groups_every_row_is_predicted(grouped, alcli):
    X, _ = grouped
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    found = rows(alcli(*PREDICT, "--format", "jsonl", "--group-col", "none", "--variance"))
    assert [r["id"] for r in found] == names(len(X))
    assert [r["confidence"] for r in found] == pytest.approx(np.exp(model().predictive(X)).max(axis=1), rel=1e-6)


def test_the_number_of_a_group_is_that_of_a_row_drawn_at_random(grouped, alcli):
    """By the law of total variance, against draws; and query says the same."""
    X, groups = grouped
    label = [float(x) if g < 12 else None for x, g in zip(X[:, 0] + 1e4, groups)]
    write_pool("pool.parquet", X, group=group_names(groups), label=label, row_group_size=7)
    alcli("fit-head", "pool.parquet", "-o", "head.safetensors").done()
    found = {r["id"]: r for r in rows(alcli(*PREDICT, "--format", "jsonl"))}
    mean_N, variance_N = model().mean(X), model().label_variance(X)
    rng = np.random.default_rng(0)
    for g in range(20):
        mine = np.flatnonzero(groups == g)
        row = rng.choice(mine, 200_000)
        draws = rng.normal(mean_N[row], np.sqrt(variance_N[row]))
        assert found[f"g{g:03d}"]["predicted"] == pytest.approx(mean_N[mine].mean(), rel=1e-6)
        assert found[f"g{g:03d}"]["sd"] == pytest.approx(draws.std(), rel=0.02)
    ask = (
        "query",
        "pool.parquet",
        "-H",
        "head.safetensors",
        "-n",
        99,
        "-s",
        "predictive-variance",
        "--format",
        "jsonl",
    )
    for r in rows(alcli(*ask)):
        assert (r["predicted"], r["sd"]) == (found[r["id"]]["predicted"], found[r["id"]]["sd"])


# -- blocks and threads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_the_bytes_do_not_depend_on_blocks_files_or_threads(folder, alcli, task, monkeypatch):
    X, y = tiny_features(n=9000, dim=40, seed=3)
    label = [CLASSES[c] if task == "classes" else float(x) for c, x in zip(y, X[:, 0])]
    label = [v if i < 90 else None for i, v in enumerate(label)]
    write_pool("pool.parquet", X, ids=np.arange(9000), label=label)
    Path("parts").mkdir()
    for first, last in ((0, 10), (10, 4000), (4000, 9000)):
        table = pa.table({"id": np.arange(first, last), "features": fixed(X[first:last])})
        pq.write_table(table, f"parts/{first:04d}.parquet", row_group_size=777)
    alcli("fit-head", "pool.parquet", "-o", "head.safetensors").done()
    ask = ("-H", "head.safetensors", "--probs", "--variance", "-q")
    for form in ("csv", "jsonl", "parquet"):
        alcli("predict", "pool.parquet", *ask, "-o", f"a.{form}").done()
        with thread_limit(1):
            alcli("predict", "pool.parquet", *ask, "-o", f"b.{form}").done()
        with monkeypatch.context() as patch:
            patch.setattr(blocks_module, "BLOCK_BYTES", 1 << 14)
            alcli("predict", "pool.parquet", *ask, "-o", f"c.{form}").done()
        assert Path(f"a.{form}").read_bytes() == Path(f"b.{form}").read_bytes() == Path(f"c.{form}").read_bytes()
    for form in ("csv", "jsonl"):
        alcli("predict", "parts", *ask, "-o", f"d.{form}").done()
        assert Path(f"a.{form}").read_bytes() == Path(f"d.{form}").read_bytes()


def test_memory_does_not_grow_with_the_pool(folder, alcli):
    """60 MiB of features more are a few MiB of ids and masks more."""
    from tests.shell import with_peak

    peaks = []
    for n in (40_000, 100_000):
        X = np.random.default_rng(0).standard_normal((n, 256), np.float32)
        write_pool("pool.parquet", X, ids=np.arange(n), row_group_size=4096,
                   label=[CLASSES[i % 3] if i < 30 else None for i in range(n)])  # fmt: skip
        alcli("fit-head", "pool.parquet", "-o", "head.safetensors", "--force", "--prior-precision", "1").done()
        done, peak = with_peak(*PREDICT, "--probs", "-o", "p.csv")
        done.done()
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 24 << 20, peaks
