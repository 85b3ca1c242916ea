"""Reading a report's HTML, and markup that must not get into it."""

from html.parser import HTMLParser
from pathlib import Path

VOID = ("meta", "img", "br", "line", "circle", "rect")
MARKUP = "<script>alert(1)</script><img src='x' onerror=\"y\"> & so"


class Tags(HTMLParser):
    """Every tag with its attributes, and all text outside of tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read_source(workspace: Path, run: str = "demo") -> str:
    return (workspace / "adapters" / run / "report.html").read_text(encoding="utf-8")


def read_page(workspace: Path, run: str = "demo") -> Tags:
    page = Tags(read_source(workspace, run))
    assert page.open == []
    return page
