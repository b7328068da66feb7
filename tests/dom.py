"""A page as a tree, read by the parser of the standard library; and what a reader's program asks of every page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"meta", "link", "img", "input", "br"}


@dataclass(eq=False)
class Node:
    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def all(self, tag: str, wanted: Callable[[Node], bool] = lambda node: True, **attrs: str) -> list[Node]:
        return [
            n
            for n in self.walk()
            if n.tag == tag
            and wanted(n)
            and all(n.attrs.get(k.strip("_").replace("_", "-")) == v for k, v in attrs.items())
        ]

    def one(self, tag: str, **attrs: str) -> Node:
        (found,) = self.all(tag, **attrs)
        return found

    def facts(self) -> dict[str, str]:
        """The terms of definition lists below with what stands beside them."""
        return {a.words: b.words for a, b in zip(self.all("dt"), self.all("dd"), strict=True)}

    def rows(self) -> list[list[str]]:
        """The cells of the body of a table."""
        body = self.one("tbody")
        return [[c.words for c in row.children if isinstance(c, Node)] for row in body.all("tr")]


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Node("root")
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute stands twice in {tag}"
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parsed(data: bytes) -> Node:
    """The tree of a page; each element is closed where it has to be."""
    builder = _Builder()
    builder.feed(data.decode())
    builder.close()
    assert builder.open == [builder.root]
    return builder.root


def check_readable(page: Node) -> None:
    """What holds for every page: landmarks, headings in order, names for what is shown, and ids that lead somewhere."""
    assert page.one("html").attrs["lang"] == "en"
    assert page.one("head").one("title").words == page.one("h1").words
    assert len(page.all("main")) == len(page.all("header")) == len(page.all("footer")) == len(page.all("nav")) == 1
    ids = [n.attrs["id"] for n in page.walk() if "id" in n.attrs]
    assert len(ids) == len(set(ids))
    for node in page.walk():
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set(node.attrs.get(name, "").split()) <= set(ids)
        assert not [name for name in node.attrs if name.startswith("on") or name == "style"], node.attrs
        if node.tag in ("a", "use") and node.attrs["href"].startswith("#"):
            assert node.attrs["href"][1:] in ids
    levels = [int(n.tag[1]) for n in page.walk() if re.fullmatch("h[1-6]", n.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert all(section.attrs["aria-labelledby"] for section in page.all("section"))
    titles = [title.words for title in page.all("h2")] + [
        n.attrs["aria-label"] for n in page.walk() if "aria-label" in n.attrs
    ]
    assert len(titles) == len(set(titles)), "a name of a landmark stands twice"
    assert all(image.attrs["alt"] for image in page.all("img"))
    for drawing in page.all("svg"):
        hidden = drawing.attrs.get("aria-hidden") == "true"
        assert hidden or (drawing.attrs["role"] == "img" and drawing.attrs["aria-labelledby"])
    for table in page.all("table"):
        assert table.one("caption").words
        assert all(head.attrs["scope"] in ("col", "row") for head in table.all("th"))
        widths = {len(row) for row in table.rows()}
        assert widths <= {len(table.one("thead").all("th"))}
    assert page.all("a")[0].attrs["href"] == "#main"


def fetched(page: Node) -> list[str]:
    """The addresses that a browser would open while it shows the page."""
    found = [n.attrs[a] for n in page.walk() for a in ("src", "href", "srcset", "data", "action") if a in n.attrs]
    return [address for address in found if not address.startswith(("#", "data:"))]
