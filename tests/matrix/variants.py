"""The variants of the matrix, and one run of all commands under a variant."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.matrix.commands import Command
from tests.matrix.pools import relaid

ROOT = Path(__file__).parents[2]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
AVX512 = "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL"
AVX2 = f"{AVX512} X86_V3 AVX2 FMA3"


@dataclass(frozen=True)
class Variant:
    """Surroundings of a command. environment: of the process. layout: of the pools, see `relaid`. processors: that the
    process may use; 0 for all. options: of every choice over rows.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    layout: str = ""
    processors: int = 0
    options: tuple[str, ...] = ()


def _threads(n: int) -> dict[str, str]:
    return {name: str(n) for name in THREADS}


PLAIN = Variant()
SURROUNDINGS = {
    "1 thread": Variant(_threads(1)),
    "4 threads": Variant(_threads(4)),
    "1 processor": Variant(processors=1),
    "hash seed": Variant({"PYTHONHASHSEED": "77", "LC_ALL": "C", "TZ": "Asia/Tokyo"}),
    "row groups of 37": Variant(layout="row-groups"),
    "permuted, 4 files": Variant(layout="permuted"),
    "features on disk": Variant(options=("--max-memory", "1M")),
    "3 workers": Variant(options=("--workers", "3")),
}
KERNELS = {
    **{core: Variant({"OPENBLAS_CORETYPE": core}) for core in ("Haswell", "SkylakeX", "SapphireRapids", "Nehalem")},
    "torch without AVX": Variant({"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "AUTO", "ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "torch with AVX-512": Variant({"ATEN_CPU_CAPABILITY": "avx512", "MKL_CBWR": "AVX512"}),
    "no AVX-512 in NumPy": Variant({"NPY_DISABLE_CPU_FEATURES": AVX512}),
    "no AVX2 in NumPy": Variant({"NPY_DISABLE_CPU_FEATURES": AVX2}),
}

# Many at a time, for a run that is short.
SHORT = "Nehalem, 4 threads, permuted, on disk, 2 workers"
TOGETHER = {
    SHORT: Variant(
        _threads(4)
        | {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": AVX2, "PYTHONHASHSEED": "5"}
        | {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "AVX512"},
        "permuted",
        options=("--max-memory", "1M", "--workers", "2"),
    ),
    "SkylakeX, 1 processor, row groups, 3 workers": Variant(
        {"OPENBLAS_CORETYPE": "SkylakeX", "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "AVX512"},
        "row-groups",
        1,
        ("--workers", "3"),
    ),
}


def run(folder: Path, pools: Path, commands: Sequence[Command], variant: Variant, more: Mapping[str, str]) -> None:
    """Run commands in a new folder, in one child process. more: environment of the child beside the variant's."""
    folder.mkdir()
    if variant.layout:
        relaid(pools, folder, variant.layout)
    else:
        for path in pools.iterdir():
            os.symlink(path, folder / path.name)
    plan = [
        {
            "name": command.name,
            "arguments": [*command.arguments, *(variant.options if command.shared else ())],
            "stdin": _lines(pools / command.stdin) if command.stdin else "",
        }
        for command in commands
    ]
    (folder / "plan.json").write_text(json.dumps(plan))
    bare = {k: v for k, v in os.environ.items() if k not in (*THREADS, "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.matrix.child", str(folder / "plan.json")],
        cwd=folder,
        env={**bare, "PYTHONPATH": str(ROOT), **variant.environment, **more},
        capture_output=True,
        text=True,
        preexec_fn=(lambda: os.sched_setaffinity(0, _some(variant.processors))) if variant.processors else None,
    )
    assert done.returncode == 0, done.stderr


def clear(folder: Path) -> None:
    shutil.rmtree(folder)


def _some(n: int) -> set[int]:
    return set(sorted(os.sched_getaffinity(0))[:n])


def _lines(path: Path) -> str:
    """Labels of a CSV file as lines of JSON, as a stream reads them."""
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return "".join(json.dumps({"id": id, "label": json.loads(label)}) + "\n" for id, label in rows)
