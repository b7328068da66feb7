"""Damaged files by the thousand, each read in a child process: what is neither the right answer nor a refusal is a
finding.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alcli.data.ledger.journal import journal_path
from tests.fuzz import commands, sources
from tests.fuzz import mutations as m
from tests.fuzz.oracles import Reader, judge, label_reader, read_head, read_ids_and_labels, read_pool
from tests.pools import CLASSES, tiny_features, write_labels, write_pool
from tests.shell import SCRIPT, limit_addresses

MEMORY = 4 << 30
SECONDS = 20  # a file of four kilobytes that takes longer is a hang
TARGETS = (
    *(f"pool-{variant}" for variant in m.VARIANTS),
    "rows",
    "head",
    *(f"labels-{kind}" for kind in m.LABELS),
    *(f"source-{suffix}" for suffix in sources.SUFFIXES),
    "ledger",
    "journal",
    "stream",
    *(f"simulation-{part}" for part in commands.PARTS),
)
# Whole commands read the files of these targets, which takes a hundred times as long.
SLOW = frozenset({"ledger", "journal", "stream", *(f"simulation-{part}" for part in commands.PARTS)})
Mutate = Callable[[bytes, random.Random, int], Iterable[tuple[str, bytes]]]


@dataclass(frozen=True)
class Finding:
    """A damaged file and what came of it."""

    target: str
    kind: str
    what: str
    data: bytes


@dataclass(frozen=True)
class Target:
    """A kind of file: how it is read, where, what is right, and how it is damaged. silent: kinds of damage that the
    format cannot show.
    """

    name: str
    read: Reader
    path: Path
    data: bytes
    right: Any
    mutate: Mutate
    silent: frozenset[str] = frozenset()

    @property
    def is_text(self) -> bool:
        """True where other text is another file, so that nobody can tell what is right."""
        return self.mutate is m.text_mutants


def target(name: str, folder: Path) -> Target:
    """A target by its name, its files in `folder`. Messages of the command that makes a head go nowhere."""
    family, _, variant = name.partition("-")
    match family:
        case "pool":
            path, data = folder / "damaged.parquet", m.pool_bytes(variant)
            path.write_bytes(data)
            silent = frozenset() if variant.endswith("-crc") else frozenset({"data"})
            return Target(name, read_pool, path, data, read_pool(path), m.parquet_mutants, silent)
        case "rows":
            path = folder / "rows.parquet"
            path.write_bytes(m.label_bytes())
            right = read_ids_and_labels(path)
            return Target(name, read_ids_and_labels, path, path.read_bytes(), right, m.parquet_mutants)
        case "source":
            return _source(name, folder / f"damaged.{variant}", variant)
        case "ledger" | "journal" | "stream" | "simulation":
            return _of_commands(name, family, variant, folder / name)
    X_ND, y_N = tiny_features(48, 4)
    pool = folder / "pool.parquet"
    write_pool(pool, X_ND)
    if family == "labels":
        path = folder / f"damaged.{variant}"
        return Target(name, label_reader(pool), path, m.LABELS[variant], None, m.text_mutants)
    write_labels(folder / "labels.csv", {f"r{i:03d}": CLASSES[y_N[i]] for i in range(6)})
    path = folder / "damaged.safetensors"
    subprocess.run(
        [SCRIPT, "fit-head", pool, "-l", folder / "labels.csv", "-o", path, "--prior-precision", "1", "-q", "--force"],
        check=True,
    )
    return Target(name, read_head, path, path.read_bytes(), read_head(path), m.head_mutants)


def _source(name: str, path: Path, suffix: str) -> Target:
    data = sources.source_bytes(suffix)
    path.write_bytes(data)
    if suffix in sources.TEXTS:
        return Target(name, sources.read_text, path, data, None, m.text_mutants)
    mutate = m.parquet_mutants if suffix == "parquet" else m.binary_mutants
    silent = frozenset({"data", "scrambled"} if suffix in sources.WITHOUT_CHECKSUMS else ())
    return Target(name, sources.read_source, path, data, sources.read_source(path), mutate, silent)


def _of_commands(name: str, family: str, variant: str, folder: Path) -> Target:
    """A target that whole commands read, in a folder of its own."""
    here = os.getcwd()
    try:
        commands.prepared(folder)
        if family == "ledger":
            path = folder / "ledger.parquet"
            data, read = path.read_bytes(), commands.within(folder, commands.read_ledger_by_commands)
            return Target(name, read, path, data, read(path), m.parquet_mutants)
        if family == "journal":
            read, data = commands.within(folder, commands.read_journal_by_commands), commands.journal(folder)
            return Target(name, read, journal_path(folder / "ledger.parquet"), data, None, m.text_mutants)
        if family == "stream":
            read = commands.within(folder, commands.read_stream)
            return Target(name, read, folder / "answers.jsonl", commands.ANSWERS, None, m.text_mutants)
        read = commands.within(folder, commands.reader_of_simulation(variant))
        path, data = folder / Path(commands.PARTS[variant]).name, commands.part_of_simulation(variant)
        return Target(name, read, path, data, None, m.parquet_mutants if path.suffix == ".parquet" else m.text_mutants)
    finally:
        os.chdir(here)


def mutants(what: Target, draw: random.Random, n: int) -> Iterable[tuple[str, bytes]]:
    """(kind, bytes) of some `n` damaged files; of a head every byte, in turn, whatever `n`."""
    return what.mutate(what.data, draw, n)


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
