"""What a user asks of a simulation, and the checks that need no data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from alcli import plugins
from alcli.errors import UsageError
from alcli.heads._contract import family_of
from alcli.simulation.contenders import Contender, contender, owner
from alcli.simulation.plan import Plan, with_baseline
from alcli.workflows.query.request import COST, IMPUTE
from alcli.workflows.recipe import POSTERIOR, Recipe

HEAD = "head"
Texts = dict[str, str]
DEFAULT_TEST_FRACTION = 0.2
CORE = ("margin", "entropy", "badge", "bait", "typiclust", "coreset", "dropquery", "maxherding", "uherding", "tcm", "auto")
RESERVED = (HEAD, POSTERIOR.rstrip("."))  # no aliases: whose options `-p HEAD.KEY` and `-p POSTERIOR.KEY` are
PRESETS: Mapping[str, Sequence[str]] = {"core": CORE}  # strategies to compare, beside the baseline


@dataclass(frozen=True)
class Simulation:
    """What is simulated. strategies: names with their modifiers, as `margin+update`. options: `-p` pairs as text; `STRATEGY.KEY`, `head.KEY` and `posterior.KEY` mean one,
    a bare KEY all strategies that know it, and the head.

    initial: None takes as many as a batch. test_fraction: None takes the pool's test split, or 0.2 where it has none.
    full_data: fit the head to every label too, and say when strategies are at shares of what that gives.
    With the option `cost-col` items cost what that column says, and `batch` is what a round may spend; `initial` stays a number of items.
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

    @property
    def cost_column(self) -> str | None:
        """The column of what items cost; None where a round is a number of items."""
        return self.options.get(COST)

    def checked(self) -> Checked:
        """Everything that can be refused before any data is read. Raises UsageError."""
        names = with_baseline(self.strategies)
        found = {name: contender(name) for name in names}
        if self.cost_column is not None:
            if self.initial is None:
                raise UsageError(f"with -p {COST} -n is a budget, not a number of items", hint="say with --initial how many items to start with")
            for one in found.values():
                one.check_budget()
        taken = next((name for name in names if owner(name) in RESERVED), None)
        if taken is not None:
            raise UsageError(f"'{taken}': -p {owner(taken)}.KEY=VALUE is an option of the {owner(taken)}", hint="choose another alias")
        _check_shared(self.options)
        posterior = {key: text for key, text in self.options.items() if key.startswith(POSTERIOR)}
        others = {key: text for key, text in self.options.items() if key not in posterior and key != COST}
        owners = {owner(name): name for name in names}
        if len(owners) < len(names):
            raise UsageError("two strategies have the same alias", hint=f"give each its own: {', '.join(names)}")
        by_owner = assigned(others, {who: found[name].options for who, name in owners.items()}, self.recipe.head, also=(COST,))
        texts = {name: by_owner[who] for who, name in owners.items()}
        parsed = {name: one.parse(texts[name]) for name, one in found.items()}
        for name, one in found.items():
            one.check_modifiers(parsed[name])
        recipe = replace(self.recipe, options={**self.recipe.options, **posterior, **by_owner[HEAD]}).checked()
        initial = self.batch if self.initial is None else self.initial
        fraction = DEFAULT_TEST_FRACTION if self.test_fraction is None else self.test_fraction

        def plan(regression: bool) -> Plan:
            spec = recipe.spec(regression=regression)
            for one in found.values():
                one.check(spec)
            return Plan(names, self.n_seeds, self.batch, self.rounds, initial, spec, fraction, self.stratified, parsed)

        plan(regression=False)
        return Checked(found, {name: texts[name] for name in names if texts[name]}, recipe, plan)


@dataclass(frozen=True)
class Checked:
    """A simulation whose names and values are known to be good. texts: the parameters of each strategy that has any."""

    contenders: Mapping[str, Contender]
    texts: Mapping[str, Mapping[str, str]]
    recipe: Recipe
    plan: Callable[[bool], Plan]


def _check_shared(options: Mapping[str, str]) -> None:
    """Raise UsageError for an option of `query` that no strategy of a simulation can have for itself."""
    for key in options:
        name = key.rpartition(".")[2].replace("_", "-")
        if name == COST and key != COST:
            raise UsageError(f"-p {key}: what items cost is the same for every strategy", hint=f"-p {COST}=COLUMN")
        if name == IMPUTE:
            raise UsageError(f"-p {key} makes up labels, a simulation knows them", hint="STRATEGY+update sees each label of a round at once")


# -- folded ------
# Which strategy a `-p` pair of a simulation is meant for.


def assigned(options: Mapping[str, str], strategies: Mapping[str, Collection[str]], head: str | None, also: Collection[str] = ()) -> dict[str, Texts]:
    """The pairs that each strategy gets, and under the name `head` those of the head. strategies: names of options, by strategy.

    A key `OWNER.KEY` is for that strategy or the head; a bare KEY is for all who know it. also: keys that the user may mean, which are
    taken elsewhere. Raises UsageError for a key that nobody knows or an owner that does not take part.
    """
    known = {name: set(options) for name, options in strategies.items()}
    known[HEAD] = set(plugins.options_of(family_of(plugins.load("heads", head or "softmax")).fit)) - {"prior-precision", "start"}
    texts: dict[str, Texts] = {name: {} for name in known}
    for key, text in options.items():
        owner, dot, name = key.rpartition(".")
        name = name.replace("_", "-")
        if dot and owner not in known:
            raise UsageError(f"-p {key}: '{owner}' takes no part in this simulation", hint=plugins.suggestion(owner, known))
        owners = [owner] if dot else [one for one in known if name in known[one]]
        if not any(name in known[one] for one in owners):
            whom = f"'{owner}'" if dot else "no strategy of this simulation"
            verb = "has no" if dot else "has a"
            everything = sorted(set().union(*(known[one] for one in owners or known), () if dot else also))
            raise UsageError(f"{whom} {verb} parameter '{name}'", hint=plugins.suggestion(name, everything))
        for one in owners:
            texts[one][name] = text
    return texts
