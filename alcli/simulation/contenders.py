"""Who takes part in a simulation: a strategy or an oracle, and the modifiers behind it, as in `margin+update`.

`ALIAS=STRATEGY` lets the same strategy take part more than once, with other options: `-p ALIAS.KEY=VALUE`.

The one place where such a name is read. Modifiers apply from left to right and know nothing of the strategy but what
it needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from alcli import plugins
from alcli.composition.modifiers import modified
from alcli.errors import UsageError
from alcli.heads._fitting import FitSpec
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.options import modifying
from alcli.selection.strategy import Selection, Strategy
from alcli.simulation.optimal_look_ahead import optimal_look_ahead
from alcli.simulation.plan import BASELINE
from alcli.simulation.plus_update import MODIFIERS, Chooser, Modifier
from alcli.simulation.round import RoundState

ALIAS = re.compile(r"[A-Za-z0-9_-]+")
ORACLES: Mapping[str, Callable[..., Selection]] = {"optimal-look-ahead": optimal_look_ahead}
_ORACLE_NEEDS = ("features", "log_probs", "truth")


@dataclass(frozen=True)
class Contender:
    """name: as the user wrote it. base: its first part, as a `Strategy`; an oracle is one that also needs `truth`."""

    name: str
    base: Strategy
    modifiers: tuple[Modifier, ...]

    @property
    def is_oracle(self) -> bool:
        """Whether it is told true labels of rows that it has not asked for."""
        return "truth" in self.base.needs

    @property
    def updates(self) -> bool:
        """Whether it absorbs labels in closed form, so that curvature and step size have to be tuned for it."""
        return self.is_oracle or any(modifier.updates for modifier in self.modifiers)

    @cached_property
    def options(self) -> frozenset[str]:
        """The kebab-case names of its options, those of the modifiers included. The baseline stays as it is: an alias of it takes them."""
        names = frozenset(plugins.options_of(*self._functions))
        return names - plugins.options_of(modifying).keys() if self.name == BASELINE else names

    def parse(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Its options by the annotations of the function that each belongs to. Raises UsageError for a value of the wrong type."""
        return plugins.parse_options(self._functions, texts, f"strategy '{self.name}'")

    def check(self, spec: FitSpec) -> None:
        """Raise UsageError when the head that is to be fitted cannot serve it."""
        if self.is_oracle and spec.posterior is not LaplaceShared:
            raise UsageError(
                f"'{self.name}' needs one covariance for all classes",
                hint="use --posterior laplace --covariance shared",
            )
        if self.base.needs_posterior and spec.posterior is None:
            raise UsageError(
                f"'{self.name}' looks at the posterior, which --posterior none rules out",
                hint="use --posterior laplace",
            )
        if "predicted_loss" in self.base.needs and not spec.predicts_losses:
            raise UsageError(
                f"'{self.name}' looks at the loss-prediction branch, and the heads of this simulation have none",
                hint="use --head mlp --aux-loss",
            )
        if self.updates and (spec.posterior is None or not spec.posterior.absorbs):
            kind = "none" if spec.posterior is None else spec.posterior.kind
            raise UsageError(
                f"'{self.name}' absorbs labels in closed form, which --posterior {kind} rules out",
                hint="use --posterior laplace",
            )

    def check_modifiers(self, options: Mapping[str, Any]) -> None:
        """Raise UsageError for a modifier that changes nothing where the strategy has these options."""
        base, _ = self.under(options)
        for name, one in MODIFIERS.items():
            if one in self.modifiers and not one.matters_to.intersection(base.needs):
                first = self.name.rpartition("=")[2].partition("+")[0]
                raise UsageError(
                    f"'{self.name}': '{first}' {one.why}, so '+{name}' would change nothing",
                    hint=f"use '{first}' alone",
                )

    def check_budget(self) -> None:
        """Raise UsageError where a round of it cannot be what a budget buys."""
        what = next(
            (f"+{name}" for name, one in MODIFIERS.items() if one in self.modifiers),
            self.name if self.is_oracle else None,
        )
        if what is not None:
            why = "judges batches of so many rows" if self.is_oracle else "asks for a few labels at a time"
            raise UsageError(f"-p cost-col spends a budget on a batch, '{what}' {why}", hint="leave one of them out")

    def under(self, options: Mapping[str, Any]) -> tuple[Strategy, dict[str, Any]]:
        """The strategy that its options `prefilter` and `balance` make of it, and those that are left for this one."""
        own = self._options_of(self._of_base, options)
        return (self.base, own) if self.is_oracle else modified(self.base, own)

    def choose(self, state: RoundState, k: int, seed: int, options: Mapping[str, Any]) -> Selection:
        """Choose min(k, what is left) rows, or those that k buys where items have costs, and ask the oracle for them."""
        base, own = self.under(options)
        chooser: Chooser = partial(_ask_at_once, self.name, base, own)
        for modifier in self.modifiers:
            chooser = partial(modifier.run, chooser, **self._options_of((modifier.run,), options))
        return chooser(state, k, seed)

    @property
    def _functions(self) -> tuple[Callable[..., Any], ...]:
        return *self._of_base, *(modifier.run for modifier in self.modifiers)

    @property
    def _of_base(self) -> tuple[Callable[..., Any], ...]:
        return (self.base.run,) if self.is_oracle else self.base.declared

    @staticmethod
    def _options_of(functions: tuple[Callable[..., Any], ...], options: Mapping[str, Any]) -> dict[str, Any]:
        known = {parameter.name for parameter in plugins.options_of(*functions).values()}
        return {name: value for name, value in options.items() if name in known}


def owner(name: str) -> str:
    """What `-p OWNER.KEY=VALUE` calls a contender: its alias where it has one, else its name."""
    return name.partition("=")[0]


def names() -> list[str]:
    """Every strategy and oracle, sorted."""
    return sorted([*plugins.names("strategies"), *ORACLES])


def contender(name: str) -> Contender:
    """Read [ALIAS=]STRATEGY[+MODIFIER]... Raises UsageError for a part that is unknown or stands twice."""
    alias, equals, what = name.rpartition("=")
    if equals and (not ALIAS.fullmatch(alias) or alias in names()):
        raise UsageError(f"'{name}': an alias is a word of letters, digits, - and _ that is no strategy's name")
    first, *others = what.split("+")
    base = _base(first)
    for i, other in enumerate(others):
        if other not in MODIFIERS:
            raise UsageError(f"'{name}': no modifier is named '{other}'", hint=plugins.suggestion(other, MODIFIERS))
        if other in others[:i]:
            raise UsageError(f"'{name}': '+{other}' stands twice")
    return Contender(name, base, tuple(MODIFIERS[other] for other in others))


def _base(name: str) -> Strategy:
    if name in ORACLES:
        return Strategy(ORACLES[name], _ORACLE_NEEDS, pointwise=False, random=True)
    if not {"/", ":"}.intersection(name) and name not in plugins.names("strategies"):
        raise UsageError(f"no strategy is named '{name}'", hint=plugins.suggestion(name, names()))
    return plugins.strategy(name)


def _ask_at_once(
    name: str, base: Strategy, options: Mapping[str, Any], state: RoundState, k: int, seed: int
) -> Selection:
    """Choose the whole batch before the first of its labels is seen."""
    left = len(state.oracle.candidates)
    if state.costs_N is not None:
        chosen = state.buy(name, base, k, seed, options)
    elif "truth" in base.needs:
        rng = np.random.default_rng(np.random.SeedSequence([seed, state.oracle.queries]))
        chosen = base.run(state, min(k, left), rng=rng, **options)
    else:
        chosen = state.pick(base, min(k, left), seed, options)
    state.oracle.ask(chosen.rows_K)
    return chosen
