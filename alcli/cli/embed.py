"""`alcli embed`."""

from __future__ import annotations

from alcli.cli.options import engines, general, pools, upstream
from alcli.cli.options.declare import spread
from alcli.cli.options.values import key_values


@spread
def embed(
    source: pools.SourcePath,
    model: upstream.ModelName,
    out: upstream.NewPool,
    input_col: pools.InputCol = None,
    features_cols: pools.FeaturesCols = None,
    id_col: pools.SourceIdCol = None,
    ids: pools.IdsFile = None,
    label_col: pools.SourceLabelCol = None,
    keep: pools.Keep = None,
    hive: pools.Hive = False,
    skip_bad: pools.SkipBad = False,
    layer: upstream.Layer = None,
    param: upstream.ModelParam = None,
    batch_size: upstream.BatchSize = 32,
    device: upstream.Device = "auto",
    dtype: upstream.Dtype = "float32",
    normalize: upstream.Normalize = False,
    standardize: upstream.Standardize = False,
    standardize_like: upstream.StandardizeLike = None,
    rows_per_file: upstream.RowsPerFile = None,
    resume: upstream.Resume = False,
    force: general.Force = False,
    lock_timeout: general.LockTimeout = 0.0,
    *,
    running: engines.EmbedEngineOptions,
    talk: general.TalkOptions,
) -> None:
    r"""Run an upstream model once over texts, images or arrays, and keep its features as a pool.

    The pool is what the other commands work on; the model is not needed again. The next step is
    `alcli query POOL -s random -n 10`, which chooses the first items to label.

    Example:
        alcli embed sample_data/digits.parquet -o pool.parquet \
          -m torch:sample_data/digits-encoder.pt2 --layer features

    Columns of a table:
      Features in different units, such as years and prices, need one scale. Later rows get the scale of the first:
        alcli embed sample_data/digits-features.parquet -m identity \
          --standardize -o standard.parquet
        alcli embed sample_data/digits-features.parquet -m identity \
          --standardize-like standard.parquet -o later.parquet

    Vectors that you have:
      -m identity takes vectors in .npy, .npz, HDF5, Arrow and Feather files, folders of Lance, of Hugging Face datasets
      and of clip-retrieval, wide columns (--features-cols 'emb_*'), and text such as [0.1, 0.2]. --ids FILE:COLUMN
      gives ids to rows that have none. FILE.npz:NAME names an array. -p unpack=true makes each bit of a byte a value.
        alcli embed sample_data/digits-features.parquet -m identity \
          --dtype float16 -o half.parquet

    Models:
        hashing:DIM                  words and parts of words of texts; no weights
        sentence-transformers:NAME   sentence encoders, by name or folder
        transformers:NAME            text models, by name or folder; the mean over
                                     tokens, or the first (-p pooling=cls)
        timm:NAME                    image models
        torch:FILE                   your model, saved by torch.export (.pt2)
        onnx:FILE                    your model in ONNX
        python:package.module:NAME   the function that package.module.NAME returns,
                                     from a batch to an array
        identity                     vectors that exist already, as in a .npy file
    """
    from alcli.data.sources.base import Asked
    from alcli.workflows.embed.request import EmbedOptions
    from alcli.workflows.embed.run import embed as run

    with talk.console() as console:
        options = EmbedOptions(
            source=source,
            model=model,
            output=out,
            columns=Asked(input_col, id_col, label_col, tuple(keep or ()), hive, ids, tuple(features_cols or ())),
            layer=layer,
            batch_size=batch_size,
            dtype=dtype,
            standardize=standardize,
            standardize_like=standardize_like,
            normalize=normalize,
            device=device,
            rows_per_file=rows_per_file,
            resume=resume,
            skip_bad=skip_bad,
            force=force,
            lock_timeout=lock_timeout,
            parameters=key_values(param),
        )
        running.checked()
        with console.progress() as progress, running.started(running.workers, str(out.parent)):
            done = run(options, progress, console.remark)
        console.report(done.facts())
