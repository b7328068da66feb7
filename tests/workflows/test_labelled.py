"""From a pool and label files to training rows: which rows, in which order, with which labels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from alcli.data.pool import open_pool
from alcli.errors import DataError, UsageError
from alcli.workflows.labelled import absorbed, gather, id_order, is_regression, own_labels, require_labels, training
from tests.pools import CLASSES, tiny_features, write_labels, write_pool

X_ND, Y_N = tiny_features()


def test_training_rows_are_in_the_order_of_their_ids(tiny):
    write_labels("labels.csv", {"r009": "cat", "r001": "dog", "r005": "cat"})
    pool = open_pool("pool.parquet")
    labelled = gather(pool, ["labels.csv"])
    data = training(pool, labelled, labelled.classes)
    assert np.array_equal(data.X_LD, X_ND[[1, 5, 9]])
    assert data.y_L.tolist() == [1, 0, 0]
    known = absorbed(pool, labelled, data)
    assert known.id_L.tolist() == pool.ids.hashes(np.array([1, 5, 9])).tolist()
    assert known.label_L.tolist() == [1, 0, 0]
    assert id_order(pool, np.array([9, 1, 5])).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("kind", "task", "head", "regression"),
    [
        (pa.float64(), "auto", None, True),
        (pa.float32(), "auto", "ridge", True),
        (pa.float64(), "auto", "softmax", False),
        (pa.int64(), "auto", None, False),
        (pa.int64(), "regression", None, True),
        (pa.float64(), "classification", None, False),
        (pa.string(), "auto", "ridge", False),
    ],
)
def test_task(tiny, kind, task, head, regression):
    label = pa.array([str(c) for c in Y_N]).cast(kind) if kind == pa.string() else pa.array(Y_N).cast(kind)
    write_pool("pool.parquet", X_ND, label=label)
    pool = open_pool("pool.parquet")
    assert is_regression(pool, task, head) == regression
    labels = gather(pool, [], task=task, head=head)
    assert labels.regression == regression
    assert labels.classes == (None if regression else ("0", "1", "2"))
    assert len(own_labels(pool, np.array([3, 4]), regression=regression)) == 2


def test_an_unknown_task(tiny):
    with pytest.raises(UsageError, match="task"):
        is_regression(open_pool("pool.parquet"), "regress", None)  # type: ignore[arg-type]


def test_nothing_to_learn_from(tiny):
    pool = open_pool("pool.parquet")
    with pytest.raises(DataError, match=r"pool\.parquet has no labelled row"):
        require_labels(gather(pool, []), pool, [])
    write_labels("labels.csv", {})
    with pytest.raises(DataError, match="label files hold no label"):
        require_labels(gather(pool, ["labels.csv"]), pool, ["labels.csv"])
    write_labels("labels.csv", {"r000": CLASSES[0]})
    with pytest.raises(DataError, match="2 classes, the label is 'cat'; label items of another class"):
        require_labels(gather(pool, ["labels.csv"]), pool, ["labels.csv"])


@pytest.mark.parametrize(
    ("labels", "task", "is_said"),
    [
        (["0.5", "1.5", "2"], "auto", True),
        (["0.5", "1.5", "2"], "classification", False),
        (["1.0", "2.0", "3"], "auto", False),
        (["0.5", "1.5", "cat"], "auto", False),
        (["-1e-3", "2", "2"], "auto", True),
    ],
)
def test_decimals_that_are_taken_for_classes_are_said(tiny, labels, task, is_said):
    write_labels("labels.csv", dict(zip(["r000", "r001", "r002"], labels)))
    pool = open_pool("pool.parquet")
    notes = []
    gather(pool, ["labels.csv"], task=task, note=notes.append)
    assert any("look like numbers" in note and f"{len(set(labels))} classes" in note for note in notes) == is_said
