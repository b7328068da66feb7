"""The same arithmetic on every machine: how many threads BLAS takes, and which kernels the libraries take.

Each of them looks at the processor when it is loaded, and takes kernels that are made for it. A kernel for AVX-512 adds
in another order than one for AVX2, so the last digits differ, and with them now and then the order of a batch. The
command line therefore asks for the kernels for AVX2 on every x86-64 processor under Linux that has AVX2, and so do its
child processes. This file loads only the standard library, for the libraries read their variables once, when they are
loaded.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from alcli.errors import UsageError, printable

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
CHOICE = "ALCLI_KERNELS"
# The x86-64 microarchitecture level 3, by the names that Linux gives its instructions.
_LEVEL_3 = {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}
_BLAS = {"OPENBLAS_CORETYPE": "Haswell", "FAISS_OPT_LEVEL": "AVX2", "FAISS_SIMD_LEVEL": "AVX2"}
# MKL multiplies for torch. It promises the same bits on processors of Intel and of others for this branch alone.
_TORCH = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "COMPATIBLE"}
_NUMPY = "NPY_DISABLE_CPU_FEATURES"
_SKX = {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq"}
_CLX = {*_SKX, "avx512_vnni"}
_CNL = {*_SKX, "avx512ifma", "avx512vbmi"}
_ICL = {*_CLX, *_CNL, "avx512_vbmi2", "avx512_bitalg", "avx512_vpopcntdq"}
# NumPy's groups of instructions beyond AVX2, each with its instructions. NumPy warns of a group that it does not know
# or that the processor lacks, so only the others are named.
_GROUPS_2_0 = {
    "AVX512F": {"avx512f"},
    "AVX512CD": {"avx512f", "avx512cd"},
    "AVX512_SKX": _SKX,
    "AVX512_CLX": _CLX,
    "AVX512_CNL": _CNL,
    "AVX512_ICL": _ICL,
}
_GROUPS_2_3 = _GROUPS_2_0 | {"AVX512_SPR": {*_ICL, "avx512_fp16"}}
_GROUPS_2_4 = {
    "X86_V4": _SKX,
    "AVX512_ICL": {*_ICL, "gfni", "vaes", "vpclmulqdq"},
    "AVX512_SPR": {*_ICL, "gfni", "vaes", "vpclmulqdq", "avx512_fp16", "avx512_bf16"},
}


def pin() -> None:
    """Set the variables that NumPy, OpenBLAS and faiss read when they are loaded, whatever the user has set.

    Where NumPy is loaded already, only the threads are set: child processes take the kernels that this process has.
    ALCLI_KERNELS=native leaves the kernels alone. Raises UsageError for another value of it.
    """
    # alcli spreads work over blocks itself, and the last digits of a product that BLAS shares out depend on the number
    # of its threads.
    os.environ.update(ONE_THREAD)
    choice = os.environ.get(CHOICE, "")
    if choice not in ("", "native", "portable"):
        raise UsageError(f"{CHOICE} takes portable or native, got '{printable(choice)}'")
    if choice != "native" and "numpy" not in sys.modules and can_pin():
        os.environ.update(_BLAS | {_NUMPY: " ".join(_groups(_instructions()))})
        # NumPy refuses to load where both are set.
        os.environ.pop("NPY_ENABLE_CPU_FEATURES", None)


def pin_torch() -> None:
    """Set the variables that torch reads when it is loaded, where the kernels of this process are pinned.

    To be called by what trains a network, before it loads torch. An upstream model keeps the kernels of its processor:
    the others would cost it most of its speed.
    """
    if pinned() and "torch" not in sys.modules:
        os.environ.update(_TORCH)


def can_pin() -> bool:
    """True on a processor whose kernels can be those for AVX2."""
    return _instructions() >= _LEVEL_3


def pinned() -> dict[str, str]:
    """The variables of a process on another machine that is to compute as this one does; none where nothing is pinned.

    All groups of NumPy are named, for the other machine may have more of them.
    """
    if any(os.environ.get(name) != value for name, value in _BLAS.items()):
        return {}
    return _BLAS | {_NUMPY: " ".join(_groups(None))}


def _groups(instructions: set[str] | None) -> list[str]:
    """The groups of instructions that the NumPy of this environment is not to use; None: of any processor."""
    version = _numpy_version()
    groups = _GROUPS_2_4 if version >= (2, 4) else _GROUPS_2_3 if version >= (2, 3) else _GROUPS_2_0
    return [name for name, needed in groups.items() if instructions is None or needed <= instructions]


def _numpy_version() -> tuple[int, int]:
    """The version of NumPy, read without loading it; that of the newest names where there is none."""
    with suppress(OSError, ValueError, IndexError):
        found = find_spec("numpy")
        folder = Path(((found and found.submodule_search_locations) or [])[0])
        if said := re.search(r'^version = "(\d+)\.(\d+)', (folder / "version.py").read_text(), re.MULTILINE):
            return int(said[1]), int(said[2])
    return 2, 4


def _instructions() -> set[str]:
    """The instructions of the first processor, by the names of Linux; none where it does not say, or is no x86-64."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return set()
    with suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip() == "flags":
                return set(value.split())
    return set()
