"""`alcli fit-head`."""

from __future__ import annotations

from typing import Any

from alcli.cli.options import general, measuring, models, pools
from alcli.cli.options.declare import spread
from alcli.cli.options.values import key_values
from alcli.cli.reading import opened


@spread
def fit_head(
    pool: pools.PoolArgument,
    out: models.NewHead,
    labels: pools.Labels = None,
    none_label: pools.NoneLabel = None,
    param: models.HeadParam = None,
    seed: general.Seed = 0,
    ignore_unknown: pools.IgnoreUnknown = False,
    corrections: pools.Corrections = False,
    conflicts: pools.Conflicts = None,
    force: general.Force = False,
    after: measuring.After = None,
    *,
    measure: measuring.MeasuringOptions,
    model: models.FitOptions,
    reading: pools.LabelledPoolOptions,
    columns: pools.LabelFileOptions,
    talk: general.TalkOptions,
) -> None:
    r"""Fit a last-layer model with uncertainty to the labelled items of a pool.

    Labels come from the files of -l, or from the label column of the pool. Rows whose split is test are kept out, and
    the head is measured on them. The next step is `alcli query POOL -H HEAD -s badge -n 10`.

    Example:
        alcli fit-head sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -o head.safetensors

    The pool and names of classes:
      --prior pool also learns from the items without a label: where they gather, and which class each gathering is
      likely to be. With embeddings of the names of the classes, --class-names, it needs few labels or none. Embed a
      table with the columns id, the class, and text, its name or a line that describes it, by the model of the pool.
      Without names the head holds two models: strategies look at the plain one, the other predicts.

    Several models as uncertainty:
      A committee of heads in place of the Laplace approximation, with 20 members:
        alcli fit-head sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -o committee.safetensors \
          --posterior ensemble -p posterior.members=20

    Items of no class:
      With --none-label none, an item labelled none belongs to no class. It is counted and not learned from, the head
      remembers it, and query leaves out candidates that look like it.

    Annotators:
      Where a file says who gave a label, in a column annotator or as tools export it, the label of most annotators
      counts. --conflicts writes the items on which they, or several files, disagree. With the right class in its
      column taken, that table is a label file for --labels-label-col taken.
        alcli fit-head sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -o agreed.safetensors \
          --conflicts conflicts.csv

    An audit:
      Labels that were chosen to learn from cannot tell how good the head is. An audit can: a random sample of the pool,
      whose labels the head does not learn from. Fit a head first, and draw an audit by it, as below. Label the rows of
      audit.csv, in a column label or in a file of its own. Then fit the head again with --audit audit.csv --stop-at
      0.95. The audit serves later heads too: give them --after HEAD.
        alcli fit-head sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -o first.safetensors
        alcli query sample_data/digits-features.parquet \
          -s audit -n 100 -H first.safetensors -o audit.csv

    Groups:
      Where the pool has a column group, an id in a label file may be the id of a group. Its label then holds for each
      row of the group.
    """
    with talk.console() as console:
        pairs, remarks = model.with_branch(param, "aux-loss")
        for text in remarks:
            console.remark(text)
        from alcli.workflows.recipe import check_names

        recipe = model.recipe(seed=seed, options=key_values(pairs), preset=model.preset).checked()
        check_names(recipe, model.class_names)
        audit = measure.request(columns, after).checked()
        kind: Any = model.task
        from alcli.workflows.fit_head import fit_head as fit

        source = opened(console, pool, reading)
        with console.working():
            fitted = fit(
                source.pool,
                columns.named(labels),
                out,
                recipe,
                task=kind,
                class_names=model.class_names,
                force=force,
                ignore_unknown=ignore_unknown,
                corrections=corrections,
                none_label=none_label,
                audit=audit,
                test_labels=columns.named(measure.test_labels),
                normalize=columns.normalize_labels,
                conflicts=conflicts,
                note=console.remark,
            )
        if console.as_json:
            return console.summary(fitted.report)
        console.report({_shown(name): value for name, value in fitted.report.items()})


def _shown(name: str) -> str:
    """The name of a figure for people: of the training rows, it says that they were chosen."""
    return f"{name} (chosen rows)" if name.startswith("train_") else name
