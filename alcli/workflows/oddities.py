"""Remarks on a pool and its labels that may mean something else than alcli takes them for."""

from __future__ import annotations

import math

from alcli.data.labels import Labels
from alcli.data.pool import Pool
from alcli.data.schema import remark_on_near_columns
from alcli.data.spellings.numbers import number_of
from alcli.errors import printable
from alcli.remarks import Note


def remark_on_columns(pool: Pool, note: Note, *, needs_labels: bool) -> None:
    """Tell of columns and of values of `split` that are nearly those which alcli reads."""
    found = pool.near_names()
    if not needs_labels:
        found.pop("label", None)
    remark_on_near_columns(pool.name, found, note)
    if pool.near_test:
        values = ", ".join(f"'{printable(value)}'" for value in pool.near_test)
        note(f"{pool.name}: the split has {values}: rows are kept out of the fit where their split is 'test'")


def remark_on_task(labels: Labels, regression: bool, note: Note) -> None:
    """Tell of numbers that are taken for classes and look like measurements, and the other way about."""
    numbers = [number_of(said.label) for said in labels.by_id.values()]
    if not numbers or any(map(math.isnan, numbers)):
        return
    are_whole = all(number.is_integer() for number in numbers)
    if not regression and not are_whole:
        note(
            f"the labels look like numbers and are taken for {len(labels.classes())} classes: "
            "'alcli fit-head --task regression' predicts them as numbers"
        )
    if regression and are_whole and 2 * len(set(numbers)) <= len(numbers):
        note(
            f"the labels are floats and taken for a regression, but are {len(set(numbers))} whole numbers: "
            "'alcli fit-head --task classification' makes classes of them"
        )
