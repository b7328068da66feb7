"""`alcli query`: choose which items of a pool to label next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alcli import plugins
from alcli.arrays import Array, Floats, Int64
from alcli.data.atomic import check_creatable, lock, replacing
from alcli.data.head_file import HeadFile, load_head
from alcli.data.head_match import check_pool, rows_of_hashes
from alcli.data.labels import read_labels
from alcli.data.pool import Pool
from alcli.data.selection_file import Table, append_to_ledger, check_ledger, encode, read_ledger
from alcli.data.tables import read_ids
from alcli.errors import DataError, UsageError, printable
from alcli.numerics.hashing import uniforms
from alcli.strategies._contract import HEAD_NEEDS, Selection, Strategy, select
from alcli.strategies._modifiers import modified
from alcli.strategies._view import View
from alcli.workflows.costs import costs_of, select_within
from alcli.workflows.fit_head import fit_labelled
from alcli.workflows.impute import HOW, impute_batch
from alcli.workflows.items import Items, about_pool, check_options, refuse_groups
from alcli.workflows.labelled import LabelledRows, gather
from alcli.workflows.recipe import Recipe

IMPUTE = "impute"
TARGETS = "targets"
COST = "cost-col"
_CANDIDATE_STREAM = 1
_LARGEST_POSTERIOR = 8192


@dataclass(frozen=True)
class Query:
    """What is asked: a strategy with its `-p` options as text, how many items, and what to leave out."""

    strategy: str
    n: int
    seed: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Sequence[str] = ()
    head: Path | None = None
    exclude: Sequence[str] = ()
    ledger: Path | None = None
    candidates: int | None = None
    strict: bool = False
    allow_empty: bool = False
    ignore_unknown: bool = False
    lock_timeout: float = 0.0
    stream: bool = False

    @property
    def absorbs(self) -> bool:
        """Whether the head takes labels in while items are being chosen."""
        return self.stream or self.impute is not None

    @property
    def impute(self) -> str | None:
        """How labels are made up between the picks of a batch; None to choose the batch at once. An option of every strategy."""
        return self.options.get(IMPUTE)

    @property
    def targets(self) -> str | None:
        """The pool of rows whose predictions matter, for strategies that ask for them; None for the candidates themselves."""
        return self.options.get(TARGETS)

    @property
    def cost_column(self) -> str | None:
        """The column of what items cost, in whose units n is; None to count items. An option of every strategy."""
        return self.options.get(COST)

    def checked(self) -> tuple[Strategy, dict[str, Any]]:
        """The strategy and its parsed options. Raises UsageError before any data is read."""
        strategy = plugins.strategy(self.strategy)
        ours = {IMPUTE, COST, TARGETS} if "targets" in strategy.needs else {IMPUTE, COST}
        own = {key: text for key, text in self.options.items() if key not in ours}
        options = plugins.parse_options(strategy.declared, own, f"strategy '{self.strategy}'")
        if self.impute is not None and self.impute not in HOW:
            raise UsageError(f"parameter '{IMPUTE}' must be one of {', '.join(HOW)}, got '{self.impute}'", hint=plugins.suggestion(self.impute, HOW))
        if self.impute is not None and self.targets is not None:
            raise UsageError(f"-p {TARGETS} does not go with -p {IMPUTE}", hint="choose the batch at once, without it")
        if self.absorbs and self.cost_column is not None:
            raise UsageError(f"-p {COST} spends a budget on a batch, {'--stream' if self.stream else f'-p {IMPUTE}'} asks for one item at a time", hint="leave one of them out")
        if self.n < 1:
            raise UsageError(f"-n must be at least 1, got {self.n}")
        if self.candidates is not None and self.candidates < 1:
            raise UsageError(f"--candidates must be at least 1, got {self.candidates}")
        if [*self.labels, *self.exclude].count("-") > 1:
            raise UsageError("'-' is given twice, standard input can be read once")
        if self.ledger is not None:
            check_ledger(self.ledger)
        return modified(strategy, options)


@dataclass
class Answer:
    """The selection as a table, and what to tell the user."""

    table: Table
    notes: list[str]
    report: dict[str, Any]


def query(pool: Pool, ask: Query, *, out: Path | None, format: str, emit: Callable[[bytes], None]) -> Answer:
    """Select, write to `out` (or hand the bytes to `emit`), and append to the ledger under its lock. Raises every AlcliError.

    The ledger is renamed into place just before the output is, so an id is never given out without being remembered.
    """
    strategy, options = ask.checked()
    read: list[str | Path] = [*pool.paths, *ask.labels, *ask.exclude, *filter(None, [ask.head])]
    if out is not None:
        check_creatable(out, inputs=[*read, *filter(None, [ask.ledger])])
    with ExitStack() as held:
        if ask.ledger is not None:
            check_creatable(ask.ledger, inputs=read)
            held.enter_context(lock(ask.ledger, ask.lock_timeout))
        before = read_ledger(ask.ledger) if ask.ledger is not None else []
        answer = _answer(pool, ask, strategy, options, [row["id"] for row in before])
        about = {"format": 1, "strategy": ask.strategy, "seed": ask.seed, "options": dict(ask.options), "pool": answer.report["pool"]}
        text_ids = Items(pool).ids.is_text
        data = encode(answer.table, format, about, text_ids=text_ids)
        with replacing(out) if out is not None else nullcontext() as file:
            if file is not None:
                file.write(data)
            if ask.ledger is not None and answer.table["id"]:
                append_to_ledger(ask.ledger, before, answer.table, text_ids=text_ids)
        if out is None:
            emit(data)
    return answer


@dataclass(frozen=True)
class Situation:
    """What a query is answered from. head: None where none is given or needed. labelled: rows. candidates: items.

    labels: of the labelled rows, class numbers of the head or targets; None where the strategy does not look at them.
    notes: remarks for the user so far, to be added to.
    """

    items: Items
    head: HeadFile | None
    labelled: Int64
    labels: Array | None
    candidates: Int64
    notes: list[str]


def situation(pool: Pool, ask: Query, strategy: Strategy, in_ledger: Sequence[Any]) -> Situation:
    """The head, the labelled rows and the items that may be chosen. in_ledger: ids that were given out before."""
    if not ask.allow_empty:
        pool.require_rows()
    check_options(pool, ask.options)
    items = Items(pool)
    notes = list(pool.notes)
    head, labelled_rows, labels = _head_and_labels(pool, ask, strategy, notes)
    if head is not None and ask.head is not None and pool.n:
        notes += check_pool(head, printable(ask.head), pool)
    if pool.is_bad.any():
        notes.append(f"{pool.is_bad.sum()} rows without a usable vector were left out")
    notes += items.notes(labelled_rows)
    closed_N = pool.is_test.copy()
    closed_N[labelled_rows] = True
    candidates = items.left(closed_N, _excluded(items, ask, in_ledger, notes))
    return Situation(items, head, labelled_rows, labels, _reduced(items, candidates, ask, notes), notes)


def _answer(pool: Pool, ask: Query, strategy: Strategy, options: dict[str, Any], in_ledger: Sequence[Any]) -> Answer:
    now = situation(pool, ask, strategy, in_ledger)
    items, head, labelled_rows, candidates, notes = now.items, now.head, now.labelled, now.candidates, now.notes
    if ask.impute is None:
        view = items.view(candidates, labelled_rows, None if head is None else head.model, targets=_targets(pool, ask), labels=now.labels)
        selection, imputed = _selected(pool, items, ask, strategy, view, options), None
    else:
        selection, imputed = _imputed(pool, now, strategy, ask, options)
        notes.append(f"the batch was chosen as if its items had the labels in column 'imputed', which the model made up (impute={ask.impute}); nobody gave them")
    notes += selection.notes
    notes.extend(note for note in pool.notes if note not in notes)  # what reading the features brought up
    if ask.cost_column is None:
        note_shortage(len(selection.rows_K), ask, notes)
    if len(labelled_rows) and not len(candidates) and ask.head is None and not ask.labels:
        notes.append(f"the pool labels these rows itself, in column '{pool.label_column}'; to begin without labels, give -l a file with just the line id,label")
    report = {"pool": about_pool(pool), "candidates": len(candidates), "labelled": len(np.unique(items.of_rows(labelled_rows))), "selected": len(selection.rows_K)} | dict(selection.record)
    table = _table(items, ask, selection, head)
    return Answer(table if imputed is None else table | {"imputed": imputed}, notes, report)


def _selected(pool: Pool, items: Items, ask: Query, strategy: Strategy, view: View, options: dict[str, Any]) -> Selection:
    """So many items, or what the budget buys."""
    if ask.cost_column is None:
        return select(strategy, view, ask.n, seed=ask.seed, options=options)
    return select_within(strategy, ask.strategy, view, ask.n, costs_of(pool, items, ask.cost_column), seed=ask.seed, options=options)


def _imputed(pool: Pool, now: Situation, strategy: Strategy, ask: Query, options: dict[str, Any]) -> tuple[Selection, list[Any]]:
    """A batch chosen one by one under made-up labels, and these."""
    refuse_groups(pool, f"-p {IMPUTE} chooses rows one at a time")
    head = now.head
    if head is None or head.classes is None:
        raise UsageError(f"-p {IMPUTE} makes up labels from class probabilities, {'there is no head' if head is None else 'the head is a regression'}", hint="give a classification head with -H")
    selection, classes = impute_batch(
        pool, now.candidates, now.labelled, head.model, strategy, ask.n, how=str(ask.impute), seed=ask.seed, options=options, labels=now.labels
    )
    return selection, [typed_class(head.classes[c], head.class_type) for c in classes]


def _targets(pool: Pool, ask: Query) -> Floats | None:
    """The features of the rows that the user named as targets. Raises DataError when there are none, or of another length."""
    if ask.targets is None:
        return None
    named = pool.read_alike(ask.targets)
    named.require_rows()
    if named.dim != pool.dim:
        raise DataError(f"{named.name}: its features have length {named.dim}, those of {pool.name} {pool.dim}", hint="targets need features of the same model")
    return named.take(np.flatnonzero(~named.is_bad))


def _head_and_labels(pool: Pool, ask: Query, strategy: Strategy, notes: list[str]) -> tuple[HeadFile | None, Int64, Array | None]:
    """The head to ask, fitted now when none is given but needed; the rows that need no label any more, and their labels if looked at."""
    head = load_head(ask.head) if ask.head is not None else None
    if head is None:
        labelled = gather(pool, ask.labels, ignore_unknown=ask.ignore_unknown)
        notes.extend(labelled.notes)
        if strategy.needs_head and not (strategy.cold and _too_few(labelled)):
            head = _fitted_now(pool, ask, strategy, labelled, notes)
            notes.append(f"fitted a {head.model.head.kind} head on {len(labelled.rows_L)} labels")
        looked_at = head is not None and "labelled_targets" in strategy.needs
        return head, labelled.rows_L, labelled.labels.arrays(labelled.classes)[0] if looked_at else None
    if strategy.needs_classes and head.classes is None:
        raise UsageError(f"strategy '{ask.strategy}' needs class probabilities, the head {printable(ask.head)} is a regression", hint=_without_head())
    if strategy.needs_posterior and head.model.posterior is None:
        raise UsageError(f"strategy '{ask.strategy}' looks at the posterior, the head {printable(ask.head)} has none", hint="fit it with --posterior laplace")
    if ask.absorbs and (head.model.posterior is None or not head.model.posterior.absorbs):
        raise UsageError(f"the head {printable(ask.head)} has no posterior that absorbs labels one at a time", hint="fit it with --posterior laplace")
    known = rows_of_hashes(head.absorbed.id_L, pool.ids.hashes())
    in_pool = known >= 0
    known, labels = known[in_pool], head.absorbed.label_L[in_pool]
    if ask.labels:
        said = read_labels(ask.labels, pool.ids, regression=head.classes is None, ignore_unknown=ask.ignore_unknown, groups=pool.groups)
        notes.extend(said.notes)
        said_rows = pool.ids.rows_of(list(said.by_id))
        before = ~np.isin(known, said_rows)
        if "labelled_targets" in strategy.needs:
            labels = np.concatenate([labels[before], said.arrays(head.classes)[0]])
        known = np.concatenate([known[before], said_rows])
    return head, known, labels if "labelled_targets" in strategy.needs else None


def _too_few(labelled: LabelledRows) -> bool:
    """Whether no head can be fitted yet."""
    return len(labelled.labels) == 0 or (not labelled.regression and len(labelled.labels.classes()) < 2)


def _fitted_now(pool: Pool, ask: Query, strategy: Strategy, labelled: LabelledRows, notes: list[str]) -> HeadFile:
    if not len(labelled.labels):
        raise DataError(f"strategy '{ask.strategy}' needs a head or labels, there are none", hint=f"give -H or -l; -s auto begins without labels; {_without_head()}")
    if labelled.regression and strategy.needs_classes:
        raise UsageError(f"strategy '{ask.strategy}' needs class probabilities, the labels are numbers", hint=_without_head())
    if not labelled.regression and len(labelled.labels.classes()) < 2:
        raise DataError(f"strategy '{ask.strategy}' needs a head, and a head needs 2 classes; the {len(labelled.labels)} labels show one", hint=_without_head())
    calibrate = "temperature" if "trained_log_probs" in strategy.needs and not labelled.regression else "none"
    if pool.dim <= _LARGEST_POSTERIOR or strategy.needs_posterior:
        return fit_labelled(pool, labelled, Recipe(posterior="laplace" if ask.absorbs else strategy.posterior, calibrate=calibrate)).head
    notes.append(f"D={pool.dim} is too large for a covariance of D x D, so the confidence is that of the weights alone")
    return fit_labelled(pool, labelled, Recipe(posterior="none", calibrate=calibrate)).head


def _without_head() -> str:
    names = [n for n in plugins.names("strategies") if not HEAD_NEEDS.intersection(plugins.summary("strategies", n).needs)]
    return f"strategies that need no head: {', '.join(names)}"


def _excluded(items: Items, ask: Query, in_ledger: Sequence[Any], notes: list[str]) -> Int64:
    ids = [items.ids.parse(row.values["id"], row.where, from_text=row.from_text) for path in ask.exclude for row in read_ids(path)]
    ids += [items.ids.parse(id, f"{printable(ask.ledger)}: row {row}", from_text=False) for row, id in enumerate(in_ledger)]
    found = items.ids.rows_of(ids)
    if (found < 0).any():
        notes.append(f"{(found < 0).sum()} ids to leave out are not in the pool")
    return found[found >= 0]


def _reduced(items: Items, candidates: Int64, ask: Query, notes: list[str]) -> Int64:
    """At most --candidates of the items, drawn by a hash of seed and id, so that files and their order do not matter."""
    if ask.candidates is None or ask.candidates >= len(candidates):
        return candidates
    draws = uniforms(items.source.row_keys(candidates), ask.seed, _CANDIDATE_STREAM)
    notes.append(f"chose among {ask.candidates} random candidates of {len(candidates)}")
    return np.sort(candidates[np.argsort(draws, kind="stable")[: ask.candidates]])


def note_shortage(selected: int, ask: Query, notes: list[str]) -> None:
    if selected == ask.n:
        return
    what = "nothing is left to select" if selected == 0 else f"only {selected} of {ask.n} items are left to select"
    if ask.strict:
        raise DataError(what, hint="without --strict what is left is returned")
    notes.append(what)


def _table(items: Items, ask: Query, selection: Selection, head: HeadFile | None) -> Table:
    table: Table = {
        "id": items.ids.arrow(selection.rows_K).to_pylist(),
        "rank": list(range(len(selection.rows_K))),
        "score": [shortest(s) for s in selection.scores_K],
        "strategy": [ask.strategy] * len(selection.rows_K),
    }
    if selection.weights_K is not None:
        table["weight"] = [shortest(w) for w in selection.weights_K]
    if head is not None and head.classes is not None:
        log_probs = items.predictive(head.model, selection.rows_K, selection.features_KD)
        best = log_probs.argmax(axis=1)
        table["predicted"] = [typed_class(head.classes[c], head.class_type) for c in best]
        table["confidence"] = [shortest(np.float32(np.exp(v))) for v in log_probs.max(axis=1)]
    return table


def shortest(value: Array | np.float32) -> float:
    """A float32 as the Python float with the shortest text that reads back to the same float32."""
    return float(str(np.float32(value)))


def typed_class(name: str, class_type: str) -> str | int | bool:
    """A class as it is written in typed files."""
    return int(name) if class_type == "integer" else name == "true" if class_type == "boolean" else name
