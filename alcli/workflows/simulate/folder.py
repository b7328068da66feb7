"""The folder of a simulation: its configuration, its finished cells, and the tables and pictures made of them.

A simulation that was stopped goes on from its finished cells. Tables follow the order of the configuration, not the
order in which the cells were finished.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from alcli.errors import CannotCreateError, InputError, NewerFormatError, printable
from alcli.report.summary import Line
from alcli.simulation.plan import Cell
from alcli.simulation.results import PHASES
from alcli.workflows.simulate.comparison import Json, default_metric, differences, grown, is_whole, with_origins
from alcli.workflows.simulate.runs import Runs, damaged, read_json, write
from alcli.workflows.simulate.tables import FORMAT, csv_bytes, parquet_bytes

_KINDS = {
    "strategy": pa.string(),
    "seed": pa.int64(),
    "round": pa.int32(),
    "rank": pa.int32(),
    "n_labels": pa.int64(),
    "score": pa.float32(),
    "weight": pa.float32(),
    "cost": pa.float64(),
    "none": pa.int64(),
}


class SimulationFolder(Runs):
    """The files of one simulation under `path`: its finished cells, its configuration, tables and pictures.

    cache_dir: the folder of the feature matrix, by default `path`.
    """

    def __init__(self, path: Path, cache_dir: Path | None = None) -> None:
        super().__init__(path)
        self._cache_dir = cache_dir
        self._pending: Json | None = None

    @property
    def scratch(self) -> Path:
        """The file of the feature matrix, which exists while a simulation runs."""
        if self._cache_dir is None:
            return self.path / ".features"
        whose = hashlib.sha256(os.fsencode(os.path.realpath(self.path))).hexdigest()
        return self._cache_dir / f".simulation-{whose[:32]}"

    def create(self) -> None:
        """Make the folder if there is none. Raises CannotCreateError if that fails or the folder holds other files."""
        try:
            self.runs.parent.mkdir(parents=True, exist_ok=True)
            strange = self._visible()
            if strange and not (self.path / "config.json").exists():
                what = f"is not empty and holds no simulation ('{printable(min(strange))}' is there)"
                raise CannotCreateError(f"{printable(self.path)}: {what}", hint="choose another -o")
            self.runs.mkdir(exist_ok=True)
            self.scratch.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotCreateError(f"{printable(self.path)}: cannot create the folder: {error.strerror}") from error

    def _visible(self) -> list[str]:
        """The names in the folder. An empty `runs`, as a killed simulation leaves it, does not count."""
        has_runs = any(self.runs.glob("[!.]*"))
        return [p.name for p in self.path.iterdir() if not p.name.startswith(".") and (p != self.runs or has_runs)]

    def config(self) -> Json:
        """Return the configuration in the folder.

        Raises InputError where there is none, NewerFormatError, and DataError for a damaged file.
        """
        file = self.path / "config.json"
        if not file.exists():
            what = f"{printable(self.path)}: holds no simulation, expected a folder that alcli simulate -o wrote"
            raise InputError(what)
        found = read_json(file)
        try:
            is_newer = int(found.get("format", FORMAT)) > FORMAT
        except (TypeError, ValueError):
            raise damaged(file) from None
        if is_newer:
            what = f"{printable(file)}: written in format {found['format']}, this version reads up to {FORMAT}"
            raise NewerFormatError(what)
        if not is_whole(found):
            raise damaged(file)
        return found

    def claim(self, config: Json) -> Json:
        """Compare a configuration with the one in the folder, and return the one that the folder is to have.

        A simulation can grow by strategies, seeds and rounds (`grown`). The keys `metrics` and `origins` record the
        code of metrics and strategies from outside alcli. Their code must stay the same, but others can be added, and
        metrics that the folder has are kept. So is the metric that compares strategies where the user names none.
        The configuration is written before the first run is, so that a simulation that fails before leaves the folder
        as it was. The caller holds the lock, so the scratch file of a killed simulation can go. A configuration without
        anything else, which a simulation leaves that ended before its first run, is replaced.
        Raises CannotCreateError that names the difference, and NewerFormatError.
        """
        self.scratch.unlink(missing_ok=True)
        file = self.path / "config.json"
        if file.exists():
            before = self.config()
            if self._visible() != [file.name]:
                config = with_origins(config, before) | default_metric(before, config)
                self._compare(with_origins(before, config), config)
                if before == config:
                    return config
        self._pending = config
        return config

    def record(self) -> None:
        """Write the configuration that was claimed, if it is not there yet."""
        if self._pending is not None:
            write(self.path / "config.json", (json.dumps(self._pending, indent=2, sort_keys=True) + "\n").encode())
            self._pending = None

    def _compare(self, before: Json, config: Json) -> None:
        if before.get("version") != config.get("version"):
            raise CannotCreateError(
                f"{printable(self.path)}: holds a simulation of another version of alcli, whose results may differ: "
                f"{differences(before, config)[0]}",
                hint="choose another -o, or remove the folder",
            )
        changed = differences(grown(before, config, self._strategies(before)), config)
        if changed:
            raise CannotCreateError(
                f"{printable(self.path)}: holds a simulation with another configuration: {'; '.join(changed)}",
                hint="choose another -o, or remove the folder; only strategies, seeds and rounds can be added",
            )

    def _strategies(self, config: Json) -> list[str]:
        """The strategies of a configuration that have a finished run."""
        seeds = range(int(config.get("seeds", 0)))
        names = config.get("strategies", [])
        return [name for name in names if any(self._file(Cell(name, seed)).exists() for seed in seeds)]

    def write_tables(self, curves: list[Json], picks: list[Json], lines: Sequence[Line], *, text_ids: bool) -> None:
        """Write curves.parquet, selections.parquet and summary.csv. text_ids: ids are strings, not integers.

        A run that was not measured by a metric that other runs have is null there.
        """
        self.record()
        names = list(dict.fromkeys(name for row in curves for name in row))
        metrics = [name for name in names if name not in _KINDS and name not in PHASES]
        ids = {"id": pa.string() if text_ids else pa.int64()}
        kinds = _KINDS | dict.fromkeys([*metrics, *PHASES], pa.float64()) | ids
        write(self.path / "curves.parquet", parquet_bytes(curves, names, kinds, "curves"))
        names = ["strategy", "seed", "round", "rank", "id", "score", *(["weight"] if _has_weights(picks) else [])]
        write(self.path / "selections.parquet", parquet_bytes(picks, names, kinds, "selections"))
        write(self.path / "summary.csv", csv_bytes([line.row() for line in lines]))

    def summary(self) -> list[dict[str, str]]:
        """Return the rows of summary.csv, at least one. Raises DataError for a file that is missing or damaged."""
        file = self.path / "summary.csv"
        try:
            with open(file, newline="", encoding="utf-8") as text:
                rows = list(csv.DictReader(text))
        except (OSError, ValueError, csv.Error):
            rows = []
        if not rows:
            raise damaged(file)
        return rows

    def write_csv(self, name: str, rows: Sequence[Json]) -> None:
        """Write NAME.csv."""
        write(self.path / f"{name}.csv", csv_bytes(rows))

    def write_pictures(self, name: str, pictures: Mapping[str, bytes]) -> None:
        """Write a picture in all its formats, as NAME.FORMAT."""
        for format, data in pictures.items():
            write(self.path / f"{name}.{format}", data)

    def write_study(self, name: str, rows: list[Json], means: list[Json], pictures: Mapping[str, bytes]) -> None:
        """Write study.csv and study.parquet, one row a measurement; their means, summary.csv; the pictures `name`."""
        self.record()
        kinds = dict.fromkeys(rows[0], pa.float64())
        kinds |= dict.fromkeys(("experiment", "method"), pa.string())
        kinds |= dict.fromkeys(("seed", "n_labelled", "n_new"), pa.int64())
        write(self.path / "study.parquet", parquet_bytes(rows, list(rows[0]), kinds, "study"))
        write(self.path / "study.csv", csv_bytes(rows))
        write(self.path / "summary.csv", csv_bytes(means))
        self.write_pictures(name, pictures)


def _has_weights(picks: Sequence[Json]) -> bool:
    return any("weight" in pick for pick in picks)
