"""Reading Markdown, in the dialects used for lectures (MyST, Quarto, Obsidian, Jekyll, d2l)."""

import json
import re
import tomllib
from collections.abc import Callable, Sequence
from functools import cache, partial
from html import escape
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from mlx_tutor.extract.dialects import GONE, Prepared, prepare
from mlx_tutor.extract.fences import name_language, read_fence
from mlx_tutor.extract.html import add_html, escape_unknown_tags, write_script
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.text import decode_text
from mlx_tutor.records import Section

# YAML between lines of dashes, TOML between plus signs; leading JSON is found by its decoder.
FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)\n?^(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
YAML_LINE = re.compile(r"\s|#|$|- |[\w.-]+\s*:")
# References without a text of their own.
REFERENCES = frozenset(["numref", "eqref", "eq", "ref", "label", "eqlabel", "cite", "citep", "citet", "bibliography"])
ROLE = re.compile(r"(?:\{([\w:+-]{1,40})\}|:([A-Za-z][\w-]{0,40}):)(`{1,3})([^`]{1,2000})\3(?!`)")
TARGETED = re.compile(r"(.+?)\s*<[^<>]*>", re.DOTALL)
HIGHLIGHT = re.compile(r"==(?=[^\s=])([^=\n]{1,500}?)(?<=\S)==(?!=)")
SCRIPT = re.compile(r"(?:(\^)([\w+-]{1,12})\^(?![\w^])|(~)([\w+-]{1,12})~(?!~))")
# Pandoc's citations: in brackets, and in the sentence, where the key gives name and year.
CITATION = re.compile(r"\[(?:[^\[\]\n@]{0,80}[\s-])?@(?:\w|\{)[^\[\]\n]{0,300}\](?![(\[])")
CITED = re.compile(
    r"(?<![\w@./-])@((?:fig|tbl|eq|sec|lst|thm|lem|cor|def|exm|exr)-[\w-]*\w|[A-Za-z][\w:-]*\d\w*)"
    r"(?: \[[^\[\]\n]{0,80}\](?![(\[]))?"
)
AUTHOR_YEAR = re.compile(r"([A-Za-z]+)[_:-]?(\d{4})(?!\d)")
KEY = re.compile(r"(-?)@\{?([\w:./-]*\w)\}?")
BRACKETS = {ord("("): None, ord(")"): None}
# Pandoc's title block.
TITLE_BLOCK = re.compile(r"\A%[ \t]+(?P<title>\S.*)\n(?:[ \t]+\S.*\n)*(?:%.*\n)*")
BLOCK_ID = re.compile(r"\s\^(?=[\w-]*[A-Za-z])[\w-]{2,}\s*$")
NOTE = re.compile(r"\[\^[^\s\[\]]{1,200}\]")
# Nesting of directives, and of quotes and lists, beyond which the parser would leave text out.
DEEPEST = 20
DEEPEST_BLOCK = 60
# At the end of a paragraph or a caption.
ATTRIBUTES = re.compile(r"\s\{\s*[#.][A-Za-z][\w:-]*(?:\s+(?:[#.][\w:-]+|[\w-]+=(?:\"[^\"]*\"|\S+)))*\s*\}\s*\Z")
# Obsidian's tags behind a heading.
HEADING_TAGS = re.compile(r"(?:\s+#[A-Za-z][\w/-]*)+\s*$")
# Behind links and pictures; the plugin for attributes takes no `50%`.
LINK_ATTRIBUTES = re.compile(
    r"(?<=\))\{(?:[#.][A-Za-z]|(?:width|height|fig-|target|style|align|alt|scale)\b)[^{}\n]*\}"
)
# Anchors behind headings in courses of the Hugging Face Hub.
HEADING_ANCHOR = re.compile(r"(?<=\S)\[\[[\w-]+\]\]\s*$")
# Code in a sentence that knitr or Quarto runs, and a call in it that only prints a name: `r ref("Learner")`.
COMPUTED = re.compile(r"(?<!`)`(?:r|\{(?:r|python|julia)\})[ ]+([^`\n]+)`")
PRINTED = re.compile(r"[\w.]+(?:::\w+)?\(\s*(['\"])(?P<name>[^'\"/\\]{1,60})\1\s*(?:,.*)?\)")
# Its value is in no file.
LEFT_OUT = "[…]"
# A link whose address stands in another file.
REFERENCE = re.compile(r"\[([^\[\]\n]{1,100})\]\[[\w :./'-]{1,60}\](?![\[(])")
HEADING_ATTRIBUTES = re.compile(r"\s*\{[#.:\w-][^{}]*\}\s*$")


def read_markdown(path: Path, builder: SectionBuilder | None = None) -> tuple[str, tuple[Section, ...]]:
    """A .md, .qmd or .Rmd file: headings give the path of each section."""
    meta, text = split_front_matter(decode_text(path))
    builder = builder or SectionBuilder()
    add_markdown(builder, text, language=find_kernel(meta))
    title = str(meta.get("title") or "").strip() or builder.find_title(path.stem)
    return title, builder.finish(title)


def split_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """The metadata above a text, and the text; a first line `---` may also be just a rule."""
    import yaml

    if match := FRONT_MATTER.match(text):
        rest = text[match.end() :]
        try:
            meta = tomllib.loads(match[2]) if match[1] == "+++" else yaml.safe_load(match[2])
        except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError, RecursionError):
            if match[1] == "+++" or not all(map(YAML_LINE.match, match[2].split("\n"))):
                return {}, text
            # Almost YAML, for example with a colon in the title.
            found = re.search(r"^title:[ \t]*(.+?)[ \t]*$", match[2], re.MULTILINE)
            meta = {"title": found[1].strip("\"'")} if found else {}
        if isinstance(meta, dict) or (meta is None and not match[2].strip()):
            return meta or {}, rest
    elif match := TITLE_BLOCK.match(text):
        return {"title": match["title"]}, text[match.end() :]
    elif re.match(r"\{\s*\"", text):
        try:
            meta, end = json.JSONDecoder().raw_decode(text)
        except (json.JSONDecodeError, RecursionError):
            return {}, text
        return (meta, text[end:]) if isinstance(meta, dict) else ({}, text)
    return {}, text


def find_kernel(meta: dict[str, Any]) -> str:
    """The language of code cells that name none, from the metadata of notebooks, MyST, Quarto and Jupytext."""
    info = meta.get("language_info")
    if isinstance(info, dict) and info.get("name"):
        return name_language(str(info["name"])) or "python"
    jupyter = meta.get("jupyter")
    kernel = meta.get("kernelspec") or (jupyter.get("kernelspec") if isinstance(jupyter, dict) else jupyter) or {}
    name = (kernel.get("language") or kernel.get("name")) if isinstance(kernel, dict) else kernel
    return name_language(str(name or "python").partition("-")[0]) or "python"


def add_markdown(builder: SectionBuilder, text: str, cell: int | None = None, language: str = "python") -> None:
    """Add the headings and blocks of a Markdown text.

    `cell` is its position in a notebook; `language` is that of code cells that name none.
    """
    prepared = Prepared()
    html = _render(text, {"prepared": prepared, "language": language, "depth": 0})
    add_html(
        builder,
        html,
        cell=cell,
        finish=lambda text: prepared.restore(re.sub(r"\[\*\*(.+?)\*\*\]", r"**\1**", text)),
        finish_code=lambda text: prepared.restore(text, as_written=True),
    )


def _render(text: str, env: dict[str, Any]) -> str:
    text = prepare(text, env["prepared"])
    # Directives with separate opening and closing fences must all be closed.
    env["pairs"] = len(re.findall(r"\{\w+-start\}", text)) == len(re.findall(r"\{\w+-end\}", text))
    env["closed"] = {name.lower() for name in re.findall(r"</([A-Za-z][\w:.-]*)", text)}
    html: str = make_parser().render(text, env)
    return html


@cache
def make_parser() -> MarkdownIt:
    """CommonMark with tables, footnotes, definition lists, admonitions and attributes."""
    from mdit_py_plugins.admon import admon_plugin
    from mdit_py_plugins.attrs import attrs_block_plugin, attrs_plugin
    from mdit_py_plugins.deflist import deflist_plugin
    from mdit_py_plugins.footnote import footnote_plugin
    from mdit_py_plugins.footnote.index import footnote_ref

    parser = MarkdownIt("commonmark", {"maxNesting": DEEPEST_BLOCK}, renderer_cls=_Renderer).enable(
        ["table", "strikethrough"]
    )
    parser.use(deflist_plugin).use(admon_plugin).use(attrs_block_plugin).use(attrs_plugin, spans=True)
    # Footnotes stay where they are written.
    parser.use(footnote_plugin, move_to_end=False)
    parser.inline.ruler.at("footnote_ref", partial(_read_note, footnote_ref))
    parser.add_render_rule("footnote_ref", _write_note)
    for name, pattern, write in INLINE:
        parser.inline.ruler.before("backticks", name, partial(_read_inline, pattern, write))
    parser.inline.ruler.before("backticks", "bracket", _pass_bracket)
    parser.inline.ruler.after("link", "reference", _read_reference)
    parser.core.ruler.before("inline", "ends", _drop_ends)
    return parser


def _read_inline(
    pattern: re.Pattern[str], write: Callable[[re.Match[str]], str], state: StateInline, silent: bool
) -> bool:
    """A parser rule: where `pattern` matches, it adds a token with the HTML that `write` makes of the match."""
    match = pattern.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        state.push("dialect", "", 0).content = write(match)
    state.pos = match.end()
    return True


def _pass_bracket(state: StateInline, silent: bool) -> bool:
    """Take a bracket that nothing closes as text; the parser would scan the rest of the text for each of them."""
    if state.src[state.pos] != "[" or state.src.find("]", state.pos, state.posMax) >= 0:
        return False
    if not silent:
        state.pending += "["
    state.pos += 1
    return True


def _read_reference(state: StateInline, silent: bool) -> bool:
    """Take the text of a link that leads nowhere; `table[i][j]` is none."""
    match = REFERENCE.match(state.src, state.pos, state.posMax)
    if match is None or (state.pos and state.src[state.pos - 1].isalnum()):
        return False
    if not silent:
        state.push("text", "", 0).content = match[1]
    state.pos = match.end()
    return True


def _write_computed(match: re.Match[str]) -> str:
    name = _name_printed(match)
    return f"<code>{escape(name)}</code>" if name else LEFT_OUT


def _name_printed(match: re.Match[str]) -> str:
    """The name that code in a sentence prints; "" where it computes, in headings most often a number or points."""
    printed = PRINTED.fullmatch(match[1].strip())
    return printed["name"] if printed else ""


def _read_note(read: Callable[[StateInline, bool], bool], state: StateInline, silent: bool) -> bool:
    """The plugin's own rule, but only for a closed note; it would scan the rest of the text for each `[^`."""
    return bool(NOTE.match(state.src, state.pos)) and read(state, silent)


def _write_role(match: re.Match[str]) -> str:
    """The text of a role; empty for a reference to a label."""
    name, text = (match[1] or match[2]).lower(), " ".join(match[4].split())
    targeted = TARGETED.fullmatch(text)
    if targeted:
        return escape(targeted[1])
    if name in REFERENCES:
        return GONE
    if name == "math":
        return f"${escape(text)}$"
    if name in ("sub", "sup", "subscript", "superscript"):
        return write_script("_" if name.startswith("sub") else "^", escape(text))
    return f"<code>{escape(text)}</code>" if name in ("code", "kbd", "command", "file") else escape(text)


def _write_citation(inside: str) -> str:
    """`@fisher1925, p. 3` as `(Fisher 1925, p. 3)`; empty if a key is not made of a name and a year."""
    keys = KEY.findall(inside)
    if not all(AUTHOR_YEAR.match(key) for _, key in keys):
        return GONE
    named = KEY.sub(lambda match: _name_key(match[2], is_short=bool(match[1])).translate(BRACKETS), inside)
    return escape(f"({named})")


def _name_key(key: str, *, is_short: bool = False) -> str:
    """`fisher1925` as `Fisher (1925)`, or as the mere year; other keys, and labels of figures, as they are."""
    found = AUTHOR_YEAR.match(key)
    if found and is_short:
        return found[2]
    return f"{found[1][0].upper()}{found[1][1:]} ({found[2]})" if found else key


# Inline markup outside CommonMark: its name, its pattern, and the HTML that it becomes.
INLINE: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    ("role", ROLE, _write_role),
    ("computed", COMPUTED, _write_computed),
    ("highlight", HIGHLIGHT, lambda match: escape(match[1])),
    # What was inserted, keys, changes in CriticMarkup, icons.
    (
        "inserted",
        re.compile(r"(?<![\w+])(\+\+|\^\^)(?=\S)([^\n]{1,80}?)(?<=\S)\1(?![\w+])"),
        lambda match: escape(match[2]),
    ),
    ("added", re.compile(r"\{(\+\+|==)([^{}\n]{1,500}?)\1\}"), lambda match: escape(match[2])),
    ("replaced", re.compile(r"\{~~[^{}\n]{1,500}?~>([^{}\n]{0,500}?)~~\}"), lambda match: escape(match[1])),
    ("dropped", re.compile(r"\{(?:--[^{}\n]{1,500}?--|>>[^{}\n]{1,500}?<<)\}"), lambda match: GONE),
    ("attributes", LINK_ATTRIBUTES, lambda match: GONE),
    ("icon", re.compile(r":(?:material|fontawesome|octicons|simple)-[\w-]+:(?:\{[^{}\n]*\})?"), lambda match: GONE),
    ("script", SCRIPT, lambda match: write_script("^" if match[1] else "_", escape(match[2] or match[4]))),
    ("citation", CITATION, lambda match: _write_citation(match[0][1:-1])),
    ("cited", CITED, lambda match: escape(_name_key(match[1]))),
)


def _drop_ends(state: StateCore) -> None:
    """Remove attributes at the end of headings, Obsidian's ids at the end of blocks, and boxes of tasks."""
    for index, token in enumerate(state.tokens):
        if token.type != "inline":
            continue
        if state.tokens[index - 1].type == "heading_open":
            bare = HEADING_ANCHOR.sub("", HEADING_ATTRIBUTES.sub("", token.content))
            token.content = HEADING_TAGS.sub("", COMPUTED.sub(_name_printed, bare)).strip()
        elif state.tokens[index - 1].type == "admonition_title_open":
            # Without a title of its own, it gets that of its kind.
            tag = str(state.tokens[index - 2].meta["tag"])
            token.content = "" if token.content.lower() == tag else token.content
        elif index > 1 and state.tokens[index - 2].type == "list_item_open":
            token.content = re.sub(r"^\[[ xX]\]\s+", "", token.content)
        token.content = ATTRIBUTES.sub("", BLOCK_ID.sub("", token.content))


def _write_note(renderer: RendererHTML, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
    """An inline note becomes its text in brackets; a note defined elsewhere becomes nothing."""
    note = env["footnotes"]["list"][tokens[idx].meta["id"]]
    return f" ({renderer.renderInline(note['tokens'], options, env)})" if note.get("tokens") else GONE


class _Renderer(RendererHTML):
    """HTML as the parser writes it, without what is not text, and with the language of code."""

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        found = read_fence(token.info, token.content, env["language"])
        if found.kind == "formula":
            return f"<p>$$ {escape(found.text)} $$</p>\n"
        inner = f' class="{found.role}"' if found.role else ""
        if found.kind in ("open", "close") and not env["pairs"]:
            return ""
        if found.kind == "open":
            return f"<div{inner}>\n" + (f"<p>{escape(found.text)}</p>\n" if found.text else "")
        if found.kind == "close":
            return "</div>\n"
        if found.kind == "prose" and env["depth"] < DEEPEST:
            return f"<div{inner}>{_render(found.text, {**env, 'depth': env['depth'] + 1})}</div>\n"
        language = f' class="language-{escape(found.language)}"' if found.language else ""
        return f"<pre><code{language}>{escape(found.text)}</code></pre>\n" if found.text.strip() else ""

    def html_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return escape_unknown_tags(tokens[idx].content, env["closed"])

    html_inline = html_block

    def dialect(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return tokens[idx].content

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        # The reader of HTML leaves it out of the text.
        return f'<img src="{escape(str(tokens[idx].attrGet("src") or ""))}" alt="{escape(tokens[idx].content)}">'

    def footnote_reference_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "<div>"

    def footnote_reference_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return "</div>"
