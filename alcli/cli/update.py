"""`alcli update`."""

from __future__ import annotations

from typing import Any

from alcli.cli.options import general, measuring, models, pools
from alcli.cli.options.declare import spread
from alcli.cli.reading import opened
from alcli.errors import counted


@spread
def update(
    head: models.HeadArgument,
    pool: pools.PoolOption,
    labels: pools.Labels = None,
    none_label: pools.NoneLabel = None,
    out: models.UpdatedHead = None,
    remove: models.Remove = None,
    method: models.Method = "second-order",
    gamma: models.Gamma = None,
    preset: models.UpdatePreset = "none",
    mode: models.Mode = "sequential",
    polish: models.Polish = "auto",
    allow_new_classes: models.AllowNewClasses = False,
    expect_sha256: models.ExpectSha256 = None,
    ignore_unknown: pools.IgnoreUnknown = False,
    corrections: pools.Corrections = False,
    conflicts: pools.Conflicts = None,
    lock_timeout: general.LockTimeout = 0.0,
    force: general.Force = False,
    *,
    measure: measuring.MeasuringOptions,
    reading: pools.PoolOptions,
    columns: pools.LabelFileOptions,
    talk: general.TalkOptions,
) -> None:
    r"""Update a head with new labels in milliseconds, each label once.

    A label that the head knows already is skipped and counted, so a label file that grows can be given again and again.
    The head then predicts as one that is fitted anew: after the closed form, a few Newton steps on all labels polish
    its last layer, and once its labels have doubled, it is fitted anew. Hidden layers stay until then. Both need the
    items of its old labels in the pool.

    Example:
        alcli fit-head sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -o head.safetensors
        alcli update head.safetensors -P sample_data/digits-features.parquet \
          -l sample_data/new-labels.csv

    An audit:
      --audit measures the head after the update, and -l may be left out then. The head remembers the audit: it learns
      from none of its rows, and counts the looks for --stop-at.
    """
    from alcli.workflows.update.request import UpdateRequest
    from alcli.workflows.update.run import update as absorb

    with talk.console() as console:
        ask = UpdateRequest(
            method,
            gamma,
            mode,
            ignore_unknown,
            lock_timeout,
            allow_new_classes,
            remove or (),
            expect_sha256,
            preset,
            polish,
            corrections,
            none_label,
            measure.request(columns),
            columns.named(measure.test_labels),
            columns.normalize_labels,
            conflicts,
        ).checked()
        source = opened(console, pool, reading, head)
        given = columns.named(labels)
        with console.working():
            done = absorb(head, source.pool, given, ask, out=out, force=force, note=console.remark).report
        console.say(_told(done))
        if "effective_samples" in done:
            console.say(f"effective samples: {done['effective_samples']:.1f} of {done['hypotheses']} hypotheses")
        console.summary(done)
        if not console.as_json:
            console.report({name: value for name, value in done.items() if name.startswith("audit_")})


def _told(done: dict[str, Any]) -> str:
    """Say in one line what the update did."""
    took = f" in {1e3 * done['seconds']:.1f} ms" if "seconds" in done else ""
    new = f"{counted(done['new_labels'], 'new label')} absorbed{took}"
    parts = [f"{new}, {done['already_absorbed']} already known, {done['absorbed']} in all"]
    if done["removed"]:
        parts.insert(0, f"{counted(done['removed'], 'label')} given back")
    if "no_class" in done:
        parts.append(f"{counted(done['no_class'], 'item belongs', 'items belong')} to no class")
    if done["corrected"]:
        parts.append(f"{counted(done['corrected'], 'label')} corrected")
    if done.get("renewed"):
        parts.append("the head was fitted anew to all labels")
    if "n_test" in done:
        accuracy, nll = ("accuracy", "nll") if "test_accuracy" in done else ("rmse", "nlpd")
        known = [name for name in (accuracy, nll) if f"test_{name}" in done]
        changes = [f"{name} {done[f'test_{name}_before']:.4g} -> {done[f'test_{name}']:.4g}" for name in known]
        parts.append(f"test {', '.join(changes)}")
    if "test_unknown_share" in done:
        parts.append(f"{done['test_unknown_share']:.1%} of the test rows are of classes that the head does not know")
    return "; ".join(parts)
