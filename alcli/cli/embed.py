"""`alcli embed`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from alcli import plugins
from alcli.cli import options as o
from alcli.cli.console import console


def _complete_model(incomplete: str) -> list[str]:
    return [f"{n}:" for n in plugins.names("embedders") if n.startswith(incomplete)]


SourceArgument = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="CSV, TSV, JSON Lines, Parquet, .npy, or a folder of images or text files.", show_default=False)
]
Model = Annotated[
    str, typer.Option("-m", "--model", metavar="MODEL", help="The upstream model, see below.", autocompletion=_complete_model, show_default=False)
]
Out = Annotated[
    Path,
    typer.Option("-o", "--out", metavar="POOL", help="Pool to write: one file if it ends in .parquet, else a folder of files.", show_default=False),
]
InputCol = Annotated[Optional[str], typer.Option("--input-col", metavar="C", help="Column of inputs.  [default: found by its name]", show_default=False)]
IdCol = Annotated[Optional[str], typer.Option("--id-col", metavar="C", help="Column of ids.  [default: id, else row numbers]", show_default=False)]
LabelCol = Annotated[
    Optional[str],
    typer.Option("--label-col", metavar="C", help="Column kept as label; 'folder' for a folder of files.  [default: label]", show_default=False),
]
Keep = Annotated[Optional[list[str]], typer.Option("--keep", metavar="COL", help="Keep this column too; can be repeated.", show_default=False)]
Layer = Annotated[
    Optional[str],
    typer.Option("--layer", metavar="L", help="Activation to keep: module name (torch, timm), tensor (onnx), block (transformers).", show_default=False),
]
BatchSize = Annotated[int, typer.Option("--batch-size", metavar="N", min=1, help="Items that go through the model together.")]
Dtype = Annotated[str, typer.Option("--dtype", metavar="float32|float16", help="Precision of the stored features.")]
Normalize = Annotated[bool, typer.Option("--normalize", help="Scale every vector to unit length.")]
Device = Annotated[str, typer.Option("--device", metavar="D", help="auto, cpu, cuda, cuda:1 ...")]
RowsPerFile = Annotated[
    Optional[int], typer.Option("--rows-per-file", metavar="N", min=1, help="Write a folder of files of N rows.  [default: about 256 MiB]", show_default=False)
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue a run that was interrupted, without computing finished rows again.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out items that cannot be read, and say which.")]


def embed(
    source: SourceArgument,
    model: Model,
    out: Out,
    input_col: InputCol = None,
    id_col: IdCol = None,
    label_col: LabelCol = None,
    keep: Keep = None,
    hive: o.Hive = False,
    layer: Layer = None,
    param: o.Parameters = None,
    batch_size: BatchSize = 32,
    dtype: Dtype = "float32",
    normalize: Normalize = False,
    device: Device = "auto",
    rows_per_file: RowsPerFile = None,
    resume: Resume = False,
    skip_bad: SkipBad = False,
    force: o.Force = False,
    lock_timeout: o.LockTimeout = 0.0,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    json: o.Json = False,
) -> None:
    """Run an upstream model once over texts, images or arrays, and keep its features as a pool.

    \b
    Models:
      hashing:DIM                          words and character n-grams of texts; needs no weights
      sentence-transformers:NAME_OR_PATH   sentence encoders
      transformers:NAME_OR_PATH            text models, mean over tokens (-p pooling=cls: first token)
      timm:NAME                            image models
      torch:FILE, onnx:FILE                your model (torch.export .pt2 or TorchScript; ONNX)
      python:package.module:factory        any function from a batch to an array
      identity                             vectors that exist already, such as a .npy file

    \b
    Example:
      alcli embed sample_data/digits.parquet -m torch:sample_data/digits-encoder.pt2 --layer features -o pool.parquet

    Next: alcli query POOL -s random -n 10 chooses the first items to label.
    """
    from alcli.data.sources.base import Asked
    from alcli.workflows.embed.request import EmbedOptions
    from alcli.workflows.embed.run import embed as run

    with console(quiet=quiet, verbose=verbose, as_json=json) as talk:
        options = EmbedOptions(
            source=source,
            model=model,
            output=out,
            columns=Asked(input_col, id_col, label_col, tuple(keep or ()), hive),
            layer=layer,
            batch_size=batch_size,
            dtype=o.check_choice(dtype, ("float32", "float16"), "--dtype"),
            normalize=normalize,
            device=device,
            rows_per_file=rows_per_file,
            resume=resume,
            skip_bad=skip_bad,
            force=force,
            lock_timeout=lock_timeout,
            parameters=o.key_values(param),
        )
        with talk.progress() as bar:
            done = run(options, bar, talk.remark)
        talk.report(done.facts())
