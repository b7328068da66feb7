"""`alcli update`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from alcli.cli import options as o
from alcli.cli.console import console
from alcli.cli.reading import opened
from alcli.errors import counted


def update(
    head: Annotated[Path, typer.Argument(metavar="HEAD", help="The head to update, in place unless -o is given.", show_default=False)],
    pool: Annotated[str, typer.Option("-P", "--pool", metavar="POOL", help="The pool that holds the labelled items' features.", show_default=False)],
    labels: Annotated[Optional[list[str]], typer.Option("-l", "--labels", metavar="FILE", help="New labels; those already absorbed are skipped. '-' is standard input.", show_default=False)] = None,
    remove: Annotated[Optional[list[str]], typer.Option("--remove", metavar="FILE", help="Ids whose labels to give back: exact in the posterior, near a refit in the weights.", show_default=False)] = None,
    out: Annotated[Optional[Path], typer.Option("-o", "--out", metavar="HEAD2", help="Write the new head here.  [default: replace HEAD]", show_default=False)] = None,
    method: Annotated[str, typer.Option("--method", metavar="second-order|first-order|mc|refit", help="Closed-form update of the posterior; one gradient step a label; reweighted draws of the posterior; or an exact refit to all labels.")] = "second-order",
    gamma: Annotated[str, typer.Option("--gamma", metavar="auto|X", help="Step size; auto of second-order is the implicit update, which needs none.")] = "auto",
    preset: Annotated[str, typer.Option("--preset", metavar="none|paper", help="paper: gamma 10, as published (Huseljic et al. 2025).")] = "none",
    mode: Annotated[str, typer.Option("--mode", metavar="sequential|batch", help="One label after another, or all at once (independent of their order).")] = "sequential",
    expect_sha256: o.ExpectSha256 = None,
    allow_new_classes: Annotated[bool, typer.Option("--allow-new-classes", help="A label that the head has no class for adds one.")] = False,
    features_col: o.FeaturesCol = None,
    id_col: o.IdCol = "id",
    group_col: o.GroupCol = None,
    max_memory: o.MaxMemory = None,
    hive: o.Hive = False,
    isolate: o.Isolate = False,
    ignore_unknown: o.IgnoreUnknown = False,
    lock_timeout: o.LockTimeout = 0.0,
    force: o.Force = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    json: o.Json = False,
) -> None:
    """Update a head with new labels in milliseconds, each label once.

    A label that the head has absorbed is skipped and counted, so a growing file can be given again and again.

    \b
    Example:
      alcli fit-head sample_data/digits-features.parquet -l sample_data/digits-labels.csv -o head.safetensors
      alcli update head.safetensors -P sample_data/digits-features.parquet -l sample_data/new-labels.csv
    """
    from alcli.workflows.update import PAPER_GAMMA, UpdateRequest
    from alcli.workflows.update import update as absorb

    with console(quiet=quiet, verbose=verbose, as_json=json) as talk:
        step = o.auto_or_number(gamma, "--gamma")
        if o.check_choice(preset, ("none", "paper"), "--preset") == "paper" and step is None:
            step = PAPER_GAMMA
        ask = UpdateRequest(method, step, mode, ignore_unknown, lock_timeout, allow_new_classes, remove or (), o.sha256(expect_sha256)).checked()
        source = opened(talk, pool, features=features_col, id=id_col, group=group_col, max_memory=max_memory, hive=hive, isolate=isolate)
        done = absorb(head, source.pool, labels or [], ask, out=out, force=force, note=talk.remark).report
        took = f" in {1e3 * done['seconds']:.1f} ms" if done["new_labels"] else ""
        if done["removed"]:
            talk.say(f"{counted(done['removed'], 'label')} given back")
        talk.say(f"{counted(done['new_labels'], 'new label')} absorbed{took}, {done['already_absorbed']} already known, {done['absorbed']} in all")
        if "effective_samples" in done:
            talk.say(f"effective samples: {done['effective_samples']:.1f} of {done['hypotheses']} hypotheses")
        talk.summary(done)
