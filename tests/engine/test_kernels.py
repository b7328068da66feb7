"""The variables that choose kernels: set before the libraries load, in every process of a command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from alcli.cli.shell import _translate
from alcli.engine import kernels
from alcli.engine.on_ray.cluster import RayCluster
from alcli.engine.on_ray.nodes import Node
from alcli.errors import MismatchError
from tests.shell import ROOT, process

needs_pins = pytest.mark.skipif(not kernels.can_pin(), reason="the kernels of this processor are its own")
SHOWN = """
import json, os, sys
from alcli.cli.shell import _translate
from alcli.engine import kernels
if len(sys.argv) > 1:
    __import__(sys.argv[1])
kernels.pin()
import numpy
import scipy.linalg
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
from threadpoolctl import threadpool_info
used = {"cores": sorted({lib["architecture"] for lib in threadpool_info() if lib["internal_api"] == "openblas"})}
beyond = {"X86_V4", "AVX512_SKX", "AVX512_ICL", "AVX512_SPR"}.intersection(__cpu_dispatch__)
used["groups"] = sorted(name for name in beyond if __cpu_features__.get(name))
used["threads"] = sorted({lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"})
print(json.dumps(used))
"""


def used(*loaded_before: str, **environment: str) -> dict[str, list[object]]:
    """The kernels of a new process that pins, with warnings as errors."""
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ROOT, "PYTHONWARNINGS": "error::ImportWarning"}
    done = subprocess.run(
        [sys.executable, "-c", SHOWN, *loaded_before],
        env=bare | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[object]] = json.loads(done.stdout)
    return answer


@needs_pins
@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "4", "NPY_DISABLE_CPU_FEATURES": "AVX2"},
        {"NPY_ENABLE_CPU_FEATURES": "AVX2"},
        {"ALCLI_KERNELS": "portable"},
    ],
    ids=str,
)
def test_the_kernels_are_those_for_avx2_whatever_the_user_has_set(environment: dict[str, str]) -> None:
    assert used(**environment) == {"cores": ["Haswell"], "groups": [], "threads": [1]}


def test_native_leaves_the_kernels_alone_and_takes_one_thread() -> None:
    found = used(ALCLI_KERNELS="native", OPENBLAS_CORETYPE="Nehalem", OPENBLAS_NUM_THREADS="4")
    assert found["threads"] == [1]
    assert "Haswell" not in found["cores"]


def test_nothing_is_pinned_for_children_of_a_process_that_has_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*kernels.ONE_THREAD, "OPENBLAS_CORETYPE", kernels.CHOICE):
        monkeypatch.delenv(name, raising=False)
    assert "numpy" in sys.modules
    kernels.pin()
    assert kernels.os.environ["OMP_NUM_THREADS"] == "1"
    assert "OPENBLAS_CORETYPE" not in kernels.os.environ
    assert kernels.pinned() == {}


def test_a_processor_without_avx2_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_instructions", lambda: {"sse4_2", "avx"})
    assert not kernels.can_pin()


@pytest.mark.parametrize(
    ("version", "instructions", "expected"),
    [
        ((2, 4), {"avx2"}, []),
        ((2, 4), kernels._SKX, ["X86_V4"]),
        ((2, 2), {*kernels._SKX, "avx512_fp16"}, ["AVX512F", "AVX512CD", "AVX512_SKX"]),
        ((2, 3), None, ["AVX512F", "AVX512CD", "AVX512_SKX", "AVX512_CLX", "AVX512_CNL", "AVX512_ICL", "AVX512_SPR"]),
        ((2, 0), kernels._CLX, ["AVX512F", "AVX512CD", "AVX512_SKX", "AVX512_CLX"]),
        ((2, 5), None, ["X86_V4", "AVX512_ICL", "AVX512_SPR"]),
    ],
)
def test_groups_that_numpy_knows_and_the_processor_has(monkeypatch, version, instructions, expected) -> None:
    monkeypatch.setattr(kernels, "_numpy_version", lambda: version)
    assert kernels._groups(instructions) == expected


def test_the_version_of_numpy_is_read_without_loading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy

    assert kernels._numpy_version() == tuple(map(int, numpy.__version__.split(".")[:2]))
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    assert kernels._numpy_version() == (2, 4)


def test_another_value_is_refused() -> None:
    process("query", "--list", ALCLI_KERNELS="fast").refused(2, "ALCLI_KERNELS takes portable or native, got 'fast'")


def test_a_node_that_computes_otherwise_is_refused() -> None:
    cluster = RayCluster.__new__(RayCluster)
    cluster.expected, cluster._pinned = {"numpy": "2.4.6"}, True
    cluster.refuse_other(Node("one", {"numpy": "2.4.6"}))
    with pytest.raises(MismatchError, match="node two of the Ray cluster lacks AVX2"):
        cluster.refuse_other(Node("two", {"numpy": "2.4.6"}, pins=False))
    cluster._pinned = False
    cluster.refuse_other(Node("two", {"numpy": "2.4.6"}, pins=False))


def test_a_numpy_that_has_no_such_kernels_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    """NumPy refuses to load where a group is disabled that it was built for, as its first one here."""
    from numpy._core._multiarray_umath import __cpu_baseline__

    if not __cpu_baseline__:
        pytest.skip("this NumPy names no instructions that it was built for")
    environment = {"NPY_DISABLE_CPU_FEATURES": __cpu_baseline__[0], "PATH": "/usr/bin:/bin"}
    code = "try:\n    import numpy\nexcept RuntimeError as error:\n    print(error)"
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    ).stdout
    assert _translate(RuntimeError(said)) == 78
    assert "ALCLI_KERNELS=native takes the kernels that it was built with" in capfd.readouterr().err
