"""The Dockerfile, read: images are built elsewhere, so what can be known of it without building is checked here."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def stages() -> list[list[tuple[str, str]]]:
    """(instruction, its arguments) of each stage, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.strip() for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip()]
    found: list[list[tuple[str, str]]] = []
    for line in lines:
        instruction, _, arguments = line.partition(" ")
        if instruction == "FROM":
            found.append([])
        found[-1].append((instruction, arguments.strip()))
    return found


def copied() -> list[str]:
    """Names in the clone that COPY takes."""
    return [
        name
        for stage in stages()
        for instruction, arguments in stage
        if instruction == "COPY" and "--from" not in arguments
        for name in arguments.split()[:-1]
    ]


def let_through(name: str) -> bool:
    """Whether .dockerignore lets a name at the root through: of the lines that match it the last one decides."""
    decisions = [
        not line.startswith("!")
        for line in (ROOT / ".dockerignore").read_text().split("\n")
        if line and line[0] != "#" and fnmatch.fnmatch(name, line.lstrip("!"))
    ]
    return not decisions or not decisions[-1]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    assert copied()
    for name in copied():
        assert (ROOT / name).exists(), name
        assert let_through(name), name


def test_nothing_else_goes_to_the_build() -> None:
    assert [p.name for p in ROOT.iterdir() if let_through(p.name) and p.name not in copied()] == []


def test_stages_are_named_before_they_are_copied_from() -> None:
    named: set[str] = set()
    for stage in stages():
        for instruction, arguments in stage:
            if found := re.match(r"--from=(\S+)", arguments):
                assert instruction == "COPY"
                assert found[1] in named
        named |= set(re.findall(r" AS (\S+)$", stage[0][1]))
    assert len(stages()) == 2


def test_both_stages_have_a_python_that_pyproject_allows() -> None:
    bases = {stage[0][1].split()[0] for stage in stages()}
    assert len(bases) == 1, "a virtual environment runs with the Python it was made with"
    version = re.fullmatch(r"python:3\.(\d+)-slim", bases.pop())
    assert version
    assert int(version[1]) >= 11


def test_the_image_runs_alcli_on_data_as_no_root() -> None:
    last: dict[str, str] = dict(stages()[-1])
    assert json.loads(last["ENTRYPOINT"]) == ["alcli"]
    assert last["WORKDIR"] == "/data"
    user = last["USER"].split(":")[0]
    assert user not in ("", "root", "0")
    names = [instruction for instruction, _ in stages()[-1]]
    assert "RUN" not in names[names.index("USER") :]


def test_pip_keeps_no_cache_and_installs_no_extra_unless_asked() -> None:
    everything = [pair for stage in stages() for pair in stage]
    calls = [
        call
        for instruction, arguments in everything
        if instruction == "RUN"
        for call in re.findall(r"\bpip (?:install|wheel).*", arguments)
    ]
    assert len(calls) == 2
    assert all("--no-cache-dir" in call for call in calls)
    assert ("ARG", 'EXTRAS=""') in everything
    (wheel,) = re.findall(r'"[^"]*EXTRAS[^"]*"', calls[1])
    for extras, wanted in (("", "/wheels/*.whl"), ("onnx,text", "/wheels/*.whl[onnx,text]")):
        done = subprocess.run(
            ["sh", "-c", f"echo {wheel}"], capture_output=True, text=True, env={"EXTRAS": extras}, check=True
        )
        assert done.stdout.strip() == wanted


def test_what_is_copied_is_enough_to_build_the_wheel(tmp_path: Path) -> None:
    for name in copied():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--no-index",
        "--wheel-dir",
        str(tmp_path / "wheels"),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheels").glob("alcli_embeddings-*.whl")
    assert {"alcli/__main__.py", "alcli/py.typed"} <= set(zipfile.ZipFile(wheel).namelist())
