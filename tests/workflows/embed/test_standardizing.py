"""Standardised columns from source to pool: statistics, rows, options, and what a pool remembers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.pool import open_pool
from alcli.data.sources.base import Asked
from alcli.errors import CannotCreateError, DataError, UsageError
from alcli.remarks import silence
from alcli.workflows.embed.request import EmbedOptions
from alcli.workflows.embed.run import embed

pytestmark = pytest.mark.usefixtures("folder")
RNG = np.random.default_rng(0)
# Columns far from 0, tiny, huge, rare, and in seconds since 1970, which float32 cannot tell apart.
X_ND = RNG.normal(size=(3000, 5)) * [1, 1e-6, 1e6, 1, 1] + [300, 0, 1e7, 0, 1.7e9]
X_ND[:, 3] = RNG.random(3000) < 0.01


def write(path, X, row_group_size=None, **columns):
    columns = {"id": [f"i{k}" for k in range(len(X))], "features": [list(row) for row in X], **columns}
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)


def run(source="a.parquet", out="pool.parquet", model="identity", note=silence, **options):
    options = {"standardize": "standardize_like" not in options, **options}
    return embed(EmbedOptions(Path(source), model, Path(out), Asked(), **options), note=note)


def features(path="pool.parquet"):
    table = pq.read_table(path)
    return table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)


def standard(X):
    near = X - X[0]  # a plain mean of seconds since 1970 is off by 1e-6
    return (near - near.mean(axis=0)) / near.std(axis=0)


def test_every_column_has_mean_0_and_deviation_1_and_the_pool_knows_its_statistics():
    write("a.parquet", X_ND)
    run()
    np.testing.assert_allclose(features(), standard(X_ND), atol=1e-5)
    about = open_pool("pool.parquet").metadata
    assert len(about["standardized"]) == 16
    np.testing.assert_allclose(about["standardization"]["mean"], X_ND.mean(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(about["standardization"]["scale"], X_ND.std(axis=0), rtol=1e-9)


def test_bytes_do_not_depend_on_batches_row_groups_or_the_kind_of_file():
    write("a.parquet", X_ND)
    run()
    first = Path("pool.parquet").read_bytes()
    run(batch_size=7, force=True)
    assert Path("pool.parquet").read_bytes() == first
    run(batch_size=5000, force=True)
    assert Path("pool.parquet").read_bytes() == first
    write("a.parquet", X_ND, row_group_size=100)
    run(force=True)
    assert Path("pool.parquet").read_bytes() == first
    np.save("a.npy", X_ND)
    run("a.npy", "npy.parquet")
    assert (features("npy.parquet") == features()).all()


def test_a_later_source_gets_the_scale_of_the_pool_whatever_its_own_is():
    write("a.parquet", X_ND)
    run()
    write("later.parquet", X_ND[:10] * 2)
    run("later.parquet", "later-pool.parquet", standardize_like="pool.parquet")
    expected = (X_ND[:10] * 2 - X_ND.mean(axis=0)) / X_ND.std(axis=0)
    np.testing.assert_allclose(features("later-pool.parquet"), expected, rtol=1e-5, atol=1e-5)
    one, other = (open_pool(p).metadata for p in ("pool.parquet", "later-pool.parquet"))
    assert one["standardized"] == other["standardized"]
    run(out="again.parquet", standardize_like="later-pool.parquet")
    assert (features("again.parquet") == features()).all()


def test_test_rows_give_no_statistics_and_get_their_scale():
    split = ["test" if k % 3 == 0 else "train" if k % 3 == 1 else None for k in range(3000)]
    X = X_ND + np.arange(3000)[:, None] % 3 * [50, 0, 0, 0, 0]
    write("a.parquet", X, split=split)
    run()
    learned = X[np.arange(3000) % 3 != 0]
    np.testing.assert_allclose(features(), (X - learned.mean(axis=0)) / learned.std(axis=0), atol=1e-5)
    write("a.parquet", X, split=["test"] * 3000)
    with pytest.raises(DataError, match=r"^a\.parquet: a deviation needs 2 rows .* there are 0; --standardize-like"):
        run(force=True)
    run(out="other.parquet", standardize_like="pool.parquet")


def test_a_column_of_one_value_becomes_0_here_and_later():
    X = np.hstack([X_ND[:, :1], np.full((3000, 7), 0.1)])
    write("a.parquet", X)
    notes = []
    run(note=notes.append)
    assert notes == ["7 dimensions have one value in all rows and became 0: 1, 2, 3, 4, 5 and 2 more"]
    assert not features()[:, 1:].any()
    write("later.parquet", X[:5] + 1)
    run("later.parquet", "later-pool.parquet", standardize_like="pool.parquet")
    assert not features("later-pool.parquet")[:, 1:].any()
    write("a.parquet", X[:, 1:])
    with pytest.raises(DataError, match="all 3000 rows are equal"):
        run(force=True)


def test_unit_length_comes_after_and_half_precision_fits():
    write("a.parquet", X_ND)
    run(normalize=True)
    expected = standard(X_ND)
    np.testing.assert_allclose(features(), expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    run(out="half.parquet", dtype="float16")
    np.testing.assert_allclose(features("half.parquet"), expected, rtol=1e-3, atol=1e-5)


def test_missing_values_are_named_or_left_out_of_the_pool_and_of_the_statistics():
    X = [[*row] for row in X_ND]
    X[4][2], X[1500][1], X[2000][0] = float("nan"), None, float("inf")
    write("a.parquet", X)
    with pytest.raises(DataError, match=r"a\.parquet: row 4 \(id 'i4'\): dimension 2 is nan, .*; --skip-bad leaves"):
        run()
    notes = []
    run(skip_bad=True, note=notes.append)
    kept = np.delete(X_ND, [4, 1500, 2000], axis=0)
    np.testing.assert_allclose(features(), standard(kept), atol=1e-5)
    assert "'i1500' (dimension 1 is null, expected finite numbers)" in notes[0]


def test_values_that_have_no_deviation_are_refused():
    write("a.parquet", [[1e200, 1.0], [-1e200, 2.0]])
    with pytest.raises(DataError, match=r"^a\.parquet: the values of dimension 0 are too large"):
        run()


def test_several_files_and_a_resumed_run_have_the_same_features(monkeypatch):
    write("a.parquet", X_ND)
    run()
    run(out="parts", rows_per_file=1100)
    assert (features("parts") == features()).all()
    found = open_pool("parts").metadata
    assert found["standardized"] == open_pool("pool.parquet").metadata["standardized"]
    assert json.loads(Path("parts/_manifest.json").read_text())["standardized"] == found["standardized"]

    from alcli.data.writing.shards import WorkFolder

    save = WorkFolder.save
    monkeypatch.setattr(WorkFolder, "save", lambda *a: save_once(save, *a))
    with pytest.raises(RuntimeError):
        run(out="resumed.parquet")
    monkeypatch.setattr(WorkFolder, "save", save)
    with pytest.raises(CannotCreateError, match=r"--standardize was [0-9a-f]{16}, is None"):
        run(out="resumed.parquet", standardize=False, resume=True)
    done = run(out="resumed.parquet", resume=True)
    assert done.resumed == 1024
    assert Path("resumed.parquet").read_bytes() == Path("pool.parquet").read_bytes()


def save_once(save, folder, number, shard):
    """Save the first shard, and fail at the second."""
    if number:
        raise RuntimeError("killed")
    save(folder, number, shard)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"model": "hashing:4"}, UsageError, "--standardize is for -m identity; embed by -m hashing:4 first"),
        ({"standardize": True, "standardize_like": "pool.parquet"}, UsageError, "exclude each other"),
        ({"standardize_like": "a.parquet"}, DataError, r"^a\.parquet: its features are not standardized; give a pool"),
        ({"source": "narrow.parquet", "standardize_like": "pool.parquet"}, DataError, "has 2 values, .* has 5"),
        ({"source": "pool.parquet"}, DataError, r"^pool\.parquet: its features are standardized already"),
        ({"source": "pool.parquet", "standardize_like": "pool.parquet"}, DataError, "standardized already"),
    ],
)
def test_refusals_leave_nothing(options, error, text):
    write("a.parquet", X_ND[:50])
    write("narrow.parquet", X_ND[:50, :2])
    run()
    before = set(Path().iterdir()) | {Path(".x.parquet.alcli.lock")}
    with pytest.raises(error, match=text):
        run(out="x.parquet", **options)
    assert set(Path().iterdir()) <= before
