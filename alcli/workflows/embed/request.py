"""The options and the report of embed, and the facts that a pool and an unfinished run remember of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import alcli
from alcli.data.schema import standardization_metadata
from alcli.data.sources.base import Asked, InputSource
from alcli.embedders._contract import Encoder
from alcli.numerics.standardization import Standardization


@dataclass(frozen=True)
class EmbedOptions:
    """The options of `alcli embed`, named as on the command line.

    standardize_like: the pool whose means and deviations are taken. parameters: `-p KEY=VALUE` of the model, as text.
    """

    source: Path
    model: str
    output: Path
    columns: Asked = field(default_factory=Asked)
    layer: str | None = None
    batch_size: int = 32
    dtype: str = "float32"
    standardize: bool = False
    standardize_like: str | None = None
    normalize: bool = False
    device: str = "auto"
    rows_per_file: int | None = None
    resume: bool = False
    skip_bad: bool = False
    force: bool = False
    lock_timeout: float = 0.0
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EmbedReport:
    """The outcome of a run.

    rows: of the pool. resumed: rows taken over from an earlier run. skipped: (id, why) of items left out.
    """

    output: str
    rows: int
    dim: int
    dtype: str
    files: int
    resumed: int
    skipped: tuple[tuple[str, str], ...]
    fingerprint: str

    def facts(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "pool": self.output,
            "rows": self.rows,
            "dim": self.dim,
            "dtype": self.dtype,
            "files": self.files,
            "resumed": self.resumed,
            "skipped": len(self.skipped),
            "fingerprint": self.fingerprint,
        }


def metadata_of(
    options: EmbedOptions, source: InputSource, encoder: Encoder, by: Standardization | None
) -> dict[str, Any]:
    """Return the metadata of the pool; no clock and no absolute path, so equal runs give equal bytes anywhere.

    by: what columns were standardised by.
    """
    standardized = {} if by is None else standardization_metadata(by)
    return standardized | {
        "model": _shown_model(options.model),
        "revision": encoder.revision,
        "layer": options.layer,
        "parameters": dict(options.parameters),
        "normalized": options.normalize,
        "source": source.name,
    }


def _shown_model(model: str) -> str:
    """The model as the user named it; of an absolute path, only the last two parts."""
    name, _, argument = model.partition(":")
    return f"{name}:{'/'.join(Path(argument).parts[-2:])}" if os.path.isabs(argument) else model


def plan_of(options: EmbedOptions, source: InputSource, encoder: Encoder, by: Standardization | None) -> dict[str, Any]:
    """Return all that the bytes of a shard depend on: a run with another plan cannot continue an unfinished run."""
    return {
        "source": source.name,
        "source contents": source.contents(),
        "model": _shown_model(options.model),
        "model revision": encoder.revision,
        "-p": dict(options.parameters),
        "--layer": options.layer,
        "--input-col": options.columns.input,
        "--id-col": options.columns.id,
        "--label-col": options.columns.label,
        "--keep": list(options.columns.keep),
        "--hive": options.columns.hive or None,
        "--ids": options.columns.ids,
        "--features-cols": list(options.columns.features_cols) or None,
        "--batch-size": options.batch_size,
        "--dtype": options.dtype,
        "--normalize": options.normalize,
        "--standardize": None if by is None else by.digest,
        "--device": options.device,
        "alcli": alcli.__version__,
    }
