"""Selections in four formats read back as they were written and serve as --exclude; formats of other people, right
and wrong.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.formats import FORMATS, encode, format_of, output_format, own_format
from alcli.data.tables import read_ids
from alcli.errors import DataError, InputError, UsageError

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r\t"), min_size=1, max_size=6).filter(
    lambda t: t.strip() and not t.startswith(("\ufeff", "{", "PAR1"))
)
ids = st.one_of(
    st.lists(text.filter(lambda t: "id" not in t), unique=True, max_size=5),
    st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, min_size=1, max_size=5),
)


def table_of(ids: list[object]) -> dict[str, list[object]]:
    return {
        "id": ids,
        "rank": list(range(len(ids))),
        "score": [0.1] * len(ids),
        "strategy": ["margin"] * len(ids),
        "predicted": ["cat"] * len(ids),
    }


@given(ids, st.sampled_from(["ids", "csv", "jsonl", "parquet"]))
def test_a_selection_can_be_excluded(folder, ids, form):
    text_ids = not (ids and isinstance(ids[0], int))
    Path(f"x.{form}").write_bytes(encode(table_of(ids), form, {}, text_ids=text_ids))
    found = [row.values["id"] for row in read_ids(f"x.{form}")]
    assert found == (list(map(str, ids)) if form in ("ids", "csv") else ids)


def test_every_format_holds_every_column(folder):
    table = table_of(["a, b", 'c"d']) | {"confidence": [0.25, 1e-9], "weight": [1.0, 2.5]}
    data = {form: encode(table, form, {"seed": 3}, text_ids=True) for form in ("csv", "jsonl", "parquet")}
    rows = [dict(zip(table, values)) for values in zip(*table.values())]
    assert [json.loads(line) for line in data["jsonl"].splitlines()] == rows
    assert list(csv.DictReader(data["csv"].decode().splitlines())) == [
        {k: str(v) for k, v in row.items()} for row in rows
    ]
    arrow = pq.read_table(pa.BufferReader(data["parquet"]))
    assert arrow.schema.field("score").type == pa.float32()
    assert arrow.schema.field("rank").type == pa.int32()
    assert arrow["id"].to_pylist() == table["id"]
    assert json.loads(arrow.schema.metadata[b"alcli"]) == {"seed": 3}


def test_formats_follow_the_extension():
    for name, form in (
        ("x.csv", "csv"),
        ("x.tsv", "tsv"),
        ("x.xlsx", "xlsx"),
        ("x.jsonl", "jsonl"),
        ("x.ndjson", "jsonl"),
        ("x.parquet", "parquet"),
        ("x.txt", "ids"),
        ("x", "ids"),
        ("batch.2026-11-30", "ids"),
        ("batch.1", "ids"),
    ):
        assert format_of(Path(name), None) == form
    assert format_of(Path("x.csv"), "jsonl") == "jsonl"
    assert format_of(None, None) == "ids"
    with pytest.raises(
        UsageError,
        match=r"no format 'xls'; known: ids, csv, tsv, jsonl, parquet, xlsx, label-studio, .*, doccano; FILE\.py",
    ):
        format_of(None, "xls")
    for name in ("x.xls", "x.json", "x.arrow"):
        with pytest.raises(UsageError, match=r"no format has the extension \.\w+, known are \.csv, .*--format ids"):
            format_of(Path(name), None)
    assert format_of(Path("x.json"), "ids") == "ids"
    assert [own_format(e) for e in (".pq", ".xyz", "")] == ["parquet", None, None]


def test_no_extension_belongs_to_two_formats():
    extensions = [e for known in FORMATS.values() for e in known.extensions]
    assert len(extensions) == len(set(extensions))


def test_ids_that_are_not_lines():
    with pytest.raises(DataError, match=r"a\\nb"):
        encode(table_of(["a\nb"]), "ids", {}, text_ids=True)


# -- formats of other people ------------------------------------------------------------------------------------------

XYZ = """
import json
from alcli.data.formats import output_format

@output_format(extensions=(".xyz",))
def xyz(table, about):
    table["id"].append("not for the ledger")
    about["options"]["more"] = 1
    return json.dumps([about["strategy"], about["id_type"], table]).encode()
"""


def package(folder: Path, name: str, source: str, *points: str) -> None:
    """An installed distribution `name`, of one module, that offers formats."""
    (folder / f"{name}.py").write_text(source)
    about = folder / f"{name}-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("\n".join(["[alcli.formats]", *points]) + "\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages; what they leave in sys.modules goes with it."""
    found = tmp_path / "site"
    found.mkdir()
    monkeypatch.syspath_prepend(found)
    yield found
    for name in [name for name in sys.modules if name.startswith("alcli_")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["xyz.py", "xyz.py:xyz"])
def test_a_format_of_a_file(folder, name):
    Path("xyz.py").write_text(XYZ)
    table, about = table_of(["a"]), {"strategy": "margin", "options": {}}
    assert format_of(Path("x.csv"), name) == name
    assert json.loads(encode(table, name, about, text_ids=True)) == [
        "margin",
        "string",
        {**table, "id": ["a", "not for the ledger"]},
    ]
    assert (table["id"], about["options"]) == (["a"], {}), (
        "a format cannot change what is reported and entered into the ledger"
    )


def test_a_format_of_a_package(folder, site):
    package(site, "alcli_xyz", XYZ, "xyz = alcli_xyz:xyz", "csv = alcli_xyz:xyz")
    assert format_of(Path("x.csv"), None) == format_of(None, "csv") == "csv", "names and extensions of alcli come first"
    assert format_of(None, "xyz") == format_of(Path("x.xyz"), None) == "xyz"
    assert format_of(Path("x.txt"), None) == format_of(Path("xyz"), None) == "ids"
    assert json.loads(encode(table_of([]), "xyz", {"strategy": "s", "options": {}}, text_ids=False))[:2] == [
        "s",
        "integer",
    ]
    with pytest.raises(
        UsageError,
        match="known: ids, csv, tsv, jsonl, parquet, xlsx, label-studio, argilla, prodigy, doccano, csv, xyz",
    ):
        format_of(None, "zxy")


def test_an_extension_that_two_packages_have(folder, site):
    package(site, "alcli_xyz", XYZ, "xyz = alcli_xyz:xyz")
    package(site, "alcli_other", XYZ, "other = alcli_other:xyz")
    with pytest.raises(
        UsageError,
        match=r"x\.xyz: several installed formats have this extension: other, xyz; name one, as --format other",
    ):
        format_of(Path("x.xyz"), None)
    assert format_of(Path("x.xyz"), "xyz") == "xyz"


def test_a_package_that_cannot_be_loaded(folder, site):
    package(site, "alcli_xyz", "1 / 0\n", "xyz = alcli_xyz:xyz")
    assert format_of(Path("x.csv"), None) == "csv"
    assert format_of(Path("x.txt"), "ids") == "ids"
    for path, wanted in ((Path("x.txt"), None), (None, "xyz")):
        with pytest.raises(
            DataError, match=r"'xyz' of the package alcli_xyz: line 1 of alcli_xyz\.py: ZeroDivisionError"
        ):
            format_of(path, wanted)
    with pytest.raises(DataError, match=r"x\.txt: an installed format.*name a format with --format"):
        format_of(Path("x.txt"), None)


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (
            "def xyz(table, about): return b''",
            DataError,
            r"xyz\.py declares no output format; .*@output_format from alcli\.data\.formats",
        ),
        ("def broken(:", DataError, r"xyz\.py, line 1: "),
        ("raise KeyError('x')", DataError, r"xyz\.py: line 1 of xyz\.py: KeyError"),
        (
            XYZ.replace('(".xyz",)', '".xyz"'),
            DataError,
            r"line 5 of xyz\.py: ValueError: extensions is '\.xyz', expected a tuple",
        ),
        (XYZ.replace('(".xyz",)', '("xyz",)'), DataError, r"line 5 of xyz\.py: ValueError: extensions is \('xyz',\)"),
        (XYZ.replace('(extensions=(".xyz",))', ""), DataError, r"line 5 of xyz\.py: TypeError"),
        (
            XYZ.replace("def xyz", "def one") + XYZ.replace("def xyz", "def two"),
            UsageError,
            r"declares 2 .*one, two; name one, as xyz\.py:one",
        ),
    ],
)
def test_a_file_that_declares_no_format(folder, source, error, words):
    """Refused before anything is chosen."""
    Path("xyz.py").write_text(source)
    with pytest.raises(error, match=words) as caught:
        format_of(None, "xyz.py")
    assert "\n" not in str(caught.value)


def test_a_file_or_function_that_is_not_there(folder):
    Path("xyz.py").write_text(XYZ)
    with pytest.raises(InputError, match=r"nowhere\.py"):
        format_of(None, "nowhere.py")
    with pytest.raises(UsageError, match="no output format 'zyx'"):
        format_of(None, "xyz.py:zyx")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 'text'", r"xyz\.py: the format returned str, expected bytes; return bytes"),
        ("return None", r"xyz\.py: the format returned NoneType, expected bytes"),
        ("return bytearray()", r"xyz\.py: the format returned bytearray, expected bytes"),
        ("return table['gone']", r"xyz\.py: line 5 of xyz\.py: KeyError: 'gone'"),
        ("raise ValueError('one\\ntwo')", r"xyz\.py: line 5 of xyz\.py: ValueError: one\\ntwo"),
    ],
)
def test_a_format_that_fails(folder, body, words):
    Path("xyz.py").write_text(
        f"from alcli.data.formats import output_format\n\n@output_format(extensions=())\ndef xyz(table, about):\n  "
        f"  {body}\n"
    )
    with pytest.raises(DataError, match=words) as caught:
        encode(table_of(["a"]), "xyz.py", {}, text_ids=True)
    assert "\n" not in str(caught.value)


def test_a_function_of_other_parameters(folder):
    Path("xyz.py").write_text(XYZ.replace("(table, about)", "(table)"))
    with pytest.raises(DataError, match=r"xyz\.py: .*TypeError: .*positional argument"):
        encode(table_of(["a"]), "xyz.py", {}, text_ids=True)


def test_the_declared_function_remains_a_function():
    @output_format(extensions=(".a", ".b"))
    def both(table, about):
        """Write nothing."""
        return b""

    assert both({}, {}) == b""
    assert both.output_format.extensions == (".a", ".b")


def test_query_writes_by_a_file_and_by_a_package(tiny, site, alcli):
    """The whole way: the file, the ledger that a failing format leaves as it was, and the extension of a package."""
    package(site, "alcli_xyz", XYZ, "xyz = alcli_xyz:xyz")
    Path("mine.py").write_text(XYZ)
    ask = ("query", "pool.parquet", "-s", "random", "-n", 3, "--selections", "ledger.parquet")
    alcli(*ask, "--format", "mine.py", "-o", "one.txt").done()
    alcli(*ask, "-o", "two.xyz").done()
    written = [json.loads(Path(name).read_text()) for name in ("one.txt", "two.xyz")]
    assert [found[:2] for found in written] == [["random", "string"]] * 2
    assert [id for found in written for id in found[2]["id"][:3]] == pq.read_table("ledger.parquet")["id"].to_pylist()
    before = Path("ledger.parquet").read_bytes()
    Path("bad.py").write_text(XYZ.replace("    return", "    1 / 0\n    return"))
    alcli(*ask, "--format", "bad.py", "-o", "three.txt").refused(65, "bad.py: line 9 of bad.py: ZeroDivisionError")
    assert not Path("three.txt").exists()
    assert Path("ledger.parquet").read_bytes() == before
    alcli("query", "nowhere", "-s", "random", "-n", 3, "--format", "gone.py").refused(66, "gone.py")
