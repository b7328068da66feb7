"""Which strategy a `-p` pair of a simulation is meant for."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from alcli import plugins
from alcli.errors import UsageError
from alcli.heads._contract import family_of

HEAD = "head"
Texts = dict[str, str]


def assigned(options: Mapping[str, str], strategies: Mapping[str, Collection[str]], head: str | None, also: Collection[str] = ()) -> dict[str, Texts]:
    """The pairs that each strategy gets, and under the name `head` those of the head. strategies: names of options, by strategy.

    A key `OWNER.KEY` is for that strategy or the head; a bare KEY is for all who know it. also: keys that the user may mean, which are
    taken elsewhere. Raises UsageError for a key that nobody knows or an owner that does not take part.
    """
    known = {name: set(options) for name, options in strategies.items()}
    known[HEAD] = set(plugins.options_of(family_of(plugins.load("heads", head or "softmax")).fit)) - {"prior-precision", "start"}
    texts: dict[str, Texts] = {name: {} for name in known}
    for key, text in options.items():
        owner, dot, name = key.rpartition(".")
        name = name.replace("_", "-")
        if dot and owner not in known:
            raise UsageError(f"-p {key}: '{owner}' takes no part in this simulation", hint=plugins.suggestion(owner, known))
        owners = [owner] if dot else [one for one in known if name in known[one]]
        if not any(name in known[one] for one in owners):
            whom = f"'{owner}'" if dot else "no strategy of this simulation"
            verb = "has no" if dot else "has a"
            everything = sorted(set().union(*(known[one] for one in owners or known), () if dot else also))
            raise UsageError(f"{whom} {verb} parameter '{name}'", hint=plugins.suggestion(name, everything))
        for one in owners:
            texts[one][name] = text
    return texts
