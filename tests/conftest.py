"""What every test shares: fixed draws, numerical warnings as errors, small pools in a folder of their own."""

from __future__ import annotations

import signal
import sys

from alcli.engine import kernels

# As the command line does it, before NumPy is loaded.
kernels.pin()

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from tests.pools import CLASSES, GATHERED, gathered, tiny_features, write_labels, write_pool  # noqa: E402
from tests.shell import Here  # noqa: E402

settings.register_profile(
    "alcli",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("alcli")


def pytest_configure(config: pytest.Config) -> None:
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # tests started in the background would hand that on to every child
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("filterwarnings", "error::RuntimeWarning")
    # BLAS kernels read past the end of short rows and may raise flags about what they find there; results are not
    # affected.
    config.addinivalue_line("filterwarnings", "ignore:.* encountered in (matmul|dot|vecdot):RuntimeWarning")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def importable(folder, monkeypatch):
    """A function (name, text) that writes a module which is then imported anew; what the test adds to the path ends
    with it.
    """
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(name: str, text: str) -> None:
        (folder / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)

    return write


@pytest.fixture
def alcli(capfd, monkeypatch) -> Here:
    """The command line, called in this process."""
    return Here(capfd, monkeypatch)


@pytest.fixture
def tiny(folder):
    """pool.parquet with 60 rows r000 ... r059 of three separated classes, labels.csv with 20 of them, more.csv with
    the next 10.
    """
    X_ND, y_N = tiny_features()
    write_pool("pool.parquet", X_ND)
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[y_N[i]] for i in range(20)})
    write_labels("more.csv", {f"r{i:03d}": CLASSES[y_N[i]] for i in range(20, 30)})
    return folder


@pytest.fixture
def head(tiny, alcli):
    """head.safetensors fitted on labels.csv of the tiny pool."""
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--prior-precision", "1").done()
    return tiny / "head.safetensors"


@pytest.fixture
def named(folder):
    """pool.parquet with 240 rows of six gathered classes, the last 60 of them test rows with labels; labels.csv with 18
    labels, more.csv with 12 others; names.parquet with the embeddings of the names of the classes.
    """
    X_ND, y_N, names_CD = gathered()
    label = [GATHERED[c] if i >= 180 else None for i, c in enumerate(y_N)]
    write_pool("pool.parquet", X_ND, split=["test" if i >= 180 else None for i in range(240)], label=label)
    write_pool("names.parquet", names_CD, GATHERED)
    for name, rows in (("labels.csv", range(18)), ("more.csv", range(18, 30))):
        write_labels(name, {f"r{i:03d}": GATHERED[y_N[i]] for i in rows})
    write_labels("none.csv", {})
    return folder
