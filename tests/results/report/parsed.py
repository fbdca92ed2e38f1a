"""A page as a tree, so that the tests ask for its structure and not for its letters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "line", "wbr"}


@dataclass
class Node:
    """One element; `parts` are its texts and its elements in order."""

    tag: str
    attributes: dict[str, str]
    parts: list[str | Node] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text within, with the white space of a line."""
        return " ".join("".join(p if isinstance(p, str) else p.text for p in self.parts).split())

    def all(self, tag: str = "", kind: str = "") -> Iterator[Node]:
        """The elements within of a tag and of a class."""
        for part in self.parts:
            if isinstance(part, Node):
                classes = part.attributes.get("class", "").split()
                if tag in ("", part.tag) and (not kind or kind in classes):
                    yield part
                yield from part.all(tag, kind)

    def style(self, name: str) -> float:
        """A number of the element's own style: left:12.5%."""
        found = dict(one.split(":") for one in self.attributes["style"].split(";"))
        return float(found[name].removesuffix("%"))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].parts.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].parts.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def parse(page: str) -> Node:
    """The root of the page; every element must be closed where it belongs."""
    reader = _Reader()
    reader.feed(page)
    (root,) = reader.open
    return root


def table(node: Node) -> tuple[list[str], list[list[Node]]]:
    """Heads and fields of a table."""
    heads = [one.text for one in node.all("th")]
    return heads, [list(line.all("td")) for line in node.all("tr") if any(line.all("td"))]
