"""Declare the condition under which an option of a strategy counts, and tell the user of options that do nothing.

A condition stands in the annotation of its option, beside the checks, as in `Annotated[float, share, given(form="a")]`.
It is about the values of other options, or about the pool and the head. `select.py` calls `idle_remarks`, so that every
command tells of an option that was given and does nothing; `alcli query --list NAME` shows the conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alcli import parsing
from alcli.selection.presets import expanded

if TYPE_CHECKING:
    from alcli.selection.strategy import Strategy
    from alcli.selection.view import View


@dataclass(frozen=True)
class Setting:
    """A choice of k candidates of a view.

    options: the values of all options of the strategy, by argument name. needs: of the strategy under the options.
    """

    options: Mapping[str, Any]
    view: View
    k: int
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Only:
    """A condition.

    text: it ends the sentence "the option counts only ...". options: argument names that it reads. parts: the
    conditions that must all hold, where there are several.
    """

    text: str
    holds: Callable[[Setting], bool]
    options: frozenset[str] = frozenset()
    parts: tuple[Only, ...] = ()

    def __and__(self, other: Only) -> Only:
        parts = (*(self.parts or (self,)), *(other.parts or (other,)))
        text = f"{self.text}, and only {other.text}"
        return Only(text, lambda now: all(one.holds(now) for one in parts), self.options | other.options, parts)

    def __or__(self, other: Only) -> Only:
        text = f"{self.text}, or {other.text}"
        return Only(text, lambda now: self.holds(now) or other.holds(now), self.options | other.options)

    def unmet(self, now: Setting) -> str:
        """The text of the first condition that does not hold; "" where all hold."""
        return next((one.text for one in self.parts or (self,) if not one.holds(now)), "")


def given(**values: Any) -> Only:
    """The condition that each named option has the given value, or one of a tuple of values."""
    wanted = {name: value if isinstance(value, tuple) else (value,) for name, value in values.items()}
    texts = (f"{kebab(name)}={'|'.join(map(parsing.typed, several))}" for name, several in wanted.items())
    return Only(
        f"with {' and '.join(texts)}",
        lambda now: all(now.options[name] in several for name, several in wanted.items()),
        frozenset(wanted),
    )


def where(text: str, holds: Callable[[Setting], bool], *options: str) -> Only:
    """A condition in words. options: argument names of the options that it reads."""
    return Only(text, holds, frozenset(options))


HIDDEN_LAYERS = where(
    "for a head with hidden layers", lambda now: now.view.has_head and bool(now.view.network().layers)
)
CLASSES = where("where labels are classes", lambda now: not now.view.regression)
SEVERAL = where("for a batch of several items", lambda now: now.k > 1)


def kebab(name: str) -> str:
    """An argument name as it is typed."""
    return name.replace("_", "-")


def conditions(strategy: Strategy) -> dict[str, Only]:
    """The conditions of the options of a strategy that is not made of others, by argument name."""
    found = {}
    drawn = [value for value, needs in strategy.needs_with if "sample_log_probs" in needs]
    if strategy.samples and drawn:
        read = frozenset(value.partition("=")[0].replace("-", "_") for value in drawn)
        found["samples"] = Only(f"with {' or '.join(drawn)}", lambda now: "sample_log_probs" in now.needs, read)
    for function in strategy.declared:
        for name, hint in parsing.hints_of(function).items():
            stated = [one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Only)]
            if stated:
                found[name] = stated[0]
    return found


def idle_remarks(strategy: Strategy, view: View, k: int, options: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence on each given option that does nothing in this choice. options: the given ones, by argument name."""
    if strategy.compound is not None:
        parts = (
            idle_remarks(part, view, k, {key: value for key, value in options.items() if key in part.options})
            for part in strategy.parts
        )
        return tuple(dict.fromkeys(text for part in parts for text in part))
    return tuple(_idle(strategy.suited(view.regression), view, k, options)) if options else ()


def _idle(strategy: Strategy, view: View, k: int, options: Mapping[str, Any]) -> Iterator[str]:
    options = expanded(strategy, options)
    now = Setting(strategy.defaults | options, view, k, strategy.under(options).needs)
    # A strategy for numbers can lack options of the strategy for classes.
    stated = {name: CLASSES for name in options if name not in strategy.options} | conditions(strategy)
    for name, only in stated.items():
        if name in options and (unmet := only.unmet(now)):
            given_as = f"-p {kebab(name)}={parsing.typed(options[name])}"
            yield f"{given_as} does nothing in {strategy.name}: the option counts only {unmet}"
