"""A query as the user asks for it, and the checks that need no data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alcli import parsing, plugins
from alcli.composition.modifiers import modified
from alcli.data.head_file import HeadFile
from alcli.data.ledger.entries import check_ledger
from alcli.data.text.rows import RowSource, paths_of
from alcli.errors import UsageError, printable, suggestion
from alcli.live.impute import HOW
from alcli.selection.strategy import Strategy
from alcli.workflows.recipe import PLAIN, Recipe, check_names

IMPUTE = "impute"
AUTO = "auto"
TARGETS = "targets"
COST = "cost-col"
# The question of a labelling tool that suggestions answer, unless the user names another.
QUESTION = "label"
# Options that choose among items, which an audit must not: it is drawn from all of them.
_CHOICES = ("prefilter", "balance", IMPUTE, COST)


_KNN = "knn:"


def neighbours_in(text: str) -> int:
    """K of the text knn:K. Raises UsageError for another text."""
    number = text.removeprefix(_KNN)
    if not text.startswith(_KNN) or not number.isdecimal() or int(number) < 1:
        raise UsageError(f"--candidates takes a number, or knn:K with K of at least 1, got '{printable(text)}'")
    return int(number)


@dataclass(frozen=True)
class Query:
    """A strategy with its `-p` options as text, the number of items, and the ids to leave out.

    strategy: a name. declared: the strategy of that name where a Python function declares it; None looks the name up.
    head: a file, or a head in memory. prior, class_names: of a head that is fitted, as in `fit_head`. corrections: the
    last label of an id in a file counts. polish: of a stream, auto or none.
    candidates: the number of random candidates, or knn:K for the K nearest of each labelled item; None takes all.
    keep: columns of the pool, or of the file `items`, that travel with the batch.
    explain: the batch gets columns with the reasons for each choice. none_label: the label of items that belong to no
    class; None takes the head's own. test_labels: labels of items that are test rows. normalize: classes that look
    alike are one. conflicts: the file for a table of items with several labels.
    question: of the labelling tool, which gets the prediction as a suggestion; None suggests nothing.
    """

    strategy: str
    n: int
    seed: int = 0
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Sequence[RowSource] = ()
    head: Path | HeadFile | None = None
    exclude: Sequence[RowSource] = ()
    ledger: Path | None = None
    candidates: int | str | None = None
    strict: bool = False
    allow_empty: bool = False
    ignore_unknown: bool = False
    lock_timeout: float = 0.0
    stream: bool = False
    expect_sha256: str | None = None
    declared: Strategy | None = None
    prior: str | None = None
    class_names: str | None = None
    corrections: bool = False
    polish: str = AUTO
    explain: bool = False
    keep: Sequence[str] = ()
    items: str | None = None
    none_label: str | None = None
    test_labels: Sequence[RowSource] = ()
    normalize: bool = False
    conflicts: Path | None = None
    question: str | None = None

    @property
    def found(self) -> Strategy:
        """The strategy. Raises UsageError with the nearest names when none has the name."""
        return plugins.strategy(self.strategy) if self.declared is None else self.declared

    @property
    def label(self) -> str:
        """The strategy's name as files record it: with the module of its function, or the origin of its code."""
        return (
            plugins.label(self.strategy) if self.declared is None else f"{self.strategy}@{self.declared.run.__module__}"
        )

    @property
    def origins(self) -> dict[str, dict[str, str]]:
        """The origin of each strategy in the name that is not part of alcli."""
        if self.declared is not None:
            return {self.strategy: {"module": self.declared.run.__module__}}
        return plugins.origins(self.strategy)

    @property
    def files(self) -> list[str | Path]:
        """The files of labels, ids, names and targets that the query reads."""
        tables = [*self.labels, *self.exclude, *self.test_labels]
        return [*paths_of(tables), *filter(None, [self.class_names, self.targets, self.items])]

    @property
    def head_file(self) -> Path | None:
        """The file of the head; None for a head in memory, or no head."""
        return self.head if isinstance(self.head, Path) else None

    @property
    def shown_head(self) -> str:
        """The head's name in messages."""
        return "in memory" if isinstance(self.head, HeadFile) else printable(self.head)

    @property
    def absorbs(self) -> bool:
        """True where the head absorbs labels while items are being chosen."""
        return self.stream or self.impute is not None

    @property
    def impute(self) -> str | None:
        """The way in which labels are made up between the picks of a batch; None chooses the batch at once."""
        return self.options.get(IMPUTE)

    @property
    def knn(self) -> int | None:
        """K of --candidates knn:K; None for random candidates or all. Raises UsageError for another text."""
        return neighbours_in(self.candidates) if isinstance(self.candidates, str) else None

    @property
    def targets(self) -> str | None:
        """The pool of rows whose predictions matter; None takes the candidates."""
        return self.options.get(TARGETS)

    @property
    def cost_column(self) -> str | None:
        """The column with the cost of each item; n is then a budget in the same unit. None counts items."""
        return self.options.get(COST)

    def checked(self) -> tuple[Strategy, dict[str, Any]]:
        """Return the strategy and its parsed options. Raises UsageError, before any data is read."""
        strategy = self.found
        ours = {IMPUTE, COST, TARGETS} if "targets" in strategy.needs else {IMPUTE, COST}
        own = {key: text for key, text in self.options.items() if key not in ours}
        options = parsing.parse_options(strategy.declared, own, f"strategy '{self.strategy}'", also=sorted(ours))
        if self.impute is not None and self.impute not in HOW:
            raise UsageError(
                f"parameter '{IMPUTE}' must be one of {', '.join(HOW)}, got '{self.impute}'",
                hint=suggestion(self.impute, HOW),
            )
        if self.impute is not None and self.targets is not None:
            raise UsageError(f"-p {TARGETS} does not go with -p {IMPUTE}", hint="choose the batch at once, without it")
        if self.absorbs and self.cost_column is not None:
            single = "--stream" if self.stream else f"-p {IMPUTE}"
            raise UsageError(
                f"-p {COST} spends a budget on a batch, {single} asks for one item at a time",
                hint="leave one of them out",
            )
        if self.head is None and "predicted_loss" in strategy.needs:
            what = (
                f"strategy '{self.strategy}' looks at the loss-prediction branch of a head, and one that is fitted "
                "without -H has none"
            )
            raise UsageError(
                what, hint="alcli fit-head POOL -l LABELS --head mlp --aux-loss -o HEAD, then give -H HEAD"
            )
        self._check_prior()
        self._check_again(strategy)
        if self.n < 1:
            raise UsageError(f"-n must be at least 1, got {self.n}")
        if self.knn is None and self.candidates is not None and int(self.candidates) < 1:
            raise UsageError(f"--candidates must be at least 1, got {self.candidates}")
        if [str(source) for source in (*self.labels, *self.exclude)].count("-") > 1:
            raise UsageError("'-' is given twice, standard input can be read once")
        if self.expect_sha256 is not None and self.head is None:
            raise UsageError("--expect-sha256 is about the head of -H, none is given")
        if self.ledger is not None:
            check_ledger(self.ledger)
        if any(part.audits for part in (strategy, *strategy.parts)):
            self._check_audit(strategy)
        return modified(strategy, options)

    def _check_audit(self, strategy: Strategy) -> None:
        """Raise UsageError for an option that would keep an audit from being a sample of all items."""
        given = [f"-p {key}" for key in _CHOICES if key in self.options]
        given += ["--exclude"] if self.exclude else []
        given += ["--candidates"] if self.candidates is not None else []
        given += ["--stream"] if self.stream else []
        given += ["a mix"] if strategy.parts else []
        if given:
            what = f"an audit is drawn from all items that can be asked for, and {given[0]} chooses among them"
            raise UsageError(what, hint="leave one of them out")

    def _check_prior(self) -> None:
        """Raise UsageError for a prior or names of classes beside a head that is fitted already, or without a use."""
        given = [name for name, value in (("--class-names", self.class_names), ("--prior", self.prior)) if value]
        if given and self.head is not None:
            what = f"{given[0]} is for a head that query fits itself, and -H gives one"
            raise UsageError(what, hint="give it to fit-head")
        check_names(Recipe(prior=self.prior or PLAIN).checked(), self.class_names)

    def _check_again(self, strategy: Strategy) -> None:
        """Raise UsageError for options beside a strategy that asks about labels again, and for a mix with one."""
        if any(one.again for one in strategy.parts):
            what = f"'{self.strategy}' mixes labels to check with items to label"
            raise UsageError(what, hint="ask for them in two queries")
        if not strategy.again:
            return
        wrong = [(f"-p {key}", "leave it out") for key in self.options]
        if self.ledger is not None:
            # The labelled items are in the ledger, so that it would leave out every one of them.
            wrong.append(("--selections", "--exclude FILE leaves out labels that were checked"))
        if self.stream:
            wrong.append(("--stream", "ask for a batch"))
        if self.knn is not None:
            wrong.append((f"--candidates {self.candidates}", "leave it out"))
        if self.head is not None and self.labels:
            wrong.append(("-l beside -H", "the head knows its labels; leave one of the two out"))
        for name, hint in wrong:
            what = f"{name} does not go with -s {self.strategy}, which asks about labelled items again"
            raise UsageError(what, hint=hint)
