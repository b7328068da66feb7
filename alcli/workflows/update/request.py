"""The options of an update, and their check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alcli.data.text.rows import RowSource, paths_of
from alcli.errors import UsageError, suggestion
from alcli.heads._model import Model
from alcli.workflows.audit.request import NO_AUDIT, AuditRequest
from alcli.workflows.recipe import PAPER, PRESETS

SECOND_ORDER, FIRST_ORDER, MC, REFIT = METHODS = ("second-order", "first-order", "mc", "refit")
MODES = ("sequential", "batch")
AUTO, NONE = POLISHES = ("auto", "none")


@dataclass(frozen=True)
class UpdateRequest:
    """The update that a user asks for.

    gamma: the step size of the method. None takes the head's own for second-order, which may be the implicit update
    without a step size; 1 / the mean of |phi|^2 for first-order; 1 for mc.
    allow_new_classes: a label of an unknown class adds the class to the head. remove: files of the ids whose labels
    are to be given back. expect_sha256: the SHA-256 that the file of the head must have.
    preset: "paper" updates by the published rule, whatever head it meets: a posterior of prior precision 1 and
    curvature 1, and gamma 10. polish: "auto" polishes the head and renews it where labels have doubled; "none" does
    neither. corrections: a label or weight that differs from the one absorbed replaces it, and in a file the last
    label of an id counts. none_label: says that an item belongs to no class; None takes the head's own. audit:
    measures the head after the update, and is kept out of it. test_labels: of rows that become test rows. normalize: a
    label that looks like a class of the head is it, now and later. conflicts: the file for a table of items with
    several labels.
    """

    method: str = SECOND_ORDER
    gamma: float | None = None
    mode: str = "sequential"
    ignore_unknown: bool = False
    lock_timeout: float = 0.0
    allow_new_classes: bool = False
    remove: Sequence[RowSource] = ()
    expect_sha256: str | None = None
    preset: str = "none"
    polish: str = AUTO
    corrections: bool = False
    none_label: str | None = None
    audit: AuditRequest = NO_AUDIT
    test_labels: Sequence[RowSource] = ()
    normalize: bool = False
    conflicts: Path | None = None

    def checked(self) -> UpdateRequest:
        """Return this request after its names and numbers are checked. Raises UsageError."""
        for what, value, known in (
            ("update method", self.method, METHODS),
            ("mode", self.mode, MODES),
            ("preset", self.preset, tuple(PRESETS)),
            ("polish", self.polish, POLISHES),
        ):
            if value not in known:
                raise UsageError(f"no {what} '{value}'", hint=suggestion(value, known))
        self.audit.checked()
        if self.gamma is not None and not 0 < self.gamma < float("inf"):
            raise UsageError(f"--gamma must be a positive number or auto, got {self.gamma}")
        if self.preset == PAPER and self.method != SECOND_ORDER:
            what = f"--preset paper is the published second-order rule, not for --method {self.method}"
            raise UsageError(what, hint="leave one of them out")
        return self

    @property
    def paths(self) -> list[str | Path]:
        """The files that are read besides the head, the pool and the labels."""
        return [*paths_of([*self.remove, *self.test_labels]), *self.audit.paths]

    @property
    def takes_changes(self) -> bool:
        """True where a label that differs from the one absorbed replaces it."""
        return self.corrections or self.method == REFIT

    def step_of(self, model: Model) -> float | None:
        """The step size of a second-order update of the model; None for the implicit update, which needs none."""
        if self.gamma is not None:
            return self.gamma
        return PRESETS[PAPER][1] if self.preset == PAPER else model.gamma

    def polishes(self, model: Model) -> bool:
        """True where the update ends with a polish.

        A rule of the paper stays as it is published: first-order, mc, and second-order with a step size.
        """
        return self.polish == AUTO and self.method == SECOND_ORDER and self.step_of(model) is None
