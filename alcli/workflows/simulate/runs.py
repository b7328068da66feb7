"""The finished cells of a simulation: one JSON file each, which appears whole.

Cells name items by id, since row numbers change when the files of a pool do.
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alcli.arrays import Int64
from alcli.data.writing.atomic import replacing
from alcli.errors import AlcliError, DataError, counted, printable
from alcli.simulation.plan import Cell
from alcli.simulation.results import CellResult, Details
from alcli.workflows.simulate.comparison import Json

# Letters of a strategy in the name of a file. A file name has at most 255, with all that comes around the strategy.
_LONGEST_NAME = 160
_CHECKSUM = "sha256"


class Runs:
    """The finished cells in the folder `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / "runs"

    @contextmanager
    def telling(self, cells: Sequence[Cell]) -> Iterator[None]:
        """Say of the cells which are kept, where a signal stops what goes on inside."""
        try:
            yield
        except AlcliError:
            raise
        except BaseException as error:
            if kept := sum(self._file(cell).exists() for cell in cells):
                error.add_note(
                    f"{kept} of {counted(len(cells), 'run')} are kept, the same command goes on with the rest"
                )
            raise

    def has(self, cell: Cell, metric: str | None = None, rounds: int = 0) -> bool:
        """True for a finished cell that has so many rounds or no item left, and was measured by a given metric.

        Raises DataError for a damaged file.
        """
        if not self._file(cell).exists():
            return False
        found = self._read(cell)
        curve = found["curve"]
        has_rounds = curve[-1].get("round", 0) >= rounds or bool(found.get("used_up", False))
        return has_rounds and (metric is None or all(metric in row for row in curve))

    def known(self, cell: Cell, items_of: Callable[[list[Any]], Int64]) -> CellResult | None:
        """Return what the folder has of a cell; None where it has nothing. items_of(ids): the numbers of items.

        Raises DataError for a damaged file.
        """
        if not self._file(cell).exists():
            return None
        found = self._read(cell)
        try:
            items = items_of([pick["id"] for pick in found["picks"]])
            if (items < 0).any():
                raise damaged(self._file(cell))
            return CellResult.of_rows(cell, found["curve"], found["picks"], items.tolist(), found.get("notes", ()))
        except (KeyError, TypeError, ValueError):
            raise damaged(self._file(cell)) from None

    def save(self, result: CellResult, ids: Sequence[Any]) -> None:
        """Keep a finished cell. ids: of the picks, in their order."""
        notes = {"notes": result.notes} if result.notes else {}
        details = {} if result.details is None else {"details": asdict(result.details)}
        ended = {"used_up": True} if result.used_up else {}
        self.save_rows(result.cell, result.curve_rows(), result.pick_rows(ids), **notes, **details, **ended)

    def save_rows(self, cell: Cell, curve: Sequence[Json], picks: Sequence[Json] = (), **more: Any) -> None:
        """Keep the rows of a finished cell, and more of it by name, with a checksum over everything."""
        found = {"curve": curve, "picks": picks, **more}
        write(self._file(cell), json.dumps(found | {_CHECKSUM: _checksum(found)}, indent=0).encode())

    def load(self, cells: Iterable[Cell]) -> tuple[list[Json], list[Json]]:
        """Return the rows of curves and the rows of picks of finished cells. Raises DataError for a damaged file."""
        curves: list[Json] = []
        picks: list[Json] = []
        for cell in cells:
            found = self._read(cell)
            curves += found["curve"]
            picks += found["picks"]
        return curves, picks

    def details(self, cells: Iterable[Cell]) -> dict[Cell, Details]:
        """Return the counts of test rows of finished cells; earlier versions and regressions have none.

        Raises DataError for a damaged file.
        """
        found: dict[Cell, Details] = {}
        for cell in cells:
            counts = self._read(cell).get("details")
            try:
                found |= {} if counts is None else {cell: Details(**counts)}
            except TypeError:
                raise damaged(self._file(cell)) from None
        return found

    def _read(self, cell: Cell) -> Json:
        """The file of a finished cell, with its rows of the curve and of picks. Raises DataError if it is damaged.

        Earlier versions wrote no checksum.
        """
        found = read_json(self._file(cell))
        if found.pop(_CHECKSUM, None) not in (None, _checksum(found)):
            raise damaged(self._file(cell))
        rows = [found.get(key) for key in ("curve", "picks")]
        if not rows[0] or not all(isinstance(one, list) and all(isinstance(r, dict) for r in one) for one in rows):
            raise damaged(self._file(cell))
        return found

    def notes(self, cells: Iterable[Cell]) -> list[tuple[str, int, int, str]]:
        """Return the remarks of strategies in finished cells as (strategy, seed, round, text).

        Earlier versions kept no remarks. Raises DataError for a damaged file.
        """
        remarks = []
        for cell in cells:
            try:
                for number, text in self._read(cell).get("notes", ()):
                    remarks.append((cell.strategy, cell.seed, int(number), str(text)))
            except (TypeError, ValueError):
                raise damaged(self._file(cell)) from None
        return remarks

    def _file(self, cell: Cell) -> Path:
        name = urllib.parse.quote(cell.strategy, safe="+")
        if name.startswith("."):
            # A file whose name begins with a dot is hidden, and `_visible` would not see the run.
            name = f"%2E{name[1:]}"
        if len(name) > _LONGEST_NAME:
            name = f"{name[:_LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return self.runs / f"{name}-{cell.seed}.json"


def read_json(file: Path) -> Json:
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"{printable(file)}: cannot read: {error.strerror}") from error
    except (ValueError, RecursionError):
        raise damaged(file) from None
    if not isinstance(found, dict):
        raise damaged(file)
    return found


def _checksum(found: Json) -> str:
    """The SHA-256 of what a file of a cell says, whatever its layout."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def damaged(file: Path) -> DataError:
    what = f"{printable(file)}: is damaged, expected what a simulation wrote"
    return DataError(what, hint="remove it and run again")


def write(file: Path, data: bytes) -> None:
    with replacing(file) as out:
        out.write(data)
