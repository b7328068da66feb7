"""Options about the rows of a pool, and about the source that a pool is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alcli import plugins
from alcli.cli.options.declare import COMMON, OUTPUT, POOL, SAFETY, SOURCE, argument, option, setting
from alcli.cli.options.settings import CONFIG_VARIABLE
from alcli.cli.options.values import size_in_bytes

if TYPE_CHECKING:
    from alcli.data.text.rows import RowSource


def complete_pool_or_method(context: typer.Context, incomplete: str) -> list[str]:
    """Return the strategies that begin so where --list is given; a shell completes files by itself."""
    return plugins.strategy_names(incomplete) if context.params.get("list_") else []


POOL_HELP = "The pool: a Parquet file, a folder or a glob of such files, or a URI. It has the columns id and features."

# -- arguments and common options ------------------------------------------------------------------

PoolArgument = Annotated[str, argument("POOL", POOL_HELP)]
PoolOrMethod = Annotated[str | None, argument("POOL", POOL_HELP, complete=complete_pool_or_method)]
OptionalPool = Annotated[str | None, argument("POOL", POOL_HELP)]
PoolOption = Annotated[
    str, option("-P, --pool POOL", COMMON, "The pool that holds the features of the labelled items.")
]
Inspected = Annotated[
    list[str],
    argument("FILE...", "Files, folders, globs or URIs: of a pool, or any other file that alcli reads or writes."),
]
SourcePath = Annotated[
    Path,
    argument(
        "SOURCE",
        "CSV, TSV, JSON Lines, Parquet, Arrow, Lance, .npy, .npz or HDF5, or a folder of these, of images or of texts.",
    ),
]
Labels = Annotated[
    list[str] | None,
    option(
        "-l, --labels FILE",
        COMMON,
        "A table with the columns id, label and, if wanted, weight and annotator, or the export of a labelling tool. "
        "Can be repeated; - is standard input.",
    ),
]

# -- Source ----------------------------------------------------------------------------------------

InputCol = Annotated[
    str | None,
    option(
        "--input-col C", SOURCE, "Column of the inputs, or array of a .npz or HDF5 file.", default="found by its name"
    ),
]
FeaturesCols = Annotated[
    list[str] | None,
    option(
        "--features-cols GLOB",
        SOURCE,
        "Columns of numbers that together are the vector, such as 'emb_*', in the order of the numbers in their names. "
        "Can be repeated.",
    ),
]
IdsFile = Annotated[
    str | None,
    option(
        "--ids FILE[:COL]",
        SOURCE,
        "Ids for rows that have none, in the same order: a text file with one id a line, or a column of a table, whose "
        "label, split and group are taken along.",
    ),
]
SourceIdCol = Annotated[
    str | None, option("--id-col C", SOURCE, "Column of the ids.", default="id if there is one, else row numbers")
]
SourceLabelCol = Annotated[
    str | None,
    option(
        "--label-col C",
        SOURCE,
        "Column of the labels. For a folder of files, 'folder' takes the name of each file's folder as its label.",
        default="label if there is one",
    ),
]
Keep = Annotated[list[str] | None, option("--keep C", SOURCE, "Keep this column too. Can be repeated.")]
SkipBad = Annotated[bool, option("--skip-bad", SOURCE, "Leave out items that cannot be read, and say which.")]

# -- Pool ------------------------------------------------------------------------------------------

FeaturesCol = Annotated[
    str | None,
    setting("--features-col C", POOL, "Column of the feature vectors.", default="features, embedding or embeddings"),
]
IdCol = Annotated[str | None, setting("--id-col C", POOL, "Column of the ids.", default="id")]
GroupCol = Annotated[
    str | None,
    setting(
        "--group-col C|none",
        POOL,
        "Column of groups. The rows of a group are one item, and files may name the group in place of its rows. "
        "With none every row is an item.",
        default="group if there is one",
    ),
]
LabelCol = Annotated[str | None, setting("--label-col C", POOL, "Column of the labels.", default="label")]
LabelsIdCol = Annotated[
    str | None,
    setting("--labels-id-col C", POOL, "Column of the ids in files of labels.", default="id, or a field alcli_id"),
]
LabelsLabelCol = Annotated[
    str | None,
    setting(
        "--labels-label-col C",
        POOL,
        "Column of the labels in files of labels. In an export of a tool it is the question that the labels answer.",
        default="label, or the only question",
    ),
]
NormalizeLabels = Annotated[
    bool,
    option(
        "--normalize-labels",
        POOL,
        "Take classes as one whose names differ by capitals, spaces or Unicode forms, or as 1 and 1.0 do. The most "
        "frequent name stays. A head remembers it.",
    ),
]
BadRows = Annotated[
    str, setting("--bad-rows", POOL, "What to do with vectors that are null or not finite.", choices=("error", "skip"))
]
MaxMemory = Annotated[
    int | None,
    option(
        "--max-memory SIZE",
        POOL,
        "Keep larger features on disk, for instance 4G. Files whose pages grow larger when decompressed are refused.",
        default="an eighth of memory",
        parse=size_in_bytes,
    ),
]
Hive = Annotated[bool, setting("--hive", POOL, "Folders named key=value are columns of text, for instance split=test.")]
Config = Annotated[
    str | None,
    option(
        "--config FILE|none",
        POOL,
        "TOML file with names of columns: id-col, features-col, label-col, group-col, labels-id-col, labels-label-col, "
        "and hive and bad-rows.",
        default="alcli.toml beside the pool, if there is one",
        variable=CONFIG_VARIABLE,
    ),
]
Isolate = Annotated[
    bool,
    option(
        "--isolate",
        SAFETY,
        "Read an untrusted pool in a child process first; a file that crashes the process is refused.",
    ),
]
AllowEmpty = Annotated[bool, option("--allow-empty", SAFETY, "Accept a pool without rows.")]
IgnoreUnknown = Annotated[bool, option("--ignore-unknown", SAFETY, "Leave out labels whose ids are not in the pool.")]
Corrections = Annotated[
    bool,
    option(
        "--corrections",
        SAFETY,
        "The last label of an id in a file counts, and replaces the label that the head has absorbed. Without it, two "
        "different labels of an id are an error.",
    ),
]


Conflicts = Annotated[
    Path | None,
    option(
        "--conflicts FILE",
        OUTPUT,
        "Write a table of the items that got different labels, from annotators or from files: each label with its "
        "votes, who gave it, and the label taken. CSV, TSV, JSON Lines, Parquet or Excel, by the extension.",
    ),
]
NoneLabel = Annotated[
    str | None,
    option(
        "--none-label NAME",
        COMMON,
        "The label of items that belong to no class. It is never a class. Such items are not asked for again, and "
        "candidates that look like them are left out.",
        default="that of the head, else none",
    ),
]


@dataclass(frozen=True)
class PoolOptions:
    """The options that open a pool."""

    features_col: FeaturesCol = None
    id_col: IdCol = None
    group_col: GroupCol = None
    max_memory: MaxMemory = None
    hive: Hive = False
    isolate: Isolate = False
    config: Config = None


@dataclass(frozen=True)
class LenientPoolOptions(PoolOptions):
    """The options that open a pool whose unusable rows may be left out."""

    bad_rows: BadRows = "error"


@dataclass(frozen=True)
class LabelledPoolOptions(LenientPoolOptions):
    """The options that open a pool which may hold labels itself."""

    label_col: LabelCol = None


@dataclass(frozen=True)
class LabelFileOptions:
    """The options that read files of labels."""

    labels_id_col: LabelsIdCol = None
    labels_label_col: LabelsLabelCol = None
    normalize_labels: NormalizeLabels = False

    def named(self, files: list[str] | None) -> list[RowSource]:
        """The files with the columns that the user named."""
        if self.labels_id_col is None and self.labels_label_col is None:
            return list(files or [])
        from alcli.data.text.rows import NamedColumns

        return [NamedColumns(file, self.labels_id_col, self.labels_label_col) for file in files or []]


@dataclass(frozen=True)
class InspectedPoolOptions(PoolOptions):
    """The options that open a pool whose every fault is counted."""

    label_col: LabelCol = None
