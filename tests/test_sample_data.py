"""The sample data is what its README says: real, complete, small, and made by the script beside it."""

from __future__ import annotations

import csv
import importlib
import io
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).parents[1] / "sample_data"


@pytest.fixture(scope="module")
def images():
    return pq.read_table(HERE / "digits.parquet")


@pytest.fixture(scope="module")
def pool():
    return pq.read_table(HERE / "digits-features.parquet")


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(HERE))
    try:
        yield importlib.import_module("make_digits"), importlib.import_module("digits_encoder")
    finally:
        sys.path.remove(str(HERE))


def decoded(table) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in table["image"].to_pylist()])


def features_of(table) -> np.ndarray:
    return table["features"].combine_chunks().values.to_numpy().reshape(len(table), -1)


def rows_of(name: str) -> list[dict[str, str]]:
    with open(HERE / name, newline="") as file:
        return list(csv.DictReader(file))


def test_the_images_and_labels_are_scikit_learns(images):
    source = load_digits()
    found = decoded(images)
    assert found.dtype == np.uint8
    assert np.array_equal(np.rint(found * (16 / 255)), source.images)
    assert images["label"].to_pylist() == source.target.tolist()
    assert images["id"].to_pylist() == [f"digit-{i:04d}" for i in range(1797)]


def test_the_split_keeps_500_rows_with_every_class(images):
    test = np.array(images["split"].to_pylist()) == "test"
    counts = np.bincount(images["label"].to_numpy()[test])
    assert test.sum() == 500
    assert counts.min() >= 48


def test_the_pool_carries_the_same_ids_labels_and_split(images, pool):
    for name in ("id", "label", "split"):
        assert pool[name].to_pylist() == images[name].to_pylist()
    X = features_of(pool)
    assert X.shape == (1797, 64)
    assert X.dtype == np.float32
    assert np.isfinite(X).all()


def test_the_exported_encoder_makes_these_features_and_loads_in_silence(images, pool, tmp_path):
    """In a process of its own that turns warnings into errors; the layer is found by its name in the exported
    program.
    """
    np.save(tmp_path / "pixels.npy", (decoded(images) / np.float32(255)).astype(np.float32)[:, None])
    code = f"""
import numpy as np, torch
program = torch.export.load({str(HERE / "digits-encoder.pt2")!r})
def module_of(node):
    return list(node.meta.get("nn_module_stack", {{}}).values() or [("",)])[-1][0]
layer = [n for n in program.graph.nodes if module_of(n) == "features"]
class Tap(torch.fx.Interpreter):
    def run_node(self, node):
        value = super().run_node(node)
        if node.name == layer[-1].name:
            self.found = value
        return value
tap = Tap(program.module())
tap.run(torch.from_numpy(np.load({str(tmp_path / "pixels.npy")!r})))
np.save({str(tmp_path / "features.npy")!r}, tap.found.detach().numpy())
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    np.testing.assert_allclose(np.load(tmp_path / "features.npy"), features_of(pool), atol=1e-4)


def test_the_features_beat_raw_pixels_at_few_labels(images, pool):
    """What an upstream model is for: 40 labels go further on its features."""
    from sklearn.linear_model import LogisticRegression

    labels, test = images["label"].to_numpy(), np.array(images["split"].to_pylist()) == "test"
    known = {row["id"]: int(row["label"]) for row in rows_of("digits-labels.csv")}
    rows = np.flatnonzero(np.isin(images["id"].to_pylist(), list(known)))
    scores = []
    for X in (decoded(images).reshape(1797, -1) / 255.0, features_of(pool)):
        X = X / X[~test].std()
        scores.append(LogisticRegression(C=0.3, max_iter=5000).fit(X[rows], labels[rows]).score(X[test], labels[test]))
    assert scores[1] > scores[0] + 0.05


def test_the_label_files_are_right_disjoint_and_of_training_rows(images):
    truth = dict(zip(images["id"].to_pylist(), zip(images["label"].to_pylist(), images["split"].to_pylist())))
    first, later = rows_of("digits-labels.csv"), rows_of("new-labels.csv")
    assert (len(first), len(later)) == (40, 20)
    assert len({row["id"] for row in first + later}) == 60
    assert all(truth[row["id"]] == (int(row["label"]), "train") for row in first + later)
    assert {row["label"] for row in first} == {str(d) for d in range(10)}


def test_the_script_makes_the_small_files_again(scripts, tmp_path, monkeypatch):
    make, _ = scripts
    monkeypatch.setattr(make, "HERE", tmp_path)
    digits = make.load()
    make.write_labels(digits)
    make.write_images(digits)
    for name in ("digits-labels.csv", "new-labels.csv"):
        assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes()
    assert pq.read_table(tmp_path / "digits.parquet")["split"].equals(pq.read_table(HERE / "digits.parquet")["split"])


def test_training_reads_no_labels_and_repeats_itself(scripts, monkeypatch):
    """Two short trainings on the same images end in the same weights; labels are not among the arguments."""
    import inspect

    import torch

    _, encoder = scripts
    monkeypatch.setattr(encoder, "EPOCHS", 2)
    monkeypatch.setattr(encoder, "BATCH", 32)
    assert list(inspect.signature(encoder.train_contrastive).parameters) == ["images"]
    images = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    one, two = (encoder.features(encoder.train_contrastive(images), images) for _ in range(2))
    assert np.array_equal(one, two)


def test_everything_fits_into_three_megabytes():
    assert sum(p.stat().st_size for p in HERE.iterdir() if p.is_file()) < 3_000_000


def test_the_questions_are_what_the_script_makes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    script = importlib.import_module("make_questions")
    monkeypatch.setattr(script, "HERE", tmp_path)
    script.main()
    assert (tmp_path / "questions.csv").read_bytes() == (HERE / "questions.csv").read_bytes()
    rows = rows_of("questions.csv")
    counts = Counter(row["intent"] for row in rows)
    assert [row["id"] for row in rows] == [f"q{i:03d}" for i in range(700)]
    assert (len(counts), min(counts.values()), max(counts.values())) == (8, 35, 150)


def test_the_annotator_answers_for_digits_and_for_any_file(tmp_path):
    batch = tmp_path / "batch.csv"
    for id, answers, label in (("digit-0594", [], "0"), ("q001", [HERE / "questions.csv"], "delivery_date")):
        batch.write_text(f"id,rank\n{id},0\n")
        command = [sys.executable, HERE / "annotate.py", batch, *answers]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout == f"id,label\n{id},{label}\n"
