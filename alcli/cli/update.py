"""`alcli update`."""

from __future__ import annotations

from alcli.cli.options import general, models, pools
from alcli.cli.options.declare import spread
from alcli.cli.reading import opened
from alcli.errors import counted


@spread
def update(
    head: models.HeadArgument,
    pool: pools.PoolOption,
    labels: pools.Labels = None,
    out: models.UpdatedHead = None,
    remove: models.Remove = None,
    method: models.Method = "second-order",
    gamma: models.Gamma = None,
    preset: models.UpdatePreset = "none",
    mode: models.Mode = "sequential",
    allow_new_classes: models.AllowNewClasses = False,
    expect_sha256: models.ExpectSha256 = None,
    ignore_unknown: pools.IgnoreUnknown = False,
    lock_timeout: general.LockTimeout = 0.0,
    force: general.Force = False,
    *,
    reading: pools.PoolOptions,
    talk: general.TalkOptions,
) -> None:
    r"""Update a head with new labels in milliseconds, each label once.

    A label that the head knows already is skipped and counted, so a label file that grows can be given again and again.

    Example:
        alcli fit-head sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -o head.safetensors
        alcli update head.safetensors -P sample_data/digits-features.parquet \
          -l sample_data/new-labels.csv
    """
    from alcli.workflows.update import PAPER_GAMMA, UpdateRequest
    from alcli.workflows.update import update as absorb

    with talk.console() as console:
        step = PAPER_GAMMA if preset == "paper" and gamma is None else gamma
        ask = UpdateRequest(
            method, step, mode, ignore_unknown, lock_timeout, allow_new_classes, remove or (), expect_sha256
        ).checked()
        source = opened(console, pool, reading)
        done = absorb(head, source.pool, labels or [], ask, out=out, force=force, note=console.remark).report
        took = f" in {1e3 * done['seconds']:.1f} ms" if done["new_labels"] else ""
        if done["removed"]:
            console.say(f"{counted(done['removed'], 'label')} given back")
        console.say(
            f"{counted(done['new_labels'], 'new label')} absorbed{took}, "
            f"{done['already_absorbed']} already known, {done['absorbed']} in all"
        )
        if "effective_samples" in done:
            console.say(f"effective samples: {done['effective_samples']:.1f} of {done['hypotheses']} hypotheses")
        console.summary(done)
