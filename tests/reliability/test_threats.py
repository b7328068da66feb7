"""The threat model, read off the source: nothing that a file says is run, looked up as code, or sent anywhere."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "alcli"
TREES = {str(p.relative_to(PACKAGE)): ast.parse(p.read_text()) for p in sorted(PACKAGE.rglob("*.py"))}
RUN_CODE = {"eval", "exec", "compile", "__import__"}
UNPICKLE = {"pickle", "cPickle", "_pickle", "cloudpickle", "shelve", "marshal", "dill", "joblib", "yaml", "xmlrpc"}
NETWORK = {"socket", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib", "urllib3"}
# Code is looked up by a name for plugins, which are files of the package, for what the user types after -m python:, and for optional libraries.
LOOK_UP = {"plugins.py", "embedders/python.py", "embedders/_contract.py"}


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
    assert not roots & NETWORK, "alcli tells nobody anything"
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


def test_the_lint_sees_what_it_forbids():
    """The rules above, on a module that breaks them."""
    bad = ast.parse("import pickle, subprocess\nfrom urllib.request import urlopen\neval(x)\nnp.load(f, allow_pickle=True)\n")
    assert {"pickle", "subprocess", "urllib.request"} <= imported(bad)
    assert [ast.unparse(call.func) for call in calls(bad)] == ["eval", "np.load"]


def test_plugins_named_in_a_head_are_looked_up_among_ours(head, alcli):
    """A head that names a module of the system as its kind of model is refused, and the module is not imported."""
    import json
    import sys

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
            alcli("query", "pool.parquet", "-s", "margin", "-n", 3, "-H", "evil.safetensors").refused(65, "evil.safetensors", "unknown kind")
    assert "antigravity" not in sys.modules
    assert "this" not in sys.modules
