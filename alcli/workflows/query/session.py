"""One conversation with an annotator: the pool while labels arrive, the items asked for, the labels absorbed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from alcli.arrays import Array
from alcli.data.head_file import save_head
from alcli.data.ledger.entries import EMPTY, read_ledger
from alcli.data.ledger.shared import SharedLedger
from alcli.data.spellings.labels import to_class, to_target, to_weight
from alcli.errors import AlcliError, DataError, printable
from alcli.heads._contract import Training
from alcli.heads._model import Model
from alcli.live.live import Live
from alcli.remarks import Note
from alcli.workflows.items import Items
from alcli.workflows.query.absorbable import check_absorbable
from alcli.workflows.query.batch import remark_on_shortage
from alcli.workflows.query.columns import picked_by, shortest, typed_class
from alcli.workflows.query.learned import Learned, Told, updated_head
from alcli.workflows.query.polishing import Polisher
from alcli.workflows.query.request import AUTO, Query
from alcli.workflows.query.situation import situation
from alcli.workflows.query.stream_lines import Reply, class_of, lines, reply


class Session:
    """Ask for items and absorb the labels of one stream.

    head: the head at the beginning; None where nothing needs a head. classes: the classes of the moment; None in a
    regression and without a head. answered: number of items asked for and labelled. asked: number of items written.
    told: labels absorbed, in their order. saves: the head will be saved, so one is fitted where none is given, even
    if no candidate is left.
    """

    def __init__(
        self,
        items: Items,
        ask: Query,
        emit: Callable[[bytes], None],
        note: Note,
        allow_new_classes: bool = False,
        *,
        saves: bool = False,
    ) -> None:
        strategy, options = ask.checked()
        items = items.tested(ask.test_labels, ignore_unknown=ask.ignore_unknown, normalize=ask.normalize)
        before = EMPTY if ask.ledger is None else read_ledger(ask.ledger)
        self._ledger = None if ask.ledger is None else SharedLedger(ask.ledger, before, ask.lock_timeout, note)
        now, pool = situation(items, ask, strategy, before.ids, note, keeps_head=saves), items.pool
        self._pool, self._ask, self._emit, self._note = pool, ask, emit, note
        self._allow_new_classes = allow_new_classes
        # Files may change in the hours of a session.
        pool.ids.keep()
        self.head = now.head
        self.classes = None if now.head is None else now.head.classes
        self._live = Live(
            pool,
            now.candidates,
            now.labelled,
            now.head.model if now.head else None,
            strategy,
            seed=now.seed,
            options=options,
            labels=now.labels,
        )
        for text in self._live.remarks():
            note(text)
        self._labels: dict[int, float | str | None] = dict.fromkeys(now.labelled.tolist())
        absorbed = None if now.head is None else now.head.absorbed
        self._absorbed = {} if absorbed is None else dict(zip(absorbed.id_L.tolist(), absorbed.label_L.tolist()))
        is_polished = now.head is not None and ask.polish == AUTO
        self._polisher = Polisher(pool, now.head, note) if now.head is not None and is_polished else None
        # The model that predicts, where it is not the model that strategies look at.
        self._predictor = None if now.head is None else now.head.predictor
        self._outstanding: int | None = None
        self.answered = self.asked = 0
        self.told: list[Told] = []
        of_head = None if now.head is None else now.head.no_class.label
        self._none_label = of_head if ask.none_label is None else ask.none_label
        self._none_rows: list[int] = []
        self._learned: Learned | None = None

    def run(self, source: BinaryIO) -> None:
        """Ask and listen until enough items are labelled, no candidate is left, or the input ends."""
        self._ask_next()
        for number, line in lines(source) if self._outstanding is not None else ():
            try:
                self._hear(reply(line, number))
            except AlcliError as error:
                self._write({"error": str(error), "line": number})
            if self.answered == self._ask.n:
                return
            if self._outstanding is None and not self._ask_next():
                return
            if self._polisher is not None and self._polisher.is_due(len(self.told)):
                self._live.adopt(self._polish(self._polisher))

    def close_ledger(self) -> None:
        """Write the items of the journal into the ledger. Raises what `SharedLedger.close` does."""
        if self._ledger is not None:
            self._ledger.close()

    def save(self, out: Path | None) -> None:
        """Write the head with all labels that were absorbed. Do nothing without a head or without a file."""
        if out is None or self.head is None:
            return
        if self._polisher is not None and self._polisher.is_behind(len(self.told)):
            self._polish(self._polisher)
        learned, head = self._learned, self.head
        if (
            not learned
            and not self._none_rows
            and self._ask.head_file is not None
            and out.resolve() == self._ask.head_file.resolve()
        ):
            return
        if learned is not None:
            told = self.told[: learned.n]
            rows_L = np.array([t.row for t in told], np.int64)
            fitted_on = head.fitted_on if self._polisher is None else self._polisher.fitted_on
            head = updated_head(
                head, learned, told, self._pool.ids.hashes(rows_L), self._live.features(rows_L), fitted_on
            )
        hashes = self._pool.ids.hashes(np.array(self._none_rows, np.int64)).tolist()
        head = replace(head, no_class=head.no_class.with_ids(self._none_label, hashes, head.absorbed.id_L.tolist()))
        save_head(out, head, overwrite=True)

    def _polish(self, polisher: Polisher) -> Model:
        """Put the polished models in the place of the models after the last label; return the one to choose by."""
        last = self._learned
        assert last is not None
        models = [last.model] if last.predictor is None else [last.model, last.predictor]
        rows_L = np.array([t.row for t in self.told], np.int64)
        y_L, weights_L = np.array([t.y for t in self.told]), np.array([t.weight for t in self.told])
        model, *predictor = polisher.polish(models, rows_L, y_L, weights_L)
        self._predictor = predictor[0] if predictor else None
        self._learned = replace(last, model=model, predictor=self._predictor)
        return model

    # -- asking
    # ---------------------------------------------------------------------------------------------------------------

    def _ask_next(self) -> bool:
        """Write the next item. Return False when no candidate is left."""
        while (pick := self._live.next()) is not None:
            if self._given_out(*pick):
                self._outstanding = pick[0]
                self._write(self._item(*pick))
                self.asked += 1
                return True
            self._live.skip(pick[0])
        remark_on_shortage(self.asked, self._ask, self._note)
        return False

    def _given_out(self, row: int, score: float) -> bool:
        """Enter a row into the ledger before it is shown. Return False where another process has entered it already."""
        if self._ledger is None:
            return True
        entry = {
            "id": self._pool.ids[row],
            "rank": self.asked,
            "score": shortest(np.float32(score)),
            "strategy": picked_by(self._live.taken, self._ask.label),
        }
        return self._ledger.enter(entry, text_ids=self._pool.ids.is_text)

    def _item(self, row: int, score: float) -> dict[str, Any]:
        item = {"id": self._pool.ids[row], "rank": self.asked, "score": shortest(np.float32(score))}
        if self.head is not None and self.classes is None:
            mean, variance = self._live.number(row)
            item |= {"predicted": shortest(np.float32(mean)), "sd": shortest(np.float32(variance**0.5))}
        elif self.head is not None and self.classes is not None:
            log_probs_C = self._predictive(row)
            best = int(log_probs_C.argmax())
            item["predicted"] = typed_class(self.classes[best], self.head.class_type)
            item["confidence"] = shortest(np.float32(np.exp(log_probs_C[best])))
        return item

    def _predictive(self, row: int) -> Array:
        """Log class probabilities of a row, [C], by the model that predicts."""
        if self._predictor is None:
            return self._live.predictive(row)
        return self._predictor.predictive(self._live.features(np.array([row])))[0]

    def _write(self, value: dict[str, Any]) -> None:
        self._emit((json.dumps(value, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass"))

    # -- listening
    # ------------------------------------------------------------------------------------------------------------

    def _hear(self, said: Reply) -> None:
        """Absorb a label or skip an item. Raises AlcliError, and changes nothing in that case."""
        id = self._pool.ids.parse(said.id, said.where, from_text=False)
        row = int(self._pool.ids.rows_of([id])[0])
        if row < 0:
            raise DataError(f"{said.where}: the id '{printable(id)}' is not in the pool")
        if said.label is None:
            self._live.skip(row)
        elif said.label == self._none_label:
            self._set_aside(row, said, id)
        elif not self._is_known(row, label := self._label(said), said, id):
            self._learn(row, label, to_weight(said.weight, said.where), said)
            self.answered += row == self._outstanding
        if row == self._outstanding:
            self._outstanding = None

    def _set_aside(self, row: int, said: Reply, id: object) -> None:
        """Note an item that belongs to no class; it is answered. Raises DataError for an item that has a label."""
        if row in self._labels:
            what = f"{said.where}: the id '{printable(id)}' has a label, and is said to belong to no class"
            raise DataError(what, hint="alcli update --corrections takes the label back")
        self._live.skip(row)
        self._none_rows.append(row)
        self.answered += row == self._outstanding

    def _label(self, said: Reply) -> float | str:
        """A class number (for a new class the number after the last) or a target; without a head the label itself."""
        if self.head is None:
            return to_class(said.label, said.where, set()) if not isinstance(said.label, float) else said.label
        if self.classes is None:
            return to_target(said.label, said.where)
        name = class_of(said, self.classes, self.head, allow_new=self._allow_new_classes)
        return self.classes.index(name) if name in self.classes else len(self.classes)

    def _is_known(self, row: int, label: float | str, said: Reply, id: object) -> bool:
        """True where the row has this label already.

        Raises DataError where the row has another label, or may have no label.
        """
        for mask, what in ((self._pool.is_test, "is a test row"), (self._pool.is_bad, "has no usable vector")):
            if mask[row]:
                raise DataError(f"{said.where}: the id '{printable(id)}' {what}, no label is taken for it")
        before = self._labels.get(row)
        if before is None:
            before = self._absorbed.get(int(self._pool.ids.hashes(np.array([row]))[0]))
        if before is None and row not in self._labels:
            return False
        if before != label:
            hint = (
                ""
                if before is None or self.head is None
                else "an absorbed label can be changed by alcli update --corrections"
            )
            what = (
                "is labelled already"
                if before is None
                else f"is labelled already, and not as '{printable(said.label)}'"
            )
            raise DataError(f"{said.where}: the id '{printable(id)}' {what}", hint=hint)
        return True

    def _learn(self, row: int, label: float | str, weight: float, said: Reply) -> None:
        """Absorb the label of a row, which may add a class. Raises DataError for a label too heavy to absorb."""
        if self._live.model is not None:
            one = self._one(row, float(label), weight)
            usual_KD = None if self.head is None else self.head.anchors
            check_absorbable(one, [self._live.model, self._predictor], usual_KD, said.where)
        if self.classes is not None and label == len(self.classes):
            self._live.add_classes(1)
            self._predictor = self._predictor and self._predictor.with_new_classes(1)
            self.classes = (*self.classes, to_class(said.label, said.where, set()))
        self._live.tell(row, label if isinstance(label, (int, float)) else 0.0, weight)
        self._labels[row] = label
        if self._live.model is not None:
            self._predictor = self._predictor and self._predictor.update(one)
            self.told.append(Told(row, float(label), weight))
            self._learned = Learned(len(self.told), self._live.model, self.classes, self._predictor)

    def _one(self, row: int, y: float, weight: float) -> Training:
        """The label of a row as data to absorb; it may be of the class after the last."""
        n_classes = None if self.classes is None else max(len(self.classes), int(y) + 1)
        y_1: Array = np.array([y], np.float64 if n_classes is None else np.int64)
        return Training(self._live.features(np.array([row])), y_1, np.array([weight]), n_classes)
