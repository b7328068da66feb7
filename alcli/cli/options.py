"""Options that several commands share, declared once so that they mean the same everywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer

from alcli import plugins
from alcli.errors import UsageError


def complete_strategy(incomplete: str) -> list[str]:
    return plugins.strategy_names(incomplete)


def complete_head(incomplete: str) -> list[str]:
    return [n for n in plugins.names("heads") if n.startswith(incomplete)]


PoolArgument = Annotated[str, typer.Argument(metavar="POOL", help="Parquet file, directory, glob or URI with columns id and features.", show_default=False)]
Labels = Annotated[Optional[list[str]], typer.Option("-l", "--labels", metavar="FILE", help="Labels: CSV, JSON Lines or Parquet with id, label [, weight]; several add up, '-' is standard input.", show_default=False)]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Seed of every random draw.")]
Parameters = Annotated[Optional[list[str]], typer.Option("-p", "--param", metavar="KEY=VALUE", help="An option of the method.", show_default=False)]
FeaturesCol = Annotated[Optional[str], typer.Option("--features-col", metavar="C", help="Column of vectors.  [default: features, embedding or embeddings]", show_default=False)]
IdCol = Annotated[str, typer.Option("--id-col", metavar="C", help="Column of ids.")]
GroupCol = Annotated[Optional[str], typer.Option("--group-col", metavar="C|none", help="Column of groups: rows of one group are one item, and ids in files may be those of groups; none makes every row an item.  [default: group, where there is one]", show_default=False)]
LabelCol = Annotated[Optional[str], typer.Option("--label-col", metavar="C", help="Column of labels.  [default: label]", show_default=False)]
BadRows = Annotated[str, typer.Option("--bad-rows", metavar="error|skip", help="What to do with null or non-finite vectors.")]
MaxMemory = Annotated[Optional[str], typer.Option("--max-memory", metavar="SIZE", help="Keep larger features on disk, such as 4G, and refuse files whose pages are larger when decompressed.  [default: half of memory]", show_default=False)]
Hive = Annotated[bool, typer.Option("--hive", help="Folders named key=value are columns of strings, such as split=test.")]
Isolate = Annotated[bool, typer.Option("--isolate", help="Decode an untrusted pool in a child process first (a second read): a file that crashes it is refused.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")]
Json = Annotated[bool, typer.Option("--json", help="Print a summary as one JSON object on stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
IgnoreUnknown = Annotated[bool, typer.Option("--ignore-unknown", help="Leave out labels of ids that are not in the pool.")]
Mix = Annotated[Optional[str], typer.Option("--mix", metavar="NAME:SHARE,...", help="Instead of -s: several strategies, each choosing its share, as margin:0.8,random:0.2.", show_default=False)]
LockTimeout = Annotated[float, typer.Option("--lock-timeout", metavar="SECONDS", min=0, help="How long to wait for another alcli process.")]
HeadKind = Annotated[Optional[str], typer.Option("--head", metavar="KIND", help="Kind of head.  [default: softmax; ridge for a regression]", autocompletion=complete_head, show_default=False)]
PosteriorKind = Annotated[str, typer.Option("--posterior", metavar="KIND", help="Uncertainty of the last layer: laplace, ensemble, dropout, variational or none; options of it as -p posterior.KEY=VALUE.")]
Covariance = Annotated[str, typer.Option("--covariance", metavar="FORM", help="Form of the Laplace covariance: shared (D x D), shared-cat, block (C of them; most accurate), kron, diag, full.")]
PriorPrecision = Annotated[str, typer.Option("--prior-precision", metavar="auto|X", help="Precision of the Gaussian prior on the weights.")]
Calibrate = Annotated[str, typer.Option("--calibrate", metavar="none|temperature", help="Scale the logits on held-out folds.")]
AuxLoss = Annotated[bool, typer.Option("--aux-loss", help="Train a branch beside an mlp head that predicts losses, for lplgrad and learning-loss; more of it as -p aux-KEY=VALUE.")]
ExpectSha256 = Annotated[Optional[str], typer.Option("--expect-sha256", metavar="HEX", help="Refuse a head whose file has another SHA-256, as sha256sum prints it.", show_default=False)]
Task = Annotated[str, typer.Option("--task", metavar="auto|classification|regression", help="What labels are; auto follows the type of the pool's label column.")]


def sha256(text: str | None) -> str | None:
    """A digest as sha256sum prints it. Raises UsageError for anything else."""
    if text is not None and not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise UsageError(f"--expect-sha256 takes 64 hexadecimal digits, got '{text}'", hint="sha256sum HEAD prints them")
    return text


def key_values(pairs: Sequence[str] | None, *, kebab: bool = False) -> dict[str, str]:
    """KEY=VALUE texts as a dictionary. Raises UsageError for one without '=' and for a key that stands twice.

    kebab: `cost_col` stands for `cost-col`, the owner of a key `OWNER.KEY` for itself.
    """
    found: dict[str, str] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"-p takes KEY=VALUE, got '{pair}'")
        if kebab:
            owner, dot, name = key.rpartition(".")
            key = owner + dot + name.replace("_", "-")
        if key in found:
            raise UsageError(f"-p {key} is given twice")
        found[key] = value
    return found


def with_aux_loss(pairs: Sequence[str] | None, asked: bool, head: str | None, key: str) -> tuple[list[str], list[str]]:
    """(KEY=VALUE texts with what --aux-loss stands for, notes): a head without hidden layers has nothing to train a branch on."""
    if not asked:
        return list(pairs or []), []
    from alcli.heads._contract import family_of

    if head is None or "aux-loss" not in plugins.options_of(family_of(plugins.load("heads", head)).fit):
        return list(pairs or []), ["aux: inactive; a linear head has no hidden layer to train a loss-prediction branch on (use --head mlp)"]
    return [*(pairs or []), f"{key}=true"], []


def auto_or_number(text: str, option: str) -> float | None:
    """None for auto, else the number. Raises UsageError."""
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option} takes a number or auto, got '{text}'") from None


def size_in_bytes(text: str | None) -> int | None:
    """`500M` and the like as bytes. Raises UsageError."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text, re.IGNORECASE)
    if not found:
        raise UsageError(f"--max-memory takes a size such as 500M or 4G, got '{text}'")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def mix(text: str) -> str:
    """Return the text of --mix. Raises UsageError for one without shares, which would name a single strategy."""
    if ":" not in text:
        raise UsageError(f"--mix takes NAME:SHARE,..., got '{text}'", hint="for instance margin:0.8,random:0.2; -s names one strategy")
    return text


def check_choice(value: str, choices: Sequence[str], option: str) -> str:
    """`value` if it is one of `choices`. Raises UsageError with the nearest."""
    if value not in choices:
        raise UsageError(f"{option} must be one of {', '.join(choices)}, got '{value}'", hint=plugins.suggestion(value, choices))
    return value


def out_path(value: str | None) -> Path | None:
    """-o as a path; `-`, /dev/stdout (whose descriptor stands for stderr meanwhile) and nothing mean stdout."""
    return None if value in (None, "-", "/dev/stdout") else Path(str(value))
