"""Upstream models that an installed package offers: by their name in `embed -m`, with a slip reported as a sentence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

MODELS = """
import numpy as np
from alcli.embedders import Encoder, Request, embedder


@embedder(takes={"text"})
def lengths(argument, request: Request, *, scale: float = 1.0):
    return Encoder(lambda texts: np.array([[len(t), t.count("?")] for t in texts]) * scale)


@embedder(takes={"text"})
def nothing(argument, request):
    return None


@embedder(takes={"text"})
def failing(argument, request):
    return 1 / int(argument)
"""
TEXTS = "id,text\na,Where?\nb,Here.\n"


@pytest.fixture
def texts(folder, monkeypatch, tmp_path_factory):
    """texts.csv, and a distribution `alcli-mine` 1.2 with three models."""
    site = tmp_path_factory.mktemp("site")
    (site / "models_of_mine.py").write_text(MODELS)
    about = site / "alcli_mine-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: alcli-mine\nVersion: 1.2\n")
    points = [f"{name} = models_of_mine:{name}\n" for name in ("lengths", "nothing", "failing")]
    (about / "entry_points.txt").write_text("[alcli.embedders]\n" + "".join(points))
    monkeypatch.syspath_prepend(str(site))
    Path("texts.csv").write_text(TEXTS)
    yield
    sys.modules.pop("models_of_mine", None)


def test_embed_runs_it_and_the_pool_names_its_version(texts, alcli):
    alcli("embed", "texts.csv", "-m", "lengths", "-p", "scale=2", "-o", "pool.parquet").done()
    assert pq.read_table("pool.parquet")["features"].to_pylist() == [[12.0, 2.0], [10.0, 0.0]]
    about = json.loads(pq.read_schema("pool.parquet").metadata[b"alcli"])
    assert (about["model"], about["revision"]) == ("lengths", "lengths@alcli-mine-1.2")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-m", "length"], 2, ["no embedder is named 'length'", "did you mean 'lengths'?"]),
        (["-m", "lengths", "-p", "scal=2"], 2, ["no parameter 'scal'", "did you mean 'scale'?"]),
        (["-m", "nothing"], 65, ["model 'nothing'", "returned NoneType, expected an Encoder"]),
        (["-m", "failing:0"], 65, ["model 'failing'", "line 18 of models_of_mine.py", "ZeroDivisionError"]),
    ],
)
def test_what_is_wrong_is_a_sentence(texts, alcli, arguments, code, words):
    alcli("embed", "texts.csv", *arguments, "-o", "pool.parquet").refused(code, *words)
