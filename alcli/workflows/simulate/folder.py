"""The folder of a simulation: its configuration, one file per finished cell, and the tables and pictures made of them.

A finished cell is a JSON file that appears whole, so a simulation that was stopped goes on from there. Cells name items by id,
since row numbers change when the files of a pool do. Merging follows the configuration, not the order in which cells were finished.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from alcli import __version__
from alcli.data.writing.atomic import replacing
from alcli.errors import CannotCreateError, DataError, NewerFormatError, printable
from alcli.report.summary import Line
from alcli.simulation.plan import Cell
from alcli.simulation.results import PHASES
from alcli.workflows.recipe import Recipe

FORMAT = 1
_LONGEST_NAME = 160  # letters of a strategy in the name of a file, which has 255 with all that comes around it
Json = dict[str, Any]
_NOT_COMPARED = frozenset({"pool.name"})
_DEFAULTS: Json = {"head": Recipe().as_json(), "stratified": False}  # what a configuration without a key means, since keys are added in time
_KINDS = {"strategy": pa.string(), "seed": pa.int64(), "round": pa.int32(), "rank": pa.int32(), "n_labels": pa.int64(), "score": pa.float32(), "cost": pa.float64()}


class SimulationFolder:
    """Reads and writes the files of one simulation under `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs = path / "runs"

    @property
    def scratch(self) -> Path:
        """Where the feature matrix lies while a simulation runs."""
        return self.path / ".features"

    def create(self) -> None:
        """Make the folder if there is none. Raises CannotCreateError when that fails or something else is in it."""
        try:
            self.runs.parent.mkdir(parents=True, exist_ok=True)
            strange = self._visible()
            if strange and not (self.path / "config.json").exists():
                raise CannotCreateError(
                    f"{printable(self.path)}: is not empty and holds no simulation ('{printable(min(strange))}' is there)",
                    hint="choose another -o",
                )
            self.runs.mkdir(exist_ok=True)
        except OSError as error:
            raise CannotCreateError(f"{printable(self.path)}: cannot create the folder: {error.strerror}") from error

    def _visible(self) -> list[str]:
        """The names in the folder, without `runs` where it is empty: what a simulation leaves that was killed before it wrote its configuration."""
        return [p.name for p in self.path.iterdir() if not p.name.startswith(".") and (p != self.runs or any(self.runs.glob("[!.]*")))]

    def claim(self, config: Json) -> None:
        """Write the configuration, or compare it with the one that is there. The caller holds the lock, so the scratch of a killed run can go.

        One that stands alone, as a simulation leaves it that ended before its first run did, is replaced. Raises CannotCreateError saying
        what differs, NewerFormatError.
        """
        self.scratch.unlink(missing_ok=True)
        file = self.path / "config.json"
        if file.exists():
            before = _read_json(file)
            if int(before.get("format", FORMAT)) > FORMAT:
                raise NewerFormatError(f"{printable(file)}: written in format {before['format']}, this version reads up to {FORMAT}")
            if self._visible() != [file.name]:
                return self._compare(before, config)
        _write(file, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())

    def _compare(self, before: Json, config: Json) -> None:
        changed = differences(before, config)
        if before.get("version") != config.get("version"):
            raise CannotCreateError(
                f"{printable(self.path)}: holds a simulation of another version of alcli, whose results may differ: {changed[0]}",
                hint="choose another -o, or remove the folder",
            )
        if changed:
            raise CannotCreateError(
                f"{printable(self.path)}: holds a simulation with another configuration: {'; '.join(changed)}",
                hint="choose another -o, or remove the folder",
            )

    def has(self, cell: Cell) -> bool:
        """Whether a cell is finished."""
        return self._file(cell).exists()

    def save(self, cell: Cell, curve: Sequence[Json], picks: Sequence[Json], notes: Sequence[tuple[int, str]] = ()) -> None:
        """Keep a finished cell."""
        said = {"notes": notes} if notes else {}
        _write(self._file(cell), json.dumps({"curve": curve, "picks": picks, **said}, indent=0).encode())

    def load(self, cells: Iterable[Cell]) -> tuple[list[Json], list[Json]]:
        """The rows of curves and of picks of finished cells. Raises DataError for a file that is damaged."""
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
        """(strategy, seed, round, text) of what was said in finished cells; earlier versions kept none. Raises DataError for a file that is damaged."""
        said = []
        for cell in cells:
            try:
                said += [(cell.strategy, cell.seed, int(number), str(text)) for number, text in _read_json(self._file(cell)).get("notes", ())]
            except (TypeError, ValueError):
                raise _damaged(self._file(cell)) from None
        return said

    def write_tables(self, curves: list[Json], picks: list[Json], lines: Sequence[Line], *, text_ids: bool) -> None:
        """curves.parquet, selections.parquet and summary.csv."""
        metrics = [name for name in curves[0] if name not in _KINDS and name not in PHASES]
        kinds = _KINDS | dict.fromkeys([*metrics, *PHASES], pa.float64()) | {"id": pa.string() if text_ids else pa.int64()}
        _write(self.path / "curves.parquet", _parquet(curves, list(curves[0]), kinds, "curves"))
        names = ["strategy", "seed", "round", "rank", "id", "score"]
        _write(self.path / "selections.parquet", _parquet(picks, names, kinds, "selections"))
        _write(self.path / "summary.csv", _csv([line.row() for line in lines]))

    def write_wins(self, rows: list[Json], pictures: Mapping[str, bytes]) -> None:
        """wins.csv, and its pictures."""
        _write(self.path / "wins.csv", _csv(rows))
        self.write_pictures("wins", pictures)

    def write_pictures(self, name: str, pictures: Mapping[str, bytes]) -> None:
        """A picture in all its formats, NAME.png and NAME.svg."""
        for format, data in pictures.items():
            _write(self.path / f"{name}.{format}", data)

    def write_study(self, name: str, rows: list[Json], means: list[Json], pictures: Mapping[str, bytes]) -> None:
        """study.csv and study.parquet, one row a measurement; summary.csv, their means; the pictures under `name`."""
        texts, whole = ("experiment", "method"), ("seed", "n_labelled", "n_new")
        kinds = {key: pa.string() if key in texts else pa.int64() if key in whole else pa.float64() for key in rows[0]}
        _write(self.path / "study.parquet", _parquet(rows, list(rows[0]), kinds, "study"))
        _write(self.path / "study.csv", _csv(rows))
        _write(self.path / "summary.csv", _csv(means))
        self.write_pictures(name, pictures)

    def _file(self, cell: Cell) -> Path:
        name = urllib.parse.quote(cell.strategy, safe="+")
        if len(name) > _LONGEST_NAME:
            name = f"{name[:_LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        return self.runs / f"{name}-{cell.seed}.json"


def differences(before: Json, now: Json) -> list[str]:
    """What two configurations differ in, as "rounds 10, now 5", the version first. A key that one of them lacks has its default."""
    old, new = ({**_flat(_DEFAULTS), **_flat(one)} for one in (before, now))
    everything = dict.fromkeys(["version", *_flat(now), *_flat(before)])
    keys = [key for key in everything if key not in _NOT_COMPARED and old.get(key) != new.get(key)]
    return [f"{key} {_shown(old.get(key))}, now {_shown(new.get(key))}" for key in keys]


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


def _damaged(file: Path) -> DataError:
    return DataError(f"{printable(file)}: is damaged, expected what a simulation wrote", hint="remove it and run again")


def _write(file: Path, data: bytes) -> None:
    with replacing(file) as out:
        out.write(data)


def _parquet(rows: list[Json], names: list[str], kinds: Mapping[str, pa.DataType], what: str) -> bytes:
    table = pa.table({name: pa.array([row[name] for row in rows], kinds[name]) for name in names})
    about = {"format": FORMAT, "kind": what, "version": __version__}
    out = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"alcli": json.dumps(about, sort_keys=True)}), out, compression="zstd", write_page_checksum=True)
    return out.getvalue()


def _csv(rows: list[Json]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
