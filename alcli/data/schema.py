"""The columns and the metadata of a pool's file: features found by name, and refusals that list the columns."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from alcli.data.advice.embedding import makes_a_pool, wide_columns
from alcli.data.groups import NO_GROUPS
from alcli.data.reading.vectors import is_vector, storage_type
from alcli.errors import DataError, NewerFormatError, printable
from alcli.numerics.standardization import Standardization
from alcli.remarks import Note

FEATURE_NAMES = ("features", "embedding", "embeddings")
METADATA_KEY = b"alcli"
POOL_FORMAT = 1
# The key of the digest of the means and deviations that columns were standardised by.
_STANDARDIZED = "standardized"


@dataclass(frozen=True)
class Columns:
    """Column names as the user gave them; None: found by its usual name. group: "none" makes every row an item."""

    features: str | None = None
    id: str | None = None
    label: str | None = None
    split: str = "split"
    group: str | None = None

    def named(self) -> dict[str, str]:
        """The columns that have a name of their own, by their usual name."""
        found = {"features": self.features, "id": self.id, "label": self.label, "group": self.group}
        return {usual: name for usual, name in found.items() if name is not None and name not in (usual, NO_GROUPS)}

    def filled(self, remembered: Mapping[str, str], there: Collection[str]) -> Columns:
        """Return these columns, with the remembered name of each that has none, as far as it is `there`."""
        known = {field: getattr(self, field) for field in ("features", "id", "label", "group")}
        new = {k: remembered[k] for k, name in known.items() if name is None and remembered.get(k) in there}
        return replace(self, **new)

    @property
    def single(self) -> list[str]:
        """The names of the columns of single values."""
        return [self.id or "id", self.label or "label", self.split, self.group or "group"]

    @property
    def unnamed(self) -> set[str]:
        """The usual names of columns for which the user gave no other name."""
        named = {"label": self.label, "group": self.group, "split": None if self.split == "split" else self.split}
        return {usual for usual, name in named.items() if name is None}


def features_column(schema: pa.Schema, file: str, wanted: str | None) -> str:
    """Return the name of the vector column. file: its name, for messages. wanted: the name that the user gave, if any.

    Raises DataError when the column is absent, there twice, or holds no vectors of floats.
    """
    if wanted is None:
        wanted = next((name for name in FEATURE_NAMES if name in schema.names), None)
    vectors = [f.name for f in schema if _is_float_vector(f.type)]
    if wanted is None:
        wide = wide_columns(schema.names)
        hint = makes_a_pool(file, f'--features-cols "{printable(wide)}"') if wide else "make one with 'alcli embed'"
        hint = f"name it with --features-col {printable(vectors[0])}" if vectors else hint
        raise DataError(f"{file}: no column 'features' among {_listed(schema)}", hint=hint)
    kind = storage_type(require(schema, file, wanted).type)
    what = f"{file}: column '{printable(wanted)}'"
    embed = makes_a_pool(file, *([] if wanted in FEATURE_NAMES else [f"--input-col {printable(wanted)}"]))
    if pt.is_struct(kind):
        raise DataError(f"{what} is a struct, expected a list of floats", hint=f"{embed} if it holds a vector")
    if not is_vector(kind):
        hint = (
            f"--features-col {printable(vectors[0])} names another column" if vectors else f"{embed} if it is a vector"
        )
        raise DataError(f"{what} is of type {kind}, expected a list of floats", hint=hint)
    if not pt.is_floating(kind.value_type):
        what = f"{what} holds vectors of {kind.value_type}, expected float16, float32 or float64"
        raise DataError(what, hint=embed)
    return wanted


def _is_float_vector(kind: pa.DataType) -> bool:
    return is_vector(kind) and bool(pt.is_floating(storage_type(kind).value_type))


def require(schema: pa.Schema, file: str, name: str) -> pa.Field:
    """Return the field of a top-level column. Raises DataError when there is none or more than one."""
    found = schema.get_all_field_indices(name)
    if not found:
        raise DataError(f"{file}: no column '{printable(name)}' among {_listed(schema)}")
    if len(found) > 1:
        raise DataError(f"{file}: {len(found)} columns are named '{printable(name)}', expected one")
    return schema.field(found[0])


def _listed(schema: pa.Schema) -> str:
    """The first ten column names, for messages."""
    shown = ", ".join(f"'{printable(n)}'" for n in schema.names[:10])
    return f"{shown} and {len(schema.names) - 10} more" if len(schema.names) > 10 else shown


def near_columns(usual: Iterable[str], there: Sequence[str]) -> dict[str, str]:
    """Return those of the `usual` names that are not `there`, each with a name that is nearly so, such as `Label`."""
    return {name: near for name in usual if name not in there for near in there if near.strip().lower() == name}


def remark_on_near_columns(where: str, found: Mapping[str, str], note: Note) -> None:
    """Tell of the columns that `near_columns` found. where: their table."""
    for usual, near in found.items():
        remedy = "rename it" if usual == "split" else f"--{usual}-col names it"
        note(f"{where}: column '{printable(near)}' is not read as '{usual}': {remedy}")


def pool_metadata(schema: pa.Schema, file: str) -> dict[str, Any]:
    """Return the metadata that alcli wrote into a file; empty for a file of other origin.

    Raises NewerFormatError, DataError.
    """
    text = (schema.metadata or {}).get(METADATA_KEY)
    if text is None:
        return {}
    try:
        found = json.loads(text)
        newer = int(found.get("format", 1)) > POOL_FORMAT
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise DataError(f"{file}: its 'alcli' metadata cannot be read, expected a JSON object") from None
    if newer:
        writer = f"written in format {found['format']} by alcli {printable(found.get('version', '?'))}"
        raise NewerFormatError(f"{file}: {writer}, this version reads up to {POOL_FORMAT}")
    return found


def same_features(ours: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    """Return the first fact about features that differs in two metadata, as "model 'a', not 'b'"; None without one.

    A pool that embed wrote without a word on standardisation has its columns as they were.
    """
    for key in ("model", "layer", "normalized", "dim"):
        if key in ours and key in theirs and ours[key] != theirs[key]:
            return f"{key} {printable(repr(ours[key]))}, not {printable(repr(theirs[key]))}"
    if "model" in ours and "model" in theirs and ours.get(_STANDARDIZED) != theirs.get(_STANDARDIZED):
        return f"{_columns_of(ours)}, not {_columns_of(theirs)}"
    return None


def _columns_of(metadata: dict[str, Any]) -> str:
    """The scale of the columns in words."""
    digest = metadata.get(_STANDARDIZED)
    return "columns on their own scales" if digest is None else f"columns standardized by {printable(repr(digest))}"


def standardization_metadata(by: Standardization) -> dict[str, Any]:
    """Describe standardised columns for a pool: a digest, and the means and deviations themselves."""
    numbers = {"mean": by.mean_D.tolist(), "scale": by.scale_D.tolist()}
    return {_STANDARDIZED: by.digest, "standardization": numbers}


def standardization_in(metadata: dict[str, Any], file: str) -> Standardization | None:
    """The means and deviations that `standardization_metadata` wrote; None where there are none. Raises DataError."""
    if _STANDARDIZED not in metadata:
        return None
    try:
        numbers = metadata["standardization"]
        found = Standardization(*(np.array(numbers[key], np.float64) for key in ("mean", "scale")))
        fits = found.mean_D.ndim == 1 and found.mean_D.shape == found.scale_D.shape == (metadata["dim"],)
        fits = fits and bool(np.isfinite(found.mean_D).all() and (found.scale_D >= 0).all())
        if fits and np.isfinite(found.scale_D).all() and found.digest == metadata[_STANDARDIZED]:
            return found
    except (KeyError, TypeError, ValueError, OverflowError):
        pass
    raise DataError(f"{file}: the means and deviations in its 'alcli' metadata are damaged", hint="make the pool again")
