"""The architecture, asserted: imports point one way, and libraries stay in their layer."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "alcli"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = (
    "errors",
    "arrays",
    "remarks",
    "parsing",
    "extensions",
    "requirements",
    "stored",
    "numerics",
    "engine",
    "selection",
    "posteriors",
    "embedders",
    "heads",
    "strategies",
    "live",
    "composition",
    "plugins",
    "described",
    "simulation",
    "report",
    "data",
    "workflows",
    "api",
    "cli",
    "__main__",
)
RANK = {room: rank for rank, room in enumerate(ROOMS)}
FILE_LIBRARIES = {"pyarrow", "safetensors", "filelock", "fsspec", "csv"}
TERMINAL_LIBRARIES = {"typer", "rich", "click"}
PUBLIC = {
    "errors",
    "selection",
    "workflows",
    "api",
}  # rooms whose names `import alcli` offers; see test_api.py for when they are loaded


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {node.module} | {f"{node.module}.{a.name}" for a in node.names if node.module == "alcli"}
    return found


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    mine = layer(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "alcli" and len(parts) > 1 and parts[1] in RANK:
            assert parts[1] in PUBLIC if mine == "__init__" else RANK[parts[1]] <= RANK[mine], f"{mine} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_libraries_stay_in_their_layer(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    rank = RANK.get(layer(path), 0)
    if rank < RANK["data"]:
        assert not roots & FILE_LIBRARIES, "below data nothing knows files"
    if rank < RANK["cli"]:
        assert not roots & TERMINAL_LIBRARIES, "below the command line nothing knows the terminal"
    if layer(path) == "cli" and path.name != "console.py":
        assert "rich" not in roots, "console.py is the only user of rich"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_command_line_prints(path: Path) -> None:
    calls = [
        n
        for n in ast.walk(ast.parse(path.read_text()))
        if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "print"
    ]
    assert layer(path) == "cli" or not calls


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_runs_what_a_file_says(path: Path) -> None:
    """No pickle, no eval, no torch.load: data files cannot run code."""
    tree = ast.parse(path.read_text())
    assert not {name.split(".")[0] for name in imports(path)} & {
        "pickle",
        "shelve",
        "marshal",
        "dill",
        "joblib",
        "yaml",
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert getattr(node.func, "id", "") not in ("eval", "exec"), f"line {node.lineno}"
            assert ast.unparse(node.func) != "torch.load", f"line {node.lineno}"
            assert not [k for k in node.keywords if k.arg == "allow_pickle" and ast.unparse(k.value) != "False"], (
                f"line {node.lineno}"
            )


def test_no_import_cycles() -> None:
    names = {
        ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): p for p in MODULES
    }
    graph = {}
    for name, path in names.items():
        top = [n for n in ast.parse(path.read_text()).body if isinstance(n, (ast.Import, ast.ImportFrom))]
        targets = {n.module for n in top if isinstance(n, ast.ImportFrom)} | {
            f"{n.module}.{a.name}" for n in top if isinstance(n, ast.ImportFrom) for a in n.names
        }
        graph[name] = (targets & names.keys()) - {name}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above, name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())
