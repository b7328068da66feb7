"""The threat model, read off the source: nothing that a file says is run, looked up as code, or sent anywhere."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pools import CLASSES, tiny_features, write_pool
from tests.shell import forked

PACKAGE = Path(__file__).parents[2] / "alcli"
TREES = {str(p.relative_to(PACKAGE)): ast.parse(p.read_text()) for p in sorted(PACKAGE.rglob("*.py"))}
RUN_CODE = {"eval", "exec", "compile", "__import__"}
UNPICKLE = {"pickle", "cPickle", "_pickle", "cloudpickle", "shelve", "marshal", "dill", "joblib", "yaml", "xmlrpc"}
NETWORK = {"socket", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib", "urllib3"}
# A Ray cluster is looked for at the address that the user gives, before Ray itself waits for it.
REACHES = {"engine/on_ray/cluster.py"}
# Code is looked up by a name for plugins, which are files of the package, for code that the user names
# (extensions.py, -m python:), and for optional libraries.
LOOK_UP = {"__init__.py", "plugins.py", "embedders/python.py", "embedders/_contract.py"}


def calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def imported(tree: ast.AST) -> set[str]:
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("name", TREES)
def test_files_are_data(name):
    tree = TREES[name]
    roots = {module.split(".")[0] for module in imported(tree)}
    assert not roots & UNPICKLE
    assert not roots & NETWORK or name in REACHES, "alcli tells nobody anything"
    assert "urllib.request" not in imported(tree)
    assert "subprocess" not in roots, "no command line is ever built"
    for call in calls(tree):
        function = ast.unparse(call.func)
        where = f"line {call.lineno}: {function}"
        assert function not in RUN_CODE, where
        assert function not in ("os.system", "os.popen", "torch.load", "np.fromregex", "importlib.__import__"), where
        assert function != "importlib.import_module" or name in LOOK_UP, where
        for keyword in call.keywords:
            if keyword.arg in ("allow_pickle", "trust_remote_code"):
                assert ast.unparse(keyword.value) == "False", f"{where}: {keyword.arg}"
            assert not (keyword.arg == "weights_only" and ast.unparse(keyword.value) != "True"), where
        if function in ("np.load", "numpy.load"):
            assert any(keyword.arg == "allow_pickle" for keyword in call.keywords), f"{where} says allow_pickle=False"


def test_models_of_others_bring_no_code():
    """Every model that is loaded by name: weights from safetensors, and no Python of the hub's."""
    loaded = {}
    for name, tree in TREES.items():
        for call in calls(tree):
            if ast.unparse(call.func).endswith((".from_pretrained", ".SentenceTransformer")):
                loaded[name, ast.unparse(call.func)] = {k.arg: ast.unparse(k.value) for k in call.keywords}
    assert len(loaded) >= 3
    for (name, function), keywords in loaded.items():
        assert keywords["trust_remote_code"] == "False", name
        assert "revision" in keywords, name
        assert "Tokenizer" in function or "use_safetensors" in ast.unparse(TREES[name]), name


FORBIDDEN = (
    "socket.",
    "pickle.find_class",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "urllib.",
    "http.",
    "ftplib.",
    "smtplib.",
    "webbrowser.",
)
COMMANDS = {
    "embed": ("embed", "texts.csv", "-m", "hashing:8", "-o", "embedded.parquet"),
    "fit-head": ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "new.safetensors"),
    "mlp": (
        "fit-head",
        "pool.parquet",
        "-l",
        "labels.csv",
        "-o",
        "new.safetensors",
        "--head",
        "mlp",
        "--prior-precision",
        "1",
        "-p",
        "epochs=2",
    ),
    "query": (
        "query",
        "pool.parquet",
        "-H",
        "head.safetensors",
        "-l",
        "labels.csv",
        "--exclude",
        "more.csv",
        "-s",
        "badge",
        "-n",
        3,
        "--selections",
        "ledger.parquet",
        "-o",
        "out.parquet",
    ),
    "update": ("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv"),
    "predict": ("predict", "pool.parquet", "-H", "head.safetensors", "--probs", "-o", "predictions.parquet"),
    "simulate": (
        "simulate",
        "labelled.parquet",
        "-s",
        "margin",
        "-n",
        3,
        "--rounds",
        1,
        "--initial",
        6,
        "--seeds",
        1,
        "--prior-precision",
        "1",
        "-o",
        "sim",
    ),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_unpickles_connects_or_starts_a_program(head, command):
    """Watched by the audit events that the interpreter raises itself, whichever library does it."""
    X, y = tiny_features()
    write_pool("labelled.parquet", X, label=[CLASSES[v] for v in y])
    Path("texts.csv").write_text("id,text\n" + "".join(f"{i},words {i}\n" for i in range(9)))

    def watched() -> None:
        def hear(event: str, arguments: tuple[object, ...]) -> None:
            if event.startswith(FORBIDDEN):
                with open("heard", "a") as file:
                    file.write(f"{event} {str(arguments)[:90]}\n")

        sys.addaudithook(hear)

    forked(*COMMANDS[command], before=watched).done()
    assert not Path("heard").exists(), Path("heard").read_text()


def test_the_watch_hears():
    """The events above, raised on purpose in a child."""
    code = (
        "import sys; heard = set(); sys.addaudithook(lambda e, a: heard.add(e)); import pickle, socket, subprocess; "
        "pickle.loads(pickle.dumps(Exception)); socket.socket().close(); subprocess.run(['true']); print(*heard)"
    )
    heard = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"pickle.find_class", "socket.__new__", "subprocess.Popen"} <= set(heard)


def test_the_lint_sees_what_it_forbids():
    """The rules above, on a module that breaks them."""
    bad = ast.parse(
        "import pickle, subprocess\nfrom urllib.request import urlopen\neval(x)\nnp.load(f, allow_pickle=True)\n"
    )
    assert {"pickle", "subprocess", "urllib.request"} <= imported(bad)
    assert [ast.unparse(call.func) for call in calls(bad)] == ["eval", "np.load"]


def test_plugins_named_in_a_head_are_looked_up_among_ours(head, alcli):
    """A head that names a module of the system as its kind of model is refused, and the module is not imported."""
    import json

    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    from alcli.data.head_file import _digest

    tensors = load_file(head)
    with safe_open(head, "numpy") as file:
        about = json.loads(file.metadata()["alcli"])
    for kind in ("antigravity", "..antigravity", "../../antigravity", "this", "_contract", ""):
        for part in ("head", "posterior"):
            evil = json.loads(json.dumps(about))
            evil["model"][part]["kind"] = kind
            evil["sha256"] = _digest(tensors, evil)
            save_file(tensors, "evil.safetensors", {"alcli": json.dumps(evil)})
            alcli("query", "pool.parquet", "-s", "margin", "-n", 3, "-H", "evil.safetensors").refused(
                65, "evil.safetensors", "unknown kind"
            )
    assert "antigravity" not in sys.modules
    assert "this" not in sys.modules
