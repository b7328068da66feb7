"""A round trip through a Label Studio server: tasks and suggestions in, annotations, four exports, and heads from them.

`--format label-studio --pre-annotate` writes 40 questions, which the server imports. An annotator, played through the
server's API, answers all but two: one he skips, one he leaves open. Each export (JSON, JSON_MIN, CSV, TSV) then goes to
`fit-head -l`. The table says how many labels were read, and whether the head is the one that the true labels give,
number by number. Needs the program `label-studio`, in PATH or at $LABEL_STUDIO (`pip install label-studio`, in an
environment of its own); skipped where it is not there. It listens on this machine alone, and keeps its data in a folder
that is removed.
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from alcli.data.head_file import load_head
from benchmarks.timing import table

QUESTIONS = Path(__file__).parents[1] / "sample_data" / "questions.csv"
EXPORTS = {"JSON": "json", "JSON_MIN": "json", "CSV": "csv", "TSV": "tsv"}
N, PATIENCE = 40, 180.0


def main(data: Path) -> None:
    program = os.environ.get("LABEL_STUDIO") or shutil.which("label-studio")
    if program is None:
        return print("skipped: no program label-studio in PATH or at $LABEL_STUDIO")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alcli(folder, "embed", QUESTIONS, "-m", "hashing:256", "-o", "pool.parquet", "-q")
        with open(QUESTIONS, encoding="utf-8") as file:
            truth = {row["id"]: row["intent"] for row in csv.DictReader(file)}
        begin = list(truth)[:60]
        write_labels(folder / "begin.csv", {id: truth[id] for id in begin})
        alcli(folder, "fit-head", "pool.parquet", "-l", "begin.csv", "-o", "first.safetensors", "-q")
        keep = ("--keep", "text", "--items", QUESTIONS, "--format", "label-studio", "--pre-annotate")
        alcli(folder, "query", "pool.parquet", "-H", "first.safetensors", "-n", N, *keep, "-o", "tasks.json", "-q")
        with serving(program, folder) as server:
            suggestions, answered = annotated(server, folder, truth)
        rows = [[export, *compared(folder, export, answered)] for export in EXPORTS]
    print(f"{N} tasks, {suggestions} suggestions shown by the server, {len(answered)} answered")
    table(("export", "labels read", "of them right", "head as from the true labels"), rows)


def annotated(server: Server, folder: Path, truth: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Import the tasks, answer them, and write the exports; return the number of suggestions, and the answers by id."""
    classes = "".join(f'<Choice value="{name}"/>' for name in sorted(set(truth.values())))
    view = f'<View><Text name="text" value="$text"/><Choices name="label" toName="text">{classes}</Choices></View>'
    project = server.post("/api/projects/", {"title": "questions", "label_config": view})["id"]
    server.post(f"/api/projects/{project}/import", json.loads((folder / "tasks.json").read_text()))
    tasks = server.get(f"/api/projects/{project}/tasks/?page_size=1000")
    answers, suggestions = {}, 0
    for number, task in enumerate(sorted(tasks, key=lambda task: task["id"])):
        id = task["data"]["alcli_id"]
        suggestions += int(task["total_predictions"])
        if number == 1:
            continue
        said = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [truth[id]]}}]
        skipped = number == 0
        server.post(f"/api/tasks/{task['id']}/annotations/", {"result": said, "was_cancelled": skipped})
        answers |= {} if skipped else {id: truth[id]}
    for export, suffix in EXPORTS.items():
        path = f"/api/projects/{project}/export?exportType={export}&download_all_tasks=true"
        (folder / f"{export}.{suffix}").write_bytes(server.read(path))
    return suggestions, answers


def compared(folder: Path, export: str, answered: dict[str, str]) -> list[str]:
    """Fit a head to an export, and compare it with the head of the answers."""
    write_labels(folder / "answers.csv", answered)
    file, fit = f"{export}.{EXPORTS[export]}", ("fit-head", "pool.parquet", "-q", "--force", "--prior-precision", "1")
    told = json.loads(alcli(folder, "inspect", file, "--json"))["files"][0]
    alcli(folder, *fit, "-l", "answers.csv", "-o", "true.safetensors")
    alcli(folder, *fit, "-l", file, "-o", "read.safetensors")
    true, read = (load_head(folder / f"{name}.safetensors") for name in ("true", "read"))
    same = true.classes == read.classes and np.array_equal(true.model.head.W_CD1, read.model.head.W_CD1)
    known = set(true.absorbed.id_L.tolist())
    right = sum(id in known for id in read.absorbed.id_L.tolist())
    return [f"{len(read.absorbed)} of {told['rows']} rows", str(right), "yes" if same else "NO"]


class Server:
    """The API of a running server."""

    def __init__(self, address: str, token: str) -> None:
        self._address, self._headers = address, {"Authorization": f"Token {token}", "Content-Type": "application/json"}

    def read(self, path: str, body: Any = None) -> bytes:
        """The answer to a request; with a body, it is posted."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, data, self._headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def get(self, path: str) -> Any:
        return json.loads(self.read(path))

    def post(self, path: str, body: Any) -> Any:
        return json.loads(self.read(path, body))


@contextmanager
def serving(program: str, folder: Path) -> Iterator[Server]:
    """Start the server on a free port of this machine, wait until it answers, and stop it at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(20)
    user = ("--username", "bench@example.org", "--password", secrets.token_hex(8), "--user-token", token)
    where = ("--internal-host", "127.0.0.1", "--port", str(port), "--data-dir", str(folder / "server"), "--no-browser")
    quiet = {"COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false"}
    environment = os.environ | quiet | {"LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true"}
    command = [program, "start", *user, *where]
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, stdin=subprocess.DEVNULL)
    try:
        server, deadline = Server(f"http://127.0.0.1:{port}", token), time.monotonic() + PATIENCE
        while True:
            try:
                server.get("/api/projects/")
                break
            except (urllib.error.URLError, OSError) as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    log_end = (folder / "server.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the server does not answer: {error}\n{log_end}") from error
                time.sleep(0.5)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def alcli(folder: Path, *arguments: object) -> str:
    """Run a command in the folder, and return what it prints to stdout."""
    command = [sys.executable, "-m", "alcli", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def write_labels(path: Path, labels: dict[str, str]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "label"), *labels.items()])
