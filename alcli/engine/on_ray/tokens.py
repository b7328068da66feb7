"""The token that a Ray cluster may ask for.

Ray 2.60 asks for a token in the clusters that `ray start` starts, and its clients send none unless RAY_AUTH_MODE tells
them to. `ray.init` would try for 20 seconds then, and not name the reason. So the head is asked first. A token is sent
where it is asked for and nowhere else: in a cluster that knows no token, workers would not start with one.
Source: the documentation of Ray 2.60, "Token authentication".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MODE = "RAY_AUTH_MODE"


def lacks_token(ray: Any, address: str) -> bool:
    """True where the head at HOST:PORT refuses this process for want of the right token.

    A token that is at hand is sent from now on where the head asks for one, unless RAY_AUTH_MODE is set. False where
    this release of Ray cannot be asked, and where `ray.init` sees that the token is missing.
    """
    if os.environ.get(MODE) == "token" and not is_at_hand(os.environ):
        return False
    if not _refuses(ray, address):
        return False
    if MODE in os.environ or not is_at_hand(os.environ):
        return True
    os.environ[MODE] = "token"
    # Ray has read the variable as it was loaded.
    ray._raylet.Config.initialize("")
    return _refuses(ray, address)


def is_at_hand(environment: Mapping[str, str]) -> bool:
    """True where Ray finds a token: in RAY_AUTH_TOKEN, the file RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token."""
    if environment.get("RAY_AUTH_TOKEN"):
        return True
    named = environment.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named) if named else Path(environment.get("HOME", ""), ".ray", "auth_token")
    try:
        return bool(file.read_bytes().strip())
    except OSError:
        return False


def _refuses(ray: Any, address: str) -> bool:
    refusal, client = getattr(ray.exceptions, "AuthenticationError", None), getattr(ray._raylet, "GcsClient", None)
    if refusal is None or client is None:
        return False
    try:
        with _silent():
            client(address=address)
    except refusal:
        return True
    except Exception:
        return False
    return False


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what a library writes to descriptor 2 from the user."""
    before = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
