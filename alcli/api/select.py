"""`alcli.select`: choose the items of a pool to label next."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from alcli.api.fitted import HeadLike, given_head
from alcli.api.inputs import IdsLike, LabelsLike, Options, PathLike, id_rows, label_rows, path, texts, whole
from alcli.api.pool import PoolLike, items_of
from alcli.api.session import session
from alcli.data.formats import encode, format_of
from alcli.engine.named import engine
from alcli.errors import UsageError
from alcli.numerics.teams import using
from alcli.remarks import Note
from alcli.selection.outside import checked
from alcli.selection.strategy import Strategy, declared_by
from alcli.workflows.query.batch import query
from alcli.workflows.query.request import Query
from alcli.workflows.recipe import prior_of


@dataclass(frozen=True, eq=False)
class SelectedItems:
    """The items that were chosen, the first choice first.

    columns: the columns of `alcli query -o`, lists of equal length: id, rank, score, strategy; predicted and
        confidence where a head predicts classes; predicted and sd where it predicts numbers; weight where the
        strategy gives weights.
    report: the numbers of candidates, labelled and selected items.
    text_ids: True where ids are strings.
    """

    columns: dict[str, list[Any]]
    report: Mapping[str, Any]
    text_ids: bool

    @property
    def ids(self) -> list[Any]:
        """The ids: strings or integers, as the pool has them."""
        return self.columns["id"]

    @property
    def scores(self) -> list[float]:
        """The score that each item had when it was chosen."""
        return self.columns["score"]

    def to_arrow(self) -> Any:
        """The columns as a pyarrow.Table, with the types of a Parquet file that `alcli query -o` writes."""
        return pq.read_table(io.BytesIO(encode(self.columns, "parquet", {}, text_ids=self.text_ids)))

    def __len__(self) -> int:
        return len(self.ids)


def select(
    pool: PoolLike,
    n: int,
    *,
    strategy: str | Callable[..., Any] = "auto",
    head: HeadLike | None = None,
    labels: LabelsLike | None = None,
    prior: str = "auto",
    class_names: PathLike | None = None,
    exclude: IdsLike | None = None,
    selections: PathLike | None = None,
    options: Options | None = None,
    candidates: int | str | None = None,
    seed: int = 0,
    strict: bool = False,
    ignore_unknown: bool = False,
    corrections: bool = False,
    none_label: str | None = None,
    normalize_labels: bool = False,
    explain: bool = False,
    test_labels: LabelsLike | None = None,
    out: PathLike | None = None,
    lock_timeout: float = 0.0,
    workers: int = 1,
    note: Note | None = None,
) -> SelectedItems:
    """Choose n items of a pool to label next, as `alcli query` does.

    Labelled items and test rows are never chosen.

    pool: a path, an array, a table or the result of `alcli.pool`.
    n: the number of items; with the option cost-col the budget.
    strategy: a name as on the command line, also a pair such as `grad/kmeanspp` or a mix such as
        `margin:0.8,random:0.2`; or a function with the decorator `alcli.selection.pointwise` or `batch`.
    head: a head, or its file; None fits a head to the labels if the strategy needs one.
    labels: as for `fit_head`; None takes the pool's own labels.
    prior, class_names: of the head that is fitted, as for `fit_head`.
    exclude: a file of ids, or ids, that are not chosen.
    selections: a Parquet file of past selections, which are not chosen again; this selection is appended under
        the file's lock. lock_timeout: seconds to wait for the lock.
    options: of the strategy, by name.
    candidates: choose among so many random candidates, or among the K nearest neighbours of each labelled item
        with "knn:K".
    seed: of every random draw.
    strict: raise DataError when fewer than n items are left.
    ignore_unknown: leave out labels of ids that the pool does not have.
    corrections: the last label of an id in a file counts; without it, two different labels are an error.
    none_label: the label of items that belong to no class; None takes that of the head.
    normalize_labels: classes whose names look alike are one; a head that remembers it needs no word.
    explain: add columns with the reasons for each choice, as --explain does.
    test_labels: labels of rows that become test rows, as for `fit_head`.
    out: also write the selection to this file, in the format of its extension.
    workers: processes that share the rows; the picks are the same. A script that asks for several must call `select`
        below `if __name__ == "__main__":`.
    note: is told each remark; None makes warnings.

    Raises any of `alcli.errors`.

    >>> import alcli
    >>> pool = alcli.pool("sample_data/digits-features.parquet")
    >>> head = alcli.fit_head(pool, "sample_data/digits-labels.csv")
    >>> batch = alcli.select(pool, 3, strategy="margin", head=head)
    >>> batch.ids
    ['digit-0421', 'digit-1753', 'digit-1186']
    >>> list(batch.columns)
    ['id', 'rank', 'score', 'strategy', 'predicted', 'confidence']
    """
    name, declared = _strategy(strategy)
    names = None if class_names is None else os.fspath(class_names)
    ask = Query(
        name,
        whole(n, "n", 1),
        whole(seed, "seed"),
        texts(options),
        label_rows(labels),
        None if head is None else given_head(head),
        id_rows(exclude, "exclude"),
        path(selections),
        candidates if candidates is None or isinstance(candidates, str) else whole(candidates, "candidates", 1),
        strict,
        ignore_unknown=ignore_unknown,
        corrections=corrections,
        lock_timeout=lock_timeout,
        declared=declared,
        prior=prior_of(prior, names) if prior != "auto" or names is not None else None,
        class_names=names,
        explain=explain,
        none_label=none_label,
        test_labels=label_rows(test_labels),
        normalize=normalize_labels,
    )
    target = path(out)
    # What goes to no file is encoded as JSON Lines, which take every id.
    format = "jsonl" if target is None else format_of(target, None)
    made = engine("local", whole(workers, "workers", 1))
    with session(note) as remark, made as found, using(found):
        items = items_of(pool, remark)
        answer = query(items, ask, out=target, format=format, emit=lambda data: None, note=remark)
    return SelectedItems(answer.table, answer.report, items.ids.is_text)


def _strategy(strategy: str | Callable[..., Any]) -> tuple[str, Strategy | None]:
    """(name, the strategy that a function declares). Raises UsageError for a function without a decorator."""
    if isinstance(strategy, str):
        return strategy, None
    name = getattr(strategy, "__name__", type(strategy).__name__)
    try:
        declared = declared_by(strategy)
    except AttributeError:
        hint = "decorate the function with alcli.selection.pointwise or alcli.selection.batch"
        raise UsageError(f"'{name}' declares no strategy", hint=hint) from None
    name = name.replace("_", "-")
    return name, checked(declared, f"strategy '{name}'")
