"""Heads that learn from the pool and from names of classes: what `fit-head` makes of them, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import alcli as package
from alcli.data.head_file import load_head, save_head
from alcli.numerics.blocks import BLOCK_ROWS, thread_limit
from tests.pools import GATHERED, gathered, group_names, names, write_labels, write_pool

X_ND, Y_N, NAMES_CD = gathered()
TEST = slice(180, 240)
LABELS = ("-l", "labels.csv")
NONE = ("-l", "none.csv")
NAMED = ("--class-names", "names.parquet")
POOL = ("--prior", "pool")


@pytest.fixture
def fit(named, alcli):
    """A function that fits a head with options, and returns it and the report."""

    def run(*options, pool="pool.parquet", out="head.safetensors"):
        done = alcli("fit-head", pool, *options, "-o", out, "--force", "--json").done()
        return load_head(Path(out)), json.loads(done.out)

    return run


def figures(model, rows=TEST):
    """(accuracy, negative log-likelihood) of the labels of rows."""
    log_probs = model.predictive(X_ND[rows])
    return (log_probs.argmax(axis=1) == Y_N[rows]).mean(), -log_probs[np.arange(len(log_probs)), Y_N[rows]].mean()


def same_model(one, other):
    """True where two models have the same tensors, bit for bit."""
    mine, theirs = one.arrays(), other.arrays()
    return mine.keys() == theirs.keys() and all(mine[name].tobytes() == theirs[name].tobytes() for name in mine)


def test_names_alone_make_a_head(fit):
    head, report = fit(*NONE, *NAMED)
    assert (report["n"], report["selects"], report["n_test"]) == (0, "pool", 60)
    assert report["test_accuracy"] > 0.85
    assert (report["test_accuracy"], report["test_nll"]) == pytest.approx(figures(head.model))
    assert (head.classes, head.predictor, head.class_names.names) == (GATHERED, None, GATHERED)
    assert "train_accuracy" not in report
    assert sum(report["pool_rows"].values()) == pytest.approx(180, abs=1)


def test_without_names_the_plain_model_selects_and_the_other_predicts(fit):
    plain, _ = fit(*LABELS, "--prior", "plain")
    head, report = fit(*LABELS, *POOL)
    assert (report["prior"], report["selects"]) == ("pool", "plain")
    assert same_model(head.model, plain.model)
    assert plain.predictor is None
    assert (report["test_accuracy"], report["test_nll"]) == pytest.approx(figures(head.predictor))
    assert figures(head.predictor)[1] < figures(head.model)[1] - 0.1
    assert head.class_names is None


def test_auto_is_pool_with_names_and_plain_without(fit):
    for given, same in (((), ("--prior", "plain")), (NAMED, (*NAMED, *POOL))):
        one, other = (fit(*LABELS, *options)[0] for options in (given, same))
        assert one.recipe == other.recipe
        assert same_model(one.model, other.model)


def test_classes_without_a_name_and_names_without_a_label(fit, alcli):
    """fox has no name, eel and yak have no label; the rows of eel are found by its name."""
    write_pool("names.parquet", np.vstack([NAMES_CD[:5], -NAMES_CD[:1]]), [*GATHERED[:5], "yak"])
    write_labels("labels.csv", {f"r{i:03d}": GATHERED[Y_N[i]] for i in range(18) if Y_N[i] != 4})
    done = alcli("fit-head", "pool.parquet", *LABELS, *NAMED, "-o", "head.safetensors").done()
    assert "1 labelled class has no name: 'fox'" in done.err
    head, report = fit(*LABELS, *NAMED)
    assert head.classes == (*GATHERED, "yak")
    assert report["test_accuracy"] > 0.7
    assert report["pool_rows"]["eel"] == pytest.approx(30, abs=5)
    assert report["pool_rows"]["fox"] == pytest.approx(27, abs=5)
    assert report["pool_rows"]["yak"] < 5


def test_names_of_no_use_are_as_good_as_none(fit):
    """Zeros name no class; what is left is the pool."""
    write_pool("names.parquet", np.zeros((6, 16), np.float32), GATHERED)
    with_zeros, report = fit(*LABELS, *NAMED)
    without, _ = fit(*LABELS, *POOL)
    assert report["selects"] == "plain"
    assert same_model(with_zeros.predictor, without.predictor)


def test_names_that_the_labels_contradict_are_told(fit, alcli):
    write_labels("labels.csv", {f"r{i:03d}": GATHERED[Y_N[i]] for i in range(60)})
    swapped = NAMES_CD.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    write_pool("names.parquet", swapped, GATHERED)
    done = alcli("fit-head", "pool.parquet", *LABELS, *NAMED, "-o", "a.safetensors").done()
    assert "2 names of classes are contradicted by its labels and not used: 'ant', 'bee'" in done.err
    assert "wrong names" in done.err
    write_pool("names.parquet", np.roll(NAMES_CD, 1, axis=0), GATHERED)
    done = alcli("fit-head", "pool.parquet", *LABELS, *NAMED, "-o", "b.safetensors", "--json").done()
    assert "the labels contradict the names of the classes as a whole, so no name was used" in done.err
    assert (json.loads(done.out)["selects"], load_head(Path("b.safetensors")).predictor is None) == ("plain", False)


@pytest.mark.parametrize("ids", [pa.array(range(6)), [str(c) for c in range(6)]], ids=["integers", "strings"])
def test_classes_that_are_integers(fit, alcli, ids):
    write_pool("names.parquet", NAMES_CD, ids)
    write_pool("pool.parquet", X_ND, label=pa.array([int(c) if i < 18 else None for i, c in enumerate(Y_N)]))
    head, _ = fit(*NAMED)
    assert (head.class_type, head.classes) == ("integer", tuple("012345"))
    done = alcli("predict", "pool.parquet", "-H", "head.safetensors", "--format", "jsonl").done()
    answers = [json.loads(line)["predicted"] for line in done.lines]
    assert {type(one) for one in answers} == {int}
    assert (np.array(answers) == Y_N).mean() > 0.85


def test_integer_names_give_the_type_where_there_is_no_label(fit):
    write_pool("names.parquet", NAMES_CD, pa.array([10, 9, 8, 7, 6, 5]))
    head, _ = fit(*NONE, *NAMED)
    assert (head.class_type, head.classes) == ("integer", ("5", "6", "7", "8", "9", "10"))


def test_classes_that_are_booleans(fit):
    write_pool("names.parquet", NAMES_CD[:2], ["true", "false"])
    known = [bool(c == 0) if c < 2 and i < 60 else None for i, c in enumerate(Y_N)]
    write_pool("pool.parquet", X_ND[Y_N < 2], label=pa.array([v for v, c in zip(known, Y_N) if c < 2]))
    head, _ = fit(*NAMED)
    assert (head.class_type, head.classes) == ("boolean", ("false", "true"))
    assert head.predictor is None
    predicted = head.model.predictive(X_ND[Y_N < 2]).argmax(axis=1)
    assert (predicted == (Y_N[Y_N < 2] == 0)).mean() > 0.9


def test_names_of_another_type_than_the_labels_are_refused(named, alcli):
    for to_label, word in ((int, "integer"), (bool, "boolean")):
        write_pool("pool.parquet", X_ND, label=pa.array([to_label(c) if i < 99 else None for i, c in enumerate(Y_N)]))
        for command in (("fit-head", "-o", "head.safetensors"), ("query", "-s", "margin", "-n", 1)):
            alcli(command[0], "pool.parquet", *NAMED, *command[1:]).refused(65, "--class-names", "'ant'", word)
    assert not Path("head.safetensors").exists()


def test_one_class_makes_no_head(named, alcli):
    write_pool("names.parquet", NAMES_CD[:1], ["ant"])
    write_labels("ants.csv", {"r000": "ant", "r006": "ant"})
    out = ("-o", "head.safetensors")
    for options in ((*NONE, *NAMED), ("-l", "ants.csv", *NAMED), ("-l", "ants.csv", *POOL)):
        alcli("fit-head", "pool.parquet", *options, *out).refused(65, "2 classes", "'ant'")
    alcli("fit-head", "pool.parquet", *NONE, *POOL, *out).refused(65, "no label", "-l FILE")


def test_one_label_and_names(fit):
    write_labels("one.csv", {"r000": "ant"})
    head, report = fit("-l", "one.csv", *NAMED)
    assert (report["n"], head.predictor) == (1, None)
    assert report["test_accuracy"] > 0.85


def test_what_does_not_go_together_is_refused_before_data_is_read(folder, alcli):
    head = ("fit-head", "missing.parquet", "-o", "head.safetensors", *NAMED)
    alcli(*head, "--prior", "plain").refused(2, "--class-names", "--prior pool")
    for kind in ("ridge", "mlp"):
        alcli(*head, "--head", kind).refused(2, "--class-names", "softmax", kind)
        alcli("fit-head", "missing.parquet", "-o", "h.safetensors", *POOL, "--head", kind).refused(2, "softmax", kind)
    alcli(*head, "--prior", "poool").refused(2, "did you mean 'pool'")


def test_a_pool_without_names_of_that_name(named, alcli):
    head = ("fit-head", "pool.parquet", *LABELS, "-o", "head.safetensors", "--class-names")
    alcli(*head, "missing.parquet").refused(66, "missing.parquet")
    alcli(*head, "labels.csv").refused(65, "labels.csv", "Parquet")
    alcli("fit-head", "pool.parquet", *LABELS, *NAMED, "-o", "names.parquet", "--force").refused(2, "names.parquet")


@pytest.mark.parametrize("options", [POOL, NAMED])
def test_numbers_have_no_classes_to_find(named, alcli, options):
    write_pool("pool.parquet", X_ND, label=X_ND[:, 0].astype(np.float64))
    done = alcli("fit-head", "pool.parquet", *options, "-o", "a.safetensors").done()
    assert "the labels are numbers, so there are no classes to find in the pool, and the prior is plain" in done.err
    alcli("fit-head", "pool.parquet", "-o", "b.safetensors").done()
    one, other = (load_head(Path(f"{name}.safetensors")) for name in "ab")
    assert same_model(one.model, other.model)
    assert (one.predictor, one.class_names, one.classes) == (None, None, None)


@pytest.mark.parametrize("options", [(*LABELS, *POOL), (*LABELS, *NAMED), (*NONE, *NAMED)])
def test_no_test_row_is_read(fit, options):
    fit(*options)
    before = Path("head.safetensors").read_bytes()
    others = pq.read_table("pool.parquet").select(["split", "label"]).to_pydict()
    for rows, is_read in ((range(180, 240), False), ([179], True)):
        changed = X_ND.copy()
        changed[list(rows)] = 50 - changed[list(rows)]
        write_pool("pool.parquet", changed, **others)
        _, report = fit(*options)
        assert (Path("head.safetensors").read_bytes() != before) == is_read
        assert (report["test_accuracy"] > 0.8) == is_read


@pytest.mark.parametrize("options", [(*LABELS, *POOL), (*LABELS, *NAMED), (*NONE, *NAMED)])
def test_the_bytes_depend_neither_on_threads_nor_on_the_order_of_rows_nor_on_files(fit, options):
    found = []
    for threads in (1, 2):
        with thread_limit(threads):
            fit(*options)
        found.append(Path("head.safetensors").read_bytes())
    table = pq.read_table("pool.parquet")
    shuffled = table.take(np.random.default_rng(2).permutation(240))
    pq.write_table(shuffled, "pool.parquet", row_group_size=13)
    named = pq.read_table("names.parquet")
    pq.write_table(named.take([3, 1, 5, 0, 2, 4]), "names.parquet")
    fit(*options)
    found.append(Path("head.safetensors").read_bytes())
    Path("pool.parquet").unlink()
    Path("pool.parquet").mkdir()
    for number, rows in enumerate((range(0, 70), range(70, 71), range(71, 240))):
        pq.write_table(shuffled.take(list(rows)), f"pool.parquet/part-{number}.parquet", row_group_size=29)
    fit(*options)
    found.append(Path("head.safetensors").read_bytes())
    assert len(set(found)) == 1


@pytest.mark.parametrize("options", [POOL, NAMED])
def test_threads_share_the_blocks_of_a_large_pool_and_change_no_bit(fit, options):
    X_big, _, _ = gathered(5 * BLOCK_ROWS + 100)
    write_pool("pool.parquet", X_big, [f"r{i:06d}" for i in range(len(X_big))])
    write_labels("labels.csv", {f"r{i:06d}": GATHERED[i % 6] for i in range(18)})
    found = []
    for threads in (1, 2):
        with thread_limit(threads):
            fit(*LABELS, *options)
        found.append(Path("head.safetensors").read_bytes())
    assert found[0] == found[1]


def test_rows_without_a_vector_are_left_out(fit):
    spoilt = X_ND.copy()
    spoilt[[2, 100]] = np.nan
    write_pool("pool.parquet", spoilt)
    head, report = fit(*LABELS, *POOL, "--bad-rows", "skip")
    assert report["n"] == 17
    kept = np.delete(np.arange(240), [2, 100])
    write_pool("pool.parquet", X_ND[kept], [names(240)[i] for i in kept])
    other, _ = fit(*LABELS, *POOL, "--ignore-unknown")
    assert same_model(head.model, other.model)
    assert same_model(head.predictor, other.predictor)


def test_a_label_of_a_group_is_for_its_rows_and_they_leave_the_pool(fit):
    groups = group_names(np.arange(240) // 12 * 6 + Y_N)
    write_pool("pool.parquet", X_ND, group=groups)
    write_labels("groups.csv", {groups[i]: GATHERED[Y_N[i]] for i in range(12)})
    by_group, report = fit("-l", "groups.csv", *POOL)
    write_pool("pool.parquet", X_ND)
    write_labels("rows.csv", {f"r{i:03d}": GATHERED[Y_N[i]] for i in range(12)})
    by_row, _ = fit("-l", "rows.csv", *POOL)
    assert report["n"] == 12
    assert same_model(by_group.predictor, by_row.predictor)


def test_the_report_for_people_shows_pool_rows_on_a_line_and_json_all_of_them(named, alcli):
    done = alcli("fit-head", "pool.parquet", *LABELS, *POOL, "-o", "head.safetensors").done()
    lines = {line[:16].rstrip(): line[16:].strip() for line in done.err.splitlines()}
    assert lines["pool rows"].startswith("least ")
    assert "median" in lines["pool rows"]
    assert "most" in lines["pool rows"]
    assert lines["wrong names"] == "none"
    done = alcli("fit-head", "pool.parquet", *LABELS, *POOL, "-o", "head.safetensors", "--force", "--json").done()
    assert set(json.loads(done.out)["pool_rows"]) == set(GATHERED)


def test_an_ensemble_needs_labels(named, alcli):
    fit = ("fit-head", "pool.parquet", *NONE, *NAMED, "-o", "head.safetensors", "--posterior", "ensemble")
    for more in ((), ("-p", "posterior.resample=seeds")):
        alcli(*fit, *more).refused(65, "labels", "there are none")
    alcli("query", "pool.parquet", *NONE, *NAMED, "-s", "qbc", "-n", 1).refused(65, "labels", "there are none")


@pytest.mark.parametrize("posterior", ["none", "dropout", "variational", "block", "kron", "diag", "full", "shared-cat"])
def test_posteriors_without_labels(fit, posterior):
    which = "--posterior" if posterior in ("none", "dropout", "variational") else "--covariance"
    head, report = fit(*NONE, *NAMED, which, posterior, "--calibrate", "temperature")
    assert report["test_accuracy"] > 0.85
    assert head.model.temperature == 1.0


def test_python_predicts_as_predict_does(fit, alcli):
    for options, call in (((*LABELS, *POOL), {"prior": "pool"}), ((*LABELS, *NAMED), {"class_names": "names.parquet"})):
        fit(*options)
        head = package.fit_head("pool.parquet", "labels.csv", **call)
        head.save("python.safetensors", force=True)
        assert Path("python.safetensors").read_bytes() == Path("head.safetensors").read_bytes()
        done = alcli("predict", "pool.parquet", "-H", "head.safetensors", "--probs", "--format", "jsonl").done()
        said = [json.loads(line) for line in done.lines]
        assert head.predict("pool.parquet").tolist() == [one["predicted"] for one in said]
        probs = np.array([[one["probs"][name] for name in GATHERED] for one in said])
        np.testing.assert_allclose(head.predict_proba("pool.parquet"), probs, atol=1e-6)
        np.testing.assert_allclose(np.exp(head.file.predicts.predictive(X_ND)), probs, atol=1e-6)


@pytest.mark.parametrize(
    "options", [(*LABELS, *POOL), (*LABELS, *NAMED), (*NONE, *NAMED), (*LABELS, *POOL, "--posterior", "none")]
)
def test_a_head_comes_back_bit_for_bit(fit, options):
    head, _ = fit(*options)
    save_head(Path("again.safetensors"), head, overwrite=False)
    assert Path("again.safetensors").read_bytes() == Path("head.safetensors").read_bytes()
    again = load_head(Path("again.safetensors"))
    assert same_model(head.model, again.model)
    assert (head.predictor is None) == (again.predictor is None)
    assert head.predictor is None or same_model(head.predictor, again.predictor)
    assert head.predictor is None or head.predictor.head.prior_mean_CD1 is not None
    if head.class_names is not None:
        assert again.class_names.names == head.class_names.names
        assert np.array_equal(again.class_names.features_KD, NAMES_CD)
