"""What `make dist` builds: an sdist and a wheel of exactly the package, which runs where no clone is near."""

from __future__ import annotations

import email
import email.message
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import alcli
from alcli.cli.manual import manual

ROOT = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "setup.cfg", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE")
NAME = f"alcli_embeddings-{alcli.__version__}"
PACKAGE = {
    str(p.relative_to(ROOT)) for p in (ROOT / "alcli").rglob("*") if p.is_file() and "__pycache__" not in p.parts
}


def run(*command: object, cwd: Path) -> str:
    """Output of a command that succeeds, started in `cwd` without a PYTHONPATH to the clone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an sdist and a wheel, built from a copy of the clone: `build` and tests beside the package as in
    the clone, and a manual page.
    """
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        shutil.copy(ROOT / name, source)
    for name in ("alcli", "docs", "benchmarks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "tests").mkdir()
    (source / "tests" / "test_nothing.py").write_text("")
    (source / "build").mkdir()
    (source / "build" / "alcli.1").write_text(manual())
    for base in ("build", "build/setuptools"):
        (source / base / "lib" / "alcli").mkdir(parents=True)
        (source / base / "lib" / "alcli" / "left_from_an_older_build.py").write_text("")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", source / "dist", source, cwd=source)
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(dist / f"{NAME}-py3-none-any.whl")


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; its dependencies are those of the environment that runs the tests, none of
    which is alcli.
    """
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        home / "bin" / "python",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        dist / f"{NAME}-py3-none-any.whl",
        cwd=home,
    )
    site = next(home.glob("lib/python3*/site-packages"))
    # A folder named in a .pth file is searched, but its own .pth files, by which the clone is installed, are not read.
    (site / "dependencies.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")))
    return home


def test_dist_holds_one_sdist_and_one_wheel(dist: Path) -> None:
    assert sorted(p.name for p in dist.iterdir()) == [f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz"]


def test_the_wheel_holds_the_package_and_the_manual_page(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if not name.startswith(f"{NAME}.dist-info/")}
    assert "alcli/py.typed" in PACKAGE
    assert held == PACKAGE | {f"{NAME}.data/data/share/man/man1/alcli.1"}


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    about = email.message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
    assert (about["Name"], about["Version"], about["License-Expression"]) == (
        "alcli-embeddings",
        alcli.__version__,
        "Apache-2.0",
    )
    assert {"torch", "onnx", "text", "image", "s3", "gs", "http"} <= set(about.get_all("Provides-Extra") or ())
    assert wheel.read(f"{NAME}.dist-info/entry_points.txt").decode().split("\n")[:2] == [
        "[console_scripts]",
        "alcli = alcli.__main__:main",
    ]
    assert f"{NAME}.dist-info/licenses/LICENSE" in wheel.namelist()


def test_the_sdist_holds_what_the_wheel_is_built_from(dist: Path) -> None:
    with tarfile.open(dist / f"{NAME}.tar.gz") as sdist:
        held = {m.name.removeprefix(f"{NAME}/") for m in sdist if m.isfile() and ".egg-info/" not in m.name}
    assert held == PACKAGE | set(SOURCES) | {"build/alcli.1", "PKG-INFO"}


def test_the_installed_command_runs_away_from_the_clone(installed: Path, tmp_path: Path) -> None:
    command = installed / "bin" / "alcli"
    where = run(installed / "bin" / "python", "-c", "import alcli, numpy; print(alcli.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(installed)
    assert run(command, "--version", cwd=tmp_path) == f"alcli {alcli.__version__}\n"
    sample = ROOT / "sample_data"
    ids = run(
        command,
        "query",
        sample / "digits-features.parquet",
        "-l",
        sample / "digits-labels.csv",
        "-s",
        "margin",
        "-n",
        3,
        cwd=tmp_path,
    ).splitlines()
    assert len(set(ids)) == 3
    assert all(name.startswith("digit-") for name in ids)
    assert (installed / "share" / "man" / "man1" / "alcli.1").read_text() == manual()


def test_the_name_of_the_distribution_is_the_one_that_is_installed(installed: Path, tmp_path: Path) -> None:
    code = (
        "import importlib.metadata as m; print(m.version('alcli-embeddings'), m.packages_distributions()['alcli'][0])"
    )
    assert run(installed / "bin" / "python", "-c", code, cwd=tmp_path).split() == [
        alcli.__version__,
        "alcli-embeddings",
    ]
