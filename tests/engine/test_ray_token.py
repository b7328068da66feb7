"""A Ray cluster that asks for a token: a command finds its token, and one without a token gets a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alcli.engine.on_ray.tokens import is_at_hand
from tests.engine.test_ray import ENVIRONMENT, QUERY, run, started

ray = pytest.importorskip("ray", reason="Ray is not installed")


@pytest.mark.skipif(not hasattr(ray.exceptions, "AuthenticationError"), reason="this release of Ray knows no token")
def test_the_token_of_a_cluster_is_sent_and_asked_for(tmp_path: Path) -> None:
    """In a process of its own, for Ray reads the variables once."""
    code = "import os, sys; from tests.engine.test_ray_token import ask; ask(); sys.stdout.flush(); os._exit(0)"
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4, "HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT | token, timeout=180)
    *ids, noise, code_without, said = done.stdout.splitlines()
    assert len(ids) == 5, done.stderr
    assert "token" not in noise
    assert code_without == "69"
    assert said.startswith("alcli: error: the Ray cluster at ")
    assert "asks for a token that this command does not have; put it into RAY_AUTH_TOKEN" in said


def ask() -> None:
    """Print the answer of a cluster to a command with its token, and to one without."""
    with started(1) as cluster:
        on_cluster = [*QUERY, "--engine", "ray", "--ray-address", cluster.address]
        del ENVIRONMENT["RAY_AUTH_MODE"]
        ids, noise = run(*on_cluster).communicate(timeout=120)
        print(ids, repr(noise), sep="")
        del ENVIRONMENT["RAY_AUTH_TOKEN"]
        refused = run(*on_cluster)
        said = refused.communicate(timeout=120)[1]
        print(refused.returncode, said.splitlines()[-1], sep="\n")


def test_a_token_is_found_where_ray_finds_it(tmp_path: Path) -> None:
    home, file = {"HOME": str(tmp_path)}, tmp_path / ".ray" / "auth_token"
    assert not is_at_hand(home)
    assert is_at_hand({"RAY_AUTH_TOKEN": "x"} | home)
    file.parent.mkdir()
    file.write_text("\n")
    assert not is_at_hand(home), "an empty file holds no token"
    file.write_text("x\n")
    assert is_at_hand(home)
    assert is_at_hand({"RAY_AUTH_TOKEN_PATH": str(file)})
    assert not is_at_hand({"RAY_AUTH_TOKEN_PATH": os.devnull} | home)
