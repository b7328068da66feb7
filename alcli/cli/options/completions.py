"""Completions of names that the shell asks for."""

from __future__ import annotations

from alcli import plugins
from alcli.data.formats import FORMATS
from alcli.extensions import installed

# The oracles of a simulation. They are named here too, so that completion loads no numpy.
ORACLES = ("optimal-look-ahead",)


def complete_strategy(incomplete: str) -> list[str]:
    """Return the strategies that begin so."""
    return plugins.strategy_names(incomplete)


def complete_format(incomplete: str) -> list[str]:
    """Return the formats that begin so, alcli's own and those of installed packages."""
    return [name for name in [*FORMATS, *installed("formats")] if name.startswith(incomplete)]


def complete_contender(incomplete: str) -> list[str]:
    """Return strategies and oracles that begin so, after the last comma; after a plus, the modifier."""
    done, comma, name = incomplete.rpartition(",")
    base, plus, _ = name.partition("+")
    oracles = [oracle for oracle in ORACLES if oracle.startswith(name)]
    names = [f"{base}+update"] if plus else [*complete_strategy(name), *oracles]
    return [f"{done}{comma}{n}" for n in names]


def complete_metric(incomplete: str) -> list[str]:
    """Return the metrics that begin so, those of installed packages included."""
    # Loaded here, since the other completions start without NumPy.
    from alcli.simulation.metrics import metric_names

    return [name for name in metric_names() if name.startswith(incomplete)]
