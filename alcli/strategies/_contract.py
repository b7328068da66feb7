"""What a strategy is: either a score for every row, or a choice of a whole batch.

A **pointwise** strategy is a pure function from blocks of what it needs to one score a row; larger is asked first. It streams
over pools of any size, and ranking, ties and batch size are handled here, once. A **batch** strategy gets a `View` of the
candidates and returns a `Selection`. Both are plain functions named as their file; keyword-only arguments are their options.

What can be needed is listed in `_needs.py`. Where rows make groups, a strategy is asked for groups without knowing of it:
`_groups.py` says what it sees.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from alcli.arrays import Float32, Float64, Floats, Int64
from alcli.numerics.hashing import uniforms
from alcli.numerics.topk import TopK
from alcli.strategies._needs import CLASSIFICATION_NEEDS, FEATURE_NEEDS, HEAD_NEEDS, OF_IDS, POSTERIOR_NEEDS
from alcli.strategies._options import GROUP_OPTIONS, aggregating, averaging, embedding, modifying, sampling
from alcli.strategies._view import View

F = TypeVar("F", bound=Callable[..., Any])

_TIES = 2  # stream of the draws of rows of equal score
MOST_KEPT = 1 << 24  # numbers: features of the best rows are kept up to 64 MiB


@dataclass(frozen=True)
class Selection:
    """The batch in the order it was picked.

    rows_K: int64 row numbers of the pool. scores_K: float32, what made each row win when it was picked.
    weights_K: float32 importance weights, where the method gives them. features_KD: of the rows, where they are at hand.
    notes: what the user should know of how the batch came about. record: facts of the run, by kebab-case name.
    """

    rows_K: Int64
    scores_K: Float32
    weights_K: Float32 | None = None
    features_KD: Floats | None = None
    notes: tuple[str, ...] = ()
    record: Mapping[str, float | str] = field(default_factory=dict)


NOTHING = Selection(np.empty(0, np.int64), np.empty(0, np.float32))


@dataclass(frozen=True)
class Strategy:
    """A strategy function and what it declares of itself. single: a pointwise strategy that picks what a batch of one would hold.

    numbers: what the strategy is where labels are numbers, if that is another function; it has the same options.
    samples: how many draws of the posterior it looks at unless the user says otherwise. posterior: of a head that is fitted for it.
    compound: of a strategy that is made of others (`_modifiers.py`), a function (view, k, seed, options) -> Selection, which takes the
    place of `run`; parts: these others. cold: it does without a head while there are not two classes of labels to fit one on.
    ties_drawn: rows of equal score have equal chances, by a hash of seed and id; without, the lowest ids come first.
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

    def suited(self, regression: bool) -> Strategy:
        """The strategy for class labels, or for numbers."""
        return self.numbers if regression and self.numbers is not None else self

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
    def takes_rng(self) -> bool:
        """Whether a batch function draws, if only under some options."""
        return "rng" in inspect.signature(self.run).parameters

    @property
    def declared(self) -> tuple[Callable[..., Any], ...]:
        """The functions whose keyword-only parameters are its options."""
        if self.compound is not None:
            return tuple(dict.fromkeys(function for part in self.parts for function in part.declared))
        return self.run, modifying, *([sampling] if self.samples else []), *self._grouping

    @property
    def options(self) -> frozenset[str]:
        """The names of its options, as arguments."""
        found = (p for function in self.declared for p in inspect.signature(function).parameters.values())
        return frozenset(p.name for p in found if p.kind is p.KEYWORD_ONLY and p.name not in ("rng", "seed"))

    @property
    def _grouping(self) -> tuple[Callable[..., Any], ...]:
        """What can be said of groups of rows: nothing to a strategy that looks at their ids alone."""
        if OF_IDS.issuperset(self.needs):
            return ()
        return (aggregating,) if self.pointwise else (averaging,) if (HEAD_NEEDS | {"targets"}).intersection(self.needs) else (embedding,)


def pointwise(
    *, needs: Sequence[str], random: bool = False, samples: int = 0, posterior: str = "laplace", numbers: Callable[..., Any] | None = None,
    ties_drawn: bool = False,
) -> Callable[[F], F]:
    """Declare a function of blocks, in the order of `needs`, to a float64 score per row. random: it takes `seed`.

    numbers: a function declared for labels that are numbers, with the same options. ties_drawn: see `Strategy`.
    """
    return _declare(
        needs, pointwise=True, random=random, samples=samples, posterior=posterior, numbers=_declared_of(numbers), ties_drawn=ties_drawn
    )


def batch(
    *, needs: Sequence[str], random: bool = False, single: Callable[..., Any] | None = None, samples: int = 0, posterior: str = "laplace",
    numbers: Callable[..., Any] | None = None, cold: bool = False,
) -> Callable[[F], F]:
    """Declare a function (view, k, *, [rng,] options) -> Selection; rng is a numpy Generator. random: with its defaults it draws.

    single: a function declared `pointwise`, with the same options, whose best row is the batch of one; a loop that asks for one row
    at a time then scores rows as they pass instead of preparing for a batch. numbers: a function declared for labels that are
    numbers, with the same options. cold: see `Strategy`.
    """
    return _declare(
        needs, pointwise=False, random=random, single=_declared_of(single), samples=samples, posterior=posterior, numbers=_declared_of(numbers),
        cold=cold,
    )


def _declared_of(function: Callable[..., Any] | None) -> Strategy | None:
    return None if function is None else function.strategy  # type: ignore[attr-defined]


def _declare(needs: Sequence[str], **rest: Any) -> Callable[[F], F]:
    def attach(function: F) -> F:
        function.strategy = Strategy(function, tuple(needs), **rest)  # type: ignore[attr-defined]
        return function

    return attach


def strategy_of(module: ModuleType) -> Strategy:
    """The strategy that a module of this folder declares."""
    found: Strategy = getattr(module, module.__name__.rpartition(".")[2]).strategy
    return found


def select(strategy: Strategy, view: View, k: int, *, seed: int, options: Mapping[str, Any]) -> Selection:
    """Choose min(k, n) of the view's candidates. The same inputs give the same picks at any block size and thread count."""
    k = min(k, view.n)
    if k == 0:
        return NOTHING
    if strategy.compound is not None:
        return strategy.compound(view, k, seed, options)
    options, strategy = dict(options), strategy.suited(view.regression)
    if strategy.samples:
        view = view.sampling(options.pop("samples", strategy.samples), seed)
    if how := {name: options.pop(name) for name in GROUP_OPTIONS & options.keys()}:
        view = view.combining(**how)
    if strategy.pointwise:
        return _best_scores(strategy, view, k, seed, options)
    view = view.restricted_to(strategy.needs)
    extra = {"rng": np.random.default_rng(np.random.SeedSequence(seed))} if strategy.takes_rng else {}
    return strategy.run(view, k, **extra, **options)  # type: ignore[no-any-return]


def finite32(scores_K: Float64) -> Float32:
    """Scores as float32; what is too large for it becomes its largest number."""
    return np.minimum(scores_K, np.finfo(np.float32).max).astype(np.float32)


def _best_scores(strategy: Strategy, view: View, k: int, seed: int, options: Mapping[str, Any]) -> Selection:
    """Stream the blocks, keep the k best by (score rounded to float32 descending, id ascending, or drawn), and their features if they pass by."""
    extra = {"seed": seed} if strategy.random else {}
    passing = bool(FEATURE_NEEDS.intersection(strategy.needs)) and k * view.dim <= MOST_KEPT
    best = TopK(k, (lambda rows: uniforms(view.row_keys(rows), seed, _TIES)) if strategy.ties_drawn else view.sort_keys)
    for rows_B, scores_B, X_BD in view.scores(partial(strategy.run, **extra, **options), strategy.needs, features=passing):
        best.offer(rows_B, finite32(scores_B), X_BD)
    return Selection(*best.result(), features_KD=best.kept)
