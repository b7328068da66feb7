"""The commands of the matrix, as they are typed: heads of every kind, updates, predictions, and every strategy."""

from __future__ import annotations

from dataclasses import dataclass

from alcli import plugins
from tests.helpers import brief_options


@dataclass(frozen=True)
class Command:
    """A command. name: of the cell in the matrix, and of the file it writes. shared: True where the command takes the
    options of a choice over workers. in_order: False where the rows of the file stand in the order of the pool.
    """

    name: str
    arguments: tuple[str, ...]
    stdin: str = ""
    shared: bool = False
    in_order: bool = True


HEADS = {
    "softmax": (),
    **{f"softmax-{form}": ("--covariance", form) for form in ("shared-cat", "block", "kron", "diag", "full")},
    **{f"softmax-{kind}": ("--posterior", kind) for kind in ("ensemble", "dropout", "variational", "none")},
    "softmax-temperature": ("--calibrate", "temperature"),
    "softmax-pool": ("--prior", "pool"),
    "softmax-names": ("--class-names", "names.parquet"),
    "softmax-paper": ("--preset", "paper"),
    "mlp": ("--head", "mlp", "--aux-loss"),
    "mlp-kron": ("--head", "mlp", "--covariance", "kron"),
}
NUMBERS = {
    "ridge": (),
    "ridge-ensemble": ("--posterior", "ensemble"),
    "mlp-numbers": ("--head", "mlp"),
}
UPDATES = {
    "": (),
    "-closed": ("--polish", "none"),
    "-batch": ("--mode", "batch"),
    "-refit": ("--method", "refit"),
    "-first": ("--method", "first-order"),
    "-mc": ("--method", "mc"),
}
PAIRS = (
    "feature/kmeanspp",
    "feature/maxdet",
    "prob/kcenter",
    "prob/kdpp",
    "grad/kmeans",
    "grad/lcmd",
    "grad/fw",
    "noise/maxdet",
    "noise/kmeanspp",
    "delta/kcenter",
    "samples/topnorm",
    "samples/fw",
)
OPTIONS = {
    "balanced": ("-s", "margin", "-p", "balance=predicted"),
    "prefiltered": ("-s", "coreset", "-p", "prefilter=0.3"),
    "imputed": ("-s", "entropy", "-p", "impute=argmax"),
    "mixed": ("--mix", "badge:0.5,typiclust:0.3,random:0.2"),
    "neighbours": ("-s", "margin", "--candidates", "knn:20"),
    "explained": ("-s", "margin", "--explain"),
}
# Nothing of these is left for the few classes, or needs minutes for the width, of the wide pool.
_NARROW = {"softmax-full", "softmax-names"}
_OF_CLASSES = {"feature-margin", "suspect"}
# These absorb labels by a fit only.
_FITTED_ANEW = ("none", "ensemble", "dropout", "variational")


def commands(pool: str) -> list[Command]:
    """All commands on a pool, in an order in which each finds the heads that it reads."""
    kinds = NUMBERS if pool == "numbers" else {k: v for k, v in HEADS.items() if pool == "digits" or k not in _NARROW}
    return [*_heads(pool, kinds), *_updates(pool, kinds), *_queries(pool, "ridge" if pool == "numbers" else "softmax")]


def _heads(pool: str, kinds: dict[str, tuple[str, ...]]) -> list[Command]:
    found = []
    for kind, options in kinds.items():
        head = f"{pool}.{kind}.safetensors"
        fit = ("fit-head", f"{pool}.parquet", "-l", f"{pool}-labels.csv", *options, "-o", head)
        found.append(Command(head, fit))
        table = f"{pool}.{kind}.predicted.csv"
        found.append(Command(table, ("predict", f"{pool}.parquet", "-H", head, "-o", table), in_order=False))
    return found


def _updates(pool: str, kinds: dict[str, tuple[str, ...]]) -> list[Command]:
    found = []
    for kind in kinds:
        head = f"{pool}.{kind}.safetensors"
        learning = ("update", head, "-P", f"{pool}.parquet", "-l", f"{pool}-new.csv")
        plain = kind in ("softmax", "ridge", "mlp")
        for suffix, options in UPDATES.items():
            if suffix == "-refit" or plain or (suffix == "" and not kind.endswith(_FITTED_ANEW)):
                if pool == "numbers" and suffix in ("-first", "-mc"):
                    continue
                out = f"{pool}.{kind}.learnt{suffix}.safetensors"
                found.append(Command(out, (*learning, *options, "-o", out)))
        if plain:
            out = f"{pool}.{kind}.removed.safetensors"
            gone = ("update", head, "-P", f"{pool}.parquet", "--remove", f"{pool}-gone.csv", "-o", out)
            found.append(Command(out, gone))
    return found


def _queries(pool: str, kind: str) -> list[Command]:
    found = []

    def ask(name: str, *options: str, head: str = kind, n: int = 8) -> None:
        out = f"{pool}.{name.replace('/', '+')}.csv"
        labels = () if options[:2] == ("-s", "suspect") else ("-l", f"{pool}-labels.csv")
        given = ("-H", f"{pool}.{head}.safetensors", *labels, "-n", str(n), "--seed", "3", "-q")
        found.append(Command(out, ("query", f"{pool}.parquet", *options, *given, "-o", out), shared=True))

    for name in plugins.names("strategies"):
        strategy = plugins.strategy(name)
        if pool == "numbers" and (strategy.needs_classes or name in _OF_CLASSES):
            continue
        brief = tuple(brief_options(name))
        branch = "predicted_loss" in strategy.needs
        if not branch:
            ask(name, "-s", name, *brief)
        if pool != "numbers" and strategy.needs_head:
            ask(f"{name}-mlp", "-s", name, *brief, head="mlp")
    for name in PAIRS if pool != "numbers" else ():
        ask(name, "-s", name)
    for name, options in OPTIONS.items() if pool != "numbers" else ():
        ask(name, *options)
    return [*found, *_streams(pool, kind)]


def _streams(pool: str, kind: str) -> list[Command]:
    """A stream that learns the new labels one by one; its answers go to stdout."""
    asked = ("query", f"{pool}.parquet", "-H", f"{pool}.{kind}.safetensors", "-n", "5", "--stream", "-q")
    strategy = "predictive-variance" if pool == "numbers" else "entropy"
    return [Command(f"{pool}.stream", (*asked, "-s", strategy), stdin=f"{pool}-new.csv")]
