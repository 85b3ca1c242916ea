"""Reading Markdown, with the dialects that lectures are written in (MyST, d2l)."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.text import decode_text
from mlx_tutor.records import Block, Section

FRONT_MATTER = re.compile(r"\A---\n(.*?)\n(?:---|\.\.\.)\n", re.DOTALL)
# Formulas and inline code are kept as they are; everything between is cleaned.
KEPT = re.compile(r"(\$\$.+?\$\$|(?<![\\$])\$[^$\n]+?\$(?!\d)|`+[^`]+`+)", re.DOTALL)
# Options of a directive; an emoji like `:warning:` is none.
OPTION = re.compile(
    r"^:(?:label|eqlabel|width|begin_tab|end_tab|class|name|align|alt|height|scale|tags|open|figclass)\b.*$"
    r"|^\+\+\+(?: .*)?$",
    re.MULTILINE,
)
DIRECTIVE = re.compile(r"\{?([\w.:-]*)\}?")


def read_markdown(path: Path) -> tuple[str, tuple[Section, ...]]:
    """A .md file: headings give the path of each section."""
    text = decode_text(path)
    title = ""
    if match := FRONT_MATTER.match(text):
        text = text[match.end() :]
        if found := re.search(r"^title:\s*[\"']?(.+?)[\"']?\s*$", match[1], re.MULTILINE):
            title = found[1]
    builder = SectionBuilder()
    add_markdown(builder, text)
    sections = builder.finish(title or builder.find_title(path.stem))
    return title or builder.find_title(path.stem), sections


def add_markdown(builder: SectionBuilder, text: str, cell: int | None = None) -> None:
    """Add the headings and blocks of a Markdown text; `cell` marks where in a notebook it stands."""
    # Labels, container fences and roles are for a typesetter.
    text = OPTION.sub("", text)
    text = re.sub(r"^:{3,}.*$|:{3,}$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\([\w-]+\)=\s*$", "", text, flags=re.MULTILINE)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    _add_tokens(builder, tokens, text.split("\n"), cell)


def _add_tokens(builder: SectionBuilder, tokens: Sequence[Token], lines: list[str], cell: int | None) -> None:
    for kind, group in _group(tokens):
        first = group[0]
        if kind == "heading_open":
            if heading := clean_inline(group[1].content).replace("**", ""):
                builder.add_heading(int(first.tag[1:]), heading)
        elif kind in ("fence", "code_block"):
            _add_fence(builder, first, cell)
        elif kind == "table_open" and first.map:
            table = "\n".join(line.strip() for line in lines[first.map[0] : first.map[1]] if line.strip())
            builder.add_block(Block("table", table, cell=cell))
        elif kind in ("bullet_list_open", "ordered_list_open"):
            builder.add_block(Block("text", "\n".join(_render_list(group)), cell=cell))
        elif kind == "html_block":
            builder.add_block(Block("text", clean_inline(first.content), cell=cell))
        else:
            for token in group:
                if token.type == "inline":
                    builder.add_block(Block("text", clean_inline(token.content), cell=cell))


def _group(tokens: Sequence[Token]) -> Iterator[tuple[str, list[Token]]]:
    """Top-level elements: from an opening token to the closing one."""
    depth = 0
    group: list[Token] = []
    for token in tokens:
        group.append(token)
        depth += token.nesting
        if depth == 0:
            yield group[0].type, group
            group = []


def _add_fence(builder: SectionBuilder, token: Token, cell: int | None) -> None:
    info = token.info.strip()
    directive = DIRECTIVE.match(info)
    name = directive[1] if directive else ""
    content = re.sub(r"\A(?:\s*:[\w-]+:.*\n|\s*---\n(?:.*\n)*?---\n)+", "", token.content)
    if name == "math":
        builder.add_block(Block("text", f"$$ {' '.join(content.split())} $$", cell=cell))
    elif info.startswith("{") and not re.match(r"\{(?:\.|code)", info):
        # A note, a tip, an exercise: prose in a box. Figures and tables of contents hold no prose.
        if name not in ("figure", "image", "toctree", "contents", "eval-rst", "raw", "bibliography"):
            add_markdown(builder, content, cell)
    else:
        content = re.sub(r"\A#@tab .*\n|\A%%tab .*\n", "", content)
        builder.add_block(Block("code", content.rstrip(), cell=cell))


def _render_list(tokens: Sequence[Token]) -> Iterator[str]:
    """One line an item, nested ones indented; numbers are kept."""
    depth, numbers = -1, [0]
    marker = ""
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            depth += 1
            numbers.append(int(token.attrs.get("start", 1)) if token.type == "ordered_list_open" else 0)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            depth -= 1
            numbers.pop()
        elif token.type == "list_item_open":
            marker = f"{numbers[-1]}. " if numbers[-1] else "- "
            numbers[-1] += 1 if numbers[-1] else 0
        elif token.type == "inline" and (text := clean_inline(token.content)):
            yield "  " * depth + (marker or "  ") + text
            marker = ""
        elif token.type in ("fence", "code_block"):
            yield from ("  " * (depth + 1) + line for line in token.content.rstrip().split("\n"))


def clean_inline(text: str) -> str:
    """One line of readable text: no tags, images, link targets or emphasis, but **bold**, `code` and $formulas$."""
    parts = KEPT.split(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))
    for i in range(0, len(parts), 2):
        parts[i] = _clean_prose(parts[i])
    joined = "".join(parts)
    # A role keeps its text, a reference to a label has none.
    joined = re.sub(r":(?:numref|eqref|cite\w*|label|eqlabel|ref):`[^`]*`", "", joined)
    joined = re.sub(r"(?::\w+:|\{[\w:-]+\})`([^`<]+?)(?:\s*<[^>]*>)?`", r"\1", joined)
    joined = re.sub(r"\s+", " ", joined)
    return re.sub(r" +([.,;:)])", r"\1", joined).strip()


def _clean_prose(text: str) -> str:
    text = re.sub(r"</?[A-Za-z][^<>]*>", "", text)
    text = re.sub(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])", "", text)
    text = re.sub(r"\[([^\]]+)\](?:\([^)\s]*(?:\s+\"[^\"]*\")?\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"<(https?://[^>]+)>", r"\1", text)
    text = re.sub(r"\[\*\*(.+?)\*\*\]", r"**\1**", text)
    text = re.sub(r"__(?=\S)(.+?)(?<=\S)__", r"**\1**", text)
    text = re.sub(r"(?<![\w*])\*(?=[^\s*])([^*\n]+?)(?<=[^\s*])\*(?![\w*])", r"\1", text)
    text = re.sub(r"(?<!\w)_(?=[^\s_])([^_\n]+?)(?<=[^\s_])_(?!\w)", r"\1", text)
    return re.sub(r"\\([*_#`\[\](){}<>+.!|~-])", r"\1", text)
