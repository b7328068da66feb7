"""Describe a strategy in words: its method, its needs, its source and cost, and its options.

The words come from the source of the strategy, so that a strategy is described where it is written (docstrings.py). A
module is imported only to describe its own strategy, for the types of the options.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alcli import parsing, plugins
from alcli.composition import pairs
from alcli.described.docstrings import ModuleDocstring, OptionText, read

if TYPE_CHECKING:
    from alcli.selection.strategy import Strategy

Kind = Literal["rows", "head", "posterior"]

# The needs of strategies in words. The kind says what must be there; `selection/needs.py` explains each need.
NEEDS: Mapping[str, tuple[Kind, str]] = {
    "row_key": ("rows", "the ids of the rows"),
    "features": ("rows", "the features of the rows"),
    "sq_norm": ("rows", "the lengths of the feature vectors"),
    "labelled": ("rows", "the features of the labelled rows"),
    "labelled_distance": ("rows", "the distance of each row to the nearest labelled row"),
    "targets": ("rows", "target rows, whose predictions matter"),
    "labelled_targets": ("head", "the labels of the labelled rows"),
    "network": ("head", "the layers of the head"),
    "hidden": ("head", "the inputs of the head's last layer"),
    "hidden_sq_norm": ("head", "the lengths of the inputs of the head's last layer"),
    "logits": ("head", "the outputs of the head"),
    "log_probs": ("head", "class probabilities of the head"),
    "trained_log_probs": ("head", "class probabilities of the head before calibration"),
    "predictive": ("head", "class probabilities averaged over the posterior of the head"),
    "label_variance": ("head", "the variance of each label, from a head for numbers"),
    "predicted_loss": ("head", "the losses that the head predicts (fit-head --head mlp --aux-loss)"),
    "logit_variance": ("posterior", "the variance of the head's outputs under its posterior"),
    "output_root": ("posterior", "the covariances of the predicted numbers under the posterior of the head"),
    "posterior": ("posterior", "the posterior of the head"),
    "sample_log_probs": ("posterior", "class probabilities under draws of the head's posterior"),
}

# Options that strategies have by what they look at. Their meaning is the same for every strategy.
MEANINGS: Mapping[str, OptionText] = {
    "samples": OptionText("number of draws of the posterior."),
    "targets": OptionText("file of the rows whose predictions matter, read as a pool."),
    "aggregate": OptionText(
        "score of a group of rows.",
        {"mean": "the mean of its rows' scores.", "max": "the largest of them.", "sum": "their sum."},
    ),
    "embed": OptionText(
        "features of a group of rows.", {"mean": "the mean of its rows.", "concat": "its rows side by side."}
    ),
    "prefilter": OptionText("share of the candidates to choose among; the candidates of smallest margin stay."),
    "balance": OptionText(
        "balance between the predicted classes.",
        {"none": "no balance.", "predicted": "as many items of each predicted class."},
    ),
    "impute": OptionText(
        "choose one item after another; the model learns each under a label that it makes up.",
        {"argmax": "its likeliest label.", "sample": "a drawn label."},
    ),
    "cost-col": OptionText("column of what items cost; -n is then what the batch may cost."),
}

OVERVIEW = "EMBEDDING/SELECTOR"
PAIR = "One embedding of the rows, and one way to choose among rows."
OF_MEANS = "Where rows make groups, the strategy looks at the mean row of each group."
MIX = "Several strategies, one after another; each chooses its share of the batch."


@dataclass(frozen=True)
class StrategyOption:
    """An option of a strategy.

    kind: its type in words. default: the value as it is typed, "" for an option that has none.
    choices: the values that it takes, where they are words. meanings: of the choices. counts: ends the sentence "the
    option counts only ..."; "" for an option that always counts.
    """

    name: str
    kind: str
    default: str
    choices: tuple[str, ...]
    meaning: str
    meanings: Mapping[str, str] = field(default_factory=dict)
    counts: str = ""


@dataclass(frozen=True)
class StrategyDescription:
    """A strategy in words.

    paragraphs: on the method; a paragraph that begins with four spaces keeps its lines. needs: the data that the
    strategy looks at. sections: `Source`, `Cost` and so on, by name. options: the strategy's own options come first.
    kind: rows, head or posterior; the last two look at a model.
    """

    name: str
    summary: str
    paragraphs: tuple[str, ...]
    needs: tuple[str, ...]
    sections: Mapping[str, str]
    options: tuple[StrategyOption, ...]
    kind: Kind


def kind_of(needs: Iterable[str]) -> Kind:
    """The kind of a strategy with the given needs: it needs rows alone, a head, or a head with a posterior."""
    kinds = {NEEDS[need][0] for need in needs if need in NEEDS}
    return "posterior" if "posterior" in kinds else "head" if "head" in kinds else "rows"


def described(name: str) -> StrategyDescription:
    """Describe the strategy of a name that `plugins.strategy` takes: a pair, a mix and a FILE.py too.

    Raises UsageError with the nearest names for a name that is none, and whatever `extensions.load` raises.
    """
    strategy = plugins.strategy(name)
    needs = tuple(map(_in_words, strategy.needs))
    needs += tuple(f"with {value}, {_in_words(need)}" for value, several in strategy.needs_with for need in several)
    if strategy.compound is not None:
        return _described_mix(name, strategy, needs)
    if name in pairs.names():
        return _described_pair(name, strategy, needs)
    doc = read(inspect.getdoc(inspect.getmodule(strategy.run)) or inspect.getdoc(strategy.run) or "")
    options = _options(strategy, doc.options)
    paragraphs = (*doc.paragraphs, OF_MEANS) if strategy.of_means else doc.paragraphs
    return StrategyDescription(name, doc.summary, paragraphs, needs, doc.sections, options, kind_of(strategy.needs))


def _in_words(need: str) -> str:
    return NEEDS[need][1] if need in NEEDS else need


def _described_pair(name: str, strategy: Strategy, needs: tuple[str, ...]) -> StrategyDescription:
    embedding, selector = pairs.halves(name)
    paragraphs = (f"{embedding}: {pairs.EMBEDDINGS[embedding][1]}.", f"{selector}: {pairs.SELECTORS[selector]}.")
    meanings = _of_source("ntk").options if embedding == "delta" else {}
    options = _options(strategy, meanings)
    return StrategyDescription(name, PAIR, paragraphs, needs, {}, options, kind_of(strategy.needs))


def _described_mix(name: str, strategy: Strategy, needs: tuple[str, ...]) -> StrategyDescription:
    """Describe the parts of a mix. An option of several parts has the meaning of each, behind the part's name."""
    shares = [text.strip().rpartition(":") for text in name.split(",")]
    parts = [described(part) for part, _, _ in shares]
    paragraphs = tuple(
        f"{float(share):.0%} by {part.name}: {part.summary}" for part, (_, _, share) in zip(parts, shares)
    )
    meanings: dict[str, dict[str, list[str]]] = {}
    choices: dict[str, dict[str, str]] = {}
    for part in parts:
        for option in part.options:
            meanings.setdefault(option.name, {}).setdefault(option.meaning, []).append(part.name)
            choices[option.name] = {**option.meanings, **choices.get(option.name, {})}
    joined = {
        key: OptionText(
            next(iter(found))
            if len(found) == 1
            else " ".join(f"Of {', '.join(who)}: {text}" for text, who in found.items()),
            choices[key],
        )
        for key, found in meanings.items()
    }
    options = _options(strategy, joined)
    return StrategyDescription(name, MIX, paragraphs, needs, {}, options, kind_of(strategy.needs))


def _of_source(name: str) -> ModuleDocstring:
    """The docstring of a strategy of alcli, read without importing it."""
    path = Path(__file__).parents[1] / "strategies" / f"{name.replace('-', '_')}.py"
    return read(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


# -- options ---------------------------------------------------------------------------------------


def _options(strategy: Strategy, texts: Mapping[str, OptionText]) -> tuple[StrategyOption, ...]:
    """The options of a strategy: its own first, then by what it looks at, then the options of every query."""
    from alcli.selection.conditions import conditions

    stated = {} if strategy.compound else conditions(strategy)
    counts = {name.replace("_", "-"): only.text for name, only in stated.items()}
    own: dict[str, StrategyOption] = {}
    shared: dict[str, StrategyOption] = {}
    for function in strategy.declared:
        is_shared = function.__module__ == "alcli.selection.options"
        hints = parsing.hints_of(function)
        for key, parameter in parsing.options_of(function).items():
            kind, choices = _kind(hints[parameter.name])
            default = strategy.samples if key == "samples" and is_shared else parameter.default
            text = MEANINGS[key] if is_shared else texts.get(key, OptionText())
            (shared if is_shared else own)[key] = StrategyOption(
                key, kind, _value(default), choices, text.meaning, dict(text.choices), counts.get(key, "")
            )
    # Where both have a name, -p gives it to the shared option.
    ordered = [*(option for key, option in own.items() if key not in shared), *shared.values()]
    if "targets" in strategy.needs:
        ordered.append(StrategyOption("targets", "file", "", (), MEANINGS["targets"].meaning))
    impute = MEANINGS["impute"]
    ordered.append(StrategyOption("impute", "word", "", tuple(impute.choices), impute.meaning, dict(impute.choices)))
    ordered.append(StrategyOption("cost-col", "column", "", (), MEANINGS["cost-col"].meaning))
    return tuple(ordered)


def _value(default: Any) -> str:
    """A default as it is typed."""
    return "" if default is inspect.Parameter.empty else parsing.typed(default)


def _kind(hint: Any) -> tuple[str, tuple[str, ...]]:
    """(the type of an annotation in words, its choices)."""
    from alcli.selection.presets import Presets

    checks = getattr(hint, "__metadata__", ())
    if names := next((one.names for one in checks if isinstance(one, Presets)), None):
        return "word", names
    base = typing.get_args(hint)[0] if checks else hint
    if typing.get_origin(base) is Literal:
        return "word", tuple(map(parsing.typed, typing.get_args(base)))
    if base is bool:
        return "true or false", ("true", "false")
    if typing.get_origin(base) in (typing.Union, types.UnionType):
        inner = next(kind for kind in typing.get_args(base) if kind is not type(None))
        kind, choices = _kind(typing.Annotated[inner, *checks] if checks else inner)
        return ("word", ("none", *choices)) if choices else (f"none or a {kind}", ())
    return _checked(base, checks), ()


def _checked(base: Any, checks: Iterable[Callable[..., Any]]) -> str:
    """A type with its checks in words. A check that one strategy alone has adds no words; its error explains it."""
    from alcli.selection import options

    words = {int: "whole number", float: "number"}.get(base, "text")
    for check in checks:
        bounds = check.args if isinstance(check, functools.partial) else ()
        function = check.func if isinstance(check, functools.partial) else check
        if function is options.at_least:
            return f"{words} from {bounds[0]}"
        if function in (options.positive, options.positive_where_given):
            return f"positive {words}"
        if function is options.share:
            return f"{words} above 0, at most 1"
        if function is options.kernel_radius:
            return f"{words} from 1e-6 to 1e6"
        if function is options.auto_or_positive:
            return "auto or a positive number"
        if function is options.count_or:
            return f"{bounds[0]} or a whole number from 1"
    return words
