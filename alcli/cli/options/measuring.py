"""Options about measuring a head: by an audit, and by labels that are set aside as a test set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from alcli.cli.options.declare import MEASURING, option
from alcli.cli.options.pools import LabelFileOptions
from alcli.cli.options.values import number

if TYPE_CHECKING:
    from alcli.workflows.audit.request import AuditRequest

Audit = Annotated[
    list[str] | None,
    option(
        "--audit FILE",
        MEASURING,
        "Labels of the rows that query -s audit drew, with their column weight; measures the head on the whole pool. "
        "Labels and weights may be in two files. Audited rows are kept out of the fit. Can be repeated.",
    ),
]
StopAt = Annotated[
    float | None,
    option(
        "--stop-at X",
        MEASURING,
        "Say whether the audit shows an accuracy of X, and else how many labels are to come.",
        parse=number(),
    ),
]
After = Annotated[
    Path | None,
    option(
        "--after HEAD",
        MEASURING,
        "The head before this one. Its audits count as earlier looks for --stop-at, and stay out of the fit.",
    ),
]
TestLabels = Annotated[
    list[str] | None,
    option(
        "--test-labels FILE",
        MEASURING,
        "Labels of test items, as -l takes them, in place of a column split in the pool. They are never asked for and "
        "never learned from. Can be repeated.",
    ),
]


@dataclass(frozen=True)
class MeasuringOptions:
    """The options by which an update measures a head."""

    audit: Audit = None
    stop_at: StopAt = None
    test_labels: TestLabels = None

    def request(self, columns: LabelFileOptions, after: Path | None = None) -> AuditRequest:
        """The audit that the user asks for. columns: of its files. after: the head before this one."""
        from alcli.workflows.audit.request import AuditRequest

        return AuditRequest(columns.named(self.audit), self.stop_at, after)
