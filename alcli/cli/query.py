"""`alcli query`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alcli.cli.console import Console
from alcli.cli.options import choosing, engines, general, measuring, models, pools
from alcli.cli.options.declare import spread
from alcli.cli.options.values import key_values
from alcli.cli.reading import opened
from alcli.data.formats import format_of
from alcli.errors import UsageError

if TYPE_CHECKING:
    from alcli.workflows.items import Items
    from alcli.workflows.query.request import Query


@spread
def query(
    pool: pools.PoolOrMethod = None,
    strategy: choosing.Strategy = None,
    n: choosing.Items = None,
    labels: pools.Labels = None,
    none_label: pools.NoneLabel = None,
    head: models.HeadFile = None,
    out: choosing.Chosen = None,
    param: choosing.StrategyParam = None,
    list_: choosing.List = False,
    mix: choosing.Mix = None,
    candidates: choosing.Candidates = None,
    exclude: choosing.Exclude = None,
    selections: choosing.Selections = None,
    strict: choosing.Strict = False,
    stream: choosing.Stream = False,
    allow_new_classes: models.AllowNewClasses = False,
    polish: models.Polish = "auto",
    prior: models.Prior = "auto",
    class_names: models.ClassNames = None,
    format: choosing.Format = None,
    keep: choosing.Keep = None,
    items_file: choosing.ItemsFile = None,
    pre_annotate: choosing.PreAnnotate = False,
    explain: choosing.Explain = False,
    conflicts: pools.Conflicts = None,
    seed: general.Seed = 0,
    expect_sha256: models.ExpectSha256 = None,
    ignore_unknown: pools.IgnoreUnknown = False,
    corrections: pools.Corrections = False,
    allow_empty: pools.AllowEmpty = False,
    lock_timeout: general.LockTimeout = 0.0,
    test_labels: measuring.TestLabels = None,
    *,
    reading: pools.LabelledPoolOptions,
    columns: pools.LabelFileOptions,
    running: engines.EngineOptions,
    talk: general.TalkOptions,
) -> None:
    r"""Choose the items of a pool to label next.

    Without -s, auto picks a strategy that suits the labels, and says which. Without -H, a head is fitted to the labels
    of -l or of the pool where the strategy needs one. Labelled items and rows whose split is test are never chosen.

    Example:
        alcli query sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -s margin -n 10

    Groups:
      Where the pool has a column group, the rows of a group are one item. N counts groups, the ids that are written and
      excluded are ids of groups, and a label holds for all rows of its group. A strategy that scores rows takes
      -p aggregate=mean|max|sum of the scores of a group. Strategies about gradients, deviations or likelihoods sum them
      over the rows of a group. Other strategies see the mean features and mean probabilities of each group, or with
      -p embed=concat the features of its rows side by side.

    Modifiers:
      Every strategy takes these options.

      -p prefilter=F chooses among the share F of the candidates that have the smallest margin.

      -p balance=predicted chooses as many items of each predicted class.

      -p impute=argmax|sample chooses one item after another. The model makes up a label for each item and learns it
      before the next choice.

    Reasons:
      --explain adds columns to the batch. second and second_confidence: the class that comes next after predicted, and
      its probability. nearest_labelled and nearest_distance: the labelled item whose features lie nearest.
      stands_for: the number of candidates, the item among them, to which no other chosen and no labelled item lies
      nearer. why: a sentence. The probabilities are averaged over the posterior, so that the uncertainty of the head is
      in them; they have no interval of their own.
        alcli query sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -s margin -n 3 --explain --format csv

    Neighbours:
      --candidates knn:K looks only at the K candidates whose features lie nearest to those of each labelled item.
      That suits a rare class in a large pool, and never reaches a cluster without a labelled item. K is doubled until N
      candidates are found. A stream looks them up once, at its start. With more than 4 sqrt(candidates) labelled items,
      and more than 1,000, an index finds them, which may miss some and needs pip install faiss-cpu.
        alcli query sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -s margin -n 10 --candidates knn:50

    Wrong labels:
      -s suspect asks about labelled items again, those first whose label is contradicted most by a head that has not
      seen it. The columns label, predicted and why say what is in doubt. With the right class in the column label, the
      batch file corrects the labels, given after the other labels or to update --corrections:
        alcli query sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -s suspect -n 3 -o check.csv

    Items of no class:
      An item whose label is the one of --none-label belongs to no class. It is not asked for again, and candidates that
      look like such items are left out, as long as enough are left for the batch.

    Items:
      --keep adds columns of the pool to the batch, or with --items of a file that has the column id: the text, the path
      of the image. --format label-studio, argilla, prodigy and doccano write what these tools import. The id of the
      pool goes along, and -l finds it in the export of the tool.
        alcli query sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -n 3 --keep split --format label-studio

      --pre-annotate adds the predicted class as a suggestion of the tool: a prediction of Label Studio, a suggestion of
      Argilla, an accepted option of Prodigy, a label of doccano. --labels-label-col names the question, else it is
      label. People agree with a suggestion more often than they would by themselves, so audits have none.
        alcli query sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -s margin -n 3 \
          --keep split --format argilla --pre-annotate

    An audit:
      -s audit draws a weighted random sample of all items, labelled or not, to measure a head by. Its labels go to
      --audit of fit-head and update, which never learn from them.
        alcli query sample_data/digits-features.parquet \
          -l sample_data/digits-labels.csv -s audit -n 100 -o audit.csv

    Budget:
      With -p cost-col=C an item costs what column C of the pool says. N is what the batch may cost, and scores count
      per unit of cost. A strategy that chooses a whole batch, as every strategy does under prefilter and balance,
      chooses one that fits, and then what the rest of N buys.

    Streams:
      With --stream, each line {"id": ..., "label": ...} or {"id": ..., "skip": true} on stdin is learned at once and
      answered on stdout by the next item, until N items are labelled. A line that cannot be used is answered by
      {"error": ...}. So is a class that the head does not know, unless --allow-new-classes adds the class.
    """
    with talk.console() as console:
        if list_:
            from alcli.cli.shown import listing

            return listing.list_strategies(console) if pool is None else listing.explain(console, pool)
        if mix is not None and strategy is not None:
            raise UsageError("-s names one strategy, --mix several with their shares", hint="use one of the two")
        if pool is None or n is None:
            raise UsageError(
                f"query needs {'POOL' if pool is None else '-n N'}",
                hint="alcli query --list shows the strategies; alcli query --help an example",
            )
        from alcli.workflows.query.explain import check_explained
        from alcli.workflows.query.request import QUESTION, Query
        from alcli.workflows.query.shown.keeping import check_kept
        from alcli.workflows.query.shown.suggesting import check_suggested
        from alcli.workflows.recipe import prior_of

        ask = Query(
            strategy if strategy is not None else mix or "auto",
            n,
            seed,
            key_values(param, kebab=True),
            columns.named(labels),
            head,
            exclude or (),
            selections,
            candidates,
            strict,
            allow_empty,
            ignore_unknown,
            lock_timeout,
            expect_sha256=expect_sha256,
            prior=prior_of(prior, class_names) if prior != "auto" or class_names is not None else None,
            class_names=class_names,
            corrections=corrections,
            polish=polish,
            explain=explain,
            keep=[column for one in keep or () for column in one.split(",") if column],
            items=items_file,
            none_label=none_label,
            test_labels=columns.named(test_labels),
            normalize=columns.normalize_labels,
            conflicts=conflicts,
            question=(columns.labels_label_col or QUESTION) if pre_annotate else None,
        )
        ask.checked()
        running.checked_for(ask.strategy)
        shape = "jsonl" if stream else format_of(out, format)
        check_kept(ask.keep, ask.items, shape, stream=stream)
        check_suggested(ask, shape, stream=stream)
        check_explained(explain, shape, stream=stream, as_json=talk.json)
        if stream:
            _check_stream(ask, out, format, talk.json, running.engine)
        elif allow_new_classes:
            raise UsageError(
                "--allow-new-classes is for labels that --stream reads, a batch reads none",
                hint="add --stream; 'alcli update' has the same option for labels in files",
            )
        elif polish != "auto":
            raise UsageError("--polish is for heads that absorb labels, a batch absorbs none", hint="add --stream")
        if stream:
            items = opened(console, pool, reading, head, running.cache_dir)
            return _stream(console, items, ask, out, allow_new_classes)
        with running.working():
            _batch(console, opened(console, pool, reading, head, running.cache_dir), ask, out, shape)


def _batch(console: Console, items: Items, ask: Query, out: Path | None, shape: str) -> None:
    """Choose a batch, and write it in the format `shape`."""
    from alcli.workflows.query.batch import query

    # Find out whether anything can be written, before the work.
    if console.as_json or out is None:
        console.emit(b"")
    emit = (lambda data: None) if console.as_json else console.emit
    with console.working():
        told = {"note": console.remark, "announce": console.announce, "foretell": console.note}
        answer = query(items, ask, out=out, format=shape, emit=emit, **told)
    console.tell_remarks()
    console.detail(f"seed {ask.seed}, {answer.report['candidates']} candidates")
    selection = [dict(zip(answer.table, values)) for values in zip(*answer.table.values())]
    console.summary(answer.report | {"strategy": ask.strategy, "seed": ask.seed, "selection": selection})


def _check_stream(ask: Query, out: Path | None, format: str | None, json: bool, engine: str) -> None:
    from alcli.workflows.query.stream import check_stream

    if engine != "local":
        raise UsageError(f"--stream answers in this process, --engine {engine} does not go with it")
    if json or format is not None:
        raise UsageError(f"--stream writes JSON Lines, {'--json' if json else '--format'} does not go with it")
    check_stream(ask, out)


def _stream(console: Console, items: Items, ask: Query, out: Path | None, allow_new_classes: bool) -> None:
    """Write items to stdout, and read labels from stdin."""
    from alcli.workflows.query.stream import stream

    console.emit(b"")
    if sys.stdin.isatty():
        console.note('for each item type {"id": ..., "label": ...} or {"id": ..., "skip": true}; Ctrl-D ends')
    stream(
        items,
        ask,
        out=out,
        source=sys.stdin.buffer,
        emit=console.emit,
        note=console.note,
        allow_new_classes=allow_new_classes,
    )
