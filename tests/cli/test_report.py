"""The command `alcli report`: what it refuses, what it writes, and what a browser makes of hostile texts."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.dom import check_readable, fetched, parsed
from tests.pools import CLASSES, tiny_features, write_labels, write_pool
from tests.shell import untouched

HOSTILE = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\x00\x1b[2J",
)
ASK = ("report", "pool.parquet", "-H", "head.safetensors")


@pytest.fixture
def ledger(head, alcli):
    alcli("query", "pool.parquet", "-H", head, "-s", "margin", "-n", "3", "--selections", "ledger.parquet").done()
    return head.parent


def test_the_same_inputs_give_the_same_bytes_and_stay_as_they_are(ledger, alcli):
    (ledger / "out").mkdir()
    (ledger / "in").mkdir()
    for name in ("pool.parquet", "head.safetensors", "ledger.parquet", "labels.csv"):
        shutil.copy(name, ledger / "in")
    inputs = ("report", "in/pool.parquet", "-H", "in/head.safetensors", "--selections", "in/ledger.parquet")
    with untouched(ledger / "in"):
        for number in range(2):
            alcli(*inputs, "-l", "in/labels.csv", "-o", f"out/{number}.html").done()
    pages = [Path(f"out/{number}.html").read_bytes() for number in range(2)]
    assert pages[0] == pages[1]
    assert str(ledger).encode() not in pages[0], "folders of the user are nobody's concern"
    assert sorted(p.name for p in (ledger / "out").iterdir()) == ["0.html", "1.html"]


def test_figures_on_the_terminal_and_as_json(ledger, alcli):
    found = alcli(*ASK, "--selections", "ledger.parquet", "-o", "report.html").done()
    assert found.out == b""
    assert {line.split()[0]: line.split()[-1] for line in found.err.splitlines()} == {
        "items": "60",
        "labelled": "20",
        "batch": "3",
        "pictures": "0",
        "contradicted": "1",
        "bytes": str(Path("report.html").stat().st_size),
        "page": "report.html",
    }
    told = json.loads(alcli(*ASK, "--selections", "ledger.parquet", "-o", "again.html", "--json").done().out)
    assert (told["batch"], told["labelled"], told["out"]) == (3, 20, "again.html")
    assert told["pool"] == {"name": "pool.parquet", "rows": 60, "dim": 5}


def test_refusals(ledger, alcli):
    Path("old.html").write_text("mine")
    Path("items.csv").write_text("id,colour\nr040,red\n")
    refusals = {
        ("-o", "old.html"): (73, "old.html: already exists", "--force"),
        ("-o", "no/report.html"): (73, "there is no folder"),
        ("-o", "pool.parquet", "--force"): (2, "is read and cannot be the output too"),
        ("-o", "a.html", "--selections", "none.parquet"): (66, "none.parquet: no such file", "query --selections"),
        ("-o", "a.html", "--selections", "labels.csv"): (2, "a ledger is a Parquet file"),
        ("-o", "a.html", "--selections", "ledger.parquet", "--batch", "b.csv"): (2, "leave one of them out"),
        ("-o", "a.html", "--batch", "none.csv"): (66, "none.csv"),
        ("-o", "a.html", "--batch", "pool.parquet", "--id-col", "nope"): (65, "nope"),
        ("-o", "a.html", "--simulation", "none"): (66, "none: holds no simulation"),
        ("-o", "a.html", "--items", "items.csv"): (2, "items.csv: no column has a name of texts", "'colour'", "--keep"),
        ("-o", "a.html", "--items", "items.csv", "--keep", "text"): (65, "items.csv", "'text'"),
        ("-o", "a.html", "--keep", "text"): (65, "'text'"),
        ("-o", "a.html", "--map", "tsne"): (2, "--map must be one of pca, umap"),
        ("-o", "a.html", "-l", "-", "--batch", "-"): (2, "'-' is given twice"),
        ("-o", "a.html", "--expect-sha256", "0" * 64): (65, "SHA-256"),
    }
    for given, (code, *words) in refusals.items():
        alcli(*ASK, *given).refused(code, *words)
    assert Path("old.html").read_text() == "mine"
    assert not Path("a.html").exists()
    alcli(*ASK[:2], "-o", "a.html").refused(2, "report needs -H HEAD")


def test_a_head_of_other_features_and_a_pool_without_rows(ledger, alcli):
    write_pool("other.parquet", np.zeros((3, 4), np.float32))
    alcli("report", "other.parquet", *ASK[2:], "-o", "a.html").refused(65, "other.parquet has D=4")
    write_pool("empty.parquet", np.zeros((0, 5), np.float32))
    alcli("report", "empty.parquet", *ASK[2:], "-o", "a.html").refused(65, "the pool has 0 rows")


def test_a_ledger_without_a_batch_and_ids_of_another_type(ledger, alcli):
    write_pool("numbered.parquet", tiny_features()[0], list(range(60)))
    write_labels("numbered.csv", {k: CLASSES[k % 3] for k in range(20)})
    alcli("fit-head", "numbered.parquet", "-l", "numbered.csv", "-o", "numbered.safetensors").done()
    ask = ("report", "numbered.parquet", "-H", "numbered.safetensors", "-o", "a.html")
    alcli(*ask, "--selections", "ledger.parquet").refused(65, "ledger.parquet: row 0", "the pool's ids are integers")
    Path("none.csv").write_text("id\n")
    alcli(*ask, "--batch", "none.csv").done()
    assert "The batch is empty." in parsed(Path("a.html").read_bytes()).one("section", id="batch").words


@pytest.fixture
def hostile(folder, alcli):
    """report.html of a pool whose ids, texts, classes and strategy would run a script."""
    ids = [f"{HOSTILE[k % 3]}{k}" for k in range(60)]
    X_ND, y_N = tiny_features()
    write_pool("pool.parquet", X_ND, ids, text=[HOSTILE[(k + 1) % 3] for k in range(60)])
    table = {ids[k]: HOSTILE[y_N[k]] for k in range(20)}
    write_labels("labels.csv", {id: label for id, label in table.items() if "\x00" not in id + label})
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    rows = [{"id": id, "strategy": HOSTILE[0], "score": 1.0, "why": HOSTILE[1]} for id in ids[30:36]]
    Path("batch.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    alcli(*ASK, "--batch", "batch.jsonl", "-o", "report.html").done()
    return folder / "report.html"


def test_hostile_texts_of_every_input_stay_texts(hostile):
    page = parsed(hostile.read_bytes())
    check_readable(page)
    assert fetched(page) == []
    assert len(page.all("script")) == 2
    assert not page.all("img")
    card = page.all("article")[0]
    assert card.one("h3").one("bdi").text == f"{HOSTILE[0]}30"
    assert card.facts()["strategy"] == HOSTILE[0]
    assert card.one("p", class_="reason").one("bdi").text == HOSTILE[1]
    assert [p.text.split() for p in page.all("article")[1].all("p", class_="text")] == [["\\x00\\x1b[2J"]]


BROWSER = shutil.which("chromium")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed here")
def test_a_browser_runs_the_script_of_the_page_and_no_other(hostile, tmp_path):
    quiet = ("--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update")
    done = subprocess.run(
        [
            str(BROWSER), "--headless", "--no-sandbox", *quiet, "--disable-quic", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--dump-dom", hostile.as_uri(),
        ],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    page = parsed(done.stdout.encode())
    assert page.one("head").one("title").words == "Report on pool.parquet"
    assert "hidden" not in page.one("p", id="find").attrs, "the script ran"
    assert page.one("div", id="plot").attrs["tabindex"] == "0"
    assert "Content Security Policy" not in done.stderr
    assert "Uncaught" not in done.stderr
