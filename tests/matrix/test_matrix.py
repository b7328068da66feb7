"""The same bytes in every variant of the surroundings; ALCLI_THOROUGH=1 runs every command in each variant alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from alcli.engine.kernels import can_pin
from tests.matrix.commands import Command, commands
from tests.matrix.compare import differences
from tests.matrix.pools import write_pools
from tests.matrix.variants import KERNELS, PLAIN, SHORT, SURROUNDINGS, TOGETHER, Variant, run

THOROUGH = "ALCLI_THOROUGH" in os.environ
VARIANTS = TOGETHER | SURROUNDINGS | KERNELS if THOROUGH else {SHORT: TOGETHER[SHORT]}
# One head of each posterior, and those updates that go another way each.
SAMPLED = {
    f"digits.{name}.safetensors"
    for name in (
        *("softmax", "softmax-block", "softmax-kron", "softmax-full", "softmax-ensemble", "softmax-variational"),
        *("softmax-pool", "softmax.learnt", "softmax.learnt-closed", "softmax.learnt-mc"),
        *("softmax.removed", "softmax-full.learnt"),
    )
}
# The network of numbers is the one that is fitted soonest.
NUMBERS = {"numbers.ridge.safetensors", "numbers.mlp-numbers.safetensors"}
# Wide enough that a BLAS with several threads would share products out.
WIDE = {f"wide.{name}" for name in ("softmax.safetensors", "softmax.learnt.safetensors", "acs-fw.csv", "qbc.csv")}
needs_pins = pytest.mark.skipif(not can_pin(), reason="the kernels of this processor are its own")


def chosen() -> list[Command]:
    everything = [command for pool in ("digits", "numbers", "wide") for command in commands(pool)]
    if THOROUGH:
        return everything
    return [command for command in everything if _sampled(command.name)]


def _sampled(name: str) -> bool:
    pool, rest = name.split(".", 1)
    if pool == "wide":
        return name in WIDE
    if name.endswith(".safetensors"):
        return name in SAMPLED or name in NUMBERS
    return not rest.endswith("-mlp.csv") and (
        not rest.endswith(".predicted.csv") or name == "digits.softmax.predicted.csv"
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """A function from a variant to the first differences from the plain run, by command."""
    folder = tmp_path_factory.mktemp("matrix")
    (folder / "pools").mkdir()
    write_pools(folder / "pools", wide=True)
    asked = chosen()
    run(folder / "plain", folder / "pools", asked, PLAIN, {})
    refused = {c.name: (folder / "plain" / f"{c.name}.err").read_text() for c in asked if _code(folder, c) != "0"}
    assert refused == {}

    def against(variant: str) -> dict[str, str]:
        here = folder / variant.replace(" ", "-")
        run(here, folder / "pools", asked, VARIANTS[variant], {})
        return differences(folder / "plain", here, asked)

    return against


def _code(folder: Path, command: Command) -> str:
    return (folder / "plain" / f"{command.name}.code").read_text()


@needs_pins
@pytest.mark.parametrize("variant", VARIANTS)
def test_no_command_leaves_other_bytes(found: Callable[[str], dict[str, str]], variant: str) -> None:
    differing = found(variant)
    assert not differing, f"{variant}:\n" + "\n".join(f"{name}: {first}" for name, first in differing.items())


@needs_pins
def test_without_the_pins_the_matrix_finds_differences(tmp_path: Path) -> None:
    """Else the variants would not reach the libraries."""
    pools = tmp_path / "pools"
    pools.mkdir()
    write_pools(pools, wide=False)
    asked = [c for c in commands("digits") if c.name in ("digits.softmax.safetensors", "digits.softmax.predicted.csv")]
    for core in ("Haswell", "Nehalem"):
        run(tmp_path / core, pools, asked, Variant({"OPENBLAS_CORETYPE": core}), {"ALCLI_KERNELS": "native"})
    assert "digits.softmax.safetensors" in differences(tmp_path / "Haswell", tmp_path / "Nehalem", asked)
