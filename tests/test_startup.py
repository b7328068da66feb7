"""Help, version and completion load none of the heavy libraries: checked in sys.modules, not by a clock."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ("numpy", "scipy", "torch", "faiss", "pyarrow", "rich", "matplotlib", "pandas", "sklearn", "ray")
REPORT = f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"


def modules_after(code: str, **environment: str) -> str:
    program = (
        f"import sys\ntry:\n{''.join('    ' + line + chr(10) for line in code.splitlines())}finally:\n    {REPORT}"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | environment, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["embed", "--help"],
        ["fit-head", "--help"],
        ["query", "--help"],
        ["query", "--list"],
        ["query", "--list", "EMBEDDING/SELECTOR"],
        ["update", "--help"],
        ["predict", "--help"],
        ["simulate", "--help"],
        ["inspect", "--help"],
        ["report", "--help"],
        ["quarry"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded(arguments: list[str]) -> None:
    code = 2 if arguments == ["quarry"] else 0
    assert modules_after(f"from alcli.cli.shell import run\nassert run({arguments!r}) == {code}") == "[]"


def test_completion_of_strategies_is_light_too() -> None:
    code = "from alcli.cli.shell import run\nrun([])"
    found = modules_after(
        code,
        _ALCLI_COMPLETE="complete_bash",
        COMP_WORDS="alcli query pool -s mar",
        COMP_CWORD="4",
        _TYPER_COMPLETE_ARGS="alcli query pool -s mar",
    )
    assert found == "[]"


@pytest.mark.parametrize(
    "code",
    [
        "import alcli\nalcli.__version__",
        "import alcli\ndir(alcli)",
        "import alcli\nalcli.errors.AlcliError",
        "from alcli import AlcliWarning",
    ],
)
def test_the_package_is_light(code: str) -> None:
    assert modules_after(code) == "[]"


def test_query_does_not_load_torch() -> None:
    code = (
        "from alcli.cli.shell import run\n"
        "assert 0 == run(['query', 'sample_data/digits-features.parquet', '-l', 'sample_data/digits-labels.csv', "
        "'-s', 'margin', '-n', '3'])"
    )
    loaded = modules_after(code)
    assert "numpy" in loaded
    assert all(name not in loaded for name in ("torch", "pandas", "matplotlib", "sklearn", "rich", "ray"))


def test_predict_does_not_load_what_only_a_fit_needs(tmp_path) -> None:
    pool, head = "sample_data/digits-features.parquet", str(tmp_path / "head.safetensors")
    fit = ["fit-head", pool, "-l", "sample_data/digits-labels.csv", "-o", head]
    modules_after(f"from alcli.cli.shell import run\nassert 0 == run({fit!r})")
    ask = ["predict", pool, "-H", head, "-o", str(tmp_path / "predictions.csv")]
    done = f"from alcli.cli.shell import run\nassert 0 == run({ask!r})"
    modules_after(f"{done}\nassert 'scipy.optimize' not in sys.modules")
