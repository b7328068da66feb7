"""Features on raw scales: the remark of each command, and heads that know the scale of their features."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.pools import names, write_pool

REMARK = "the scales of features differ by orders of magnitude"


@pytest.fixture
def table(folder):
    """60 labelled rows of 4 columns, one of them 10,000 times the others, as a source of embed that is a pool too."""
    rng = np.random.default_rng(0)
    X_ND = rng.normal(size=(60, 4)) + np.arange(60)[:, None] % 2 * [3, 0, 0, 0]
    X_ND[:, 2] *= 1e4
    write_pool("raw.parquet", X_ND, names(60), label=[f"c{k % 2}" for k in range(60)])
    (folder / "few.csv").write_text("id,label\n" + "".join(f"{i},c{k % 2}\n" for k, i in enumerate(names(60)[:10])))
    (folder / "none.csv").write_text("id,label\n")
    return folder


EMBED = ("embed", "raw.parquet", "-m", "identity")
FIT = ("fit-head", "raw.parquet", "-o", "head.safetensors")
COMMANDS = {
    FIT: 1,
    ("query", "raw.parquet", "-l", "few.csv", "-s", "margin", "-n", 5): 1,
    ("query", "raw.parquet", "-l", "few.csv", "-s", "uherding", "-n", 5): 1,
    ("query", "raw.parquet", "-l", "none.csv", "-s", "coreset", "-n", 5): 1,
    ("query", "raw.parquet", "-l", "none.csv", "-n", 5): 1,
    ("query", "raw.parquet", "-l", "none.csv", "-s", "random", "-n", 5): 0,
    ("simulate", "raw.parquet", "-s", "coreset", "-n", 5, "--rounds", 2, "--seeds", 2, "-o", "sim"): 1,
}


@pytest.mark.parametrize(("command", "times"), COMMANDS.items(), ids=[" ".join(map(str, c[:6])) for c in COMMANDS])
def test_the_remark_comes_once_where_scales_matter_and_goes_with_standardising(table, alcli, command, times):
    assert alcli(*command).done().err.count(REMARK) == times
    alcli(*EMBED, "--standardize", "-o", "pool.parquet").done()
    standard = ["pool.parquet" if word == "raw.parquet" else "again" if word == "sim" else word for word in command]
    standard = ["other.safetensors" if word == "head.safetensors" else word for word in standard]
    assert REMARK not in alcli(*standard).done().err


def test_a_given_head_is_not_remarked_on_again(table, alcli):
    alcli(*FIT).done()
    assert REMARK not in alcli("query", "raw.parquet", "-H", "head.safetensors", "-n", 5).done().err
    assert REMARK not in alcli("update", "head.safetensors", "-P", "raw.parquet", "-l", "few.csv").done().err


def test_a_head_takes_features_of_its_own_scale_alone(table, alcli):
    """Also where no id is shared, so that the features of single items say nothing."""
    alcli(*EMBED, "--standardize", "-o", "pool.parquet").done()
    alcli("fit-head", "pool.parquet", "-o", "head.safetensors").done()
    later = pq.read_table("raw.parquet").drop_columns(["label"])
    pq.write_table(later.set_column(0, "id", [[f"new-{i}" for i in range(60)]]), "later.parquet")
    ask = ("query", "later-pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 5)
    again = ("embed", "later.parquet", "-m", "identity", "-o", "later-pool.parquet", "--force")
    alcli(*again).done()
    own = "features of columns on their own scales, not columns standardized by"
    alcli(*ask).refused(65, "later-pool.parquet", own, "head.safetensors", "--standardize-like POOL, or fit a new head")
    alcli(*again, "--standardize").done()
    alcli(*ask).done()  # the same rows have the same statistics
    shifted = later.slice(1).set_column(0, "id", [[f"new-{i}" for i in range(59)]])
    pq.write_table(shifted, "later.parquet")
    alcli(*again, "--standardize").done()
    alcli(*ask).refused(65, "later-pool.parquet", "columns standardized by", "head.safetensors", "--standardize-like")
    alcli(*again, "--standardize-like", "pool.parquet").done()
    alcli(*ask).done()
    alcli(*EMBED, "-o", "own.parquet").done()
    alcli("fit-head", "own.parquet", "-o", "own.safetensors").done()
    alcli("query", "later-pool.parquet", "-H", "own.safetensors", "-n", 5).refused(
        65, "not columns on their own scales"
    )


def test_files_of_one_pool_have_one_scale(table, alcli):
    (table / "pool").mkdir()
    alcli(*EMBED, "--standardize", "-o", "pool/a.parquet").done()
    pq.write_table(pq.read_table("raw.parquet").slice(30), "half.parquet")
    alcli("embed", "half.parquet", "-m", "identity", "--standardize", "-o", "pool/b.parquet").done()
    alcli("query", "pool", "-n", 5).refused(65, "b.parquet: its features have columns standardized by", "a.parquet")


def test_damaged_statistics_are_refused(table, alcli):
    alcli(*EMBED, "--standardize", "-o", "pool.parquet").done()
    found = pq.read_table("pool.parquet")
    text = found.schema.metadata[b"alcli"].replace(b'"mean": [', b'"mean": [1.0, ')
    pq.write_table(found.replace_schema_metadata({"alcli": text}), "pool.parquet")
    alcli(*EMBED, "--standardize-like", "pool.parquet", "-o", "x.parquet").refused(
        65, "pool.parquet: the means and deviations", "make the pool again"
    )
