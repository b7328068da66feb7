"""`query --stream` as an annotation tool drives it: a child process, two pipes, one line at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue

import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from tests.pools import CLASSES
from tests.shell import _PLAIN, SCRIPT, process, skip_if_ignored

WAIT = 60


class Tool:
    """An annotation tool: it starts a stream, reads items, writes labels, and waits at most WAIT seconds."""

    def __init__(self, *arguments):
        self.child = subprocess.Popen(
            [SCRIPT, "query", "pool.parquet", "--stream", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | _PLAIN,
        )
        self._lines: Queue[bytes] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.child.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def hear(self):
        """The next line as an object; None at the end of the output."""
        try:
            line = self._lines.get(timeout=WAIT)
        except Empty:
            pytest.fail("the stream is silent")
        assert not line or line.endswith(b"\n")
        return json.loads(line) if line else None

    def write(self, data: bytes):
        self.child.stdin.write(data)
        self.child.stdin.flush()

    def say(self, **reply):
        self.write(json.dumps(reply).encode() + b"\n")

    def label(self, item, name=None):
        self.say(id=item["id"], label=name or true_label(item["id"]))

    def end(self):
        """(exit code, what was said on stderr) of a stream that ends now, with nothing more on stdout."""
        assert self.hear() is None
        code = self.child.wait(WAIT)
        return code, self.child.stderr.read().decode()

    def stop(self, number):
        self.child.send_signal(number)
        return self.end()


def true_label(id: str) -> str:
    return CLASSES[int(id[1:]) % 3]


@pytest.fixture
def tool(head):
    """Starts streams over the tiny pool; whatever is left of them is killed."""
    started = []

    def start(*arguments):
        started.append(Tool(*arguments))
        return started[-1]

    yield start
    for one in started:
        one.child.kill()
        one.child.wait()
        for pipe in (one.child.stdin, one.child.stdout, one.child.stderr):
            with suppress(BrokenPipeError):
                pipe.close()


OPEN = ("-H", "head.safetensors", "-s", "margin", "-n", 4)


def test_item_by_item_until_enough_are_labelled(tool, head):
    before = head.read_bytes()
    stream = tool(*OPEN, "-o", "new.safetensors")
    given = []
    for rank in range(4):
        item = stream.hear()
        assert list(item) == ["id", "rank", "score", "predicted", "confidence"]
        assert item["rank"] == rank
        assert item["predicted"] in CLASSES
        assert 0 < item["confidence"] <= 1
        given.append(item["id"])
        stream.label(item)
    code, said = stream.end()
    assert code == 0
    assert "4 labels absorbed, saved in new.safetensors" in said
    assert len(set(given)) == 4
    assert not {f"r{i:03d}" for i in range(20)} & set(given), "what the head has absorbed is not asked"
    assert head.read_bytes() == before


def test_the_head_is_the_one_that_update_makes_and_update_has_nothing_left_to_do(tool, head):
    stream = tool(*OPEN, "-o", "new.safetensors")
    labels = {}
    for _ in range(4):
        item = stream.hear()
        labels[item["id"]] = true_label(item["id"])
        stream.label(item)
    assert stream.end()[0] == 0
    with open("said.csv", "w") as file:
        file.writelines(["id,label\n", *(f"{i},{c}\n" for i, c in labels.items())])
    done = process("update", "new.safetensors", "-P", "pool.parquet", "-l", "said.csv")
    assert (done.code, done.err) == (0, "0 new labels absorbed, 4 already known, 24 in all\n")


def test_an_item_passed_over_is_not_asked_again_and_another_comes_in_its_place(tool):
    stream = tool(*OPEN[:-1], 2)
    passed = stream.hear()
    stream.say(id=passed["id"], skip=True)
    others = []
    for rank in (1, 2):
        item = stream.hear()
        assert item["rank"] == rank
        others.append(item["id"])
        stream.label(item)
    assert stream.end()[0] == 0
    assert passed["id"] not in others


BAD = {
    "not JSON": (b"cat\n", "is not JSON"),
    "half an object": (b'{"id": "r0\n', "is not JSON"),
    "not UTF-8": (b'{"id": "\xff", "label": "cat"}\n', "is not JSON"),
    "NaN": (b'{"id": "r030", "label": NaN}\n', "NaN is not JSON"),
    "too deep": (b"[" * 100_000 + b"\n", "is not JSON"),
    "too long": (b'{"id": "r030", "label": "' + b"x" * (1 << 21) + b'"}\n', "is longer than"),
    "not an object": (b"[1, 2]\n", "is not an object"),
    "no id": (b'{"label": "cat"}\n', "has no id"),
    "no label": (b'{"id": "r030"}\n', "neither a label nor skip"),
    "both": (b'{"id": "r030", "label": "cat", "skip": true}\n', "both a label and skip"),
    "skip is text": (b'{"id": "r030", "skip": "yes"}\n', "skip must be true or false"),
    "id of another type": (b'{"id": 30, "label": "cat"}\n', "the pool's ids are strings"),
    "id is null": (b'{"id": null, "label": "cat"}\n', "is missing"),
    "unknown id": (b'{"id": "r999", "label": "cat"}\n', "'r999' is not in the pool"),
    "unknown class": (b'{"id": "r030", "label": "yak"}\n', "no class 'yak'"),
    "label is a list": (b'{"id": "r030", "label": ["cat"]}\n', "is no class"),
    "weight": (b'{"id": "r030", "label": "cat", "weight": -1}\n', "not a positive number"),
    "changed label": (b'{"id": "r000", "label": "dog"}\n', "is labelled already, and not as 'dog'"),
}


def test_a_bad_line_is_answered_and_the_stream_goes_on(tool):
    stream = tool(*OPEN[:-1], 1)
    item = stream.hear()
    for number, (line, expected) in enumerate(BAD.values(), 1):
        stream.write(line)
        answer = stream.hear()
        assert expected in answer["error"]
        assert answer["line"] == number
    stream.label(item)
    code, said = stream.end()
    assert code == 0
    assert "1 label absorbed" in said
    assert "Traceback" not in said


def test_labels_nobody_asked_for_are_absorbed_and_not_counted(tool):
    stream = tool(*OPEN[:-1], 1, "-o", "new.safetensors")
    item = stream.hear()
    other = next(i for i in (f"r{n:03d}" for n in range(30, 60)) if i != item["id"])
    stream.say(id=other, label=true_label(other))
    stream.say(id=other, label=true_label(other))  # once more is no news
    stream.write(b"\n")
    stream.label(item)
    code, said = stream.end()
    assert code == 0
    assert "1 item asked for, 1 labelled; 2 labels absorbed" in said


def test_a_new_class_is_learned_where_that_is_allowed(tool, head):
    stream = tool("-H", "head.safetensors", "-s", "margin", "-n", 6, "--allow-new-classes", "-o", "new.safetensors")
    predicted = set()
    for rank in range(6):
        item = stream.hear()
        predicted.add(item["predicted"])
        if rank == 0:
            stream.say(id=item["id"], label="zebra", weight=-1)
            assert "not a positive number" in stream.hear()["error"], "a label that is refused adds no class"
            stream.say(id="r000", label="zebra")
            assert "is labelled already, and not as 'zebra'" in stream.hear()["error"]
        stream.say(id=item["id"], label="yak" if rank % 2 else true_label(item["id"]), weight=9 if rank % 2 else 1)
    code, words = stream.end()
    assert (code, "6 labels absorbed" in words) == (0, True)
    new = load_head(Path("new.safetensors"))
    assert new.classes == (*CLASSES, "yak")
    assert new.absorbed.label_L.tolist().count(3) == 3
    done = process("query", "pool.parquet", "-H", "new.safetensors", "-s", "margin", "-n", 30, "--format", "jsonl")
    assert "yak" in {json.loads(line)["predicted"] for line in done.out.splitlines()} | predicted


def test_end_of_input_saves_and_is_success(tool):
    stream = tool(*OPEN, "-o", "new.safetensors")
    stream.label(stream.hear())
    stream.hear()
    stream.write(b'{"id": "r0')  # a producer that dies in the middle of a line
    stream.child.stdin.close()
    assert "is not JSON" in stream.hear()["error"]
    code, said = stream.end()
    assert code == 0
    assert "2 items asked for, 1 labelled; 1 label absorbed, saved in new.safetensors" in said
    assert process("query", "pool.parquet", "-H", "new.safetensors", "-s", "margin", "-n", 1).code == 0


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_what_was_absorbed(tool, number, expected):
    skip_if_ignored(number)
    stream = tool(*OPEN, "-o", "new.safetensors")
    stream.label(stream.hear())
    stream.hear()
    code, said = stream.stop(number)
    assert code == expected
    assert "1 label absorbed, saved in new.safetensors" in said
    assert "Traceback" not in said
    assert process("query", "pool.parquet", "-H", "new.safetensors", "-s", "margin", "-n", 1).code == 0


def test_a_killed_stream_leaves_the_head_old_and_whole_and_the_ledger_complete(tool, head):
    before = head.read_bytes()
    stream = tool(*OPEN, "-o", "head.safetensors", "--selections", "asked.parquet")
    first = stream.hear()
    stream.label(first)
    second = stream.hear()
    assert stream.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    assert head.read_bytes() == before
    assert pq.read_table("asked.parquet")["id"].to_pylist() == [first["id"], second["id"]]
    again = tool(*OPEN, "-o", "head.safetensors", "--selections", "asked.parquet")
    assert again.hear()["id"] not in (first["id"], second["id"])


def test_a_reader_that_leaves_ends_the_stream_and_the_head_is_saved(tool, head):
    before = head.read_bytes()
    child = subprocess.Popen(
        [SCRIPT, "query", "pool.parquet", "--stream", *map(str, OPEN), "-o", "head.safetensors"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | _PLAIN,
    )
    item = json.loads(child.stdout.readline())
    child.stdout.close()
    _, said = child.communicate(json.dumps({"id": item["id"], "label": "cat"}).encode() + b"\n", WAIT)
    assert child.returncode == 0
    assert b"1 label absorbed" in said
    assert b"Traceback" not in said
    assert head.read_bytes() != before


def test_a_closed_output_is_an_error_and_nothing_is_asked(tool, head):
    with open(os.devnull) as unwritable:
        done = subprocess.run(
            [SCRIPT, "query", "pool.parquet", "--stream", *map(str, OPEN), "--selections", "asked.parquet"],
            stdin=subprocess.DEVNULL,
            stdout=unwritable,
            stderr=subprocess.PIPE,
            env=os.environ | _PLAIN,
            timeout=WAIT,
        )
    assert done.returncode == 74
    assert not os.path.exists("asked.parquet")


def test_the_head_is_locked_while_a_stream_will_replace_it(tool, head):
    stream = tool(*OPEN, "-o", "head.safetensors")
    stream.hear()
    done = process("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv")
    assert done.code == 75
    stream.child.stdin.close()
    assert stream.end()[0] == 0


def test_the_same_labels_give_the_same_stream_and_the_same_head(tool, head):
    def run(out):
        stream, items = tool(*OPEN, "-o", out), []
        for _ in range(4):
            items.append(stream.hear())
            stream.label(items[-1])
        assert stream.end()[0] == 0
        return items

    assert run("a.safetensors") == run("b.safetensors")
    assert open("a.safetensors", "rb").read() == open("b.safetensors", "rb").read()  # noqa: SIM115


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--format", "csv"), "--format does not go with it"),
        (("--json",), "--json does not go with it"),
        (("-p", "impute=argmax"), "--stream asks for them"),
        (("-l", "-"), "which --stream reads labels from"),
        (("--exclude", "-"), "which --stream reads labels from"),
        (("-o", "batch.csv"), "names the head to save"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_read(alcli, folder, more, words):
    alcli("query", "none.parquet", "-s", "margin", "-n", "3", "--stream", "-H", "none.safetensors", *more).refused(
        2, words
    )


def test_new_classes_are_for_labels_that_are_heard(alcli, folder):
    alcli("query", "none.parquet", "-s", "margin", "-n", "3", "--allow-new-classes").refused(
        2, "--stream reads", "add --stream"
    )


def test_a_head_to_save_is_asked_for_where_the_strategy_needs_none(alcli, folder):
    alcli("query", "none.parquet", "-s", "random", "-n", "3", "--stream", "-o", "h.safetensors").refused(
        2, "name a head with -H"
    )


def test_on_a_terminal_the_hint_says_what_to_type(tool):
    pty = pytest.importorskip("pty")
    main, other = pty.openpty()
    child = subprocess.Popen(
        [SCRIPT, "query", "pool.parquet", "--stream", *map(str, OPEN)],
        stdin=other,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | _PLAIN,
    )
    assert b'"rank": 0' in child.stdout.readline()
    os.write(main, b"\x04")
    _, said = child.communicate(timeout=WAIT)
    os.close(main)
    os.close(other)
    assert child.returncode == 0
    assert b"Ctrl-D ends" in said
