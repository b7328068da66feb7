"""What the studies share: their command line, where the data is, and a run of `alcli simulate` with variants of
strategies.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

DIGITS = Path(__file__).parents[1] / "sample_data" / "digits-features.parquet"
BANKING77 = Path("banking77") / "features.parquet"  # of the folder of larger data sets
DATA = Path("../shared/data")
JOBS = {"type": int, "default": 1}


def begin(study: Callable[..., None], doc: str | None, **options: Mapping[str, Any]) -> None:
    """Call study(data, out, ...) with what the command line says. options: of the study alone, by name, as
    `add_argument` takes them.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder with the larger data sets; what needs them is skipped without"
    )
    parser.add_argument("--out", type=Path, help="keep results here instead of in a temporary folder")
    for name, how in options.items():
        parser.add_argument(f"--{name}", **how)
    arguments = vars(parser.parse_args())
    with tempfile.TemporaryDirectory(prefix="alcli-study-") as scratch:
        out = arguments.pop("out") or Path(scratch)
        out.mkdir(parents=True, exist_ok=True)
        study(arguments.pop("data"), out, **arguments)


def is_there(pool: Path) -> bool:
    """Whether a data set is at hand. Says so where it is not."""
    if not pool.exists():
        print(f"skipped: {pool} is not here")
    return pool.exists()


def compare(
    pool: Path,
    out: Path,
    who: Iterable[str],
    variants: Mapping[str, Iterable[str]],
    *,
    more: Iterable[str] = (),
    **sizes: Any,
) -> None:
    """`alcli simulate` with strategies, and variants of them under their own parameters. more: parameters of all."""
    from alcli.cli.simulate import simulate

    params = [*more, *(p for of_variant in variants.values() for p in of_variant)]
    simulate(str(pool), out, strategy=[*who, *variants], param=params, **sizes)
