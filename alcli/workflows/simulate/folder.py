"""The folder of a simulation: its configuration, one file per finished cell, and the tables and pictures made of them.

A finished cell is a JSON file that appears whole, so a simulation that was stopped goes on from there. Cells name
items by id, since row numbers change when the files of a pool do. Tables follow the order of the configuration, not
the order in which the cells were finished.
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from alcli.data.writing.atomic import replacing
from alcli.errors import CannotCreateError, DataError, NewerFormatError, printable
from alcli.report.summary import Line
from alcli.simulation.plan import Cell
from alcli.simulation.results import PHASES
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate.tables import FORMAT, csv_bytes, parquet_bytes

# Letters of a strategy in the name of a file. A file name has at most 255, with all that comes around the strategy.
_LONGEST_NAME = 160
# Hexadecimal digits of a digest in a message.
_DIGITS = 12
Json = dict[str, Any]
_NOT_COMPARED = frozenset({"pool.name"})
# The meaning of a configuration that lacks a key, since keys were added over time.
_DEFAULTS: Json = {"head": Recipe().as_json(), "stratified": False, "candidates": None}
_KINDS = {
    "strategy": pa.string(),
    "seed": pa.int64(),
    "round": pa.int32(),
    "rank": pa.int32(),
    "n_labels": pa.int64(),
    "score": pa.float32(),
    "cost": pa.float64(),
}


class SimulationFolder:
    """The files of one simulation under `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / "runs"

    @property
    def scratch(self) -> Path:
        """The file of the feature matrix, which exists while a simulation runs."""
        return self.path / ".features"

    def config(self) -> Json:
        """Read the configuration. Raises DataError for a damaged one, NewerFormatError."""
        file = self.path / "config.json"
        found = _read_json(file)
        _check_format(file, found)
        return found

    def create(self) -> None:
        """Make the folder if there is none. Raises CannotCreateError if that fails or the folder holds other files."""
        try:
            self.runs.parent.mkdir(parents=True, exist_ok=True)
            strange = self._visible()
            if strange and not (self.path / "config.json").exists():
                what = f"is not empty and holds no simulation ('{printable(min(strange))}' is there)"
                raise CannotCreateError(f"{printable(self.path)}: {what}", hint="choose another -o")
            self.runs.mkdir(exist_ok=True)
        except OSError as error:
            raise CannotCreateError(f"{printable(self.path)}: cannot create the folder: {error.strerror}") from error

    def _visible(self) -> list[str]:
        """The names in the folder. An empty `runs`, as a killed simulation leaves it, does not count."""
        has_runs = any(self.runs.glob("[!.]*"))
        return [p.name for p in self.path.iterdir() if not p.name.startswith(".") and (p != self.runs or has_runs)]

    def claim(self, config: Json) -> None:
        """Write the configuration, or compare it with the configuration in the folder.

        The key `metrics` records the code of metrics from outside alcli. The code of a metric must stay the same, but
        another metric can be added, and metrics that the folder has are kept.
        The caller holds the lock, so the scratch file of a killed simulation can go. A configuration without anything
        else, which a simulation leaves that ended before its first run, is replaced.
        Raises CannotCreateError that names the difference, and NewerFormatError.
        """
        self.scratch.unlink(missing_ok=True)
        file = self.path / "config.json"
        if file.exists():
            before = self.config()
            if self._visible() != [file.name]:
                config = _with_metrics(config, before)
                self._compare(_with_metrics(before, config), config)
                if before.get("metrics") == config.get("metrics"):
                    return
        _write(file, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())

    def _compare(self, before: Json, config: Json) -> None:
        changed = differences(before, config)
        if before.get("version") != config.get("version"):
            raise CannotCreateError(
                f"{printable(self.path)}: holds a simulation of another version of alcli, whose results may differ: "
                f"{changed[0]}",
                hint="choose another -o, or remove the folder",
            )
        if changed:
            raise CannotCreateError(
                f"{printable(self.path)}: holds a simulation with another configuration: {'; '.join(changed)}",
                hint="choose another -o, or remove the folder",
            )

    def has(self, cell: Cell, metric: str | None = None) -> bool:
        """True for a finished cell, measured by `metric` if it is given. Raises DataError for a damaged file."""
        if metric is None or not self._file(cell).exists():
            return self._file(cell).exists()
        curve, _ = self.load([cell])
        return all(metric in row for row in curve)

    def save(
        self, cell: Cell, curve: Sequence[Json], picks: Sequence[Json], notes: Sequence[tuple[int, str]] = ()
    ) -> None:
        """Keep a finished cell. notes: the remarks of its strategy as (round, text)."""
        remarks = {"notes": notes} if notes else {}
        _write(self._file(cell), json.dumps({"curve": curve, "picks": picks, **remarks}, indent=0).encode())

    def load(self, cells: Iterable[Cell]) -> tuple[list[Json], list[Json]]:
        """Return the rows of curves and the rows of picks of finished cells. Raises DataError for a damaged file."""
        curves: list[Json] = []
        picks: list[Json] = []
        for cell in cells:
            found = _read_json(self._file(cell))
            try:
                curves += found["curve"]
                picks += found["picks"]
            except (KeyError, TypeError):
                raise _damaged(self._file(cell)) from None
        return curves, picks

    def notes(self, cells: Iterable[Cell]) -> list[tuple[str, int, int, str]]:
        """Return the remarks of strategies in finished cells as (strategy, seed, round, text).

        Earlier versions kept no remarks. Raises DataError for a damaged file.
        """
        remarks = []
        for cell in cells:
            try:
                for number, text in _read_json(self._file(cell)).get("notes", ()):
                    remarks.append((cell.strategy, cell.seed, int(number), str(text)))
            except (TypeError, ValueError):
                raise _damaged(self._file(cell)) from None
        return remarks

    def write_tables(self, curves: list[Json], picks: list[Json], lines: Sequence[Line], *, text_ids: bool) -> None:
        """Write curves.parquet, selections.parquet and summary.csv. text_ids: ids are strings, not integers.

        A run that was not measured by a metric that other runs have is null there.
        """
        names = list(dict.fromkeys(name for row in curves for name in row))
        metrics = [name for name in names if name not in _KINDS and name not in PHASES]
        ids = {"id": pa.string() if text_ids else pa.int64()}
        kinds = _KINDS | dict.fromkeys([*metrics, *PHASES], pa.float64()) | ids
        _write(self.path / "curves.parquet", parquet_bytes(curves, names, kinds, "curves"))
        names = ["strategy", "seed", "round", "rank", "id", "score"]
        _write(self.path / "selections.parquet", parquet_bytes(picks, names, kinds, "selections"))
        _write(self.path / "summary.csv", csv_bytes([line.row() for line in lines]))

    def write_wins(self, rows: list[Json]) -> None:
        """Write wins.csv."""
        _write(self.path / "wins.csv", csv_bytes(rows))

    def write_pictures(self, name: str, pictures: Mapping[str, bytes]) -> None:
        """Write a picture in all its formats, as NAME.png and NAME.svg."""
        for format, data in pictures.items():
            _write(self.path / f"{name}.{format}", data)

    def write_study(self, name: str, rows: list[Json], means: list[Json], pictures: Mapping[str, bytes]) -> None:
        """Write study.csv and study.parquet, one row a measurement; their means, summary.csv; the pictures `name`."""
        kinds = dict.fromkeys(rows[0], pa.float64())
        kinds |= dict.fromkeys(("experiment", "method"), pa.string())
        kinds |= dict.fromkeys(("seed", "n_labelled", "n_new"), pa.int64())
        _write(self.path / "study.parquet", parquet_bytes(rows, list(rows[0]), kinds, "study"))
        _write(self.path / "study.csv", csv_bytes(rows))
        _write(self.path / "summary.csv", csv_bytes(means))
        self.write_pictures(name, pictures)

    def _file(self, cell: Cell) -> Path:
        name = urllib.parse.quote(cell.strategy, safe="+")
        if name.startswith("."):
            # A file whose name begins with a dot is hidden, and `_visible` would not see the run.
            name = f"%2E{name[1:]}"
        if len(name) > _LONGEST_NAME:
            name = f"{name[:_LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return self.runs / f"{name}-{cell.seed}.json"


def _with_metrics(config: Json, other: Json) -> Json:
    """Add to a configuration the metrics that only the other configuration has."""
    recorded = {**other.get("metrics", {}), **config.get("metrics", {})}
    return config | {"metrics": recorded} if recorded else config


def differences(before: Json, now: Json) -> list[str]:
    """Return the differences of two configurations, as "rounds 10, now 5", the version first.

    A key that one of them lacks has its default.
    """
    old, new = ({**_flat(_DEFAULTS), **_flat(one)} for one in (before, now))
    everything = dict.fromkeys(["version", *_flat(now), *_flat(before)])
    keys = [key for key in everything if key not in _NOT_COMPARED and old.get(key) != new.get(key)]
    return [_difference(key, old.get(key), new.get(key)) for key in keys]


def _difference(key: str, old: Any, new: Any) -> str:
    if key.endswith(".sha256") and old is not None and new is not None:
        name = key.partition(".")[2].removesuffix(".sha256")
        return f"the code of {printable(name)} has changed (SHA-256 {str(old)[:_DIGITS]}, now {new[:_DIGITS]})"
    return f"{key} {_shown(old)}, now {_shown(new)}"


def _flat(value: Json, prefix: str = "") -> Json:
    flat: Json = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {f"{prefix}{key}": inner}
    return flat


def _shown(value: Any) -> str:
    return "none" if value is None else printable(", ".join(map(str, value)) if isinstance(value, list) else value)


def _read_json(file: Path) -> Json:
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"{printable(file)}: cannot read: {error.strerror}") from error
    except ValueError:
        raise _damaged(file) from None
    if not isinstance(found, dict):
        raise _damaged(file)
    return found


def _check_format(file: Path, config: Json) -> None:
    """Raise NewerFormatError for a configuration of a newer format, DataError where the format is no number."""
    try:
        newer = int(config.get("format", FORMAT)) > FORMAT
    except (TypeError, ValueError):
        raise _damaged(file) from None
    if newer:
        what = f"{printable(file)}: written in format {config['format']}, this version reads up to {FORMAT}"
        raise NewerFormatError(what)


def _damaged(file: Path) -> DataError:
    what = f"{printable(file)}: is damaged, expected what a simulation wrote"
    return DataError(what, hint="remove it and run again")


def _write(file: Path, data: bytes) -> None:
    with replacing(file) as out:
        out.write(data)
