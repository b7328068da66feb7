"""The token that a Ray cluster may ask for.

Ray 2.60 asks for a token in the clusters that `ray start` starts, and its clients send none unless RAY_AUTH_MODE tells
them to. A token that is sent to a cluster that asks for none does no harm.
Source: the documentation of Ray 2.60, "Token authentication".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any


def send_token(environment: MutableMapping[str, str] = os.environ) -> None:
    """Tell Ray to send its token, where there is one and RAY_AUTH_MODE is not set. Ray must not be loaded yet."""
    if _is_there(environment):
        environment.setdefault("RAY_AUTH_MODE", "token")


def refuses(ray: Any, address: str) -> bool:
    """True where the head at HOST:PORT refuses this process for want of its token.

    `ray.init` would try for 20 seconds and then not name the reason. False where this release of Ray cannot be asked,
    and where `ray.init` sees that the token is missing.
    """
    refusal, client = getattr(ray.exceptions, "AuthenticationError", None), getattr(ray._raylet, "GcsClient", None)
    if refusal is None or client is None or (os.environ.get("RAY_AUTH_MODE") == "token" and not _is_there(os.environ)):
        return False
    try:
        client(address=address)
    except refusal:
        return True
    except Exception:
        return False
    return False


def _is_there(environment: Mapping[str, str]) -> bool:
    if environment.get("RAY_AUTH_TOKEN"):
        return True
    named = environment.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named) if named else Path(environment.get("HOME", ""), ".ray", "auth_token")
    try:
        return bool(file.read_bytes().strip())
    except OSError:
        return False
