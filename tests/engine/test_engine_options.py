"""The texts that the options of the engines take; no cluster is needed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from alcli.cli.options.engines import ray_address
from alcli.engine.on_ray import cluster
from alcli.errors import UsageError

QUERY = ("query", "pool.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 3)


@pytest.mark.parametrize("text", ["auto", "local", "head:6379", "192.0.2.1:6379", "[::1]:6379"])
def test_addresses(text: str) -> None:
    assert ray_address(text, "--ray-address") == text


@pytest.mark.parametrize("text", ["", "head", "head:", ":6379", "head:port", "ray://head:10001", "head:٣"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--ray-address takes auto, local or HOST:PORT, got"):
        ray_address(text, "--ray-address")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--ray-address", "local"), 2, "--ray-address is of a Ray cluster; add --engine ray"),
        (("--engine", "ray", "--stream"), 2, "--stream answers in this process, --engine ray does not go with it"),
        (("--workers", 0), 2, "--workers must be at least 1, got 0"),
        (("--engine", "ray", "--ray-address", "127.0.0.1:1"), 69, "no Ray cluster answers at 127.0.0.1:1; "),
    ],
)
def test_options_that_do_not_work(tiny, alcli, monkeypatch, options, code, words) -> None:
    monkeypatch.setattr(cluster, "_library", lambda: None)
    alcli(*QUERY, *options).refused(code, words)


def test_a_library_that_is_missing(tiny, alcli, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    alcli(*QUERY, "--engine", "ray").refused(69, "the library 'ray' is not installed; pip install 'ray>=2.49'")


def test_auto_takes_the_variable_and_else_the_file_of_the_last_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "_answers", lambda address: True)
    assert cluster._reachable("auto") == "auto"
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("192.0.2.1:6379\n")
    assert cluster._reachable("auto") == "192.0.2.1:6379"
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.2:6379")
    assert cluster._reachable("auto") == "192.0.2.2:6379"
