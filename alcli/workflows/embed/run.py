"""`alcli embed`: run an upstream model once over a source and keep its features as a pool."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from alcli import parsing, plugins
from alcli.data.sources.base import InputSource, Window
from alcli.data.sources.opening import check_ids, open_source, split_name
from alcli.data.writing.locks import lock
from alcli.data.writing.pool_output import PoolOutput
from alcli.data.writing.shards import WorkFolder
from alcli.embedders._contract import Embedder, Encoder, Request
from alcli.engine.crews import Crew
from alcli.errors import AlcliError, BusyError, DataError, UsageError, counted, printable
from alcli.numerics.standardization import Standardization
from alcli.numerics.teams import current_engine
from alcli.remarks import NoProgress, Note, Progress, silence
from alcli.workflows.embed.encoding import Settings, WindowEncoder
from alcli.workflows.embed.request import EmbedOptions, EmbedReport, metadata_of, plan_of
from alcli.workflows.embed.standardizing import check_standardizing, standardization_of
from alcli.workflows.embed.workers import Opening, fill

# A shard has about as many rows.
_WINDOW = 1024
# Items left out that a remark names.
_EXAMPLES = 5


@dataclass(frozen=True)
class _Run:
    """One run of embed.

    opening: how a worker opens the model. by: what columns are standardised by. done: the numbers of the shards that an
    earlier run had finished when this one began.
    """

    options: EmbedOptions
    source: InputSource
    encoder: Encoder
    opening: Opening
    by: Standardization | None
    work: WorkFolder
    output: PoolOutput
    done: list[int]


def embed(options: EmbedOptions, progress: Progress = NoProgress(), note: Note = silence) -> EmbedReport:
    """Encode the source and write the pool, whole or not at all.

    note: told of ids, items left out, and rows taken over. A fault of the command is refused before anything is read,
    a fault of columns and ids before the model runs. Cost: one pass over the source for ids, one through the model,
    and before it one for means and deviations if columns are standardised; disk for the features twice until the pool
    is assembled. Memory: the model, one window of 1,024 rows (or one batch, if larger) and 16 bytes a row. Raises every
    AlcliError.
    """
    path, columns = split_name(options.source, options.columns)
    name, argument, embedder, parameters = _checked(options)
    options = replace(options, source=path, columns=replace(columns, vectors=embedder.takes == {"array"}))
    work = WorkFolder(options.output)
    if not work.is_published():
        _output(options, work).check(options.source)
    with lock(options.output, options.lock_timeout):
        output = _output(options, work)
        if not options.resume and work.is_published():
            work.remove()
        output.recover(work)
        output.check(options.source)
        source = open_source(options.source, options.columns, note)
        _check_rows_and_kind(source, embedder, name, options)
        stamp = source.stamp()
        check_ids(source)
        request = Request(source.kind, options.layer, options.device)
        encoder = embedder.open(argument, request, **parameters)
        by = standardization_of(options, source, encoder, progress, note)
        done = work.begin(plan_of(options, source, encoder, by), resume=options.resume, force=options.force)
        opening = Opening(options.model, request, parameters)
        run = _Run(options, source, encoder, opening, by, work, output, done)
        try:
            _fill(run, progress)
            if source.stamp() != stamp:
                raise BusyError(
                    f"{printable(options.source)}: it changed while it was read", hint="run the command again"
                )
            return _assemble(run, note)
        except BaseException as error:
            _keep_or_remove(run, error)
            raise


def _output(options: EmbedOptions, work: WorkFolder) -> PoolOutput:
    """The target. Where a run was killed with all but its work folder done, --resume may write the same pool again."""
    force = options.force or (options.resume and work.is_published())
    return PoolOutput(options.output, rows_per_file=options.rows_per_file, force=force)


def _checked(options: EmbedOptions) -> tuple[str, str, Embedder, dict[str, Any]]:
    """Check the command; return (name, argument, embedder, its keyword arguments). Raises UsageError."""
    name, _, argument = options.model.partition(":")
    embedder = plugins.embedder(name)
    for what, value in (("--batch-size", options.batch_size), ("--rows-per-file", options.rows_per_file)):
        if value is not None and value < 1:
            raise UsageError(f"{what} must be at least 1, got {value}")
    check_standardizing(options, name)
    if options.dtype not in ("float32", "float16"):
        raise UsageError(f"--dtype must be float32 or float16, got '{options.dtype}'")
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(embedder.open).parameters.values()):
        return name, argument, embedder, dict(options.parameters)
    return name, argument, embedder, parsing.parse_options(embedder.open, options.parameters, f"model '{name}'")


def _check_rows_and_kind(source: InputSource, embedder: Embedder, name: str, options: EmbedOptions) -> None:
    """Raise DataError for a source without rows, UsageError for inputs that the model does not take."""
    where = printable(options.source)
    if source.n == 0:
        raise DataError(f"{where}: there is no row to embed")
    if source.kind not in embedder.takes:
        known = {n: plugins.embedder(n) for n in plugins.names("embedders")}
        fitting = [n for n, other in known.items() if source.kind in other.takes]
        what = {"text": "texts", "image": "images", "array": "arrays"}
        takes = " or ".join(what[k] for k in what if k in embedder.takes)
        raise UsageError(
            f"{where}: holds {what[source.kind]}, but {name} takes {takes}",
            hint=f"models for {what[source.kind]}: {', '.join(fitting)}",
        )


def _window_rows(batch_size: int) -> int:
    """The rows of a shard: whole batches, about a thousand rows.

    A small shard loses little when the run is killed; a large one is enough to sort texts by length.
    """
    return batch_size * -(-_WINDOW // batch_size)


def _fill(run: _Run, progress: Progress) -> None:
    """Make the shards that are missing.

    Raises DataError for an item that the earlier run left out and this run may not.
    """
    options, source, work = run.options, run.source, run.work
    rows = _window_rows(options.batch_size)
    infos = [work.info(i) for i in run.done]
    for info in infos if not options.skip_bad else ():
        if info.skipped:
            item, why = info.skipped[0]
            hint = "the earlier run left it out; give --skip-bad again"
            raise DataError(f"{printable(options.source)}: id '{item}': {why}", hint=hint)
    dim = next((info.dim for info in infos if info.dim is not None), None)
    settings = Settings(options.model, options.batch_size, options.dtype, options.normalize, options.skip_bad, run.by)
    progress.start(max(source.n - len(run.done) * rows, 0), "embed")
    missing = _missing(source, rows, run.done)
    crew = current_engine()
    if isinstance(crew, Crew):
        return fill(crew, run.opening, source, settings, work, missing, dim, progress.advance)
    windows = WindowEncoder(source, run.encoder, settings, progress.advance)
    for number, window in missing:
        shard = windows.encode(window, dim)
        work.save(number, shard)
        dim = dim or (shard.X_BD.shape[1] if len(shard.columns) else None)


def _missing(source: InputSource, rows: int, done: list[int]) -> Iterator[tuple[int, Window]]:
    """The windows of `rows` rows that no finished shard holds, each with its number."""
    first = next((i for i, number in enumerate(done) if i != number), len(done))
    made = frozenset(done)
    for number, window in enumerate(source.windows(rows, first), first):
        if number not in made:
            yield number, window


def _assemble(run: _Run, note: Note) -> EmbedReport:
    """Write the pool from its shards, and remove them. Raises DataError when no item could be read."""
    options, work = run.options, run.work
    infos = [work.info(i) for i in work.finished()]
    skipped = tuple(pair for info in infos for pair in info.skipped)
    dim = next((info.dim for info in infos if info.dim is not None), None)
    if dim is None:
        item, why = skipped[0]
        what = f"none of the {run.source.n} items could be read, the first (id '{item}'): {why}"
        raise DataError(f"{printable(options.source)}: {what}")
    metadata = metadata_of(options, run.source, run.encoder, run.by)
    written = run.output.write(work, run.source.columns, dim, options.dtype, metadata)
    work.remove()
    _remark_on_skipped(skipped, note)
    underflow = sum(info.underflow for info in infos)
    if underflow:
        note(f"{underflow} values were too small for {options.dtype} and became 0")
    resumed = sum(infos[i].rows for i in run.done)
    if resumed:
        note(f"{counted(resumed, 'row was', 'rows were')} taken over from the earlier run")
    size = (written.rows, dim, options.dtype, written.files)
    return EmbedReport(str(options.output), *size, resumed, skipped, written.fingerprint)


def _remark_on_skipped(skipped: tuple[tuple[str, str], ...], note: Note) -> None:
    """Tell of the items that were left out, the first few by name."""
    if skipped:
        more = f", and {len(skipped) - _EXAMPLES} more" if len(skipped) > _EXAMPLES else ""
        examples = ", ".join(f"'{i}' ({why})" for i, why in skipped[:_EXAMPLES])
        what = counted(len(skipped), "item could not be read and was", "items could not be read and were")
        note(f"{what} left out: {examples}{more}")


def _keep_or_remove(run: _Run, error: BaseException) -> None:
    """After a failure, keep finished shards for --resume, and remove a work folder without any."""
    finished = run.work.finished()
    if not finished:
        run.work.remove()
        return
    kept = min(len(finished) * _window_rows(run.options.batch_size), run.source.n)
    in_order = finished == list(range(len(finished)))
    resume = (
        f"the first {kept} rows are kept, --resume continues after them"
        if in_order
        else (f"about {kept} rows are kept, --resume makes the others")
    )
    if isinstance(error, AlcliError):
        error.hint = "; ".join(filter(None, [error.hint, resume]))
    else:
        error.add_note(resume)
