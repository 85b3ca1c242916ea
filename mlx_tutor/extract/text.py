"""Reading plain text, and the decoding that Markdown shares."""

import codecs
import re
from pathlib import Path

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.records import Block, Section

# Characters that no Western language uses; a file that seems to contain them is in another encoding.
UNUSUAL = re.compile(
    r"[^\t\n\r\x20-\x7eäöüÄÖÜßáàâãåæçéèêëíìîïñóòôõøœúùûýÿÁÀÂÃÅÆÇÉÈÊËÍÌÎÏÑÓÒÔÕØŒÚÙÛ€„“”‚‘’–—…«»‹›°§µ·²³±×÷©®½¼¾¡¿ºª"
    r"\xa0•]|[^\W\d_][„“”‚«»…•€©®§°][^\W\d_]"
)
MOST_FOREIGN = 0.25
# Colours of a terminal.
SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def decode_text(path: Path) -> str:
    """The text of a file; line ends become \\n.

    UTF-8, UTF-16 with a byte-order mark, or the Western encoding of old Windows programs, unless something speaks
    against it.
    """
    text = decode_bytes(path.read_bytes())
    if not text.strip():
        raise CorpusError("empty")
    return text


def decode_bytes(data: bytes, named: str = "") -> str:
    """The text of bytes, whose encoding may be `named`; raises CorpusError if they are not text."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = _decode(data, "utf-16" if wide else "utf-8-sig")
    if text is None and named:
        text = _decode(data, named)
    if text is None:
        text = _decode(data, "cp1252")
        letters = re.findall(r"[^\W\d_]", text or "")
        foreign = [letter for letter in letters if not letter.isascii()]
        if text is None or UNUSUAL.search(text) or len(foreign) > MOST_FOREIGN * len(letters):
            raise CorpusError("not UTF-8 text; save it as UTF-8")
    if "\0" in text:
        raise CorpusError("not text: it holds zero bytes")
    return SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")


def _decode(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def read_text(path: Path) -> tuple[str, tuple[Section, ...]]:
    """A .txt file: paragraphs end at blank lines; the file name is the only heading."""
    builder = SectionBuilder()
    for paragraph in re.split(r"\n\s*\n", decode_text(path)):
        builder.add_block(Block("text", join_lines(paragraph.split("\n"))))
    return path.stem, builder.finish(path.stem)


def join_lines(lines: list[str]) -> str:
    """One paragraph from wrapped lines; list items keep their own lines."""
    joined: list[str] = []
    for line in (line.strip() for line in lines):
        starts_item = re.match(r"(?:[-*•]|\d{1,2}[.)])\s+\S", line)
        if joined and not starts_item:
            joined[-1] = f"{joined[-1]} {line}".strip()
        else:
            joined.append(re.sub(r"^[*•]\s+", "- ", line))
    return "\n".join(joined)
