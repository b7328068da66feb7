"""A simulation as the user asks for it, and the checks that need no data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from alcli import parsing, plugins
from alcli.data.text.rows import RowSource
from alcli.errors import UsageError, suggestion
from alcli.heads._contract import family_of
from alcli.numerics.metrics import METRICS, Metric
from alcli.report.pictures import Appearance
from alcli.simulation.contenders import Contender, contender, owner
from alcli.simulation.metrics import metric_named, origin_of
from alcli.simulation.plan import Plan, with_baseline
from alcli.workflows.query.request import COST
from alcli.workflows.recipe import POSTERIOR, Recipe, check_names
from alcli.workflows.simulate.truth import LabelFiles

HEAD = "head"
Texts = dict[str, str]
DEFAULT_TEST_FRACTION = 0.2
CORE = (
    "margin",
    "entropy",
    "badge",
    "bait",
    "typiclust",
    "coreset",
    "dropquery",
    "maxherding",
    "uherding",
    "tcm",
    "auto",
)
# Not allowed as aliases, since `-p head.KEY` and `-p posterior.KEY` are options of the head and the posterior.
RESERVED = (HEAD, POSTERIOR.rstrip("."))
# Strategies to compare beside the baseline, by the name of `--preset`.
PRESETS: Mapping[str, Sequence[str]] = {"core": CORE}


@dataclass(frozen=True)
class Simulation:
    """The simulation that a user asks for.

    strategies: names with their modifiers, as `margin+update`. batch: items to label per round; with the option
    `cost-col` a budget per round, in the units of that column, while `initial` stays a number of items.
    initial: None takes as many items as a batch has. test_fraction: None takes the pool's test split, or 0.2 of the
    items where the pool has none.
    options: `-p` pairs as text. `STRATEGY.KEY`, `head.KEY` and `posterior.KEY` are for one method; a bare KEY is for
    every strategy that knows it, and for the head.
    full_data: also fit the head to every label, and report when strategies reach shares of the value that this gives.
    metric: the name of the metric that compares strategies; None takes accuracy, balanced accuracy where classes are
    uneven, or rmse in a regression. train_weights: train heads with the weights that strategies give their choices.
    candidates: the number of random items that each round chooses among, drawn anew; None takes all.
    none_label: the label of items that belong to no class; None takes every label for a class. test_labels: labels of
    items that are test rows.
    class_names: the pool of the names of classes, for a recipe with the prior of the pool. look: of the pictures.
    labels: files of labels in the place of the column of the pool.
    normalize: classes of the pool that look alike are one.
    """

    strategies: Sequence[str]
    batch: int
    rounds: int
    initial: int | None = None
    n_seeds: int = 1
    test_fraction: float | None = None
    stratified: bool = False
    recipe: Recipe = field(default_factory=Recipe)
    options: Mapping[str, str] = field(default_factory=dict)
    full_data: bool = False
    metric: str | None = None
    class_names: str | None = None
    train_weights: bool = False
    look: Appearance = field(default_factory=Appearance)
    candidates: int | None = None
    labels: LabelFiles = field(default_factory=LabelFiles)
    none_label: str | None = None
    test_labels: Sequence[RowSource] = ()
    normalize: bool = False

    @property
    def cost_column(self) -> str | None:
        """The column of the costs of items; None where a round is a number of items."""
        return self.options.get(COST)

    def checked(self) -> Checked:
        """Check everything that can be checked before data is read. Raises UsageError."""
        self.labels.checked(self.test_labels)
        names = with_baseline(self.strategies)
        found = {name: contender(name) for name in names}
        self._check_names(names)
        _check_shared(self.options)
        posterior = {key: text for key, text in self.options.items() if key.startswith(POSTERIOR)}
        others = {key: text for key, text in self.options.items() if key not in posterior and key != COST}
        known = {owner(name): one.options for name, one in found.items()}
        by_owner = assigned(others, known, self.recipe.head, also=(COST,))
        texts = {name: by_owner[owner(name)] for name in names}
        parsed = {name: one.parse(texts[name]) for name, one in found.items()}
        for name, one in found.items():
            one.check_modifiers(parsed[name])
        self._check_budget(found, parsed)
        self._check_oracles(found)
        check_names(self.recipe, self.class_names)
        recipe = replace(self.recipe, options={**self.recipe.options, **posterior, **by_owner[HEAD]}).checked()
        metric = None if self.metric is None else metric_named(self.metric)
        origins = _origins(found, self.metric)
        initial = self.batch if self.initial is None else self.initial
        fraction = DEFAULT_TEST_FRACTION if self.test_fraction is None else self.test_fraction

        def plan(regression: bool) -> Plan:
            spec = recipe.spec(regression=regression)
            for name, one in found.items():
                one.check(spec, parsed[name], regression)
                one.check_impute(parsed[name], spec, regression)
            return Plan(
                names,
                self.n_seeds,
                self.batch,
                self.rounds,
                initial,
                spec,
                fraction,
                self.stratified,
                parsed,
                _beside_the_table(self.metric, metric),
                origins,
                recipe.learns_from_pool(regression=regression),
                self.train_weights,
                candidates=self.candidates,
                none_label=self.none_label,
            )

        plan(regression=False)
        return Checked(found, {name: texts[name] for name in names if texts[name]}, recipe, plan, metric)

    def _check_names(self, names: Sequence[str]) -> None:
        taken = next((name for name in names if owner(name) in RESERVED), None)
        if taken is not None:
            what = f"'{taken}': -p {owner(taken)}.KEY=VALUE is an option of the {owner(taken)}"
            raise UsageError(what, hint="choose another alias")
        if len({owner(name) for name in names}) < len(names):
            raise UsageError("two strategies have the same alias", hint=f"give each its own: {', '.join(names)}")

    def _check_budget(self, contenders: Mapping[str, Contender], options: Mapping[str, Mapping[str, Any]]) -> None:
        if self.cost_column is None:
            return
        if self.initial is None:
            what = f"with -p {COST} -n is a budget, not a number of items"
            raise UsageError(what, hint="say with --initial how many items to start with")
        if self.candidates is not None:
            what = f"with -p {COST} a round spends a budget on all items, --candidates offers some of them"
            raise UsageError(what, hint="leave one of them out")
        for name, one in contenders.items():
            one.check_budget(options[name])

    def _check_oracles(self, contenders: Mapping[str, Contender]) -> None:
        oracle = next((name for name, one in contenders.items() if one.is_oracle), None)
        if self.none_label is not None and oracle is not None:
            what = f"'{oracle}' is told true labels, and with --none-label some items have none"
            raise UsageError(what, hint="leave one of them out")


def _origins(contenders: Mapping[str, Contender], metric: str | None) -> dict[str, Mapping[str, str]]:
    """Return the provenance of all code from outside, by the name of the strategy or the metric."""
    found = {key: origin for one in contenders.values() for key, origin in one.origins.items()}
    origin = None if metric is None else origin_of(metric)
    return found if metric is None or origin is None else found | {metric: origin}


def _beside_the_table(name: str | None, metric: Metric | None) -> str | None:
    """The name of a metric that is measured beside those of the table; None for a metric of the table, and for none."""
    return None if metric is None or metric.name in METRICS else name


@dataclass(frozen=True)
class Checked:
    """A simulation whose names and values are valid.

    texts: the options of each strategy that has any, as text. plan(regression): the plan, once the kind of labels is
    known.
    metric: None where the user names no metric.
    """

    contenders: Mapping[str, Contender]
    texts: Mapping[str, Mapping[str, str]]
    recipe: Recipe
    plan: Callable[[bool], Plan]
    metric: Metric | None


def _check_shared(options: Mapping[str, str]) -> None:
    """Raise UsageError for an option of `query` that a single strategy of a simulation cannot have."""
    for key in options:
        name = key.rpartition(".")[2].replace("_", "-")
        if name == COST and key != COST:
            what = f"-p {key}: what items cost is the same for every strategy"
            raise UsageError(what, hint=f"-p {COST}=COLUMN")


def assigned(
    options: Mapping[str, str], strategies: Mapping[str, Collection[str]], head: str | None, also: Collection[str] = ()
) -> dict[str, Texts]:
    """Return the `-p` pairs of each strategy, and those of the head under the name `head`.

    strategies: the names of the options of each strategy, by what `OWNER.KEY` calls it. also: keys that are handled
    elsewhere, which a misspelt key may have meant. Raises UsageError for a key that nobody knows, and for an owner that
    takes no part.
    """
    known = {name: set(options) for name, options in strategies.items()}
    known[HEAD] = _head_options(head)
    texts: dict[str, Texts] = {name: {} for name in known}
    for key, text in options.items():
        owner, dot, name = key.rpartition(".")
        name = name.replace("_", "-")
        if dot and owner not in known:
            raise UsageError(f"-p {key}: '{owner}' takes no part in this simulation", hint=suggestion(owner, known))
        owners = [owner] if dot else [one for one in known if name in known[one]]
        if not any(name in known[one] for one in owners):
            whom, verb = (f"'{owner}'", "has no") if dot else ("no strategy of this simulation", "has a")
            everything = sorted(set().union(*(known[one] for one in owners or known), () if dot else also))
            raise UsageError(f"{whom} {verb} parameter '{name}'", hint=suggestion(name, everything))
        for one in owners:
            texts[one][name] = text
    return texts


def _head_options(head: str | None) -> set[str]:
    """The options of a kind of head that `-p head.KEY` can give; --prior-precision has an option of its own."""
    family = family_of(plugins.load("heads", head or "softmax"))
    return set(parsing.options_of(family.fit)) - {"prior-precision", "start"}
