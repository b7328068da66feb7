"""The contenders of a simulation: a strategy or an oracle, and the modifiers behind it, as in `margin+update`.

`ALIAS=STRATEGY` lets the same strategy take part more than once, with other options: `-p ALIAS.KEY=VALUE`.

Names of contenders are read here and nowhere else. Modifiers apply from left to right. A modifier knows nothing of the
strategy but its needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from alcli import parsing, plugins
from alcli.composition.modifiers import modified
from alcli.errors import UsageError, suggestion
from alcli.heads._fitting import FitSpec
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.options import imputing, modifying
from alcli.selection.strategy import Selection, Strategy
from alcli.simulation.optimal_look_ahead import optimal_look_ahead
from alcli.simulation.plan import BASELINE
from alcli.simulation.plus_update import MODIFIERS, Chooser, Modifier
from alcli.simulation.round import RoundState

ALIAS = re.compile(r"[A-Za-z0-9_-]+")
ORACLES: Mapping[str, Callable[..., Selection]] = {"optimal-look-ahead": optimal_look_ahead}
_ORACLE_NEEDS = ("features", "log_probs", "truth")
# The folders before the name of a Python file, in the name of a contender.
_FOLDERS = re.compile(r"(^|[=,])[^=,+]*/(?=[^/=,+]+\.py\b)")


@dataclass(frozen=True)
class Contender:
    """One contender.

    name: as the user wrote it. base: its first part as a `Strategy`; an oracle is a strategy that also needs `truth`.
    origins: the provenance of the code that is not part of alcli, by name; empty where all code is alcli's.
    """

    name: str
    base: Strategy
    modifiers: tuple[Modifier, ...]
    origins: Mapping[str, Mapping[str, str]]

    @property
    def is_oracle(self) -> bool:
        """True for a contender that sees true labels of rows that it has not asked for."""
        return "truth" in self.base.needs

    @property
    def updates(self) -> bool:
        """True for a contender that absorbs labels in closed form, so that curvature and step size have to be tuned.

        One with the option `impute` does so too, whatever this says.
        """
        return self.is_oracle or any(modifier.updates for modifier in self.modifiers)

    @cached_property
    def options(self) -> frozenset[str]:
        """The kebab-case names of its options, with those of the modifiers.

        The baseline must stay as it is, so it has no options that modify a strategy; an alias of it has them.
        """
        names = frozenset(parsing.options_of(*self._functions))
        return names - parsing.options_of(modifying, imputing).keys() if self.name == BASELINE else names

    def parse(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Parse its options by the annotations of their functions. Raises UsageError for a value of the wrong type."""
        return parsing.parse_options(self._functions, texts, f"strategy '{self.name}'")

    def check(self, spec: FitSpec, options: Mapping[str, Any], regression: bool) -> None:
        """Raise UsageError when the head of the simulation cannot serve the contender under its options."""
        if any(part.audits for part in (self.base, *self.base.parts)):
            what = f"'{self.name}' draws rows to measure a head by, and a head never learns from them"
            raise UsageError(what, hint="random is a sample of equal chances to learn from")
        base = self.under(options)[0].suited(regression)
        if self.is_oracle and spec.posterior is not LaplaceShared:
            what = f"'{self.name}' needs one covariance for all classes"
            raise UsageError(what, hint="use --posterior laplace --covariance shared")
        if base.needs_posterior and spec.posterior is None:
            value, hint = base.posterior_asked_by, "use --posterior laplace"
            what = f"'{self.name}'{value and f' with {value}'} looks at the posterior, which --posterior none rules out"
            raise UsageError(what, hint=f"{hint}, or leave out {value}" if value else hint)
        if "predicted_loss" in self.base.needs and not spec.predicts_losses:
            what = f"'{self.name}' looks at the loss-prediction branch, and the heads of this simulation have none"
            raise UsageError(what, hint="use --head mlp --aux-loss")
        if self.updates and (spec.posterior is None or not spec.posterior.absorbs):
            kind = "none" if spec.posterior is None else spec.posterior.kind
            what = f"'{self.name}' absorbs labels in closed form, which --posterior {kind} rules out"
            raise UsageError(what, hint="use --posterior laplace")

    def check_modifiers(self, options: Mapping[str, Any]) -> None:
        """Raise UsageError for a modifier that changes nothing under these options of the strategy."""
        base, _ = self.under(options)
        for name, one in MODIFIERS.items():
            if one in self.modifiers and not one.matters_to.intersection(base.needs):
                first = self.name.rpartition("=")[2].partition("+")[0]
                what = f"'{self.name}': '{first}' {one.why}, so '+{name}' would change nothing"
                raise UsageError(what, hint=f"use '{first}' alone")

    def imputes(self, options: Mapping[str, Any]) -> bool:
        """True where the contender makes up the label of each item of a batch before it chooses the next."""
        return options.get("impute", "none") != "none"

    def check_impute(self, options: Mapping[str, Any], spec: FitSpec, regression: bool) -> None:
        """Raise UsageError where labels are to be made up, and the head of the simulation cannot do so."""
        if not self.imputes(options):
            return
        if regression:
            raise UsageError("-p impute makes up labels from class probabilities, and the labels are numbers")
        if spec.posterior is None or not spec.posterior.absorbs:
            kind = "none" if spec.posterior is None else spec.posterior.kind
            what = f"'{self.name}' with -p impute absorbs labels in closed form, which --posterior {kind} rules out"
            raise UsageError(what, hint="use --posterior laplace")

    def check_budget(self, options: Mapping[str, Any]) -> None:
        """Raise UsageError for a contender that cannot choose a batch within a budget."""
        if self.is_oracle:
            who, why = self.name, "judges batches of a fixed number of rows"
        elif self.imputes(options):
            who, why = "-p impute", "chooses a fixed number of rows"
        elif self.modifiers:
            who = next(f"+{name}" for name, one in MODIFIERS.items() if one in self.modifiers)
            why = "asks for a few labels at a time"
        else:
            return
        raise UsageError(f"with -p cost-col a round spends a budget, but '{who}' {why}", hint="leave one of them out")

    def under(self, options: Mapping[str, Any]) -> tuple[Strategy, dict[str, Any]]:
        """Return the strategy as the options `prefilter` and `balance` change it, and the other options of its own."""
        own = _options_of(self._of_base, options)
        return (self.base, own) if self.is_oracle else modified(self.base, own)

    def choose(self, state: RoundState, k: int, seed: int, options: Mapping[str, Any]) -> Selection:
        """Choose a batch and ask the oracle for it.

        The batch has k items, or all candidates where there are fewer. Where items have costs, k is a budget.
        """
        base, own = self.under(options)
        chooser: Chooser = partial(_ask_at_once, self.name, base, own)
        if self.imputes(options):
            chooser = partial(_ask_imputed, options["impute"], base, own)
        for modifier in self.modifiers:
            chooser = partial(modifier.run, chooser, **_options_of((modifier.run,), options))
        return chooser(state, k, seed)

    @property
    def _functions(self) -> tuple[Callable[..., Any], ...]:
        imputed = () if self.is_oracle else (imputing,)
        return *self._of_base, *(modifier.run for modifier in self.modifiers), *imputed

    @property
    def _of_base(self) -> tuple[Callable[..., Any], ...]:
        return (self.base.run,) if self.is_oracle else self.base.declared


def _options_of(functions: tuple[Callable[..., Any], ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that belong to the functions."""
    known = {parameter.name for parameter in parsing.options_of(*functions).values()}
    return {name: value for name, value in options.items() if name in known}


def owner(name: str) -> str:
    """The OWNER of a contender in `-p OWNER.KEY=VALUE`: its alias where it has one, else its name."""
    return name.partition("=")[0]


def names() -> list[str]:
    """The names of all strategies and oracles, sorted."""
    return sorted([*plugins.known_strategies(), *ORACLES])


def short_names(contenders: Iterable[str]) -> dict[str, str]:
    """Return the names of contenders for pictures: files without their folders, where the names still differ."""
    full = list(contenders)
    short = [_FOLDERS.sub(r"\1", name) for name in full]
    return {name: less if short.count(less) == 1 else name for name, less in zip(full, short)}


def contender(name: str) -> Contender:
    """Read [ALIAS=]STRATEGY[+MODIFIER]... Raises UsageError for a part that is unknown or stands twice."""
    alias, equals, rest = name.rpartition("=")
    if equals and (not ALIAS.fullmatch(alias) or alias in names()):
        raise UsageError(f"'{name}': an alias is a word of letters, digits, - and _ that is no strategy's name")
    first, *others = rest.split("+")
    base = _base(first)
    for i, other in enumerate(others):
        if other not in MODIFIERS:
            raise UsageError(f"'{name}': no modifier is named '{other}'", hint=suggestion(other, MODIFIERS))
        if other in others[:i]:
            raise UsageError(f"'{name}': '+{other}' stands twice")
    origins = {} if first in ORACLES else plugins.origins(first)
    return Contender(name, base, tuple(MODIFIERS[other] for other in others), origins)


def _base(name: str) -> Strategy:
    if name in ORACLES:
        return Strategy(ORACLES[name], _ORACLE_NEEDS, pointwise=False, random=True)
    is_pair_or_mix = bool({"/", ":"}.intersection(name))
    if not is_pair_or_mix and not plugins.is_outside(name) and name not in plugins.names("strategies"):
        raise UsageError(f"no strategy is named '{name}'", hint=suggestion(name, names()))
    found = plugins.strategy(name)
    if found.again or any(part.again for part in found.parts):
        what = f"'{name}' asks about labelled items again, a simulation asks about items without a label"
        raise UsageError(what, hint="benchmarks/study_suspect.py measures it")
    return found


def _ask_at_once(
    name: str, base: Strategy, options: Mapping[str, Any], state: RoundState, k: int, seed: int
) -> Selection:
    """Choose the whole batch before the first of its labels is seen, and ask the oracle for it."""
    left = len(state.candidates)
    if state.costs_N is not None:
        chosen = state.buy(name, base, k, seed, options)
    elif "truth" in base.needs:
        rng = np.random.default_rng(np.random.SeedSequence([seed, state.oracle.queries]))
        chosen = base.run(state, min(k, left), rng=rng, **options)
    else:
        chosen = state.pick(base, min(k, left), seed, options)
    state.oracle.ask(chosen.rows_K, chosen.weights_K)
    return chosen


def _ask_imputed(
    how: str, base: Strategy, options: Mapping[str, Any], state: RoundState, k: int, seed: int
) -> Selection:
    """Choose a batch row by row, each under labels that the model makes up for those before, and ask the oracle."""
    chosen = state.impute(base, k, how, seed, options)
    state.oracle.ask(chosen.rows_K, chosen.weights_K)
    return chosen
