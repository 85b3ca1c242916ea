"""The pictures that a Markdown file, a notebook or a page of HTML links to, where they lie among the course's sources.

Nothing is fetched: of a picture elsewhere, caption and address are shown.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from markupsafe import Markup

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.kinds import PAGES, TEXTS, find_kind
from mlx_tutor.extract.markdown import read_markdown
from mlx_tutor.extract.notebook import read_notebook
from mlx_tutor.extract.sections import PictureLink, SectionBuilder
from mlx_tutor.extract.sources import name_source
from mlx_tutor.extract.webpage import read_html
from mlx_tutor.study.reader.inline import write_inline
from mlx_tutor.study.reader.pictures import MOST_BYTES, MOST_PIXELS, decode_picture
from mlx_tutor.text import strip_controls

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
SVG = "image/svg+xml"
MOST_SVG_BYTES = 3_000_000
ELSEWHERE = re.compile(r"(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
INSIDE = re.compile(r"data:(image/(?:png|jpeg));base64,", re.IGNORECASE)
# An address as it is shown.
LONGEST_ADDRESS = 300
# What an SVG may not have: programs, HTML, and anything from elsewhere.
UNSAFE_ELEMENTS = frozenset("script foreignobject iframe object embed handler listener audio video".split())
UNSAFE_STYLE = re.compile(r"@import|url\(\s*[\"']?\s*(?!#|[\"'])|javascript:|expression\(", re.IGNORECASE)
SAFE_LINK = re.compile(r"\s*(?:#|data:image/(?:png|jpeg|gif|webp)[;,])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture at its place: where it is linked, its media type, and its bytes or its file; else why not.

    `width` and `height` are in pixels, 0 where the picture says none.
    """

    link: PictureLink
    kind: str = ""
    data: bytes = b""
    path: Path | None = None
    width: int = 0
    height: int = 0
    problem: str = ""

    def read(self) -> bytes:
        """The picture; empty where its file is gone."""
        try:
            return self.path.read_bytes() if self.path is not None else self.data
        except OSError:
            return b""


def read_links(path: Path) -> list[PictureLink]:
    """The pictures that a file links to, by the readers of `extract`; those attached to a notebook are not links."""
    builder = SectionBuilder()
    try:
        kind = find_kind(path)
        if kind in TEXTS - {".txt"}:
            read_markdown(path, builder)
        elif kind in PAGES:
            read_html(path, builder)
        elif kind == ".ipynb":
            read_notebook(path, builder)
    except (CorpusError, OSError):
        return []
    return [link for link in builder.pictures if link.address and not link.address.lower().startswith("attachment:")]


def open_figure(link: PictureLink, source: str, files: Mapping[str, Path]) -> Figure:
    """A picture of the file `source`.

    Args:
        link: Where the file names it.
        source: The name of the file, below `sources/`.
        files: All files there by their names, none of which leads out.
    """
    if found := INSIDE.match(link.address):
        picture = decode_picture(0, found[1].lower(), link.address[found.end() :])
        if picture is None:
            return Figure(link, problem="a picture inside the file, which is broken or too large")
        return Figure(link, picture.kind, picture.data, None, picture.width, picture.height)
    if ELSEWHERE.match(link.address):
        return Figure(link, problem=f"not fetched from {shorten(link.address)}")
    path = files.get(find_name(link.address, source)) or _find_alone(link.address, files)
    if path is None:
        return Figure(link, problem=f"{shorten(link.address)} is not among the course's files")
    try:
        found_size = measure_svg(path) if path.suffix.lower() == ".svg" else measure_picture(path)
    except OSError:
        found_size = None
    if found_size is None:
        return Figure(link, problem=f"{shorten(link.address)} is no picture that can be shown here")
    return Figure(link, found_size[0], b"", path, *found_size[1:])


def shorten(address: str) -> str:
    """An address as text."""
    shown = strip_controls(address)
    return shown if len(shown) <= LONGEST_ADDRESS else f"{shown[:LONGEST_ADDRESS]}…"


def find_name(address: str, source: str) -> str:
    """The name below `sources/` that an address in the file `source` stands for; one that leads out is none."""
    plain = unquote(re.split(r"[?#]", address, maxsplit=1)[0]).replace("\\", "/").replace("\0", "")
    # From the root of the site, which is taken for that of the sources.
    folder = "" if plain.startswith("/") else posixpath.dirname(source)
    name = posixpath.normpath(posixpath.join(folder, plain.lstrip("/")))
    return "" if name.startswith("..") else name_source(name)


def _find_alone(address: str, files: Mapping[str, Path]) -> Path | None:
    """Obsidian names a picture alone, wherever it lies; None where several have that name."""
    if "/" in address or "\\" in address:
        return None
    wanted = find_name(address, "")
    found = [path for name, path in files.items() if wanted and posixpath.basename(name) == wanted]
    return found[0] if len(found) == 1 else None


def measure_picture(path: Path) -> tuple[str, int, int] | None:
    """Media type, width and height of a PNG, JPEG, GIF or WebP; None of another file, or one that is too large."""
    from PIL import Image

    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        # Reads the head alone.
        with Image.open(path, formats=list(FORMATS)) as image:
            kind, (width, height) = Image.MIME[image.format or ""], image.size
    except (ValueError, SyntaxError, KeyError, Image.DecompressionBombError):
        return None
    return (kind, width, height) if width * height <= MOST_PIXELS else None


def measure_svg(path: Path) -> tuple[str, int, int] | None:
    """An SVG that holds neither programs nor HTML nor anything from elsewhere; None of another one."""
    if path.stat().st_size > MOST_SVG_BYTES:
        return None
    data = path.read_bytes()
    # In another encoding, or with entities, it may say something else than it seems to.
    if b"<!ENTITY" in data.upper() or b"\0" in data:
        return None
    from lxml import etree

    try:
        data.decode("utf-8")
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, UnicodeDecodeError, ValueError):
        return None
    is_svg = etree.QName(root).localname == "svg"
    return (SVG, 0, 0) if is_svg and all(map(_is_safe, root.iter())) else None


def _is_safe(element: "object") -> bool:
    from lxml import etree

    tag = getattr(element, "tag", None)
    if not isinstance(tag, str):
        # A comment says nothing; a processing instruction may name a style sheet.
        return tag is etree.Comment
    name = etree.QName(tag).localname.lower()
    if name in UNSAFE_ELEMENTS or (name == "style" and UNSAFE_STYLE.search("".join(element.itertext()))):  # type: ignore[attr-defined]
        return False
    for key, value in element.attrib.items():  # type: ignore[attr-defined]
        attribute = etree.QName(key).localname.lower()
        if attribute.startswith("on") or UNSAFE_STYLE.search(value):
            return False
        # Of `<a>`, nothing is followed inside a picture.
        if attribute in ("href", "src") and name != "a" and not SAFE_LINK.match(value):
            return False
    return True


def write_figure(figure: Figure, target: str, heading: str = "") -> Markup:
    """A picture with its caption as HTML; where it cannot be shown, its caption and why.

    `heading` is that of a section with pictures alone, which the document has not.
    """
    said = figure.link.caption
    caption = write_inline(said) if said else Markup("")
    if figure.problem:
        why = Markup('<span class="soft">Picture not shown: {}</span>').format(figure.problem)
        shown, below = Markup(""), Markup("<figcaption>{}</figcaption>").format(Markup(" ").join([caption, why]))
    else:
        size = Markup(' width="{}" height="{}"').format(figure.width, figure.height) if figure.width else Markup("")
        name = strip_controls(said) or "Picture"
        shown = Markup('<img src="{}"{} loading="lazy" alt="{}">').format(target, size, name)
        # The picture's name says the same to those who hear the page.
        below = Markup('<figcaption aria-hidden="true">{}</figcaption>').format(caption) if caption else caption
    above = Markup("<p><strong>{}</strong></p>").format(strip_controls(heading)) if heading else Markup("")
    return Markup("{}<figure>{}{}</figure>").format(above, shown, below)
