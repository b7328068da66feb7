"""The audit that a user measures a head by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alcli.data.absorbed import Audited
from alcli.data.head_file import HeadFile, load_head
from alcli.data.text.rows import RowSource, paths_of
from alcli.errors import UsageError


@dataclass(frozen=True)
class AuditRequest:
    """files: of the audit's labels and weights; none measures nothing. stop_at: the accuracy at which to stop.

    after: an earlier head, a file or in memory, whose looks count and whose audit stays out of the fit.
    """

    files: Sequence[RowSource] = ()
    stop_at: float | None = None
    after: Path | HeadFile | None = None

    def checked(self) -> AuditRequest:
        """Return this request after its options are checked. Raises UsageError, before any data is read."""
        if self.stop_at is None:
            return self
        if not 0.0 < self.stop_at < 1.0:
            what = f"--stop-at takes a share between 0 and 1, got {self.stop_at:g}"
            raise UsageError(what, hint="--stop-at 0.9 is 90%")
        if not self.files:
            what = "--stop-at needs an audit, since labels of chosen rows do not tell how good a head is"
            raise UsageError(
                what, hint="'alcli query POOL -s audit -n 100 -H HEAD' draws one, --audit takes its labels"
            )
        return self

    def check_predicts(self, *, regression: bool) -> None:
        """Raise UsageError for a target beside a head that predicts numbers."""
        if regression and self.stop_at is not None:
            what = "--stop-at is a share of rows that are predicted right, and the head predicts numbers"
            raise UsageError(what, hint="leave it out; the audit gives the RMSE with its interval")

    @property
    def paths(self) -> list[str | Path]:
        """The files that are read."""
        return [*paths_of(self.files), *([self.after] if isinstance(self.after, Path) else [])]

    def before(self) -> Audited:
        """The audit of the earlier head; an empty one without an earlier head. Raises what `load_head` does."""
        if self.after is None:
            return Audited()
        return (self.after if isinstance(self.after, HeadFile) else load_head(self.after)).audited


NO_AUDIT = AuditRequest()
