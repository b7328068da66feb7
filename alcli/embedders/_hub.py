"""Names, errors and revisions of models from the Hugging Face hub, or from a folder of the same layout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from alcli.embedders._items import digest_of
from alcli.errors import AlcliError, InputError, UsageError, printable


def check_name(argument: str, owner: str) -> None:
    """Raise UsageError for an empty name, and InputError for a path that is no folder."""
    if not argument:
        raise UsageError(
            f"{owner}: give a model name or a folder after the colon", hint=f"for example -m {owner}:./my-model"
        )
    if argument.startswith((".", "/", "~")) and not Path(argument).is_dir():
        raise InputError(f"{printable(argument)}: there is no such model folder", hint=f"-m {owner}:NAME_OR_PATH")


def cannot_load(argument: str, owner: str, error: Exception) -> AlcliError:
    """The error for a model that cannot be loaded: the first line of the library's reason, and a hint when offline."""
    reason = printable(next(iter(str(error).strip().splitlines()), type(error).__name__))[:300]
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    hint = (
        "HF_HUB_OFFLINE is set, so only folders and models downloaded before can be used"
        if offline
        else "is the name right?"
    )
    return InputError(f"{owner}: '{printable(argument)}' cannot be loaded ({reason})", hint=hint)


def revision_of(argument: str, config: Any) -> str:
    """The digest of a model folder, or the hub's commit that the model was loaded from."""
    if Path(argument).is_dir():
        return digest_of(Path(argument))
    return str(getattr(config, "_commit_hash", None) or "")


def silence(transformers: Any) -> None:
    """Turn off the library's progress bars and advice, so that stderr holds messages of alcli alone."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
