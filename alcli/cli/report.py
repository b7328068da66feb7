"""`alcli report`."""

from __future__ import annotations

from alcli.cli.options import choosing, general, models, pools, reporting
from alcli.cli.options.declare import spread
from alcli.cli.reading import opened


@spread
def report(
    pool: pools.PoolArgument,
    head: reporting.ReportedHead,
    out: reporting.PageFile,
    labels: pools.Labels = None,
    selections: reporting.Ledger = None,
    batch: reporting.Batch = None,
    simulation: reporting.Simulation = None,
    keep: reporting.Shown = None,
    items_file: choosing.ItemsFile = None,
    images: reporting.Images = None,
    map: reporting.Projection = "pca",
    force: general.Force = False,
    ignore_unknown: pools.IgnoreUnknown = False,
    corrections: pools.Corrections = False,
    expect_sha256: models.ExpectSha256 = None,
    seed: general.Seed = 0,
    *,
    columns: pools.LabelFileOptions,
    reading: pools.LenientPoolOptions,
    talk: general.TalkOptions,
) -> None:
    r"""Write one page that shows a batch, a map of the pool, the accuracy over time and labels that are suspect.

    The page is one HTML file that fetches nothing: it can be read without a network, mailed, and opened years later.
    The same inputs give the same bytes.

    Example:
        alcli fit-head sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -o head.safetensors
        alcli query sample_data/digits-features.parquet -H head.safetensors \
          -s badge -n 8 --selections ledger.parquet
        alcli report sample_data/digits-features.parquet -H head.safetensors \
          --selections ledger.parquet --items sample_data/digits.parquet \
          -o report.html

    Page:
      Batch: a card for each of up to 1,000 items, with its text or picture, the prediction, and why it was chosen. A
      column why of --batch, which query --explain writes, comes before the reason that is found now.

      Map: the items by two principal components, darker where more items lie. Pointing at it, or the arrow keys, show
      an item. --map umap draws up to 20,000 items by UMAP.

      Accuracy over time: what each audit of the head found, with its 95% interval, and the batches of the ledger.

      Classes: labels, and predictions for the batch and the pool. Suspect labels: those that the head contradicts most.

    Pictures:
      A picture is a column of bytes, or a path in the folder of --images. The ids are the paths where no column is one,
      as in a pool that embed made of a folder. Pictures become small, and need Pillow.
    """
    with talk.console() as console:
        from alcli.workflows.report.request import ReportRequest
        from alcli.workflows.report.run import report as run

        ask = ReportRequest(
            head,
            columns.named(labels),
            selections,
            batch,
            simulation,
            [column for one in keep or () for column in one.split(",") if column],
            items_file,
            images,
            map,
            seed,
            ignore_unknown,
            corrections,
            expect_sha256,
            columns.normalize_labels,
        )
        ask.checked()
        if console.as_json:
            console.emit(b"")
        items = opened(console, pool, reading, head)
        with console.progress() as progress:
            done = run(items, ask, out=out, overwrite=force, progress=progress, note=console.remark)
        console.tell_remarks()
        if console.as_json:
            return console.summary(done)
        console.report(
            {name: value for name, value in done.items() if name not in ("pool", "out")} | {"page": str(out)}
        )
