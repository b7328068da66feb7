"""Pools at a URI: what can be read, what cannot and why, and that nothing else ever reaches for a network. Through
the command line.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool
from tests.shell import forked, untouched

X_ND, Y_N = tiny_features()
ASK = ("-s", "random", "-n", 99, "-q")


class Network:
    """A limit for the child: a socket of the internet is the end of it (seccomp; SIGSYS), whoever opens one, C++
    included.
    """

    CALLS: ClassVar = {
        "x86_64": (0xC000003E, 41),
        "aarch64": (0xC00000B7, 198),
    }  # the architecture, and its number of `socket`

    def __call__(self) -> None:
        if platform.machine() not in self.CALLS:
            os._exit(77)
        architecture, number = self.CALLS[platform.machine()]
        load, equal, end = 0x20, 0x15, 0x06
        kill, allow = 0x80000000, 0x7FFF0000
        code = [
            (load, 0, 0, 4),
            (equal, 0, 5, architecture),
            (load, 0, 0, 0),
            (equal, 0, 3, number),
            (load, 0, 0, 16),
            (equal, 2, 0, 2),
            (equal, 1, 0, 10),
            (end, 0, 0, allow),
            (end, 0, 0, kill),
        ]
        filters = b"".join(struct.pack("HBBI", *line) for line in code)
        text = ctypes.create_string_buffer(filters, len(filters))
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(text)))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
            os._exit(77)


@pytest.fixture
def offline() -> Network:
    """A child that may not open a socket; skipped where the system cannot take that right away."""
    if forked("--version", before=Network()).code == 77:
        pytest.skip("this system has no seccomp filters")
    return Network()


def test_nothing_reaches_for_a_network(tiny, offline):
    """All commands on local files, under that limit."""
    write_pool("labelled.parquet", X_ND, label=[CLASSES[y] for y in Y_N])
    commands = [
        ("embed", "pool.parquet", "-m", "identity", "--input-col", "features", "-o", "out.parquet"),
        ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors"),
        (
            "query",
            f"file://{tiny}/pool.parquet",
            "-H",
            "head.safetensors",
            "-s",
            "badge",
            "-n",
            3,
            "--selections",
            "ledger.parquet",
            "--isolate",
            "--hive",
        ),
        ("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv"),
        ("predict", "pool.parquet", "-H", "head.safetensors", "-o", "predictions.parquet"),
        (
            "simulate",
            "labelled.parquet",
            "-s",
            "margin",
            "-n",
            3,
            "--rounds",
            1,
            "--seeds",
            1,
            "--prior-precision",
            "1",
            "-o",
            "sim",
        ),
    ]
    for command in commands:
        forked(*command, before=offline).done()


def test_the_limit_sees_what_it_forbids(folder, offline):
    assert (
        forked(
            "query", "s3://bucket/pool?region=us-east-1&endpoint_override=127.0.0.1:9&scheme=http", *ASK, before=offline
        ).code
        == -signal.SIGSYS
    )


CASES = {
    "file:///nowhere.parquet": (66, ["/nowhere.parquet: no such file"]),
    "file://": (66, ["file://: is no URI that can be read"]),
    "memory://nothing": (66, ["memory://nothing: no such file"]),
    "foo://x": (66, ["foo://x: unknown filesystem 'foo://'"]),
    "://": (66, ["://"]),
    "s3://": (66, ["s3://: is no URI that can be read", "bucket"]),
    "s3:///x": (66, ["s3:///x: is no URI that can be read", "bucket"]),
    "data://x": (66, ["data://x: is no URI that can be read"]),
    "s3:bucket/x": (66, ["s3:bucket/x: no such file"]),
    "zip://nowhere.zip": (66, ["zip://nowhere.zip: cannot open"]),
}


@pytest.mark.parametrize("uri", CASES)
def test_what_is_no_pool_is_known_without_a_network(folder, offline, uri):
    code, words = CASES[uri]
    with untouched(folder):
        forked("query", uri, *ASK, before=offline, timeout=20).refused(code, *words)


@pytest.mark.parametrize(("scheme", "requirement"), [("s3", "s3fs"), ("gs", "gcsfs"), ("https", "fsspec[http]")])
def test_what_needs_another_library(folder, scheme, requirement):
    """Where pyarrow was built without a filesystem and fsspec has no library for it."""

    def without() -> None:
        import fsspec
        import pyarrow as pa
        import pyarrow.fs

        class Without:
            @staticmethod
            def from_uri(uri):
                raise pa.ArrowNotImplementedError(f"Got {scheme.upper()} URI but Arrow compiled without it")

        def url_to_fs(uri):
            raise ImportError("Install s3fs to access S3")

        pyarrow.fs.FileSystem = Without
        fsspec.core.url_to_fs = url_to_fs

    Path(f"{scheme}:/bucket").mkdir(parents=True)
    write_pool("pool.parquet", X_ND[:3], names(3))
    os.rename("pool.parquet", f"{scheme}:/bucket/pool.parquet")  # which is no reason to take the URI for it
    with untouched(folder):
        forked("query", f"{scheme}://bucket/pool.parquet", *ASK, before=without).refused(
            69, f"{scheme}://bucket/pool.parquet", f"pip install '{requirement}>="
        )


def test_no_answer(folder):
    """A server that takes the connection and says nothing: a sentence in time, and an exit that does not wait for it
    either.
    """
    import alcli.data.reading.remote as remote

    def impatient() -> None:
        remote.PATIENCE = 1.0

    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"s3://key:secret@bucket/pool?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with untouched(folder):
            forked("query", uri, *ASK, before=impatient, timeout=40).refused(69, "no answer within 1 seconds")
        code = "import sys, alcli.data.reading.remote as r; r.PATIENCE = 1.0\n"
        code += "from alcli.__main__ import main\nsys.exit(main())"
        said = subprocess.run(
            [sys.executable, "-c", code, "query", uri, "-s", "random", "-n", "3"], capture_output=True, timeout=60
        )
    assert said.returncode == 69
    assert b"secret" not in said.stderr, "what is in a URI to be kept from others is not in the mail of cron"
    assert time.monotonic() - start < 60
    assert remote.PATIENCE <= 15


def test_nobody_there(folder):
    """A port on which nobody listens."""
    with untouched(folder):
        forked(
            "query",
            "s3://key:secret@bucket/pool?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:9",
            *ASK,
            timeout=40,
        ).refused(69, "cannot be reached")


class Store(BaseHTTPRequestHandler):
    """As much of S3 as it takes to list and read a bucket: the files below `root`; a secret is off limits."""

    root: Path
    log: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        url = urlsplit(self.path)
        self.log.append(f"{self.command} {url.path}")
        key = unquote(url.path).lstrip("/").partition("/")[2]
        asked = parse_qs(url.query)
        if "list-type" in asked:
            return self._send(200, self._listing(asked.get("prefix", [""])[0], "delimiter" in asked).encode(), body)
        if key.startswith("secret"):
            return self._send(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", body)
        file = self.root / key
        if not file.is_file():
            return self._send(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>", body)
        data = file.read_bytes()
        if "Range" in self.headers:
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            part = data[int(first) : int(last) + 1]
            return self._send(
                206, part, body, {"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"}
            )
        self._send(200, data, body)

    def _listing(self, prefix: str, flat: bool) -> str:
        keys = sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())
        rows = "".join(
            f"<Contents><Key>{k}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified><ETag>x</ETag>"
            f"<Size>{(self.root / k).stat().st_size}</Size></Contents>"
            for k in keys
            if k.startswith(prefix) and not (flat and "/" in k[len(prefix) :])
        )
        folders = {
            prefix + k[len(prefix) :].split("/")[0] + "/"
            for k in keys
            if flat and k.startswith(prefix) and "/" in k[len(prefix) :]
        }
        common = "".join(f"<CommonPrefixes><Prefix>{f}</Prefix></CommonPrefixes>" for f in sorted(folders))
        count = rows.count("<Contents>") + len(folders)
        about = f"<IsTruncated>false</IsTruncated><KeyCount>{count}</KeyCount><Prefix>{prefix}</Prefix>"
        return f"<ListBucketResult>{about}{rows}{common}</ListBucketResult>"

    def _send(self, code: int, data: bytes, body: bool, more: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {
            "Content-Length": str(len(data)),
            "ETag": '"x"',
            "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT",
            **(more or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def bucket(folder) -> Iterator[str]:
    """The URI of a bucket, "{}" standing for a path in it, and its files below store/."""
    pytest.importorskip("pyarrow._s3fs")
    Store.root, Store.log = folder / "store", []
    for split in ("train", "test"):
        (Store.root / "pool" / f"split={split}").mkdir(parents=True)
    write_pool("store/pool/split=train/a.parquet", X_ND[:20], names(60)[:20])
    write_pool("store/pool/split=test/b.parquet", X_ND[20:60], names(60)[20:])
    (Store.root / "pool/_SUCCESS").write_bytes(b"")
    (Store.root / "pool/_old.parquet").write_bytes(b"no Parquet")
    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"s3://key:secret@bucket/{{}}?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_pool_in_a_bucket(bucket):
    """Listed and read over HTTP, by every command, as if it lay here."""
    assert sorted(forked("query", bucket.format("pool"), *ASK).done().lines) == names(60)
    assert sorted(forked("query", bucket.format("pool"), *ASK, "--hive").done().lines) == names(20)
    one = bucket.format("pool/split=train/a.parquet")
    here = "store/pool/split=train/a.parquet"
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in range(12)})
    ask = ("-l", "labels.csv", "-s", "margin", "-n", 5, "--format", "csv", "-q")
    assert forked("query", one, *ask).done().out == forked("query", here, *ask).done().out
    for option, place in (("a", one), ("b", here)):
        forked("fit-head", place, "-l", "labels.csv", "-o", f"{option}.safetensors").done()
    assert "secret" not in forked("query", one, "-s", "random", "-n", 3, "--json").done().out.decode()
    write_labels("more.csv", {"r015": CLASSES[Y_N[15]]})
    forked("update", "a.safetensors", "-P", one, "-l", "more.csv").done()
    assert any(line.startswith("GET") for line in Store.log)


def test_what_is_wrong_in_a_bucket(bucket):
    (Store.root / "bad.parquet").write_bytes(b"PAR1 no Parquet PAR1")
    (Store.root / "empty").mkdir()
    (Store.root / "empty/x.csv").write_text("id\n")
    forked("query", bucket.format("nowhere.parquet"), *ASK).refused(66, "nowhere.parquet", "no such file")
    forked("query", bucket.format("empty"), *ASK).refused(66, "empty", "no Parquet file")
    forked("query", bucket.format("bad.parquet"), *ASK).refused(65, "bad.parquet", "not readable as Parquet")
    forked("query", bucket.format("secret.parquet"), *ASK).refused(66, "secret.parquet", "cannot open")
