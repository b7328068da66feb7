"""Upstream models, one file each, and the contract of an embedder. docs/plugins.md builds one.

`embedder` declares a function that opens a model; a `Request` says what the user asks of it; an `Encoder` is its
answer.
"""

from __future__ import annotations

from alcli.embedders._contract import Encoder, Request, embedder

__all__ = ["Encoder", "Request", "embedder"]
