"""The reader: `/read/SOURCE` shows a document of the course with a passage marked, as a page without any script."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from itertools import groupby
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from markupsafe import Markup

from mlx_tutor.evaluation.html import render_page
from mlx_tutor.records import Document
from mlx_tutor.study.reader.blocks import write_block
from mlx_tutor.study.reader.figures import Figure, write_figure
from mlx_tutor.study.reader.pages import Box, Drawer, Sheet, find_boxes
from mlx_tutor.study.reader.pictures import Picture
from mlx_tutor.study.reader.shelf import Opened, find_source, list_figures, list_pictures, open_source
from mlx_tutor.study.reader.view import Part, Placed, cut_parts, find_part, find_passage, has_pages
from mlx_tutor.study.web.markup import link_source
from mlx_tutor.study.web.site import Site

PACKAGE = "mlx_tutor.study.web"
# Nothing may run here, and nothing comes from elsewhere; the converter of formulas writes styles of matrices.
READER_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}
# Where a link into the reader stood, as the page's script (back.js) writes it.
CAME = re.compile(r"talk\.[\w-]{1,40}\.\d{1,4}|tab\.[A-Za-z ]{1,20}", re.ASCII)
NOT_THERE = "The passage does not stand in this file word for word: the file was read anew since."
CHANGED = "This file changed since it was read. Below is what was read; run mlx-tutor extract to read it anew."
GONE = "This file is no longer among the sources. Below is what was read of it."
NOT_HANDED_OUT = "This course was handed out without its files. Below is what was read of this one."
NOT_DRAWN = {
    "exam": "In an exam no other program is started, so the page is not drawn here. The file itself shows it.",
    "failed": "The page could not be drawn. The file itself shows it.",
}


def make_reader(site: Site) -> APIRouter:
    """The routes of the reader."""
    router, drawer = APIRouter(), Drawer()

    @router.get("/read/{name:path}")
    def read_source(name: str, request: Request) -> Response:
        opened = open_source(site.course, name)
        if opened.document is None:
            return show_problem(site, opened.problem, name if opened.path else "")
        return show_document(site, opened, drawer, request.query_params)

    @router.get("/pages/{name:path}")
    def send_page(name: str, request: Request) -> Response:
        path, page = find_source(site.course, name), read_number(request.query_params, "page")
        is_drawn = path is not None and path.suffix.lower() == ".pdf" and site.exam is None
        sheet = drawer.draw(path, page or 1) if is_drawn and path is not None else None
        if sheet is None:
            return PlainTextResponse("There is no such page.\n", 404)
        return Response(sheet.picture, media_type=sheet.kind, headers=READER_HEADERS)

    @router.get("/pictures/{name:path}")
    def send_picture(name: str, request: Request) -> Response:
        path, number = find_source(site.course, name), read_number(request.query_params, "number")
        if number is None:
            return send_figure(site, name, read_number(request.query_params, "figure"))
        pictures = list_pictures(path) if path is not None else []
        if not 1 <= number <= len(pictures):
            return PlainTextResponse("There is no such picture.\n", 404)
        picture = pictures[number - 1]
        return Response(picture.data, media_type=picture.kind, headers=READER_HEADERS)

    @router.get("/reader.css")
    def send_style() -> Response:
        style = files(PACKAGE).joinpath("reader.css").read_text(encoding="utf-8")
        return Response(style, media_type="text/css", headers=READER_HEADERS)

    return router


def send_figure(site: Site, name: str, number: int | None) -> Response:
    """A picture that a source links to, by its number there."""
    path = find_source(site.course, name)
    figures = list_figures(site.course, name, path) if path is not None else []
    data = figures[number - 1].read() if number is not None and 1 <= number <= len(figures) else b""
    if number is None or not data:
        return PlainTextResponse("There is no such picture.\n", 404)
    # An SVG that is opened by itself is a page.
    headers = {"Content-Security-Policy": f"{READER_HEADERS['Content-Security-Policy']}; sandbox"}
    return Response(data, media_type=figures[number - 1].kind, headers=READER_HEADERS | headers)


def read_number(query: Mapping[str, str], name: str) -> int | None:
    """A number from 0 in the address; None where there is none."""
    value = query.get(name, "")
    return int(value) if value.isdecimal() and len(value) < 9 else None


def show_problem(site: Site, problem: str, name: str = "", status: int = 404) -> Response:
    """A page that says why there is nothing to read; `name` is a source whose file can be opened all the same."""
    file = f"{site.root}/{link_source(name, None)}" if name else ""
    values = {"title": "Not here", "problem": problem, "file": file, "root": site.root}
    return HTMLResponse(render_page("reader_problem.html.j2", values, PACKAGE), status, READER_HEADERS)


def show_document(site: Site, opened: Opened, drawer: Drawer, query: Mapping[str, str]) -> Response:
    """A part of a document as a page."""
    document = opened.document
    assert document is not None
    wanted = {name: read_number(query, name) for name in ("page", "cell", "section")}
    text, came = query.get("passage", ""), query.get("from", "")
    came = came if CAME.fullmatch(came) else ""
    passage = find_passage(document, text, wanted["section"])
    parts = cut_parts(document, passage)
    part = choose_part(parts, wanted, is_marked=passage is not None, pages=has_pages(document))
    sheet, said = None, ""
    if part.page is not None and opened.path is not None and opened.is_current:
        sheet = drawer.draw(opened.path, part.page) if site.exam is None else None
        said = "" if sheet else NOT_DRAWN["exam" if site.exam else "failed"]
    if part.page is not None and not part.blocks and sheet is None:
        return show_problem(
            site, f"Of {opened.name}, no page {part.page} was read.", opened.name if opened.path else ""
        )
    notices = [NOT_THERE] if text and passage is None else []
    if not opened.is_current:
        gone = NOT_HANDED_OUT if site.course.lacks_sources else GONE
        notices.append(gone if opened.path is None else CHANGED)
    pictures = list_pictures(opened.path) if opened.path is not None and opened.is_current else []
    figures = list_figures(site.course, opened.name, opened.path) if opened.path and opened.is_current else []
    values = {
        # What a PDF calls itself is often the name of a template.
        "title": opened.name.rpartition("/")[2] if has_pages(document) else document.title,
        "language": document.language or "en",
        "course": site.course.name,
        "name": opened.name,
        "root": site.root,
        "file": f"{site.root}/{link_source(opened.name, part.page)}" if opened.path else "",
        "notices": [*notices, *([said] if said else [])],
        "back": find_way_back(site, came),
        "came": came,
        "contents": [(*entry[:2], keep_way(entry[2], came)) for entry in list_contents(document, parts)],
        "entries": draw_part(document, part, pictures, hang_figures(document, figures, site.root), site.root),
        "sheets": draw_sheets(opened, part, sheet, drawer, site.root) if sheet else [],
        "steps": {word: keep_way(target, came) for word, target in list_steps(parts, part, sheet).items()},
        "page": part.page,
        "pages": max(sheet.pages if sheet else 0, *(other.page or 0 for other in parts)),
    }
    shown = render_page("reader.html.j2", values, PACKAGE)
    # The first mark of the page is where the address leads.
    return HTMLResponse(shown.replace("<mark>", '<mark id="cited">', 1), headers=READER_HEADERS)


def find_way_back(site: Site, came: str) -> dict[str, str]:
    """The link to where the reader was opened: its text, its address, and the name of the window, where it is open.

    `came` is what the page's script wrote into the link: an answer of a conversation, a tab, or "".
    """
    text = "To the tutor"
    if came:
        text = f"Back to {'the conversation' if came.startswith('talk.') else came.partition('.')[2]}"
    anchor = f"#{quote(came)}" if came else ""
    return {"text": text, "address": f"{site.root}/{anchor}", "window": f"tutor:{site.root}/"}


def keep_way(target: str, came: str) -> str:
    """An address within the document that remembers the way back."""
    return target.replace("?", f"?{urlencode({'from': came})}&", 1) if came else target


def choose_part(parts: list[Part], wanted: Mapping[str, int | None], *, is_marked: bool, pages: bool) -> Part:
    """The part that is asked for; of a PDF also a page of which nothing was read."""
    page = wanted["page"]
    if pages and page and not is_marked and page not in [part.page for part in parts]:
        return Part(page)
    return parts[find_part(parts, **wanted)]


def link_part(document: Document, item: Placed, anchor: str) -> str:
    """The address of a place in a document, relative to the document."""
    place = {"page": item.block.page} if has_pages(document) else {"section": item.section}
    return f"?{urlencode(place)}#{anchor}"


def list_contents(document: Document, parts: list[Part]) -> list[tuple[int, str, str]]:
    """Depth, heading and address of each section."""
    first: dict[int, Placed] = {}
    for part in parts:
        for item in part.blocks:
            first.setdefault(item.section, item)
    return [
        (
            len(section.heading),
            section.heading[-1],
            link_part(document, first[number], f"section-{number}"),
        )
        for number, section in enumerate(document.sections)
        if number in first and section.heading
    ]


def list_steps(parts: list[Part], part: Part, sheet: Sheet | None) -> dict[str, str]:
    """The addresses of the part before and the one behind, relative to the document."""
    if part.page is not None:
        known = sorted(p.page for p in parts if p.page is not None)
        pages = range(1, sheet.pages + 1) if sheet else known
        before = [page for page in pages if page < part.page][-1:]
        behind = [page for page in pages if page > part.page][:1]
        return {
            word: f"?page={page}"
            for word, found in (("Previous page", before), ("Next page", behind))
            for page in found
        }
    number = parts.index(part)
    near = (("Previous part", number - 1), ("Next part", number + 1))
    return {
        word: f"?section={parts[i].blocks[0].section}" for word, i in near if 0 <= i < len(parts) and parts[i].blocks
    }


def hang_figures(document: Document, figures: list[Figure], root: str) -> dict[tuple[int, int], list[Markup]]:
    """The pictures that a document links to as HTML, by their section and the number of the block above."""
    hung: dict[tuple[int, int], list[Markup]] = {}
    for number, figure in enumerate(figures, 1):
        section = min(figure.link.section, len(document.sections) - 1)
        last = len(document.sections[section].blocks)
        below = last if figure.link.section > section else min(figure.link.blocks, last)
        is_own = figure.link.heading in ("", *document.sections[section].heading[-1:])
        target = f"{root}/pictures/{quote(document.source)}?figure={number}"
        shown = write_figure(figure, target, heading="" if is_own else figure.link.heading)
        hung.setdefault((section, below), []).append(shown)
    return hung


def draw_blocks(blocks: list[Placed], figures: Mapping[tuple[int, int], list[Markup]]) -> Iterator[Markup]:
    """Blocks, with the pictures between them."""
    for item in blocks:
        if item.number == 1:
            yield from figures.get((item.section, 0), [])
        yield write_block(item.block, item.spans)
        yield from figures.get((item.section, item.number), [])


def draw_part(
    document: Document,
    part: Part,
    pictures: list[Picture],
    figures: Mapping[tuple[int, int], list[Markup]],
    root: str = "",
) -> Iterator[dict[str, Any]]:
    """What is shown one below the other: headings, and the blocks of a section and cell with their pictures."""
    open_path: tuple[str, ...] = (document.title,)
    hung = hang_pictures(document, pictures)
    last = {item.block.cell: i for i, item in enumerate(part.blocks)}
    seen: set[int | None] = set()
    at = 0
    for (number, cell), items in groupby(part.blocks, key=lambda item: (item.section, item.block.cell)):
        path, blocks = document.sections[number].heading, list(items)
        at += len(blocks)
        same = next(
            (i for i, (a, b) in enumerate(zip(path, open_path, strict=False)) if a != b), min(len(path), len(open_path))
        )
        # Below the title, which is the first level of the page.
        top = 1 if path[:1] == (document.title,) else 2
        yield {
            "section": number,
            "headings": [(min(depth + top, 6), name) for depth, name in enumerate(path) if depth >= same],
            "cell": cell if cell not in seen else None,
            "blocks": list(draw_blocks(blocks, figures)),
            "pictures": [
                (f"{root}/pictures/{quote(document.source)}?number={place}", picture)
                for place, picture in (hung.get(cell, []) if cell is not None and last[cell] == at - 1 else [])
            ],
        }
        seen.add(cell)
        open_path = path


def hang_pictures(document: Document, pictures: list[Picture]) -> dict[int | None, list[tuple[int, Picture]]]:
    """The pictures, with their number from 1, by the cell of the document that they follow."""
    cells = sorted({block.cell for section in document.sections for block in section.blocks if block.cell})
    hung: dict[int | None, list[tuple[int, Picture]]] = {}
    for number, picture in enumerate(pictures, 1):
        before = [cell for cell in cells if cell <= picture.cell]
        hung.setdefault(before[-1] if before else cells[0], []).append((number, picture))
    return hung


def draw_sheets(opened: Opened, part: Part, sheet: Sheet, drawer: Drawer, root: str = "") -> list[dict[str, Any]]:
    """The picture of a page with the boxes of what is marked; a paragraph may have it on the next page."""
    marked = [item.block.text[start:end] for item in part.blocks for start, end in item.spans]
    page, boxes = part.page or 1, find_boxes(sheet, marked)
    target = f"{root}/pages/{quote(opened.name)}"
    shown = [_draw_sheet(target, page, sheet, boxes)]
    if marked and not boxes and opened.path is not None:
        following = drawer.draw(opened.path, page + 1) if page < sheet.pages else None
        if following and (boxes := find_boxes(following, marked)):
            return [*shown, _draw_sheet(target, page + 1, following, boxes)]
        shown[0]["missed"] = True
    return shown


def _draw_sheet(target: str, page: int, sheet: Sheet, boxes: list[Box]) -> dict[str, Any]:
    return {
        "page": page,
        "target": f"{target}?page={page}",
        "width": sheet.width,
        "height": sheet.height,
        "boxes": [(x - 2, y - 2, right - x + 4, bottom - y + 4) for x, y, right, bottom in boxes],
        "missed": False,
    }
