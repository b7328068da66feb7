"""Damaged and hostile files, through the command line in child processes: a refusal in a line, and nothing written."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from tests.fuzz.mutations import footer_start, pool_bytes
from tests.pools import CLASSES, fixed, names, tiny_features, write_embedded, write_pool
from tests.shell import forked, limit_addresses, untouched, with_memory, with_peak

X_ND, Y_N = tiny_features()
ASK = ("query", "pool.parquet", "-s", "coreset", "-n", 3, "-o", "out.csv")
GOOD = pool_bytes("plain-crc")
SMALL = 400 << 20


CONTENTS = {
    "empty": (b"", "size is 0 bytes"),
    "text": (b"id,features\n1,2\n", "not readable as Parquet"),
    "magic alone": (b"PAR1", "not readable as Parquet"),
    "magic twice": (b"PAR1PAR1", "not readable as Parquet"),
    "footer of 2 GiB": (b"PAR1" + b"\0" * 50 + (2**31).to_bytes(4, "little") + b"PAR1", "not readable as Parquet"),
    "footer of -1": (b"PAR1" + b"\0" * 50 + b"\xff\xff\xff\xffPAR1", "not readable as Parquet"),
    "cut in the data": (GOOD[: footer_start(GOOD) // 2], "not readable as Parquet"),
    "cut in the footer": (GOOD[:-100], "not readable as Parquet"),
    "one byte short": (GOOD[:-1], "not readable as Parquet"),
    "footer of zeros": (
        GOOD[: footer_start(GOOD)] + b"\0" * 200 + (200).to_bytes(4, "little") + b"PAR1",
        "not readable as Parquet",
    ),
    "an Arrow file": (b"ARROW1\0\0" + b"\0" * 100 + b"ARROW1", "not readable as Parquet"),
    "a pickle": (pickle.dumps({"id": [1]}), "not readable as Parquet"),
    "an archive": (b"PK\x03\x04" + b"\0" * 100, "not readable as Parquet"),
}


@pytest.mark.parametrize("case", CONTENTS)
def test_what_is_no_pool(folder, case):
    data, words = CONTENTS[case]
    Path("pool.parquet").write_bytes(data)
    with untouched(folder):
        forked(*ASK).refused(65, "pool.parquet", words)


def test_no_pool_anywhere(tiny):
    """The same file where other commands expect a pool, a head, labels, a ledger, a source."""
    Path("bad.parquet").write_bytes(CONTENTS["cut in the data"][0])
    commands = [
        ("fit-head", "bad.parquet", "-l", "labels.csv", "-o", "h.safetensors"),
        ("fit-head", "pool.parquet", "-l", "bad.parquet", "-o", "h.safetensors"),
        ("query", "pool.parquet", "-s", "margin", "-n", 3, "-H", "bad.parquet"),
        ("query", "pool.parquet", "-s", "coreset", "-n", 3, "--exclude", "bad.parquet"),
        ("query", "pool.parquet", "-s", "coreset", "-n", 3, "--selections", "bad.parquet"),
        ("update", "bad.parquet", "-P", "pool.parquet", "-l", "labels.csv"),
        ("predict", "pool.parquet", "-H", "bad.parquet", "-o", "out.csv"),
        ("predict", "bad.parquet", "-H", "head.safetensors", "-o", "out.csv"),
        ("simulate", "bad.parquet", "-s", "margin", "-n", 3, "--rounds", 1, "-o", "sim"),
        ("embed", "bad.parquet", "-m", "identity", "-o", "out.parquet"),
        ("inspect", "bad.parquet"),
    ]
    for command in commands:
        with untouched(tiny):
            forked(*command).refused(65, "bad.parquet")
        assert not Path("sim").exists()


def test_a_flipped_bit_in_what_embed_wrote(folder):
    """Pages carry checksums: damage to the features is refused, and never learned from."""
    table = pa.table({"id": names(60)})
    with open("pool.parquet", "wb") as file:
        write_embedded(file, table, X_ND, {"model": "m", "source": "s", "layer": None, "normalized": False})
    data = bytearray(Path("pool.parquet").read_bytes())
    at = data.find(X_ND.tobytes()[:64])
    assert at > 0
    data[at + 37] ^= 1
    Path("pool.parquet").write_bytes(data)
    with untouched(folder):
        forked(*ASK).refused(65, "pool.parquet", "CRC")


def test_an_encrypted_file(folder):
    class Client(pe.KmsClient):
        def wrap_key(self, key, name):
            return key

        def unwrap_key(self, key, name):
            return key

    factory = pe.CryptoFactory(lambda config: Client())
    how = factory.file_encryption_properties(
        pe.KmsConnectionConfig(),
        pe.EncryptionConfiguration(footer_key="k", uniform_encryption=True, plaintext_footer=False),
    )
    pq.write_table(pa.table({"id": names(60), "features": fixed(X_ND)}), "pool.parquet", encryption_properties=how)
    with untouched(folder):
        forked(*ASK).refused(65, "pool.parquet", "encrypted")


def test_a_footer_that_promises_more_rows_than_there_are(folder):
    """A number of rows that fits nothing else in the file is refused before anything of that size is made."""
    Path("pool.parquet").write_bytes(_with_rows(GOOD, 48, 63))
    with untouched(folder):
        forked(*ASK, before=lambda: limit_addresses(SMALL)).refused(
            65, "pool.parquet", "48 rows together, its footer says 63"
        )


def _with_rows(data: bytes, old: int, new: int) -> bytes:
    """The total of rows in the footer changed. In Thrift's compact form it is an i64 in zigzag after the schema:
    field header 0x16.
    """
    edge = footer_start(data)
    at = data.index(bytes([0x16, 2 * old]), edge)
    return data[: at + 1] + bytes([2 * new]) + data[at + 2 :]


def test_a_decompression_bomb_streams(folder):
    """A quarter of a megabyte that holds 256 MB of zeros is read a page at a time."""
    n, dim = 16_384, 4_096
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(n * dim, np.float32)), dim)
    pq.write_table(
        pa.table({"id": np.arange(n), "features": column}), "pool.parquet", compression="zstd", use_dictionary=False
    )
    assert os.path.getsize("pool.parquet") < 2 << 20
    asked = ("query", "pool.parquet", "-s", "random", "-n", 3, "-q")
    assert len(forked(*asked, before=lambda: limit_addresses(SMALL)).done().lines) == 3
    from alcli.data.pool import open_pool

    assert sum(len(X_BD) for _, X_BD in open_pool("pool.parquet").blocks()) == n


def test_a_bomb_of_one_page_ends_in_a_sentence(folder):
    """One page that is larger than the memory there is: exit 71 or 65, and nothing written; not a kill, not a
    traceback.
    """
    n, dim = 16_384, 4_096
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(n * dim, np.float32)), dim)
    pq.write_table(
        pa.table({"id": np.arange(n), "features": column}),
        "pool.parquet",
        compression="zstd",
        use_dictionary=False,
        data_page_size=1 << 30,
        write_batch_size=n * dim,
    )
    with untouched(folder):
        said = with_memory(200 << 20, *ASK)
    assert said.code in (65, 71)
    said.refused(said.code, "pool.parquet" if said.code == 65 else "memory")


def bomb(how: str) -> None:
    """pool.parquet: one page of 256 MB of zeros in some 10 KB. how: "honest"; "footer", which says that it is small;
    or "header", of the page.
    """
    n, dim = 16_384, 4_096
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(n * dim, np.float32)), dim)
    pq.write_table(
        pa.table({"id": np.arange(n), "features": column}),
        "pool.parquet",
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
        data_page_size=1 << 30,
        write_batch_size=n * dim,
    )
    data = Path("pool.parquet").read_bytes()
    with pq.ParquetFile("pool.parquet") as parquet:
        chunk = parquet.metadata.row_group(0).column(1)
        at, size = chunk.data_page_offset, chunk.total_uncompressed_size
    told = zigzag(size) if how == "footer" else data[at + 3 : at + 3 + 5]
    assert data[at : at + 3] == b"\x15\x00\x15", "a page of data, then its size"
    where = data.rindex(told) if how == "footer" else at + 3
    if how != "honest":
        Path("pool.parquet").write_bytes(data[:where] + zigzag(1000, len(told)) + data[where + len(told) :])
    with pq.ParquetFile("pool.parquet") as parquet:
        assert parquet.metadata.row_group(0).column(1).total_uncompressed_size == (1000 if how == "footer" else size)


def zigzag(value: int, length: int = 0) -> bytes:
    """A positive integer in Thrift's compact form, filled up to `length` bytes."""
    out, value = [], 2 * value
    while value > 127 or len(out) + 1 < length:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize("how", ["honest", "footer", "header"])
def test_a_page_beyond_max_memory_is_never_decompressed(folder, how):
    """Whatever the footer says: the header of the page is looked at. One that lies itself is caught by the size of
    its buffer.
    """
    bomb(how)
    assert os.path.getsize("pool.parquet") < 1 << 20
    commands = [ASK, ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors")]
    Path("labels.csv").write_text("id,label\n1,a\n2,b\n")
    with untouched(folder):
        for command in commands:
            said, peak = with_peak(*command, "--max-memory", "64M")
            if how == "header":
                said.refused(65, "pool.parquet", "not readable as Parquet")
            else:
                said.refused(
                    71,
                    "pool.parquet: column 'features' has a page that becomes 256 MiB, more than the 64 MiB",
                    "--max-memory",
                )
            assert peak < 64 << 20
    if how == "honest":
        said, peak = with_peak(*ASK, "--max-memory", "300M")
        assert len(said.done().out) == 0
        assert peak > 256 << 20, "the measure sees what it costs to decompress it"


def test_small_limits_do_not_refuse_usual_pages(folder):
    write_pool("pool.parquet", X_ND)
    forked(*ASK, "--max-memory", "1").done()


def test_files_without_checksums_are_named_to_those_who_ask(folder):
    """With -v: up to three of them, and how many more; nothing about what embed writes, and nothing without -v."""
    with open("good.parquet", "wb") as file:
        write_embedded(
            file, pa.table({"id": names(60)}), X_ND, {"model": "m", "source": "s", "layer": None, "normalized": False}
        )
    ask = ("-s", "coreset", "-n", 3)
    assert "checksums" not in forked("query", "good.parquet", *ask, "-v").done().err
    Path("parts").mkdir()
    os.rename("good.parquet", "parts/good.parquet")
    for i in range(5):
        write_pool(f"parts/{i}.parquet", X_ND, [f"{i}{name}" for name in names(60)])
    said = forked("query", "parts", *ask, "-v").done()
    assert (
        "alcli: no page checksums in parts/0.parquet, parts/1.parquet, parts/2.parquet and 2 more files: damage "
        "inside pages cannot be seen" in said.err.splitlines()
    )
    assert "checksums" not in forked("query", "parts", *ask).done().err
    Path("labels.csv").write_text("id,label\nr000,a\nr001,b\n")
    fit = forked("fit-head", "parts", "-l", "labels.csv", "-o", "h.safetensors", "-v").done()
    Path("labels.csv").write_text("id,label\nr002,a\n")
    assert "no page checksums in parts/0.parquet" in fit.err
    assert (
        "no page checksums in parts/0.parquet"
        in forked("update", "h.safetensors", "-P", "parts", "-l", "labels.csv", "-v").done().err
    )


class Payload:
    """Unpickling it makes a file."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def test_nothing_in_a_file_is_run(tiny):
    """Pickles where heads, labels and features are expected, and an Arrow extension type that once was unpickled
    (CVE-2023-47248).
    """
    payload = pickle.dumps(Payload())
    for name in ("head.safetensors", "head.pt", "labels.csv", "labels.jsonl", "evil.npy", "evil.parquet"):
        Path(name).write_bytes(payload)
    np.save("objects.npy", np.array([Payload()], object), allow_pickle=True)
    commands = [
        ("query", "pool.parquet", "-s", "margin", "-n", 3, "-H", "head.safetensors"),
        ("query", "pool.parquet", "-s", "margin", "-n", 3, "-H", "head.pt"),
        ("query", "pool.parquet", "-s", "margin", "-n", 3, "-l", "labels.csv"),
        ("query", "pool.parquet", "-s", "margin", "-n", 3, "-l", "labels.jsonl"),
        ("embed", "evil.npy", "-m", "identity", "-o", "out.parquet"),
        ("embed", "objects.npy", "-m", "identity", "-o", "out.parquet"),
        ("query", "evil.parquet", "-s", "random", "-n", 3),
    ]
    for command in commands:
        forked(*command).refused(65)
    kind = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": payload}
    field = pa.field("features", pa.list_(pa.float32(), 5), metadata=kind)
    pq.write_table(
        pa.table([names(60), fixed(X_ND)], schema=pa.schema([pa.field("id", pa.string()), field])), "extension.parquet"
    )
    forked("query", "extension.parquet", "-s", "random", "-n", 3).done()
    assert not Path("ran").exists()


def test_sizes_in_a_head_are_not_believed(tiny):
    """A header that promises tensors of 2^60 bytes is refused by the size of the file, under a small memory limit."""
    for shape, end in (([2**57], 2**60), ([2**31, 2**31], 2**63 - 1), ([-1], 8), ([0], 2**63)):
        header = json.dumps(
            {
                "__metadata__": {"alcli": json.dumps({"format": 1})},
                "model.w": {"dtype": "F64", "shape": shape, "data_offsets": [0, end]},
            }
        ).encode()
        Path("big.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        with untouched(tiny):
            forked(
                "query",
                "pool.parquet",
                "-s",
                "margin",
                "-n",
                3,
                "-H",
                "big.safetensors",
                before=lambda: limit_addresses(SMALL),
            ).refused(65, "big.safetensors")
    Path("deep.safetensors").write_bytes((60_000).to_bytes(8, "little") + b"[" * 60_000)
    forked("query", "pool.parquet", "-s", "margin", "-n", 3, "-H", "deep.safetensors").refused(65, "deep.safetensors")


def test_control_characters_never_reach_the_terminal(folder):
    """Ids, labels, classes, columns, models and paths that hold escape sequences appear escaped in every message."""
    evil = "\x1b]0;owned\x07\x9b31m\u202e\r"
    X, y = tiny_features(30)
    ids = [f"{evil}{i}" for i in range(30)]
    bad = X.copy()
    bad[7, 2] = np.nan
    write_pool("pool.parquet", X, ids, label=[f"{CLASSES[v]}{evil}" for v in y])
    write_pool("nan.parquet", bad, ids)
    write_pool("twice.parquet", X, [ids[0]] * 30)
    write_pool(f"x{evil}.parquet", X, **{evil: [1] * 30})
    for name, text in {
        "unknown.csv": f'id,label\n"nobody{evil}",cat\n',
        "class.jsonl": json.dumps({"id": ids[1], "label": evil}) + "\n" + json.dumps({"id": ids[1], "label": "b"}),
        "json.jsonl": '{"id": "' + evil + '"',
    }.items():
        Path(name).write_text(text, newline="")
    fit = ("fit-head", "pool.parquet", "-o", "h.safetensors", "--force")
    forked(*fit).done()
    commands = [
        ("query", "nan.parquet", "-s", "coreset", "-n", 3),
        ("query", "twice.parquet", "-s", "coreset", "-n", 3),
        ("query", "pool.parquet", "-s", "random", "-n", 3, "--allow-empty", "-l", "unknown.csv"),
        ("query", f"x{evil}.parquet", "-s", "random", "-n", 3, "--features-col", evil),
        ("query", f"nowhere{evil}", "-s", "random", "-n", 3),
        ("query", "pool.parquet", "-s", evil, "-n", 3),
        ("query", "nan.parquet", "-s", "random", "-n", 3),
        ("update", "h.safetensors", "-P", "pool.parquet", "-l", "class.jsonl"),
        ("update", "h.safetensors", "-P", "pool.parquet", "-l", "json.jsonl"),
        (*fit, "-l", "unknown.csv"),
        (*fit, "-p", f"{evil}=1"),
        ("embed", f"nowhere{evil}", "-m", "hashing:4", "-o", "out.parquet"),
        (evil,),
    ]
    for command in commands:
        said = forked(*command)
        shown = said.err.replace("\n", "")
        assert said.code in (2, 65, 66), (command, said)
        assert shown.isprintable(), (command, said.err)
