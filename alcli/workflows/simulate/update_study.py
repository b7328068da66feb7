"""`alcli simulate POOL --study updates`: ways to absorb labels, compared on any pool whose labels are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alcli import __version__, parsing, plugins
from alcli.data.pool import Pool
from alcli.data.writing.locks import lock
from alcli.errors import DataError, UsageError, suggestion
from alcli.heads._contract import family_of
from alcli.remarks import NoProgress, Note, Progress, silence
from alcli.report.pictures import Appearance
from alcli.report.update_picture import draw, title_of
from alcli.report.update_study import Rows, Table, best_steps, growing_rows, means, recovered, tables
from alcli.simulation.plan import Cell
from alcli.simulation.update_methods import AUTO, BASE, METHODS, POLISHED, SWEEPS
from alcli.simulation.update_study import UpdateStudy, has_torch, run_seed, sizes, stages_of
from alcli.workflows.items import Items
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate.folder import SimulationFolder
from alcli.workflows.simulate.request import DEFAULT_TEST_FRACTION
from alcli.workflows.simulate.tables import FORMAT
from alcli.workflows.simulate.truth import LabelFiles, Truth, truth_of

NAME = "updates"


@dataclass(frozen=True)
class Study:
    """The study that a user asks for.

    options: `-p` pairs as text; `head.KEY` is for the head, other keys are arguments of `parameters`.
    normalize: classes of the pool that look alike are one.
    """

    n_seeds: int = 10
    test_fraction: float | None = None
    recipe: Recipe = field(default_factory=Recipe)
    options: Mapping[str, str] = field(default_factory=dict)
    look: Appearance = field(default_factory=Appearance)
    labels: LabelFiles = field(default_factory=LabelFiles)
    normalize: bool = False

    def checked(self) -> UpdateStudy:
        """Check everything that can be checked before data is read. Raises UsageError."""
        self.labels.checked()
        if self.n_seeds < 1:
            raise UsageError(f"--seeds must be at least 1, got {self.n_seeds}")
        if self.test_fraction is not None and not 0 < self.test_fraction < 1:
            raise UsageError(f"--test-fraction must be between 0 and 1, got {self.test_fraction:g}")
        spec = self._recipe().spec(regression=False)
        if spec.posterior is None or not spec.posterior.absorbs:
            what = "the study of updates needs a posterior that absorbs labels in closed form"
            which = f"which --posterior {self.recipe.posterior} is not"
            raise UsageError(f"{what}, {which}", hint="use --posterior laplace")
        own = {key: text for key, text in self.options.items() if not key.startswith("head.")}
        values = parsing.parse_options(parameters, own, "the study of updates")
        return parameters(spec, self.n_seeds, self.test_fraction or DEFAULT_TEST_FRACTION, **values)

    def _recipe(self) -> Recipe:
        head = {key.removeprefix("head."): text for key, text in self.options.items() if key.startswith("head.")}
        family = family_of(plugins.load("heads", self.recipe.head or "softmax"))
        known = set(parsing.options_of(family.fit)) if head else set()
        for key in head:
            if key not in known:
                raise UsageError(f"'head' has no parameter '{key}'", hint=suggestion(key, known))
        return replace(self.recipe, options={**self.recipe.options, **head}).checked()


def parameters(
    spec: Any,
    n_seeds: int,
    test_fraction: float,
    *,
    initial: int = 100,
    new: str = "10..100",
    stages: str = "50,100,200,400",
    stage_new: int = 10,
    mc_samples: int = 500,
    radam_rate: float = 0.1,
) -> UpdateStudy:
    """Make the study of its options, which are the keyword arguments. Raises UsageError.

    initial: old labels. new: sizes of the sets of new labels. stages: numbers of old labels, each followed by
    `stage_new` new labels, or by a number of its own as in 1000+50. mc_samples: hypotheses of Monte-Carlo
    reweighting. radam_rate: the learning rate of the paper's retraining, 0.1 for text and 0.01 for images.
    """
    for name, value in (("initial", initial), ("stage-new", stage_new), ("mc-samples", mc_samples)):
        if value < 2 - (name == "stage-new"):
            raise UsageError(f"-p {name} is too small: {value}")
    if not 0 < radam_rate < float("inf"):
        raise UsageError(f"-p radam-rate must be a positive number, got {radam_rate}")
    new_sizes, found = sizes(new, "new"), stages_of(stages, stage_new)
    return UpdateStudy(spec, n_seeds, test_fraction, initial, new_sizes, found, mc_samples, radam_rate)


@dataclass(frozen=True)
class Studied:
    """The outcome of the study: tables, a verdict, and figures about the run."""

    folder: Path
    tables: list[Table]
    verdict: str
    report: dict[str, Any]


def study(items: Items, ask: Study, out: Path, *, progress: Progress = NoProgress(), note: Note = silence) -> Studied:
    """Run every seed that the folder `out` does not hold yet, then write tables and pictures. Raises every AlcliError.

    Seeds run one after another, so that their seconds can be compared. The lock of `out` is held from beginning to end.
    """
    asked, pool = ask.checked(), items.pool
    items.refuse_groups("the study of updates takes rows one by one")
    truth = truth_of(pool, ask.recipe.head, ask.labels, note=note, normalize=ask.normalize)
    if (remark := truth.unlearnable()) is not None:
        note(remark)
    _check_data(pool, ask, asked, truth)
    folder = SimulationFolder(out)
    folder.create()
    with lock(folder.runs), folder.telling([Cell(NAME, seed) for seed in range(asked.n_seeds)]):
        config = folder.claim(_config(pool, ask, asked, truth))
        resumed = _run(pool, asked, truth, folder, progress)
        rows, _ = folder.load(Cell(NAME, seed) for seed in range(asked.n_seeds))
        found = means(rows)
        folder.write_study(NAME, rows, found, draw(rows, title_of(config), ask.look))
    if not has_torch():
        note("the paper's retraining by RAdam is left out: torch is not installed")
    if resumed:
        note(f"{resumed} of {asked.n_seeds} seeds were there already")
    best = best_steps(found)
    growing = growing_rows(found, best)
    share = recovered(growing)
    report = {
        "seeds": asked.n_seeds,
        "resumed": resumed,
        "recovered": share,
        "best_steps": best,
        "summary": found,
    }
    return Studied(out, tables(rows), _verdict(growing, share), report)


def _run(pool: Pool, asked: UpdateStudy, truth: Truth, folder: SimulationFolder, progress: Progress) -> int:
    """Run the seeds that the folder does not hold, and return the number of seeds that it held already."""
    missing = [cell for cell in (Cell(NAME, seed) for seed in range(asked.n_seeds)) if not folder.has(cell)]
    if missing:
        progress.start(len(missing), "studying updates")
    test = truth.test if len(truth.test) else None
    for cell in missing:
        folder.record()
        folder.save_rows(cell, run_seed(asked, pool, truth.y_N, truth.used, test, cell.seed))
        progress.advance(1)
    return asked.n_seeds - len(missing)


def _check_data(pool: Pool, ask: Study, asked: UpdateStudy, truth: Truth) -> None:
    """Raise UsageError or DataError where the pool does not allow the study."""
    if truth.classes is None:
        raise UsageError(
            f"the study of updates is for classes, the labels of {pool.name} are numbers",
            hint="updates of a ridge head are exact",
        )
    if len(truth.test) and ask.test_fraction is not None:
        raise UsageError(
            f"--test-fraction holds rows out, but {pool.name} has {len(truth.test)} test rows",
            hint="leave --test-fraction out",
        )
    askable = truth.askable(asked.test_fraction)
    if asked.most > askable:
        raise DataError(
            f"{pool.name}: {askable} labelled rows beside the test rows, the study takes {asked.most}",
            hint="make it smaller with -p initial=, -p new= and -p stages=",
        )


def _config(pool: Pool, ask: Study, asked: UpdateStudy, truth: Truth) -> dict[str, Any]:
    """Everything that the results follow from."""
    about = {"name": Path(pool.name).name, "rows": pool.n, "dim": pool.dim}
    options = {**ask.recipe.options, **{k: v for k, v in ask.options.items() if k.startswith("head.")}}
    return {
        "format": FORMAT,
        "version": __version__,
        "study": NAME,
        "pool": about | {"fingerprint": pool.fingerprint(), "labels": truth.digest(pool)},
        "head": ask.recipe.as_json() | {"options": options},
        "initial": asked.initial,
        "new": list(asked.new),
        "stages": [f"{stage.old}+{stage.new}" for stage in asked.stages],
        "methods": list(METHODS),
        "steps": {name: list(sweep.gammas) for name, sweep in SWEEPS.items()},
        "mc_samples": asked.mc_samples,
        "radam_rate": asked.radam_rate,
        "radam": has_torch(),
        "seeds": asked.n_seeds,
        "test": "split" if len(truth.test) else asked.test_fraction,
    }


def _verdict(growing: Rows, share: Mapping[str, float]) -> str:
    """Say in a sentence which share of retraining's gain an update recovers, with a polish and without.

    growing: from `growing_rows` of the means. share: per method, from `recovered`.
    """
    base = {row["n_new"]: row["accuracy"] for row in growing if row["method"] == BASE}

    def below(method: str) -> str:
        mine = [row for row in growing if row["method"] == method]
        worse = [str(row["n_new"]) for row in mine if row["accuracy"] < base[row["n_new"]]]
        return f"falls below the head before at +{', '.join(worse)}" if worse else "is never below the head before"

    if math.isnan(share[AUTO]):
        return f"exact retraining gains nothing here; {AUTO} {below(AUTO)}; polished, it {below(POLISHED)}"
    gain = f"{100 * share[AUTO]:.0f} % of what exact retraining gains, and {below(AUTO)}"
    return f"{AUTO} recovers {gain}; polished, it recovers {100 * share[POLISHED]:.0f} %, and {below(POLISHED)}"
