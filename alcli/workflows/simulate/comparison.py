"""The comparison of two configurations of a simulation: what differs, and what a simulation has that can grow.

A simulation takes more strategies, seeds and rounds. Every other part of its configuration stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alcli.errors import printable
from alcli.numerics.metrics import METRICS
from alcli.workflows.recipe import Recipe

# Hexadecimal digits of a digest in a message.
_DIGITS = 12
Json = dict[str, Any]
_NOT_COMPARED = frozenset({"pool.name", "default_metric"})
# The meaning of a configuration that lacks a key, since keys were added over time.
_DEFAULTS: Json = {"head": Recipe().as_json(), "stratified": False, "candidates": None, "train_weights": False}
_SIZES = ("seeds", "rounds")


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "pool": dict,
    "strategies": list,
    "parameters": dict,
    "seeds": int,
    "rounds": int,
    "batch": int,
    "initial": int,
    "test": (str, float),
}


def is_whole(config: Json) -> bool:
    """True for a configuration that has everything that a simulation, or a study of updates, writes into it."""
    kinds = {"pool": dict, "seeds": int} if "study" in config else _KINDS
    return (
        all(isinstance(config.get(key), kind) for key, kind in kinds.items())
        and isinstance(config["pool"].get("name"), str)
        and config.get("default_metric", "accuracy") in METRICS
    )


def grown(before: Json, now: Json, run: list[str]) -> Json:
    """Return `before` as it is when it has grown to the strategies, seeds and rounds of `now`.

    So what differs afterwards is what cannot grow. run: the strategies of `before` that have a finished run; another
    strategy may be left out.
    """
    found = before | {key: max(before[key], now[key]) for key in _SIZES if key in before and key in now}
    if "strategies" not in before or "strategies" not in now:
        return found
    if set(run) <= set(now["strategies"]):
        found["strategies"] = now["strategies"]
    new = [name for name in now["strategies"] if name not in run]
    parameters = {key: value for key, value in before["parameters"].items() if key in run}
    found["parameters"] = parameters | {key: value for key, value in now["parameters"].items() if key in new}
    return found


def default_metric(before: Json, config: Json) -> Json:
    """The metric that compares strategies where the user names none, as the folder has it. Older ones do not say it."""
    if "default_metric" not in config:
        return {}
    older = "rmse" if config["default_metric"] == "rmse" else "accuracy"
    return {"default_metric": before.get("default_metric", older)}


def with_origins(config: Json, other: Json) -> Json:
    """Add to a configuration the provenance of strategies and metrics that only the other configuration has."""
    found = dict(config)
    for key in ("metrics", "origins"):
        recorded = {**other.get(key, {}), **config.get(key, {})}
        found |= {key: recorded} if recorded else {}
    return found


def differences(before: Json, now: Json) -> list[str]:
    """Return the differences of two configurations, as "rounds 10, now 5", the version first.

    A key that one of them lacks has its default.
    """
    old, new = ({**_flat(_DEFAULTS), **_flat(one)} for one in (before, now))
    everything = dict.fromkeys(["version", *_flat(now), *_flat(before)])
    keys = [key for key in everything if key not in _NOT_COMPARED and old.get(key) != new.get(key)]
    return [_difference(key, old.get(key), new.get(key)) for key in keys]


def _difference(key: str, old: Any, new: Any) -> str:
    if key.endswith(".sha256") and old is not None and new is not None:
        name = key.partition(".")[2].removesuffix(".sha256")
        return f"the code of {printable(name)} has changed (SHA-256 {str(old)[:_DIGITS]}, now {new[:_DIGITS]})"
    return f"{key} {_shown(old)}, now {_shown(new)}"


def _flat(value: Json, prefix: str = "") -> Json:
    flat: Json = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}{key}.") if isinstance(inner, dict) else {f"{prefix}{key}": inner}
    return flat


def _shown(value: Any) -> str:
    return "none" if value is None else printable(", ".join(map(str, value)) if isinstance(value, list) else value)
