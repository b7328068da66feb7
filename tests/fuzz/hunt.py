"""Damaged files by the thousand, each read in a child process: what is neither the right answer nor a refusal is a
finding.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz import mutations as m
from tests.fuzz.oracles import Reader, judge, label_reader, read_head, read_ids_and_labels, read_pool
from tests.pools import CLASSES, tiny_features, write_labels, write_pool
from tests.shell import SCRIPT, limit_addresses

MEMORY = 4 << 30
SECONDS = 20  # a file of four kilobytes that takes longer is a hang
TARGETS = (*(f"pool-{variant}" for variant in m.VARIANTS), "rows", "head", *(f"labels-{kind}" for kind in m.LABELS))


@dataclass(frozen=True)
class Finding:
    """A damaged file and what came of it."""

    target: str
    kind: str
    what: str
    data: bytes


@dataclass(frozen=True)
class Target:
    """A kind of file: how it is read, where, and what is right. silent: kinds of damage that the format cannot show."""

    name: str
    read: Reader
    path: Path
    data: bytes
    right: Any
    silent: frozenset[str] = frozenset()


def target(name: str, folder: Path) -> Target:
    """A target by its name, its files in `folder`. Messages of the command that makes a head go nowhere."""
    family, _, variant = name.partition("-")
    if family == "pool":
        path, data = folder / "damaged.parquet", m.pool_bytes(variant)
        path.write_bytes(data)
        return Target(
            name,
            read_pool,
            path,
            data,
            read_pool(path),
            frozenset() if variant.endswith("-crc") else frozenset({"data"}),
        )
    if family == "rows":
        path = folder / "rows.parquet"
        path.write_bytes(m.label_bytes())
        return Target(name, read_ids_and_labels, path, path.read_bytes(), read_ids_and_labels(path))
    X_ND, y_N = tiny_features(48, 4)
    pool = folder / "pool.parquet"
    write_pool(pool, X_ND)
    if family == "labels":
        return Target(name, label_reader(pool), folder / f"damaged.{variant}", m.LABELS[variant], None)
    write_labels(folder / "labels.csv", {f"r{i:03d}": CLASSES[y_N[i]] for i in range(6)})
    path = folder / "damaged.safetensors"
    subprocess.run(
        [SCRIPT, "fit-head", pool, "-l", folder / "labels.csv", "-o", path, "--prior-precision", "1", "-q", "--force"],
        check=True,
    )
    return Target(name, read_head, path, path.read_bytes(), read_head(path))


def mutants(what: Target, draw: random.Random, n: int) -> Iterator[tuple[str, bytes]]:
    """(kind, bytes) of some `n` damaged files; of a head every byte, in turn, whatever `n`."""
    if what.name.startswith(("pool", "rows")):
        yield from m.parquet_mutants(what.data, draw, n)
    elif what.name.startswith("labels"):
        yield from (("text", m.text_mutant(what.data, draw)) for _ in range(n))
    else:
        for at in range(len(what.data)):
            yield "byte", what.data[:at] + bytes([what.data[at] ^ (1 << draw.randrange(8))]) + what.data[at + 1 :]
        yield from (("scrambled", m.scramble(what.data, draw, 0, len(what.data))) for _ in range(n))


def hunt(what: Target, files: Iterable[tuple[str, bytes]]) -> tuple[dict[str, int], list[Finding]]:
    """(how many were right and how many refused, findings)."""
    left = list(files)
    counts, findings = {"right": 0, "refused": 0, "silent": 0}, []
    while left:
        said, death = _read_in_child(what, [data for _, data in left])
        for (kind, data), answer in zip(left, said):
            silent = answer == "wrong data" and kind in what.silent
            if silent or answer in counts:
                counts["silent" if silent else answer] += 1
            else:
                findings.append(Finding(what.name, kind, answer, data))
        if len(said) < len(left):
            findings.append(Finding(what.name, left[len(said)][0], death, left[len(said)][1]))
        left = left[len(said) + 1 :]
    return counts, findings


def _read_in_child(what: Target, files: list[bytes]) -> tuple[list[str], str]:
    """The answers for the files up to one that the child died of, and how it died."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        limit_addresses(MEMORY)
        for data in files:
            signal.alarm(SECONDS)
            what.path.write_bytes(data)
            os.write(writer, json.dumps(judge(what.read, what.path, what.right)).encode() + b"\n")
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as lines:
        said = [json.loads(line) for line in lines]
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said, f"died with {code}" + (" (a hang)" if code == -signal.SIGALRM else "")
