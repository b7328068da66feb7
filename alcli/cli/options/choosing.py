"""Options about choosing items, in one query or in simulated rounds, and about the comparison of strategies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from alcli.cli.options.completions import complete_contender, complete_format, complete_metric, complete_strategy
from alcli.cli.options.declare import CHOOSING, COMMON, COMPARING, OUTPUT, UPDATING, option
from alcli.cli.options.values import mix, number, number_or_knn, path_or_stdout, whole_number
from alcli.data.formats import FORMATS, METAVAR

# -- a query ---------------------------------------------------------------------------------------

Strategy = Annotated[
    str | None,
    option(
        "-s, --strategy STRATEGY",
        COMMON,
        "How to choose: a name of --list, or FILE.py for a strategy of your own.",
        default="auto",
        complete=complete_strategy,
    ),
]
Items = Annotated[
    int | None,
    option(
        "-n N",
        COMMON,
        "How many items to choose. With -p cost-col=C, how much they may cost in all.",
        parse=whole_number(),
    ),
]
Chosen = Annotated[
    Path | None,
    option(
        "-o, --out FILE",
        COMMON,
        "Where to write the choice. The extension decides the format.",
        default="stdout",
        parse=path_or_stdout,
    ),
]
List = Annotated[
    bool, option("--list [NAME]", COMMON, "List the strategies, or explain the strategy of a name, and exit.")
]
Mix = Annotated[
    str | None,
    option(
        "--mix NAME:SHARE,...",
        CHOOSING,
        "In place of -s: several strategies, each of which chooses its share, for instance margin:0.8,random:0.2.",
        parse=mix,
    ),
]
Candidates = Annotated[
    str | None,
    option(
        "--candidates M|knn:K",
        CHOOSING,
        "Choose among M random candidates, or among the K nearest neighbours of each labelled item.",
        default="all",
        parse=number_or_knn,
    ),
]
RoundCandidates = Annotated[
    int | None,
    option(
        "--candidates M",
        CHOOSING,
        "Choose among M random candidates, drawn anew in each round. knn:K is for query alone.",
        default="all",
        parse=whole_number(),
    ),
]
Exclude = Annotated[
    list[str] | None,
    option("--exclude FILE", CHOOSING, "Ids to leave out: one a line, or a file with a column id. Can be repeated."),
]
Selections = Annotated[
    Path | None,
    option(
        "--selections LEDGER",
        CHOOSING,
        "A Parquet file of past selections. Their items are left out, and this selection is added.",
    ),
]
Strict = Annotated[bool, option("--strict", CHOOSING, "Fail where fewer than N items are left.")]
Explain = Annotated[
    bool,
    option(
        "--explain",
        OUTPUT,
        "Add columns with the reasons for each choice, see Reasons below.",
    ),
]
Stream = Annotated[
    bool,
    option(
        "--stream",
        UPDATING,
        "One item at a time, see Streams below. -o then names the file of the updated head.",
    ),
]
Keep = Annotated[
    list[str] | None,
    option(
        "--keep C",
        OUTPUT,
        "A column of the pool that travels with the batch, such as the text. Commas part several. Can be repeated.",
    ),
]
PreAnnotate = Annotated[
    bool,
    option(
        "--pre-annotate",
        OUTPUT,
        "Give the labelling tool the prediction of the head as a suggestion, see Items below.",
    ),
]
ItemsFile = Annotated[
    str | None,
    option("--items FILE", OUTPUT, "Take the columns of --keep from this file, which has a column id."),
]
Format = Annotated[
    str | None,
    option(
        f"--format {METAVAR}",
        OUTPUT,
        f"Format of the choice: {', '.join(FORMATS)}, or FILE.py for a format of your own.",
        default="by the extension, else ids",
        complete=complete_format,
    ),
]

# -- a simulation ----------------------------------------------------------------------------------

SimulationFolder = Annotated[
    Path | None,
    option("-o, --out DIR", COMMON, "Folder for tables and pictures. A simulation in it goes on, see More."),
]
Contenders = Annotated[
    list[str] | None,
    option(
        "-s, --strategy STRATEGY",
        COMMON,
        "Strategies to compare with random, separated by commas; can be repeated. [ALIAS=]STRATEGY[+update], "
        "see Strategies below.",
        complete=complete_contender,
    ),
]
Batch = Annotated[
    int | None,
    option(
        "-n N", COMMON, "Items to label in a round. With -p cost-col=C, what a round may cost.", parse=whole_number()
    ),
]
Rounds = Annotated[
    int | None, option("--rounds R", COMMON, "How many rounds of choosing N items.", parse=whole_number())
]
Seeds = Annotated[
    int | None,
    option(
        "--seeds S",
        COMMON,
        "Repetitions, each with test items and first labels of its own.",
        default="10",
        parse=whole_number(),
    ),
]
StrategyParam = Annotated[
    list[str] | None,
    option("-p, --param KEY=VALUE", COMMON, "Set an option of the strategy, see --list NAME. Can be repeated."),
]
ContenderParam = Annotated[
    list[str] | None,
    option(
        "-p, --param [METHOD.]KEY=VALUE",
        COMMON,
        "Set an option of a strategy or of the head (METHOD is head). Without METHOD, of all that know it. "
        "Can be repeated.",
    ),
]
StrategyPreset = Annotated[
    str | None,
    option("--preset", COMPARING, "core adds the strategies that every comparison should have.", choices=("core",)),
]
Mixes = Annotated[
    list[str] | None,
    option(
        "--mix [ALIAS=]NAME:SHARE,...",
        COMPARING,
        "A mix to compare: several strategies, each of which chooses its share, for instance margin:0.8,random:0.2. "
        "Can be repeated.",
    ),
]
Initial = Annotated[
    int | None,
    option(
        "--initial M",
        COMPARING,
        "Random items that are labelled at the start. Where all are of one class, the last makes room for one of "
        "another class. With -p cost-col=C it must be given.",
        default="N",
        parse=whole_number(),
    ),
]
Stratified = Annotated[bool, option("--stratified", COMPARING, "Take the classes in turn for the first labels.")]
TestFraction = Annotated[
    float | None,
    option(
        "--test-fraction F",
        COMPARING,
        "Share of the items that strategies are measured on.",
        default="items whose split is test, else 0.2",
        parse=number(),
    ),
]
FullData = Annotated[
    bool,
    option(
        "--full-data",
        COMPARING,
        "Also fit the head to every label, and say how many labels each strategy needs for 80% and 90% of that value.",
    ),
]
Metric = Annotated[
    str | None,
    option(
        "--metric NAME|FILE.py",
        COMPARING,
        "Compare by this metric of the test items, see Metrics below.",
        default="accuracy; balanced_accuracy for uneven classes; rmse for numbers",
        complete=complete_metric,
    ),
]
TrainWeights = Annotated[
    bool,
    option(
        "--train-weights", COMPARING, "Train heads with the weights that a strategy gives its items, if it gives any."
    ),
]
Study = Annotated[
    str | None,
    option(
        "--study",
        COMPARING,
        "In place of strategies, compare ways to absorb new labels with retraining.",
        choices=("updates",),
    ),
]
Jobs = Annotated[
    int | None,
    option(
        "--jobs J",
        COMPARING,
        "Processes. The results do not depend on their number.",
        parse=whole_number(1),
        default="1, on Ray all free processors",
    ),
]
