from __future__ import annotations

import pytest

from alcli.workflows.simulate import pictures
from tests.workflows.simulate.runs import write_pool


@pytest.fixture
def pool(tmp_path):
    return write_pool(tmp_path / "pool.parquet")


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes most of the time of a small simulation."""
    for where in (pictures.curves, pictures.wins, pictures.by_class):
        monkeypatch.setattr(where, "draw", lambda *_, **__: {"png": b"", "svg": b""})
