"""What earlier versions wrote is read by this one, and what a later one writes is refused with exit code 78."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import alcli as package
from alcli import plugins
from alcli.data.head_file import load_head
from alcli.data.pool import open_pool
from alcli.report.update_study import means
from alcli.simulation.plan import Cell
from alcli.simulation.update_study import has_torch
from alcli.workflows.simulate.comparison import differences
from alcli.workflows.simulate.folder import SimulationFolder
from tests.fixtures.make import ASK, ASK_NUMBERS, HEADS, HERE, ONLY_REFIT, REGRESSIONS, SIMULATE, STUDY
from tests.shell import untouched

VERSIONS = sorted(p.name for p in HERE.iterdir() if (p / "pool.parquet").exists())


@pytest.fixture(params=VERSIONS)
def old(request, folder):
    """A copy of what a version wrote, as the working directory."""
    shutil.copytree(HERE / request.param, folder, dirs_exist_ok=True)
    return request.param


def test_there_is_something_to_read():
    assert VERSIONS, "make it with python -m tests.fixtures.make"


def close(a: list[dict], b: list[dict], rel: float = 1e-5) -> bool:
    """The same items in the same order, scores to six digits. Columns that `b` does not have were added since."""
    return len(a) == len(b) and all(
        x.keys() >= y.keys()
        and all(x[k] == (pytest.approx(v, rel=rel) if isinstance(v, float) else v) for k, v in y.items())
        for x, y in zip(a, b)
    )


@pytest.mark.parametrize("name", [*HEADS, "updated", *REGRESSIONS])
def test_heads_answer_as_they_did(old, alcli, name):
    ask = ASK_NUMBERS if name in REGRESSIONS else ASK
    said = [json.loads(line) for line in alcli("query", "plain.parquet", *ask, f"{name}.safetensors").done().lines]
    expected = [json.loads(line) for line in Path(f"{name}.jsonl").read_text().splitlines()]
    assert close(said, expected)
    assert (load_head(Path(f"{name}.safetensors")).classes is None) == (name in REGRESSIONS)


@pytest.mark.parametrize("name", HEADS)
def test_heads_learn_on(old, alcli, name):
    """What they have absorbed is known, what is new is learned."""
    method = ["--method", "refit"] if name in ONLY_REFIT else []
    done = json.loads(
        alcli(
            "update",
            f"{name}.safetensors",
            "-P",
            "plain.parquet",
            "-l",
            "labels.csv",
            "-l",
            "more.csv",
            "--json",
            *method,
        )
        .done()
        .out
    )
    assert (done["new_labels"], done["already_absorbed"]) == (8, 12)


def test_every_kind_of_head_and_posterior_is_kept(old):
    """A kind that is added wants a fixture."""
    kinds = [load_head(Path(f"{name}.safetensors")).model for name in (*HEADS, *REGRESSIONS)]
    assert {model.head.kind for model in kinds} == set(plugins.names("heads"))
    assert {model.posterior.kind for model in kinds if model.posterior is not None} == set(plugins.names("posteriors"))


@pytest.mark.parametrize("name", ["embedded.parquet", "embedded-parts"])
def test_pools_hold_what_their_fingerprint_says(old, alcli, name):
    pool = open_pool(name)
    stored = pool.fingerprint()
    pool.metadata.pop("fingerprint")
    assert pool.fingerprint() == stored
    assert pool.metadata["model"] == "hashing:4"
    assert len(alcli("query", name, "-s", "coreset", "-n", 99).done().lines) == 12


def test_selections_are_left_out(old, alcli):
    given = pq.read_table("batch.parquet")["id"].to_pylist()
    left = alcli("query", "plain.parquet", "-s", "coreset", "-n", 99, "--exclude", "batch.parquet", "-q").done().lines
    assert len(given) == 7
    assert sorted([*given, *left]) == [f"r{i:03d}" for i in range(40)]


def test_ledgers_are_continued(old, alcli):
    before = pq.read_table("ledger.parquet")["id"].to_pylist()
    given = (
        alcli("query", "plain.parquet", "-s", "coreset", "-n", 99, "--selections", "ledger.parquet", "-q").done().lines
    )
    assert len(before) == 7
    assert sorted([*before, *given]) == [f"r{i:03d}" for i in range(40)]


def test_simulations_are_read_and_of_this_version_continued(old, alcli):
    """Results of two versions are never mixed: a simulation of another one is refused, and the refusal names the
    versions alone.
    """
    folder = SimulationFolder(Path("simulation"))
    curves, picks = folder.load([Cell(strategy, seed) for strategy in ("margin", "random") for seed in (0, 1)])
    assert (len(curves), len(picks)) == (12, 32)
    assert pq.read_table("simulation/curves.parquet").num_rows == 12
    if old == package.__version__:
        Path("simulation/runs/margin-1.json").unlink()
        said = pq.read_table("simulation/selections.parquet")
        alcli(*SIMULATE).done()
        assert pq.read_table("simulation/selections.parquet").equals(said)
        config = json.loads(Path("simulation/config.json").read_bytes())
        assert differences(config, {**config, "version": "0"}) == [f"version {old}, now 0"]
    else:
        alcli(*SIMULATE).refused(73, f"version {old}, now {package.__version__}")


def test_studies_of_updates_are_read_and_of_this_version_continued(old, alcli):
    """As a simulation; what RAdam says in float32 is the same to three digits on another processor."""
    said = pq.read_table("study/study.parquet").to_pylist()
    rows, _ = SimulationFolder(Path("study")).load([Cell("updates", seed) for seed in (0, 1)])
    assert rows == said
    with open("study/summary.csv", newline="") as file:
        summary = list(csv.DictReader(file))
    now = means(rows)
    assert summary == [
        {key: "" if mean[key] is None else str(mean[key]) for key in before}
        for before, mean in zip(summary, now, strict=True)
    ]
    if old != package.__version__ or not has_torch():
        differs = f"version {old}, now {package.__version__}" if old != package.__version__ else "radam True, now False"
        alcli(*STUDY).refused(73, differs)
    else:
        Path("study/runs/updates-1.json").unlink()
        assert "1 of 2 seeds were there already" in alcli(*STUDY).done().err
        assert close(
            untimed(pq.read_table("study/study.parquet")),
            untimed(pq.read_table(HERE / old / "study/study.parquet")),
            rel=1e-3,
        )
        before = files("study")
        assert "2 of 2 seeds were there already" in alcli(*STUDY).done().err
        assert files("study") == before


def untimed(table: pa.Table) -> list[dict]:
    """The rows of a study without their seconds."""
    return table.drop_columns("seconds").to_pylist()


def files(folder: str) -> dict[str, bytes]:
    """What lies in a folder."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


def rewritten(path: str, key: bytes = b"alcli") -> None:
    """The same Parquet file, said to be of a format that does not exist yet."""
    table = pq.read_table(path)
    about = json.loads((table.schema.metadata or {}).get(key, b"{}")) | {"format": 99, "version": "9.9"}
    pq.write_table(table.replace_schema_metadata({key: json.dumps(about)}), path)


def test_newer_formats_are_refused(old, alcli):
    for path in ("pool.parquet", "ledger.parquet", "batch.parquet", "embedded-parts/part-00001.parquet"):
        rewritten(path)
    tensors = load_file("softmax-shared.safetensors")
    with safe_open("softmax-shared.safetensors", "numpy") as file:
        about = json.loads(file.metadata()["alcli"])
    save_file(tensors, "newer.safetensors", {"alcli": json.dumps(about | {"format": 99, "versions": {"alcli": "9.9"}})})
    for config in (Path("simulation/config.json"), Path("study/config.json")):
        config.write_text(json.dumps(json.loads(config.read_bytes()) | {"format": 99}))
    with untouched(Path()):
        for command in (
            ("query", "pool.parquet", "-s", "random", "-n", 3),
            ("fit-head", "pool.parquet", "-o", "new.safetensors"),
            ("update", "softmax-shared.safetensors", "-P", "pool.parquet", "-l", "more.csv"),
            SIMULATE,
        ):
            alcli(*command).refused(78, "pool.parquet", "99", "9.9")
        alcli("query", "embedded-parts", "-s", "random", "-n", 3).refused(78, "part-00001.parquet", "99", "9.9")
        alcli("query", "plain.parquet", "-s", "random", "-n", 3, "--exclude", "batch.parquet").refused(
            78, "batch.parquet", "99", "9.9"
        )
        alcli(
            "query", "plain.parquet", "-s", "random", "-n", 3, "--selections", "ledger.parquet", "-o", "new.csv"
        ).refused(78, "ledger.parquet", "99", "9.9")
        alcli("query", "plain.parquet", "-s", "random", "-n", 3, "--selections", "ledger.parquet").refused(
            78, "ledger.parquet", "99", "9.9"
        )
        alcli("query", "plain.parquet", "-s", "margin", "-n", 3, "-H", "newer.safetensors").refused(
            78, "newer.safetensors", "99", "9.9"
        )
        alcli("update", "newer.safetensors", "-P", "plain.parquet", "-l", "more.csv").refused(
            78, "newer.safetensors", "99", "9.9"
        )
    shutil.copy(HERE / old / "pool.parquet", "pool.parquet")
    for command in (SIMULATE, STUDY):
        alcli(*command).refused(78, "config.json", "99")
