"""`alcli predict`."""

from __future__ import annotations

import time

from alcli.cli.options import general, models, pools, predicting
from alcli.cli.options.declare import spread
from alcli.cli.reading import opened
from alcli.data.row_formats import row_format_of
from alcli.errors import UsageError, counted


@spread
def predict(
    pool: pools.PoolArgument,
    head: predicting.Head,
    out: predicting.Predictions = None,
    labelled: predicting.Labelled = "keep",
    probs: predicting.Probs = False,
    variance: predicting.Variance = False,
    format: predicting.Format = None,
    expect_sha256: models.ExpectSha256 = None,
    allow_empty: pools.AllowEmpty = False,
    *,
    reading: pools.LenientPoolOptions,
    talk: general.TalkOptions,
) -> None:
    r"""Predict the class or the number of every item of a pool, and say how sure the head is.

    Items come in the order of the pool, and rows whose split is test are among them. The pool is read once in blocks
    and may be larger than memory. A file appears whole or not at all; stdout gets each block when it is computed.

    Example:
        alcli fit-head sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -o head.safetensors
        alcli predict sample_data/digits-features.parquet -H head.safetensors \
          -o predictions.csv

    Columns:
      A head for classes gives predicted, the likeliest class, and confidence, its probability averaged over the
      posterior. --probs adds a column p:NAME for each class; in JSON Lines it is one object, probs.

      A head for numbers gives predicted, and sd, the standard deviation of the label: the noise of the labels and the
      uncertainty of the head together. About 95% of labels lie within 2 sd of predicted.

    Groups:
      Where the pool has a column group, a group is one item. Its probabilities are the means over its rows. With
      --group-col none every row is predicted by itself.
    """
    from alcli.workflows.predict.run import PredictRequest
    from alcli.workflows.predict.run import predict as run

    with talk.console() as console:
        shape = row_format_of(out, format)
        if out is None and talk.json:
            raise UsageError("--json writes a summary to stdout, where the predictions go", hint="name a file with -o")
        ask = PredictRequest(head, probs, variance, labelled, allow_empty, expect_sha256)
        items = opened(console, pool, reading, head)
        # Find out whether anything can be written, before the work.
        if console.as_json or out is None:
            console.emit(b"")
        started = time.perf_counter()
        with console.progress() as progress:
            done = run(items, ask, out=out, format=shape, emit=console.emit, progress=progress, note=console.remark)
        console.tell_remarks()
        console.detail(f"{counted(done['predicted'], 'item')} predicted in {time.perf_counter() - started:.2f} s")
        console.summary(done)
