"""One label at a time: what is asked, what is absorbed, what is kept."""

from __future__ import annotations

import io
import json
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from alcli.data.ledger.entries import read_ledger
from alcli.data.pool import open_pool
from alcli.data.writing.locks import lock
from alcli.errors import DataError, UsageError
from alcli.workflows.fit_head import fit_head, fit_labelled
from alcli.workflows.items import Items
from alcli.workflows.query import fitting as query_fitting
from alcli.workflows.query import session as module
from alcli.workflows.query.request import Query
from alcli.workflows.query.stream import stream
from alcli.workflows.recipe import Recipe
from alcli.workflows.update.request import UpdateRequest
from alcli.workflows.update.run import update
from tests.helpers import brief, names_for_linear_heads
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool

HEAD, NEW = Path("head.safetensors"), Path("new.safetensors")


class Talk:
    """Plays the annotator: answers each item that is written by `reply(item)`, lines of bytes or objects."""

    def __init__(self, reply):
        self.reply, self.written, self.notes = reply, [], []
        self._lines = []

    def emit(self, data: bytes) -> None:
        self.written.append(json.loads(data))
        if "error" not in self.written[-1]:
            said = self.reply(self.written[-1])
            self._lines += [json.dumps(line).encode() + b"\n" for line in (said if isinstance(said, list) else [said])]

    def readline(self, limit: int) -> bytes:
        return self._lines.pop(0) if self._lines else b""

    @property
    def items(self):
        return [value for value in self.written if "error" not in value]

    @property
    def errors(self):
        return [value["error"] for value in self.written if "error" in value]


def true(item):
    return {"id": item["id"], "label": CLASSES[int(item["id"][1:]) % 3]}


def run(
    reply=true,
    *,
    strategy="margin",
    n=5,
    out=None,
    head=HEAD,
    pool="pool.parquet",
    allow_new_classes=False,
    polish="none",
    **more,
):
    talk = Talk(reply)
    ask = Query(strategy, n, head=head, polish=polish, **more)
    stream(
        Items(open_pool(pool, note=talk.notes.append)),
        ask,
        out=out,
        source=talk,
        emit=talk.emit,
        note=talk.notes.append,
        allow_new_classes=allow_new_classes,
    )
    return talk


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_head_equals_that_of_updates_in_the_same_order(head, kind):
    X, _ = tiny_features()
    write_pool("pool.parquet", X.astype(kind))
    talk = run(n=12, out=NEW)
    for item in talk.items:
        write_labels("one.csv", {item["id"]: true(item)["label"]})
        update(HEAD, open_pool("pool.parquet"), ["one.csv"], UpdateRequest(polish="none"))
    one, other = load_head(NEW), load_head(HEAD)
    np.testing.assert_allclose(one.model.head.W_CD1, other.model.head.W_CD1, rtol=0, atol=1e-10)
    np.testing.assert_allclose(one.model.posterior.precision, other.model.posterior.precision, rtol=0, atol=1e-10)
    for name in ("id_L", "label_L", "weight_L"):
        assert np.array_equal(getattr(one.absorbed, name), getattr(other.absorbed, name))
    assert np.array_equal(one.anchor_id, other.anchor_id)
    assert np.array_equal(one.anchors, other.anchors)


def test_each_item_is_what_a_query_with_the_updated_head_would_give(head, alcli):
    talk = run(n=6, out=NEW)
    for item in talk.items:
        found = json.loads(
            alcli("query", "pool.parquet", "-H", HEAD, "-s", "margin", "-n", 1, "--format", "jsonl").done().out
        )
        for key in ("id", "score", "predicted", "confidence"):
            assert (
                item[key] == pytest.approx(found[key], rel=1e-5)
                if isinstance(item[key], float)
                else item[key] == found[key]
            )
        write_labels("one.csv", {item["id"]: true(item)["label"]})
        update(HEAD, open_pool("pool.parquet"), ["one.csv"], UpdateRequest(polish="none"))


@pytest.mark.parametrize("strategy", names_for_linear_heads())
def test_every_strategy_streams(head, strategy):
    options = {name: str(value) for name, value in brief(strategy).items()}
    talk = run(strategy=strategy, n=8, out=NEW, options=options)
    given = [item["id"] for item in talk.items]
    assert len(set(given)) == 8
    assert not set(given) & set(names(20))
    assert [item["rank"] for item in talk.items] == list(range(8))
    assert len(load_head(NEW).absorbed.id_L) == 28
    assert talk.items == run(strategy=strategy, n=8, options=options).items


def test_without_a_head_one_is_fitted_on_the_labels_and_can_be_saved(tiny):
    talk = run(head=None, labels=["labels.csv"], out=NEW)
    assert any("fitted a softmax head on 20 labels" in note for note in talk.notes)
    assert len(load_head(NEW).absorbed.id_L) == 25


@pytest.mark.parametrize("out", [None, NEW])
def test_where_nothing_is_left_a_head_is_fitted_only_to_be_saved(tiny, monkeypatch, out):
    fits = []
    monkeypatch.setattr(
        query_fitting, "fit_labelled", lambda *given, **more: fits.append(given) or fit_labelled(*given, **more)
    )
    write_labels("all.csv", dict(zip(names(60), CLASSES * 20)))
    talk = run(head=None, labels=["all.csv"], out=out)
    assert talk.written == []
    assert "nothing is left to select" in talk.notes
    assert talk.notes[-1].startswith("0 items asked for, 0 labelled; 0 labels absorbed")
    assert len(fits) == (out is not None)
    assert out is None or len(load_head(out).absorbed.id_L) == 60


def test_without_any_head_labels_only_move_the_candidates(tiny):
    talk = run(head=None, strategy="coreset", n=4)
    assert list(talk.items[0]) == ["id", "rank", "score"]
    assert "4 items asked for, 4 labelled; 0 labels absorbed" in talk.notes
    changed = run(lambda item: [true(item), {"id": item["id"], "label": "yak"}], head=None, strategy="random", n=2)
    assert "is labelled already" in changed.errors[0]


def test_a_regression_streams_where_the_strategy_makes_sense(folder):
    X, _ = tiny_features()
    targets = (X @ np.arange(1.0, 6)).tolist()
    write_pool("pool.parquet", X, label=[t if i < 20 else None for i, t in enumerate(targets)])
    fit_head(open_pool("pool.parquet"), [], HEAD, Recipe(prior_precision=1.0))
    talk = run(
        lambda item: [{"id": item["id"], "label": "much"}, {"id": item["id"], "label": targets[int(item["id"][1:])]}],
        strategy="coreset",
        n=4,
        out=NEW,
    )
    assert all("is not a finite number" in error for error in talk.errors)
    assert len(talk.errors) == 4
    rows = [int(item["id"][1:]) for item in talk.items]
    assert load_head(NEW).absorbed.label_L[-4:].tolist() == [targets[i] for i in rows]
    with pytest.raises(UsageError, match=r"needs class probabilities, the head .* is a regression"):
        run(n=2)


def test_classes_that_are_integers_may_be_written_as_such_or_as_text(folder):
    X, y = tiny_features()
    write_pool("pool.parquet", X, label=[int(c) if i < 20 else None for i, c in enumerate(y)])
    fit_head(open_pool("pool.parquet"), [], HEAD, Recipe(prior_precision=1.0))
    talk = run(
        lambda item: {
            "id": item["id"],
            "label": int(item["id"][1:]) % 3 if item["rank"] % 2 else str(int(item["id"][1:]) % 3),
        },
        n=4,
        out=NEW,
    )
    assert not talk.errors
    assert all(isinstance(item["predicted"], int) for item in talk.items)
    assert load_head(NEW).absorbed.label_L[-4:].tolist() == [int(item["id"][1:]) % 3 for item in talk.items]


def test_a_new_class_is_of_the_type_of_the_others(folder):
    X, y = tiny_features()
    for classes, good, bad in (([0, 1, 2], "7", ["yak", "007", 1.5]), ([False, True, True], None, ["yak", 3])):
        write_pool("pool.parquet", X, label=[classes[c] if i < 20 else None for i, c in enumerate(y)])
        Path(HEAD).unlink(missing_ok=True)
        fit_head(open_pool("pool.parquet"), [], HEAD, Recipe(prior_precision=1.0))
        said = [*bad, good if good is not None else True]
        talk = run(
            lambda item, said=said: [{"id": item["id"], "label": label} for label in said],
            n=1,
            allow_new_classes=True,
            out=NEW,
        )
        assert len(talk.errors) == len(bad)
        assert load_head(NEW).classes == (("0", "1", "2", "7") if good else ("false", "true"))
        Path(NEW).unlink()


@pytest.mark.parametrize("strategy", ["margin", "badge", "coreset"])
def test_new_classes_give_the_head_and_the_items_of_updates_and_queries(head, alcli, strategy):
    said = ["yak", "yak", "cat", "gnu", "yak", "dog"]
    talk = run(
        lambda item: {"id": item["id"], "label": said[item["rank"]]},
        strategy=strategy,
        n=6,
        out=NEW,
        allow_new_classes=True,
    )
    for item, label in zip(talk.items, said):
        found = json.loads(
            alcli("query", "pool.parquet", "-H", HEAD, "-s", strategy, "-n", 1, "--format", "jsonl").done().out
        )
        assert (item["id"], item["predicted"]) == (found["id"], found["predicted"])
        assert item["confidence"] == pytest.approx(found["confidence"], rel=1e-5)
        write_labels("one.csv", {item["id"]: label})
        update(HEAD, open_pool("pool.parquet"), ["one.csv"], UpdateRequest(allow_new_classes=True, polish="none"))
    one, other = load_head(NEW), load_head(HEAD)
    assert one.classes == other.classes == (*CLASSES, "yak", "gnu")
    np.testing.assert_allclose(one.model.head.W_CD1, other.model.head.W_CD1, rtol=0, atol=1e-10)
    assert np.array_equal(one.absorbed.label_L, other.absorbed.label_L)


def test_a_new_class_that_was_not_allowed_says_how_to_allow_it(head):
    talk = run(lambda item: [{"id": item["id"], "label": "yak"}, true(item)], n=1)
    assert "no class 'yak'" in talk.errors[0]
    assert "--allow-new-classes" in talk.errors[0]


@pytest.mark.parametrize("polish", ["auto", "none"])
def test_a_signal_between_a_new_class_and_its_label_leaves_a_head_that_fits(head, monkeypatch, polish):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    def reply(item):
        if item["rank"] == 1:
            monkeypatch.setattr(module.Live, "tell", interrupted)
            return {"id": item["id"], "label": "yak"}
        return true(item)

    with pytest.raises(KeyboardInterrupt):
        run(reply, n=3, out=NEW, allow_new_classes=True, polish=polish)
    assert load_head(NEW).classes == CLASSES
    assert len(load_head(NEW).absorbed.id_L) == 21


def test_a_weight_counts_as_in_a_file(head):
    talk = run(lambda item: true(item) | {"weight": 2.5}, n=1, out=NEW)
    id = talk.items[0]["id"]
    Path("one.csv").write_text(f"id,label,weight\n{id},{true(talk.items[0])['label']},2.5\n")
    update(HEAD, open_pool("pool.parquet"), ["one.csv"], UpdateRequest(polish="none"))
    assert np.array_equal(load_head(NEW).model.head.W_CD1, load_head(HEAD).model.head.W_CD1)
    assert load_head(NEW).absorbed.weight_L[-1] == 2.5


def test_a_skipped_item_may_be_labelled_later(head):
    first = []

    def reply(item):
        first.append(item["id"])
        if item["rank"] == 0:
            return {"id": item["id"], "skip": True}
        return [true({"id": first[0]}), true(item)] if item["rank"] == 1 else true(item)

    talk = run(reply, n=3, out=NEW)
    assert len(talk.items) == 4
    assert len({item["id"] for item in talk.items}) == 4
    assert len(load_head(NEW).absorbed.id_L) == 24
    assert not talk.errors


def test_test_rows_and_unusable_ones_take_no_label(head):
    X, _ = tiny_features()
    write_pool("pool.parquet", X, split=["test" if i == 59 else None for i in range(60)])
    talk = run(lambda item: [true({"id": "r059"}), true(item)], n=1)
    assert "is a test row" in talk.errors[0]
    assert run(lambda item: [true({"id": "r025"}), true(item)], n=1, labels=["more.csv"]).errors == [
        "line 1: the id 'r025' is labelled already"
    ]


def test_what_is_excluded_or_no_candidate_is_not_asked(head):
    Path("out.txt").write_text("".join(f"r{i:03d}\n" for i in range(20, 40)))
    talk = run(n=30, exclude=["out.txt"])
    assert {item["id"] for item in talk.items} == {f"r{i:03d}" for i in range(40, 60)}
    assert "only 20 of 30 items are left to select" in talk.notes
    few = run(n=30, candidates=7, seed=2)
    assert len(few.items) == 7
    assert any("7 random candidates" in note for note in few.notes)


def test_too_few_items_are_an_error_when_that_is_asked_and_the_head_is_saved(head):
    with pytest.raises(DataError, match="only 40 of 50 items"):
        run(n=50, strict=True, out=NEW)
    assert len(load_head(NEW).absorbed.id_L) == 60


def test_a_ledger_that_is_busy_for_a_moment_does_not_end_a_stream(head):
    """Another query holds the ledger while the annotator answers; the stream waits for it."""
    ledger = Path("asked.parquet")

    def reply(item):
        held, taken = Event(), Event()

        def hold():
            with lock(ledger, 0.0):
                taken.set()
                held.wait(0.3)

        Thread(target=hold).start()
        taken.wait(5)
        return true(item)

    assert len(run(reply, n=3, ledger=ledger).items) == 3
    assert len(pq.read_table(ledger)) == 3


def test_an_id_is_in_the_ledger_before_it_is_given_out(head):
    ledger = Path("asked.parquet")

    def reply(item):
        assert read_ledger(ledger).entries()[-1]["id"] == item["id"]
        return true(item)

    first = run(reply, n=4, ledger=ledger)
    table = pq.read_table(ledger).to_pydict()
    assert table["rank"] == [0, 1, 2, 3]
    assert table["strategy"] == ["margin"] * 4
    second = run(reply, n=4, ledger=ledger)
    assert not {i["id"] for i in first.items} & {i["id"] for i in second.items}


def test_what_another_process_gave_out_meanwhile_is_not_asked(head):
    ledger = Path("asked.parquet")
    expected = [item["id"] for item in run(n=2).items]
    taken = []

    def reply(item):
        if item["rank"] == 0:  # another stream takes all that would come next
            talk = run(lambda item: {"id": item["id"], "skip": True}, n=39, ledger=ledger)
            taken.extend(i["id"] for i in talk.items)
        return true(item)

    talk = run(reply, n=2, ledger=ledger)
    assert [item["id"] for item in talk.items] == expected[:1]
    assert expected[1] in taken
    assert "only 1 of 2 items is left to select" in talk.notes


@pytest.mark.parametrize("posterior", ["none", "ensemble", "dropout", "variational"])
def test_a_head_that_cannot_absorb_labels_is_refused(tiny, posterior):
    fit_head(open_pool("pool.parquet"), ["labels.csv"], HEAD, Recipe(posterior=posterior))
    with pytest.raises(UsageError, match="no posterior that absorbs labels one at a time"):
        run()


def test_a_head_is_saved_also_when_the_stream_breaks(head):
    def reply(item):
        if item["rank"] == 2:
            raise BrokenPipeError
        return true(item)

    with pytest.raises(BrokenPipeError):
        run(reply, out=NEW)
    assert len(load_head(NEW).absorbed.id_L) == 22


def test_a_signal_while_the_head_is_saved_does_not_lose_it(head, monkeypatch):
    save, calls = module.save_head, []

    def interrupted(*arguments, **more):
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        save(*arguments, **more)

    monkeypatch.setattr(module, "save_head", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(n=2, out=NEW)
    assert len(load_head(NEW).absorbed.id_L) == 22


def test_a_head_that_learned_nothing_stays_as_it_is_in_place_and_is_copied_elsewhere(head):
    before = head.read_bytes()
    nobody = lambda item: []  # noqa: E731
    run(nobody, out=HEAD)
    assert head.read_bytes() == before
    run(nobody, out=NEW)
    assert NEW.read_bytes() == before


def test_lines_come_whole_with_their_numbers():
    from alcli.workflows.query.stream_lines import lines

    data = b"a\n\n  \nb\r\n" + b"x" * (3 << 20) + b"\nlast"
    found = list(lines(io.BytesIO(data)))
    assert [(number, line[:4]) for number, line in found] == [(1, b"a\n"), (4, b"b\r\n"), (5, b"xxxx"), (6, b"last")]


@pytest.mark.parametrize("weight", [1e20, 1e160])
@pytest.mark.parametrize("label", ["cat", "unheard-of"])
def test_a_label_too_heavy_to_absorb_is_refused_and_the_others_are_saved(weight, label, head):
    plain = run(n=4, out=NEW)
    expected, saved = [item["id"] for item in plain.items], load_head(NEW)

    def reply(item):
        heavy = {"id": item["id"], "label": CLASSES[0] if label == "cat" else label, "weight": weight}
        return [heavy, true(item)]

    talk = run(reply, n=4, out=NEW, allow_new_classes=True)
    assert [item["id"] for item in talk.items] == expected
    assert len(talk.errors) == 4
    assert "too heavy to absorb: its weight is 1e+" in talk.errors[0]
    after = load_head(NEW)
    assert after.classes == saved.classes
    np.testing.assert_array_equal(after.model.head.W_CD1, saved.model.head.W_CD1)
    assert "4 labels absorbed, saved in new.safetensors" in talk.notes[-1]


def test_a_label_of_a_huge_vector_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = tiny_features()
    X = X.copy()
    X[50] *= 1e13
    write_pool("pool.parquet", X)
    write_labels("labels.csv", {names(60)[i]: CLASSES[y[i]] for i in range(20)})
    fit_head(Items(open_pool("pool.parquet")).pool, ["labels.csv"], HEAD, Recipe())
    talk = run(lambda item: [{"id": "r050", "label": CLASSES[0]}, true(item)], n=2, out=NEW)
    assert "too heavy" in talk.errors[0]
    assert len(load_head(NEW).absorbed.id_L) == 22


def test_a_head_that_could_not_be_saved_is_not_said_to_be_saved(head, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_head", full)
    notes: list[str] = []
    talk, items = Talk(true), Items(open_pool("pool.parquet"))
    ask = Query("margin", 2, head=HEAD, polish="none")
    with pytest.raises(OSError, match="No space"):
        stream(items, ask, out=NEW, source=talk, emit=talk.emit, note=notes.append)
    assert notes[-1].endswith("2 labels absorbed")
