"""Declare a strategy: a function that scores rows, or a function that chooses a batch.

A **pointwise** strategy is a pure function from blocks of what it needs to one score a row; the row of the largest
score is labelled first. It streams over pools of any size; `select.py` ranks the scores. A **batch** strategy gets a
`View` of the candidates and returns a `Selection`. Both are plain functions, named as their file; their keyword-only
arguments are their options.

`needs.py` lists what a strategy can need, with shapes and dtypes; `view.py` lists what a view offers. Where rows make
groups, a strategy chooses groups without knowing of it: `group_view.py` says what the strategy sees then.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from alcli import parsing
from alcli.arrays import Array, Float32, Float64, Floats, Int64
from alcli.selection.needs import CLASSIFICATION_NEEDS, HEAD_NEEDS, OF_IDS, POSTERIOR_NEEDS
from alcli.selection.options import aggregating, averaging, embedding, modifying, sampling
from alcli.selection.presets import expanded
from alcli.selection.view import View

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Selection:
    """The batch in the order it was picked.

    rows_K: int64 row numbers of the pool. scores_K: float32, the score that each row had when it was picked.
    weights_K: float32 importance weights, where the method gives weights.
    features_KD: features of the rows, where they are in memory.
    notes: remarks for the user on how the batch came about. record: facts of the run, by kebab-case name.
    details: arrays of K entries that say more of each pick, by name; the strategy says which.
    taken_K: for each row the name of the strategy that picked it, where the choice was left to others; "" where it was
    not, and nothing where it never was.
    """

    rows_K: Int64
    scores_K: Float32
    weights_K: Float32 | None = None
    features_KD: Floats | None = None
    notes: tuple[str, ...] = ()
    record: Mapping[str, float | str] = field(default_factory=dict)
    details: Mapping[str, Array] = field(default_factory=dict)
    taken_K: tuple[str, ...] = ()


NOTHING = Selection(np.empty(0, np.int64), np.empty(0, np.float32))


@dataclass(frozen=True)
class Strategy:
    """A strategy function and what it declares.

    single: a pointwise strategy that picks the row that a batch of one would hold.
    numbers: the strategy that takes the place of this one where labels are numbers; it has no other options.
    samples: the number of posterior draws that the strategy reads unless the user gives another.
    posterior: of a head fitted for the strategy.
    compound: a function (view, k, seed, options) -> Selection that runs in place of `run`, of a strategy made of others
    (`composition/modifiers.py`); parts: the strategies that it is made of.
    cold: the strategy works without a head while there are not two classes of labels to fit a head on.
    ties_drawn: rows of equal score have equal chances, by a draw of seed and id; else the lowest ids come first
    (`order.py`).
    modulus: a bound on how far the score of a row moves with the class probabilities; see `pointwise`.
    again: the strategy asks about labelled rows again: a query gives it labelled rows as candidates.
    of_means: where rows make groups, the strategy looks at the mean row of each group, and users are told.
    needs_with: pairs of a value of an option, as "form=bayesian", and the needs that the strategy has under it beside
    `needs`. asked_by: pairs of such a need and the value of the option that asks for it, once `under` has applied them.
    audits: the strategy draws a sample of all items, labelled ones too, to measure a head by; no head learns from it.
    """

    run: Callable[..., Any]
    needs: tuple[str, ...]
    pointwise: bool
    random: bool
    single: Strategy | None = None
    samples: int = 0
    posterior: str = "laplace"
    numbers: Strategy | None = None
    compound: Callable[[View, int, int, Mapping[str, Any]], Selection] | None = None
    parts: tuple[Strategy, ...] = ()
    cold: bool = False
    ties_drawn: bool = False
    modulus: Callable[..., Float64] | None = None
    again: bool = False
    audits: bool = False
    of_means: bool = False
    needs_with: tuple[tuple[str, tuple[str, ...]], ...] = ()
    asked_by: tuple[tuple[str, str], ...] = ()

    def under(self, options: Mapping[str, Any]) -> Strategy:
        """The strategy with the needs that it has under the given options, by argument name."""
        numbers = None if self.numbers is None else self.numbers.under(options)
        if self.compound is not None:
            parts = tuple(part.under(options) for part in self.parts)
            asked = [pair for part in parts for pair in part.asked_by]
            return self._asking(asked, parts=parts, numbers=numbers)
        values = self.defaults | {name: v for name, v in expanded(self, options).items() if name in self.options}
        typed = {f"{name.replace('_', '-')}={parsing.typed(value)}" for name, value in values.items()}
        asked = [(need, value) for value, needs in self.needs_with if value in typed for need in needs]
        return self._asking(asked, needs_with=(), numbers=numbers)

    def _asking(self, asked: Sequence[tuple[str, str]], **rest: Any) -> Strategy:
        needs = tuple(dict.fromkeys([*self.needs, *(need for need, _ in asked)]))
        return replace(self, needs=needs, asked_by=(*self.asked_by, *asked), **rest)

    def suited(self, regression: bool) -> Strategy:
        """The strategy for class labels, or for labels that are numbers."""
        return self.numbers if regression and self.numbers is not None else self

    @property
    def name(self) -> str:
        """The name of the module that declares the strategy, as it is typed."""
        return str(self.run.__module__).rpartition(".")[2].replace("_", "-")

    @property
    def needs_head(self) -> bool:
        return bool(HEAD_NEEDS.intersection(self.needs))

    @property
    def needs_classes(self) -> bool:
        return self.numbers is None and bool(CLASSIFICATION_NEEDS.intersection(self.needs))

    @property
    def needs_posterior(self) -> bool:
        return bool(POSTERIOR_NEEDS.intersection(self.needs))

    @property
    def posterior_asked_by(self) -> str:
        """The value of the option that needs the posterior, as "form=bayesian"; "" where the strategy itself does."""
        by_option = dict(self.asked_by)
        asking = [by_option.get(need, "") for need in self.needs if need in POSTERIOR_NEEDS]
        return asking[0] if asking and all(asking) else ""

    @property
    def needs_calibration(self) -> bool:
        """True where the strategy tells class probabilities before and after a temperature apart."""
        return {"trained_log_probs", "log_probs"}.issubset(self.needs)

    @property
    def takes_rng(self) -> bool:
        """True for a batch function that draws, under some options at least."""
        return "rng" in inspect.signature(self.run).parameters

    @property
    def declared(self) -> tuple[Callable[..., Any], ...]:
        """The functions whose keyword-only parameters are the strategy's options."""
        if self.compound is not None:
            return tuple(dict.fromkeys(function for part in self.parts for function in part.declared))
        return self.run, *([] if self.again else [modifying]), *([sampling] if self.samples else []), *self._grouping

    @property
    def options(self) -> frozenset[str]:
        """The names of the strategy's options, as arguments."""
        found = (p for function in self.declared for p in inspect.signature(function).parameters.values())
        return frozenset(p.name for p in found if p.kind is p.KEYWORD_ONLY and p.name not in ("rng", "seed"))

    @property
    def defaults(self) -> dict[str, Any]:
        """The default of every option of a strategy that is not made of others, by argument name."""
        found = {p.name: p.default for one in self.declared for p in parsing.options_of(one).values()}
        return found | ({"samples": self.samples} if self.samples else {})

    @property
    def _grouping(self) -> tuple[Callable[..., Any], ...]:
        """The functions that declare options for groups of rows: none for a strategy that reads ids alone."""
        if OF_IDS.issuperset(self.needs):
            return ()
        if self.pointwise:
            return (aggregating,)
        return (averaging,) if (HEAD_NEEDS | {"targets"}).intersection(self.needs) else (embedding,)


def pointwise(
    *,
    needs: Sequence[str],
    random: bool = False,
    samples: int = 0,
    posterior: str = "laplace",
    numbers: Callable[..., Any] | None = None,
    ties_drawn: bool = False,
    modulus: Callable[..., Float64] | None = None,
) -> Callable[[F], F]:
    """Declare a function of blocks, in the order of `needs`, that returns a float64 score per row.

    random: the function takes `seed`. samples, posterior, ties_drawn: see `Strategy`.
    numbers: a function declared for labels that are numbers, with the same options.
    modulus(l1_B, C, *others) bounds |score(q) - score(p)| from above, float64 [B], for any class probabilities p and q
    over C classes with sum_c |p_c - q_c| = l1. It grows with l1; inf means that no bound is known. others: the
    strategy's needs beside `log_probs`, in their order. A loop over single labels then scores only the rows that can
    have become the best. The bound is used where labels change none of the other needs (`LASTING` in
    `live/row_values.py`); without a modulus every row is scored after every label.
    """
    return _declare(
        needs,
        pointwise=True,
        random=random,
        samples=samples,
        posterior=posterior,
        numbers=_declared_of(numbers),
        ties_drawn=ties_drawn,
        modulus=modulus,
    )


def batch(
    *,
    needs: Sequence[str],
    random: bool = False,
    single: Callable[..., Any] | None = None,
    samples: int = 0,
    posterior: str = "laplace",
    numbers: Callable[..., Any] | None = None,
    cold: bool = False,
    again: bool = False,
    of_means: bool = False,
    needs_with: Mapping[str, Sequence[str]] | None = None,
    audits: bool = False,
) -> Callable[[F], F]:
    """Declare a function (view, k, *, [rng,] options) -> Selection; rng is a numpy Generator.

    random: the function draws by default. single: a function declared `pointwise`, with the same options, whose best
    row is the batch of one; a loop over single labels then scores rows as they pass instead of preparing for a batch.
    numbers: a function declared for labels that are numbers, with some of the options.
    needs_with: further needs under values of options, as {"form=bayesian": ["sample_log_probs"]}.
    samples, posterior, cold, of_means, again, audits: see `Strategy`.
    """
    return _declare(
        needs,
        pointwise=False,
        random=random,
        single=_declared_of(single),
        samples=samples,
        posterior=posterior,
        numbers=_declared_of(numbers),
        cold=cold,
        again=again,
        of_means=of_means,
        needs_with=tuple((value, tuple(more)) for value, more in (needs_with or {}).items()),
        audits=audits,
    )


def _declared_of(function: Callable[..., Any] | None) -> Strategy | None:
    return None if function is None else declared_by(function)


def declared_by(function: Callable[..., Any]) -> Strategy:
    """The strategy that a decorated function declares. Raises AttributeError for a function without a decorator."""
    found: Strategy = function.strategy  # type: ignore[attr-defined]
    # A decorator above this one copies the attribute and means its own function.
    return found if found.run is function else replace(found, run=function)


def _declare(needs: Sequence[str], **rest: Any) -> Callable[[F], F]:
    def attach(function: F) -> F:
        function.strategy = Strategy(function, tuple(needs), **rest)  # type: ignore[attr-defined]
        return function

    return attach


def strategy_of(module: ModuleType) -> Strategy:
    """The strategy that a module declares: its function of the module's own name."""
    return declared_by(getattr(module, module.__name__.rpartition(".")[2]))
