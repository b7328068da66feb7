"""`alcli query`."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from alcli.cli import options as o
from alcli.cli.console import Console, console
from alcli.cli.reading import opened
from alcli.data.formats import METAVAR, format_of
from alcli.errors import UsageError

if TYPE_CHECKING:
    from alcli.workflows.items import Items
    from alcli.workflows.query.request import Query


def query(
    pool: Annotated[Optional[str], typer.Argument(metavar="POOL", help="Parquet file, directory, glob or URI with columns id and features.", show_default=False)] = None,
    strategy: Annotated[Optional[str], typer.Option("-s", "--strategy", metavar="STRATEGY", help="How to choose; see --list.  [default: auto]", autocompletion=o.complete_strategy, show_default=False)] = None,
    mix: o.Mix = None,
    n: Annotated[Optional[int], typer.Option("-n", metavar="N", help="How many items to choose.", show_default=False)] = None,
    head: Annotated[Optional[Path], typer.Option("-H", "--head", metavar="HEAD", help="A head from fit-head or update; what it has absorbed is left out.", show_default=False)] = None,
    expect_sha256: o.ExpectSha256 = None,
    labels: o.Labels = None,
    out: Annotated[Optional[str], typer.Option("-o", "--out", metavar="OUT", help="Where to write; the format follows the extension.  [default: stdout]", show_default=False)] = None,
    format: Annotated[Optional[str], typer.Option("--format", metavar=METAVAR, help="Format of the output.  [default: by extension, else ids]", show_default=False)] = None,
    exclude: Annotated[Optional[list[str]], typer.Option("--exclude", metavar="FILE", help="Ids to leave out: one per line, or a file with a column id; repeatable.", show_default=False)] = None,
    selections: Annotated[Optional[Path], typer.Option("--selections", metavar="LEDGER", help="Parquet file of past selections: leave them out, and append this one.", show_default=False)] = None,
    candidates: Annotated[Optional[int], typer.Option("--candidates", metavar="M", help="Choose among M random candidates.  [default: all]", show_default=False)] = None,
    stream: Annotated[bool, typer.Option("--stream", help="One item at a time: items to stdout, labels from stdin, as JSON Lines; -o saves the updated head.")] = False,
    allow_new_classes: Annotated[bool, typer.Option("--allow-new-classes", help="With --stream: a label that the head has no class for adds one.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the strategies and exit.")] = False,
    seed: o.Seed = 0,
    param: o.Parameters = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail when fewer than N items are left.")] = False,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Accept a pool without rows.")] = False,
    features_col: o.FeaturesCol = None,
    id_col: o.IdCol = "id",
    group_col: o.GroupCol = None,
    label_col: o.LabelCol = None,
    bad_rows: o.BadRows = "error",
    max_memory: o.MaxMemory = None,
    hive: o.Hive = False,
    isolate: o.Isolate = False,
    ignore_unknown: o.IgnoreUnknown = False,
    lock_timeout: o.LockTimeout = 0.0,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    json: o.Json = False,
) -> None:
    """Choose the items of a pool to label next.

    Without -s the strategy is auto: maxherding where there are no labels, then what suits their number; a line on stderr says which.
    Without -H a head is fitted on the labels given (or the pool's own) if the strategy needs one. Labelled items, test rows and
    those of --exclude and --selections are never chosen. With -p impute=argmax|sample the batch is chosen one item at a time, each
    absorbed under a label that the model makes up.

    Where the pool has a column group, rows of one group are one item: N counts groups, and ids written and excluded are those of groups;
    a label is for all rows of its group. A strategy that scores rows takes -p aggregate=mean|max|sum of a group's scores (mean
    unless said); others see each group's mean features and mean probabilities, or with -p embed=concat its rows' features side by side.

    Every strategy takes -p prefilter=F, to choose among the share F of the candidates whose margin is smallest, and -p balance=predicted,
    to choose as many items of each predicted class. With -p cost-col=C items cost what column C of the pool says: N is what may be spent,
    scores count per cost; strategies that choose whole batches, as all do under prefilter and balance, choose one that fits, then what
    the rest of N buys. --mix has several strategies choose a share each.

    With --stream each line {"id": ..., "label": ...} or {"id": ..., "skip": true} on stdin is absorbed at once and answered by the next
    item, until N items are labelled; a line that cannot be used is answered by {"error": ...}, and so is a class
    that the head does not have, unless --allow-new-classes adds it.

    \b
    Example:
      alcli query sample_data/digits-features.parquet -l sample_data/digits-labels.csv -s margin -n 10
    """
    with console(quiet=quiet, verbose=verbose, as_json=json) as talk:
        if list_:
            return _list(talk)
        if mix is not None and strategy is not None:
            raise UsageError("-s names one strategy, --mix several with their shares", hint="use one of the two")
        strategy = strategy if strategy is not None else "auto" if mix is None else o.mix(mix)
        if pool is None or n is None:
            raise UsageError(
                f"query needs {'POOL' if pool is None else '-n N'}",
                hint="alcli query --list shows the strategies; alcli query --help an example",
            )
        from alcli.workflows.query.batch import query
        from alcli.workflows.query.request import Query

        ask = Query(
            strategy, n, seed, o.key_values(param, kebab=True), labels or (), head, exclude or (), selections, candidates, strict, allow_empty, ignore_unknown, lock_timeout,
            expect_sha256=o.sha256(expect_sha256),
        )
        ask.checked()
        target = o.out_path(out)
        if allow_new_classes and not stream:
            raise UsageError(
                "--allow-new-classes is for the labels that --stream hears, a batch hears none",
                hint="add --stream; 'alcli update' has the same option for labels in files",
            )
        if stream:
            _check_stream(ask, target, format, json)
        shape = "jsonl" if stream else format_of(target, format)
        source = opened(talk, pool, features=features_col, id=id_col, label=label_col, group=group_col, bad_rows=bad_rows, max_memory=max_memory, hive=hive, isolate=isolate)
        if stream:
            return _stream(talk, source, ask, target, allow_new_classes)
        if json or target is None:
            talk.emit(b"")
        answer = query(source, ask, out=target, format=shape, emit=(lambda data: None) if json else talk.emit, note=talk.remark)
        talk.tell_remarks()
        talk.detail(f"seed {seed}, {answer.report['candidates']} candidates")
        talk.summary(answer.report | {"strategy": strategy, "seed": seed, "selection": [dict(zip(answer.table, v)) for v in zip(*answer.table.values())]})


def _check_stream(ask: Query, out: Path | None, format: str | None, json: bool) -> None:
    from alcli.workflows.query.stream import check_stream

    if json or format is not None:
        raise UsageError(f"--stream writes JSON Lines, {'--json' if json else '--format'} does not go with it")
    check_stream(ask, out)


def _stream(talk: Console, items: Items, ask: Query, out: Path | None, allow_new_classes: bool) -> None:
    """Items to stdout, labels from stdin."""
    from alcli.workflows.query.stream import stream

    talk.emit(b"")
    if sys.stdin.isatty():
        talk.note('for each item type {"id": ..., "label": ...} or {"id": ..., "skip": true}; Ctrl-D ends')
    stream(items, ask, out=out, source=sys.stdin.buffer, emit=talk.emit, note=talk.note, allow_new_classes=allow_new_classes)


def _list(talk: Console) -> None:
    """The strategies as their files describe them."""
    from alcli import plugins
    from alcli.composition import pairs as _pairs

    found = [plugins.summary("strategies", name) for name in plugins.names("strategies")]
    if talk.as_json:
        rows = [{"name": s.name, "summary": s.line, "needs": list(s.needs), "options": dict(s.options)} | {k.lower(): v for k, v in s.sections.items()} for s in found]
        rows.append({
            "name": "EMBEDDING/SELECTOR", "summary": "Any embedding with any selector, but for those that are refused.", "selectors": dict(_pairs.SELECTORS),
            "embeddings": {name: {"needs": list(needs), "summary": line} for name, (needs, line) in _pairs.EMBEDDINGS.items()},
            "refused": ["/".join(pair) for pair in _pairs.REFUSED],
        })  # fmt: skip
        return talk.emit((json_module.dumps(rows, ensure_ascii=False, indent=2) + "\n").encode())
    lines = []
    for s in found:
        settings = "".join(f" -p {key}={value}" for key, value in s.options.items())
        lines.append(f"{s.name:18} {s.line}\n{'':18} needs {', '.join(s.needs)}{';' + settings if settings else ''}\n{'':18} {s.sections.get('Source', '')}\n")
    lines.append(f"EMBEDDING/SELECTOR any of the first with any of the second, as -s grad/kmeanspp; not {', '.join(map('/'.join, _pairs.REFUSED))}\n")
    lines += [f"  {name:16} {line}; needs {', '.join(needs)}\n" for name, (needs, line) in _pairs.EMBEDDINGS.items()]
    lines += [f"  /{name:15} {line}\n" for name, line in _pairs.SELECTORS.items()]
    lines.append("every strategy also takes -p prefilter=F -p balance=predicted -p impute=argmax|sample -p cost-col=C; --mix NAME:SHARE,... has several choose\n")
    talk.emit("".join(lines).encode())
