"""Texts reach the page as texts; the browser is told to run nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from alcli.report.page.contents import SHAPES, Card, Fact, Grid, Legend, Level, Map, Mark, Page, PageSection
from alcli.report.page.render import html_of, visible
from tests.dom import check_readable, fetched, parsed

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "' onmouseover='alert(1)",
    "<!-- ]]> {{ 7 * 7 }} {% raw %}",
    "</title></style><b>",
    "&lt;b&gt; &amp;",
)


def page_of(text: str) -> Page:
    """A page with a text everywhere."""
    fact = Fact(text, text)
    card = Card(1, text, "", text, (fact, fact), (fact,), text)
    marks = [Mark(1.0, 2.0, "pick", text, (text,), 1)]
    legend = [Legend("pick", text), Legend("dot", text), *(Legend(shape, text) for shape in SHAPES[:-1])]
    map = Map(960, 600, [Level("M0 0h8v8h-8z", text)], [], marks, marks, legend, text, [text])
    part = PageSection(
        "classes",
        f"part {text}",
        [text],
        None,
        [Grid(f"table {text}", (text, text), [(text, text)], frozenset({1}), [0.5])],
    )
    return Page(text, [fact], [text], [card], map, [part], [fact], [fact])


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_stays_a_text(text):
    """The elements and attributes of the page are those of a page with a harmless text in its place."""
    found, plain = parsed(html_of(page_of(text))), parsed(html_of(page_of("plain")))
    assert [n.tag for n in found.walk()] == [n.tag for n in plain.walk()]
    assert [sorted(n.attrs) for n in found.walk()] == [sorted(n.attrs) for n in plain.walk()]
    for here, there in zip(found.walk(), plain.walk()):
        for name, value in there.attrs.items():
            assert here.attrs[name] == value.replace("plain", text)
        if here.tag != "script" and all(isinstance(child, str) for child in there.children):
            assert here.text == there.text.replace("plain", text)
    check_readable(found)
    assert fetched(found) == []
    points = json.loads(found.one("script", id="points").text)
    assert points[0] == [1.0, 2.0, 1, text, [text]]


def test_the_policy_names_the_style_and_the_script_of_the_page_and_nothing_else():
    page = parsed(html_of(page_of("plain")))
    policy = page.one("meta", http_equiv="Content-Security-Policy").attrs["content"]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == allowed["base-uri"] == allowed["form-action"] == "'none'"
    assert allowed["img-src"] == "data:"
    (script,) = [n.text for n in page.all("script") if n.attrs.get("type") != "application/json"]
    for text, name in ((script, "script-src"), (page.one("style").text, "style-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert allowed[name] == f"'sha256-{digest}'"
    head = page.one("head")
    tags = [c.tag for c in head.children if not isinstance(c, str)]
    assert tags.index("style") > 1, "the policy comes before what it is about"
    assert "url(" not in page.one("style").text
    assert "@import" not in page.one("style").text
    for word in ("innerHTML", "eval", "fetch", "XMLHttpRequest", "import(", "document.write"):
        assert word not in script


def test_control_characters_are_shown_as_escapes():
    assert visible("a\x00b\x07c\x9b\ud800") == "a\\x00b\\x07c\\x9b\\ud800"
    assert visible("\u202egnp.exe") == "\\u202egnp.exe"
    assert visible("\ufdd0\uffff") == "\ufdd0\\uffff"
    assert visible("a\nb\tc") == "a\nb\tc"
    joined = "\U0001f468\u200d\U0001f469"
    assert visible(joined) == joined
    assert visible(7) == 7
    found = parsed(html_of(page_of("a\x00\ud800\u202eb")))
    assert found.one("h1").text == "a\\x00\\ud800\\u202eb"
    assert json.loads(found.one("script", id="points").text)[0][3] == "a\\x00\\ud800\\u202eb"


def test_the_same_contents_give_the_same_bytes():
    assert html_of(page_of("x")) == html_of(page_of("x"))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_letters_and_symbols_stand_out_in_light_and_in_dark():
    """The contrasts that WCAG 2 asks for: 4.5 for text, 3 for symbols."""
    style = parsed(html_of(page_of("x"))).one("style").text
    themes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(themes) == 2
    for theme in themes:
        colours = {n: luminance(c) for n, c in re.findall(r"--([\w-]+): (#[0-9a-f]{6})", theme)}

        def contrast(a: str, b: str, colours=colours) -> float:
            low, high = sorted((colours[a], colours[b]))
            return (high + 0.05) / (low + 0.05)

        for name in ("ink", "soft", "link"):
            assert contrast(name, "paper") >= 4.5
            assert contrast(name, "panel") >= 4.5
        for name in ("pick", *(f"c{k}" for k in range(8))):
            assert contrast(name, "paper") >= 3
