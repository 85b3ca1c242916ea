"""Reading plain text, and the decoding that Markdown shares."""

import codecs
import re
from pathlib import Path

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.records import Block, Section


def decode_text(path: Path) -> str:
    """The text of a UTF-8 file, or of a UTF-16 one with a byte-order mark; line ends become \\n."""
    data = path.read_bytes()
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as err:
        raise CorpusError("not UTF-8 text; save it as UTF-8") from err
    if "\0" in text:
        raise CorpusError("not text: it holds zero bytes")
    if not text.strip():
        raise CorpusError("empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path) -> tuple[str, tuple[Section, ...]]:
    """A .txt file: paragraphs end at blank lines; its name is its only heading."""
    builder = SectionBuilder()
    for paragraph in re.split(r"\n\s*\n", decode_text(path)):
        builder.add_block(Block("text", join_lines(paragraph.split("\n"))))
    return path.stem, builder.finish(path.stem)


def join_lines(lines: list[str]) -> str:
    """One paragraph from wrapped lines; list items keep lines of their own."""
    joined: list[str] = []
    for line in (line.strip() for line in lines):
        starts_item = re.match(r"(?:[-*•]|\d{1,2}[.)])\s+\S", line)
        if joined and not starts_item:
            joined[-1] = f"{joined[-1]} {line}".strip()
        else:
            joined.append(re.sub(r"^[*•]\s+", "- ", line))
    return "\n".join(joined)
