"""`alcli.predict`: the predictions of a head for the items of a pool, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from alcli.api.fitted import HeadLike, given_head
from alcli.api.inputs import PathLike, path
from alcli.api.pool import PoolLike, items_of
from alcli.api.session import session
from alcli.data.row_formats import flat, flat_schema, row_format_of
from alcli.data.writing.atomic import replacing
from alcli.remarks import NoProgress, Note
from alcli.workflows.predict.run import PredictRequest, planned


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions for the items of a pool, in its order.

    table: a pyarrow.Table with the columns and types of a Parquet file that `alcli predict -o` writes: id, predicted;
        confidence where a head predicts classes, sd where it predicts numbers; variance and a column p:NAME for each
        class where they are asked for.
    report: the numbers of labelled and predicted items.
    """

    table: Any
    report: Mapping[str, Any]

    @property
    def ids(self) -> list[Any]:
        """The ids: strings or integers, as the pool has them."""
        return self.columns["id"]

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The columns as lists of equal length."""
        found: dict[str, list[Any]] = self.table.to_pydict()
        return found

    def to_arrow(self) -> Any:
        """The columns as a pyarrow.Table."""
        return self.table

    def __len__(self) -> int:
        return len(self.table)


def predict(
    pool: PoolLike,
    head: HeadLike,
    *,
    probs: bool = False,
    variance: bool = False,
    labelled: str = "keep",
    out: PathLike | None = None,
    note: Note | None = None,
) -> Predictions:
    """Predict the class or the number of every item of a pool, as `alcli predict` does.

    `head.predict` and `head.predict_proba` return bare arrays, and take bare features.
    Memory: the predictions; the command writes them without holding them.

    pool: a path, an array, a table or the result of `alcli.pool`; it may have no rows.
    head: a head, or its file.
    probs: with the probability of each class. variance: with the posterior variance of the predicted class's logit.
    labelled: "drop" leaves out the items whose labels the head has absorbed.
    out: also write the predictions to this file, in the format of its extension.
    note: is told each remark; None makes warnings.

    Raises any of `alcli.errors`.

    >>> import alcli
    >>> pool = alcli.pool("sample_data/digits-features.parquet")
    >>> head = alcli.fit_head(pool, "sample_data/digits-labels.csv")
    >>> found = alcli.predict(pool, head)
    >>> found.columns["predicted"][:3], len(found)
    (['0', '1', '2'], 1797)
    """
    ask = PredictRequest(given_head(head), probs, variance, labelled, allow_empty=True)
    target = path(out)
    shape = row_format_of(target, None)
    with session(note) as remark:
        items = items_of(pool, remark)
        found = planned(items, ask, remark, out=target)
        batches = list(found.batches(NoProgress()))
        if target is not None:
            with replacing(target) as file:
                file.writelines(found.encoded(batches, shape))
    schema = flat_schema(found.schema)
    return Predictions(pa.Table.from_batches(map(flat, batches), schema), found.report)
