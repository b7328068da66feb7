"""What tests of reliability share: the injector of faults, built once."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.reliability.faults import Injector

# A line for each injector, shown at the end.
COUNTS: list[str] = []


@pytest.fixture(autouse=True, scope="module")
def back_again():
    """The working directory after a module is that before it: faults are injected into copies of a folder."""
    here = os.getcwd()
    yield
    os.chdir(here)


@pytest.fixture(scope="session")
def injector(tmp_path_factory):
    if shutil.which("cc") is None or not sys.platform.startswith("linux"):
        pytest.skip("faults are injected by a library that needs a C compiler, cc, and Linux")
    found = Injector(tmp_path_factory.mktemp("injector"))
    yield found
    found.close()
    COUNTS.append(f"{found.kills} commands were killed, {found.others} met another fault")


def pytest_terminal_summary(terminalreporter):
    for line in COUNTS:
        terminalreporter.write_line(line)
