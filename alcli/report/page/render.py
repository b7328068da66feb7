"""The page of `alcli report` as HTML: one file that fetches nothing.

Texts of the user reach the page through Jinja's escaping alone, and the data of the script as JSON in which no tag can
begin. A Content-Security-Policy names the style and the script of the page by their hashes, so that a browser runs
nothing else and opens no connection.
Cost: linear in the contents.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from pathlib import Path
from typing import Any

from alcli import __version__
from alcli.report.page.contents import Page

_HERE = Path(__file__).parent
# Controls that turn the direction of text around, beyond the element that they stand in.
_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def html_of(page: Page) -> bytes:
    """Return the page as UTF-8; the same contents give the same bytes."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (Markup((_HERE / name).read_text("utf-8")) for name in ("page.css", "page.js"))
    text = environment.get_template("page.html").render(
        page=page, points=_points(page), style=style, script=script, policy=policy(style, script), version=__version__
    )
    return f"{text.strip()}\n".encode()


def _points(page: Page) -> list[list[Any]]:
    """The points of the map as the script takes them: x, y, number of the card, id, lines."""
    marks = () if page.map is None else (*page.map.picks, *page.map.labelled, *page.map.hidden)
    return [[m.x, m.y, m.number, visible(m.id), [visible(line) for line in m.said]] for m in marks]


def policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy of a page with this style and this script, and no other source."""
    of_style, of_script = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    allowed = f"img-src data:; style-src 'sha256-{of_style}'; script-src 'sha256-{of_script}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def visible(value: Any) -> Any:
    """Return a text with escapes in place of control characters, which HTML cannot hold; other values as they are.

    Line ends and tabs stay, and so do joiners, without which some scripts and emoji cannot be written.
    """
    if not isinstance(value, str) or all(c.isprintable() for c in value):
        return value
    shown = "".join(_escape(c) if _is_control(c) else c for c in value)
    return type(value)(shown)


def _is_control(c: str) -> bool:
    """True for control characters, halves of surrogate pairs and code points that are no characters."""
    return c not in "\n\t" and (unicodedata.category(c) in ("Cc", "Cs") or ord(c) & 0xFFFE == 0xFFFE or c in _BIDI)


def _escape(c: str) -> str:
    return c.encode("unicode_escape", "backslashreplace").decode()
