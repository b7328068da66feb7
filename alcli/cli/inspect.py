"""`alcli inspect`."""

from __future__ import annotations

from contextlib import nullcontext

from alcli.cli.options import general, pools
from alcli.cli.options.declare import spread


@spread
def inspect(
    files: pools.Inspected,
    *,
    reading: pools.InspectedPoolOptions,
    columns: pools.LabelFileOptions,
    talk: general.TalkOptions,
) -> None:
    r"""Tell what a head, a pool, a ledger, a selection, labels or the folder of a simulation holds.

    The content decides what a file is; its name plays no part. A damaged file is refused, and so is a file of
    another kind.

    Example:
        alcli inspect sample_data/digits-features.parquet \
          sample_data/digits-labels.csv

    Facts:
      Of a head: the model, the classes with the labels that it has absorbed, the prior, the temperature, what each
      audit found, the features that it was fitted on, versions, and the SHA-256 of the file for --expect-sha256.

      Of a pool: rows, columns, classes, norms; vectors that are null, not finite, zero or there twice, and the same
      vector under different labels. Vectors are compared by hashes of 64 bits. Memory: about 60 bytes a row with an
      integer id, however long the vectors are.

      Of a ledger, a selection, predictions and labels: rows, ids, and the rows of each strategy or class.

      Of labels that name their annotators, exports of labelling tools among them: the annotators, the items that
      several of them labelled, and Krippendorff's alpha, which is 1 where they agree on every item and 0 where they
      agree as often as by chance. --conflicts of fit-head writes the items on which they differ.

      Of the folder of a simulation: strategies, seeds, the runs that are done, and the verdicts with their intervals.
    """
    with talk.console() as console:
        from alcli.data.exports.places import Places
        from alcli.data.schema import Columns
        from alcli.data.spellings.classes import Spelling
        from alcli.workflows.inspect.run import PoolReading
        from alcli.workflows.inspect.run import inspect as run
        from alcli.workflows.inspect.words import lines_of

        of_pool = Columns(reading.features_col, reading.id_col, reading.label_col, group=reading.group_col)
        how = PoolReading(of_pool, reading.max_memory, reading.hive, reading.isolate)
        console.emit(b"")
        places = Places(columns.labels_id_col, columns.labels_label_col)
        spelling = Spelling(columns.normalize_labels)
        with nullcontext() if reading.isolate else console.working():
            found = [run(file, how, console.remark, places=places, spelling=spelling) for file in files]
        console.tell_remarks()
        console.summary({"files": [one.as_json() for one in found]})
        if not console.as_json:
            text = "\n\n".join("\n".join(lines_of(one)) for one in found)
            console.emit(f"{text}\n".encode("utf-8", "surrogateescape"))
