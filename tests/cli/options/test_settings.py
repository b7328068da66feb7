"""Names of columns said once: alcli.toml, the environment, and what a head remembers of its pool."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.cli.options.settings import SETTINGS, near_variables, variable
from alcli.data.reading.head_header import remembered_columns
from tests.cli.options.test_table import COMMANDS
from tests.pools import CLASSES, fixed, tiny_features

QUERY = ("query", "data/tickets.parquet", "-s", "random", "-n", 1)


@pytest.fixture
def tickets(folder):
    """data/tickets.parquet with columns of other names than the usual; labels.csv with other names, too."""
    X_ND, y_N = tiny_features(60)
    table = {
        "ticket": [f"t{i:02d}" for i in range(60)],
        "vec": fixed(X_ND),
        "kind": [CLASSES[y] if i < 20 else None for i, y in enumerate(y_N)],
    }
    (folder / "data").mkdir()
    pq.write_table(pa.table(table), folder / "data/tickets.parquet")
    rows = "".join(f"{table['ticket'][i]},{CLASSES[y_N[i]]}\n" for i in range(30))
    (folder / "labels.csv").write_text("item,answer\n" + rows)
    return folder


def toml(folder, text='id-col = "ticket"\nfeatures-col = "vec"\nlabel-col = "kind"\n', name="data/alcli.toml"):
    (folder / name).write_text(text)


def test_the_table_is_that_of_the_options():
    known = {
        max(p.opts, key=len).removeprefix("--"): p.envvar
        for command in COMMANDS.values()
        for p in command.params
        if p.envvar and p.name != "config"
    }
    assert known == {name: variable(name) for name in SETTINGS}


def test_without_a_word_the_columns_are_not_found(tickets, alcli):
    alcli(*QUERY).refused(65, "no column 'features'", "--features-col vec")


def test_a_file_beside_the_pool_names_the_columns_for_every_command(tickets, alcli):
    toml(tickets, 'id-col = "ticket"\nfeatures-col = "vec"\nlabels-id-col = "item"\nlabels-label-col = "answer"\n')
    assert alcli(*QUERY).done().err == ""
    pool = "data/tickets.parquet"
    alcli("fit-head", pool, "-l", "labels.csv", "-o", "h.safetensors", "-q").done()
    alcli("predict", pool, "-H", "h.safetensors", "-o", "p.csv").done()
    alcli("update", "h.safetensors", "-P", pool, "-l", "labels.csv").done()
    assert "ids  " in alcli("inspect", pool).done().out.decode()
    said = alcli(*QUERY, "-v").done().err
    assert "id-col 'ticket': data/alcli.toml says so" in said
    assert "labels-id-col 'item': data/alcli.toml says so" in said


@pytest.mark.parametrize("pool", ["data", "data/*.parquet", "data/tickets.parquet"])
def test_the_file_of_a_folder_and_of_a_glob(pool, tickets, alcli):
    toml(tickets)
    alcli("query", pool, "-s", "random", "-n", 1).done()


def test_the_file_next_to_a_folder(tickets, alcli):
    toml(tickets, name="alcli.toml")
    alcli("query", "data/", "-s", "random", "-n", 1).done()
    alcli(*QUERY).refused(65, "no column 'features'")


def test_the_command_line_beats_the_environment_beats_the_file(tickets, alcli, monkeypatch):
    toml(tickets, 'id-col = "a"\nfeatures-col = "b"\nlabel-col = "c"\n')
    monkeypatch.setenv("ALCLI_ID_COL", "ticket")
    monkeypatch.setenv("ALCLI_FEATURES_COL", "d")
    said = alcli(*QUERY, "--features-col", "vec", "--label-col", "kind", "-v").done().err
    assert "id-col 'ticket': the environment variable ALCLI_ID_COL says so" in said
    assert "features-col" not in said
    alcli(*QUERY).refused(65, "no column 'd'")


def test_a_file_that_is_named(tickets, alcli, monkeypatch):
    toml(tickets, 'id-col = "wrong"\n')
    toml(tickets, name="mine.toml")
    alcli(*QUERY).refused(65, "no column")
    alcli(*QUERY, "--config", "mine.toml").done()
    alcli(*QUERY, "--config", "none").refused(65, "no column 'features'")
    alcli(*QUERY, "--config", "gone.toml").refused(66, "gone.toml: cannot be opened")
    monkeypatch.setenv("ALCLI_CONFIG", "mine.toml")
    alcli(*QUERY).done()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('idcol = "x"', ["unknown setting 'idcol'", "did you mean 'id-col'?", "known: id-col, features-col"]),
        ('strategy = "evil.py"', ["unknown setting 'strategy'", "known: id-col"]),
        ('[query]\nid-col = "x"', ["unknown setting 'query'"]),
        ("id-col = 3", ["id-col must be text in quotes, got 3"]),
        ('hive = "yes"', ["hive must be true or false, got 'yes'"]),
        ("id-col = ", ["is not TOML"]),
        ("\xff", ["is not TOML"]),
        ('bad-rows = "maybe"', ["--bad-rows"]),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_known(text, words, tickets, alcli):
    (tickets / "data/alcli.toml").write_bytes(text.encode("latin-1"))
    alcli(*QUERY).refused(2 if "maybe" in text else 65, *words)


def test_nothing_that_runs_code_or_lifts_a_limit_can_be_set():
    """A file in a shared folder must be harmless: see docs/security.md."""
    assert not {"strategy", "model", "param", "head", "max-memory", "isolate", "labels", "metric", "format"} & set(
        SETTINGS
    )


def test_a_pipe_in_the_place_of_the_file_does_not_block(tickets, alcli):
    os.mkfifo(tickets / "data/alcli.toml")
    alcli(*QUERY).refused(66, "is not a regular file", "--config none")


def test_a_variable_that_is_nearly_known_is_remarked_on(tickets, alcli, monkeypatch):
    assert near_variables(["ALCLI_ID_COL", "ALCLI_DEBUG", "ALCLI_THOROUGH", "HOME"]) == ()
    toml(tickets)
    monkeypatch.setenv("ALCLI_IDCOL", "x")
    assert "ALCLI_IDCOL is not read, ALCLI_ID_COL is" in alcli(*QUERY).done().err


def test_a_head_remembers_the_columns_of_its_pool(tickets, alcli):
    pool = "data/tickets.parquet"
    names = ("--id-col", "ticket", "--features-col", "vec", "--label-col", "kind")
    alcli("fit-head", pool, *names, "-o", "h.safetensors", "-q").done()
    expected = {"id": "ticket", "features": "vec", "label": "kind"}
    assert remembered_columns(tickets / "h.safetensors") == expected
    said = alcli("query", pool, "-H", "h.safetensors", "-n", 1, "-s", "margin", "-v").done()
    assert "id-col 'ticket': the head h.safetensors remembers it" in said.err
    assert said.lines == alcli("query", pool, *names, "-H", "h.safetensors", "-n", 1, "-s", "margin").done().lines
    alcli("predict", pool, "-H", "h.safetensors", "-o", "p.csv", "--isolate").done()
    (tickets / "new.csv").write_text("id,label\nt30,cat\n")
    alcli("update", "h.safetensors", "-P", pool, "-l", "new.csv", "--method", "refit").done()
    assert remembered_columns(tickets / "h.safetensors") == expected
    # A pool of the usual names goes on under them, and an option beats what is remembered.
    table = pq.read_table(pool).rename_columns(["id", "features", "label"])
    pq.write_table(table, tickets / "usual.parquet")
    alcli("predict", "usual.parquet", "-H", "h.safetensors", "-o", "q.csv").done()
    alcli("predict", pool, "--id-col", "kind", "-H", "h.safetensors", "-o", "r.csv").refused(65, "kind")


def test_a_head_of_a_usual_pool_remembers_nothing_and_no_head_is_no_error_here(head):
    assert remembered_columns(head) == {}
    assert remembered_columns(head.parent / "labels.csv") == {}
    assert remembered_columns(head.parent / "gone") == {}
