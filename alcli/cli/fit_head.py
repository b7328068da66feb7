"""`alcli fit-head`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from alcli.cli import options as o
from alcli.cli.console import console
from alcli.cli.reading import opened


def fit_head(
    pool: o.PoolArgument,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="HEAD", help="The head to write, a .safetensors file.", show_default=False)],
    labels: o.Labels = None,
    head: o.HeadKind = None,
    posterior: o.PosteriorKind = "laplace",
    covariance: o.Covariance = "shared",
    prior_precision: o.PriorPrecision = "auto",
    calibrate: o.Calibrate = "none",
    preset: Annotated[str, typer.Option("--preset", metavar="none|paper", help="paper: curvature 1, updates with gamma 10 (Huseljic et al. 2025).")] = "none",
    aux_loss: o.AuxLoss = False,
    task: o.Task = "auto",
    param: o.Parameters = None,
    seed: o.Seed = 0,
    features_col: o.FeaturesCol = None,
    id_col: o.IdCol = "id",
    group_col: o.GroupCol = None,
    label_col: o.LabelCol = None,
    bad_rows: o.BadRows = "error",
    max_memory: o.MaxMemory = None,
    hive: o.Hive = False,
    isolate: o.Isolate = False,
    ignore_unknown: o.IgnoreUnknown = False,
    force: o.Force = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    json: o.Json = False,
) -> None:
    """Fit a last-layer model with uncertainty to the labelled items of a pool.

    Without -l the pool's own label column is learned. Rows whose split is test are kept out, and the head is measured on them.
    Where the pool has a column group, an id in a label file may be that of a group: its label is that of each of its rows.

    \b
    Example:
      alcli fit-head sample_data/digits-features.parquet -l sample_data/digits-labels.csv -o head.safetensors
      alcli fit-head sample_data/digits-features.parquet -l sample_data/digits-labels.csv -o committee.safetensors --posterior ensemble -p posterior.members=20
    """
    from alcli.workflows.recipe import Recipe

    with console(quiet=quiet, verbose=verbose, as_json=json) as talk:
        prior = o.auto_or_number(prior_precision, "--prior-precision")
        pairs, notes = o.with_aux_loss(param, aux_loss, head, "aux-loss")
        for text in notes:
            talk.remark(text)
        recipe = Recipe(head, posterior, covariance, prior, calibrate, seed, o.key_values(pairs), preset).checked()
        kind: Any = o.check_choice(task, ("auto", "classification", "regression"), "--task")
        from alcli.workflows.fit_head import fit_head as fit

        source = opened(talk, pool, features=features_col, id=id_col, label=label_col, group=group_col, bad_rows=bad_rows, max_memory=max_memory, hive=hive, isolate=isolate)
        fitted = fit(source.pool, labels or [], out, recipe, task=kind, force=force, ignore_unknown=ignore_unknown, note=talk.remark)
        talk.report(fitted.report)
