"""Pictures in surroundings that matplotlib has its own words about."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.shell import ROOT

DRAW = """
import sys
from alcli.report.pictures import Appearance, rendered
def make():
    from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().plot([1, 2])
    return figure
sys.stdout.buffer.write(rendered(make, Appearance(("svg",)))["svg"])
"""


def drawn(folder, **environment):
    """(an SVG picture, stderr) of a new process in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", DRAW],
        cwd=folder,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": ROOT} | environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return drawn(tmp_path_factory.mktemp("usual"))[0]


@pytest.mark.parametrize("settings", [b"\xff\xfe", b"no such key: 1\n", b"lines.linewidth: 30\n"])
def test_settings_of_the_current_folder_are_not_read(settings, usual, tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(settings)
    assert drawn(tmp_path) == (usual, b"")


def test_settings_of_the_user_are_not_read(usual, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    rc = tmp_path / "elsewhere" / "matplotlibrc"
    rc.write_bytes(b"\xff: x\n")
    assert drawn(tmp_path, MATPLOTLIBRC=str(rc)) == (usual, b"")


def test_a_home_that_cannot_be_written_to(usual, tmp_path):
    (tmp_path / "file").touch()
    assert drawn(tmp_path, MPLCONFIGDIR=str(tmp_path / "file")) == (usual, b"")
