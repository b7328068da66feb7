"""`alcli embed`: run an upstream model once over a source and keep its features as a pool."""

from __future__ import annotations

import inspect
from typing import Any

from alcli import plugins
from alcli.data.sources.base import Source
from alcli.data.sources.opening import check_ids, open_source
from alcli.data.writing.atomic import lock
from alcli.data.writing.pool_output import PoolOutput
from alcli.data.writing.shards import WorkFolder
from alcli.embedders._contract import Embedder, Encoder, Request, embedder_of
from alcli.errors import AlcliError, BusyError, DataError, UsageError, counted, printable
from alcli.remarks import NoProgress, Progress
from alcli.workflows.embed.encoding import Settings, WindowEncoder
from alcli.workflows.embed.request import EmbedOptions, EmbedReport, metadata_of, plan_of

_WINDOW = 1024
_EXAMPLES = 5


def embed(options: EmbedOptions, progress: Progress = NoProgress()) -> EmbedReport:
    """Encode the source and write the pool, whole or not at all.

    What is wrong with the command is said before anything is read, what is wrong with columns and ids before the model runs.
    Cost: one pass over the source for ids, one through the model; disk for the features twice until the pool is assembled.
    Memory: the model, one window of 1,024 rows (or one batch, if larger) and 16 bytes a row.
    """
    name, argument, embedder, parameters = _checked(options)
    output = PoolOutput(options.output, rows_per_file=options.rows_per_file, force=options.force)
    output.check(options.source)
    with lock(options.output, options.lock_timeout):
        work = WorkFolder(options.output)
        output.recover(work)
        output.check(options.source)
        source = open_source(options.source, options.columns)
        _check_rows_and_kind(source, embedder, name, options)
        stamp = source.stamp()
        check_ids(source)
        request = Request(source.kind, options.layer, options.device)
        encoder = embedder.open(argument, request, **parameters)
        done = work.begin(plan_of(options, source, encoder), resume=options.resume, force=options.force)
        try:
            _fill(work, done, source, encoder, options, progress)
            if source.stamp() != stamp:
                raise BusyError(f"{printable(options.source)}: it changed while it was read", hint="run the command again")
            return _assemble(output, work, source, encoder, options, done)
        except BaseException as error:
            _keep_or_remove(work, source, options, error)
            raise


def _checked(options: EmbedOptions) -> tuple[str, str, Embedder, dict[str, Any]]:
    """(name, argument, embedder, its keyword arguments), once everything on the command line is known to be good."""
    name, _, argument = options.model.partition(":")
    plugins.check_name("embedders", name)
    for what, value in (("--batch-size", options.batch_size), ("--rows-per-file", options.rows_per_file)):
        if value is not None and value < 1:
            raise UsageError(f"{what} must be at least 1, got {value}")
    if options.dtype not in ("float32", "float16"):
        raise UsageError(f"--dtype must be float32 or float16, got '{options.dtype}'")
    embedder = embedder_of(plugins.load("embedders", name))
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(embedder.open).parameters.values()):
        return name, argument, embedder, dict(options.parameters)
    return name, argument, embedder, plugins.parse_options(embedder.open, options.parameters, f"model '{name}'")


def _check_rows_and_kind(source: Source, embedder: Embedder, name: str, options: EmbedOptions) -> None:
    where = printable(options.source)
    if source.n == 0:
        raise DataError(f"{where}: there is no row to embed")
    if source.kind not in embedder.takes:
        fitting = [n for n in plugins.names("embedders") if source.kind in embedder_of(plugins.load("embedders", n)).takes]
        what = {"text": "texts", "image": "images", "array": "arrays"}
        takes = " or ".join(what[k] for k in what if k in embedder.takes)
        raise UsageError(
            f"{where}: holds {what[source.kind]}, but {name} takes {takes}",
            hint=f"models for {what[source.kind]}: {', '.join(fitting)}",
        )


def _window_rows(batch_size: int) -> int:
    """Rows of a shard: whole batches, about a thousand rows. Small enough to lose little, large enough to sort texts by length."""
    return batch_size * -(-_WINDOW // batch_size)


def _fill(work: WorkFolder, done: int, source: Source, encoder: Encoder, options: EmbedOptions, progress: Progress) -> None:
    """Make the shards that are missing."""
    rows = _window_rows(options.batch_size)
    infos = [work.info(i) for i in range(done)]
    for info in infos if not options.skip_bad else ():
        if info.skipped:
            item, why = info.skipped[0]
            raise DataError(f"{printable(options.source)}: id '{item}': {why}", hint="the earlier run left it out; give --skip-bad again")
    dim = next((info.dim for info in infos if info.dim is not None), None)
    settings = Settings(options.model, options.batch_size, options.dtype, options.normalize, options.skip_bad)
    progress.start(max(source.n - done * rows, 0), "embed")
    windows = WindowEncoder(source, encoder, settings, progress.advance)
    for number, window in enumerate(source.windows(rows, done), done):
        shard = windows.encode(window, dim)
        work.save(number, shard)
        dim = dim or (shard.X_BD.shape[1] if len(shard.columns) else None)


def _assemble(output: PoolOutput, work: WorkFolder, source: Source, encoder: Encoder, options: EmbedOptions, done: int) -> EmbedReport:
    infos = [work.info(i) for i in range(work.finished())]
    skipped = tuple(pair for info in infos for pair in info.skipped)
    dim = next((info.dim for info in infos if info.dim is not None), None)
    if dim is None:
        item, why = skipped[0]
        raise DataError(f"{printable(options.source)}: none of the {source.n} items could be read, the first (id '{item}'): {why}")
    written = output.write(work, source.columns, dim, options.dtype, metadata_of(options, source, encoder))
    work.remove()
    notes = [*source.notes, *_skipped_notes(skipped)]
    underflow = sum(info.underflow for info in infos)
    if underflow:
        notes.append(f"{underflow} values were too small for {options.dtype} and became 0")
    resumed = sum(info.rows for info in infos[:done])
    if resumed:
        notes.append(f"{counted(resumed, 'row was', 'rows were')} taken over from the earlier run")
    return EmbedReport(
        str(options.output), written.rows, dim, options.dtype, written.files, resumed, skipped, written.fingerprint, tuple(notes)
    )


def _skipped_notes(skipped: tuple[tuple[str, str], ...]) -> list[str]:
    if not skipped:
        return []
    more = f", and {len(skipped) - _EXAMPLES} more" if len(skipped) > _EXAMPLES else ""
    examples = ", ".join(f"'{i}' ({why})" for i, why in skipped[:_EXAMPLES])
    return [f"{counted(len(skipped), 'item could not be read and was', 'items could not be read and were')} left out: {examples}{more}"]


def _keep_or_remove(work: WorkFolder, source: Source, options: EmbedOptions, error: BaseException) -> None:
    """After a failure: finished shards stay for --resume, an empty work folder goes."""
    finished = work.finished()
    if not finished:
        work.remove()
    elif isinstance(error, AlcliError):
        kept = min(finished * _window_rows(options.batch_size), source.n)
        error.hint = "; ".join(filter(None, [error.hint, f"the first {kept} rows are kept, --resume continues after them"]))
