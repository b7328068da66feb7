"""Check an upstream model that is not part of alcli: a slip in its code is reported as a sentence."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from alcli.embedders._contract import Embedder, Encoder, Request
from alcli.errors import DataError
from alcli.extensions import guarded, label


def checked(embedder: Embedder, name: str) -> Embedder:
    """Return the embedder with every answer checked; an encoder without a revision gets the version of its package.

    name: of the embedder, as the user types it before the colon.
    """
    run = guarded(embedder.open, f"model '{name}'")

    @functools.wraps(run)
    def opened(argument: str, request: Request, **options: Any) -> Encoder:
        encoder = run(argument, request, **options)
        if not isinstance(encoder, Encoder):
            raise DataError(
                f"model '{name}': it returned {type(encoder).__name__}, expected an Encoder from alcli.embedders"
            )
        return encoder if encoder.revision else replace(encoder, revision=label("embedders", name))

    return replace(embedder, open=opened)
