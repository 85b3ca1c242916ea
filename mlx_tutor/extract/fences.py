"""What a fenced Markdown block holds: code in some language, a formula, or prose in a box."""

import re
from dataclasses import dataclass
from typing import Literal

from mlx_tutor.extract.directives import OPTIONS, find_writer
from mlx_tutor.extract.roles import read_names

# Languages that knitr, Quarto and Jupyter run; any other name in braces is a directive of MyST.
ENGINES = frozenset(
    "r python python3 ipython ipython3 julia bash sh zsh sql ojs observable stan rcpp c cpp c++ java js javascript "
    "typescript node css scss html dot mermaid perl ruby octave matlab scala haskell rust go lua d3 fortran sas stata "
    "powershell csharp kotlin swift php awk sed asis tikz latex".split()
)
# Code directives, whose argument is the language; a notebook cell may name none.
CODE = frozenset(
    ["code", "code-block", "code-cell", "sourcecode", "ipython", "jupyter-execute", "doctest", "exec_code"]
)
NO_PROSE = frozenset(
    "toctree contents tableofcontents eval-rst raw bibliography include literalinclude video iframe embed "
    "glue index".split()
)
# Queries that Obsidian answers in their place.
QUERIES = frozenset(["dataview", "dataviewjs"])
# Directives whose argument is the path of a picture.
PICTURED = frozenset(["figure", "image", "margin-image"])
ALT = re.compile(r"^[ \t]*:?alt:[ \t]*(.*)$", re.MULTILINE)
# Names for the same language.
SAME = {
    "py": "python", "python3": "python", "python2": "python", "ipython": "python", "ipython3": "python", "ir": "r",
    "jl": "julia", "ijulia": "julia",
}  # fmt: skip
# A file that a program puts in: mdBook, Quarto and Hugo, MkDocs, VitePress.
INCLUDE = re.compile(
    r"^[ \t]*(?:\{\{\s*#\w+[^}\n]*\}\}|\{\{[<%]\s*(?:include|embed|readfile)\b.*|--8<--.*|<<< ?@?[\w./-]+.*)[ \t]*\n?",
    re.MULTILINE,
)
# Options at the head of a chunk (`#| echo: false`, `//| x`), and the framework whose tab it is in.
CHUNK_OPTIONS = re.compile(r"\A(?:[ \t]*(?:#|//|--|%%)\|.*\n?|[ \t]*(?:#@tab|%%tab)\b.*\n?)+")

# Numbers of remarks that stand below the code: Quarto, AsciiDoc, MkDocs.
ANNOTATION = re.compile(
    r"[ \t]*(?:#|//|--|%)[ \t]*(?:<\d+>|\(\d+\)!)[ \t]*$"
    # Marks of Docusaurus for the lines around them.
    r"|^[ \t]*(?:#|//|--|%|/\*|<!--)[ \t]*highlight-(?:next-line|start|end)\b.*\n?",
    re.MULTILINE,
)
# Lines that the programs for the documentation of Rust compile and do not show.
UNSHOWN = re.compile(r"^[ \t]*#(?:[ \t].*)?(?:\n|\Z)", re.MULTILINE)
# The title of a theorem of bookdown.
NAMED = re.compile(r"\bname\s*=\s*\"([^\"]*)\"")
# Chunks that set up a document and are not shown, and those that only place a picture.
HIDDEN = re.compile(r"\binclude\s*[=:]\s*(?:FALSE|false|F)\b")
PICTURES = re.compile(r"\s*(?:knitr::include_graphics\([^()]*(?:\([^()]*\)[^()]*)*\)\s*)+")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
QUOTED_PICTURE = re.compile(r"[\"']([^\"'\n]+\.(?:png|jpe?g|gif|webp|svg))[\"']", re.IGNORECASE)
CAPTION = re.compile(r"fig[.-]cap\s*[=:]\s*[\"']([^\"'\n]*)[\"']")

# What is meant for other forms of a document than its page.
FORMAT = re.compile(r"\b(?P<when>when|unless)-format\s*=\s*[\"']?(?P<format>\w+)")
PAGES = frozenset(["html", "revealjs", "ipynb", "gfm", "markdown", "dashboard"])


@dataclass(frozen=True, slots=True)
class Fence:
    """What a fence holds; `language` is None for code that names none.

    `role` marks prose in an exercise or a solution, which may begin and end with separate fences.
    """

    kind: Literal["code", "formula", "prose", "open", "close", "nothing"]
    text: str
    language: str | None = None
    role: str | None = None


def read_fence(info: str, content: str, default: str) -> Fence:  # noqa: PLR0911
    """Read the info line and the content of a fence; `default` is the language of notebook cells that name none."""
    info = info.strip()
    if not info.startswith("{"):
        return _read_plain(re.split(r"[\s{:,;]", info, maxsplit=1)[0].lower(), content)
    inside, _, argument = info[1:].partition("}")
    argument = argument.strip()
    name = re.split(r"[\s,}]", inside, maxsplit=1)[0].lower()
    if name.startswith("="):
        return Fence("nothing", "")
    if name[:1] in (".", "#", "") or "=" in name:
        classes = re.findall(r"(?<!\S)\.([\w+#-]+)", inside)
        return Fence("code", _drop_options(content), name_language(classes[0]) if classes else None)
    if name in ENGINES:
        code = _drop_options(content)
        options = [inside, *CHUNK_OPTIONS.findall(content)]
        if any(map(HIDDEN.search, options)):
            return Fence("nothing", "")
        if PICTURES.fullmatch(code):
            return Fence("prose", _write_pictures(code, options))
        return Fence("prose" if name == "asis" else "code", code, name_language(name))
    if name in PICTURED:
        return Fence("prose", _write_figure(name, argument, content))
    body, content = content, OPTIONS.sub("", content)
    if name == "math":
        return Fence("formula", " ".join(f"{argument} {content}".split()))
    if name in CODE:
        named = argument.split(" ")[0]
        return Fence("code", _drop_options(content), name_language(named or (default if name == "code-cell" else "")))
    if name in NO_PROSE:
        return Fence("nothing", "")
    if write := find_writer(name, content):
        return Fence("prose", f"{argument}\n\n{write(body)}")
    if role := read_names([name]):
        # The argument of a solution is the label of its exercise.
        title = "" if role == "solution" else argument
        kind: Literal["open", "close", "prose"] = (
            "open" if name.endswith("-start") else "close" if name.endswith("-end") else "prose"
        )
        return Fence(kind, title if kind == "open" else f"{title}\n\n{content}", role=role)
    heading = NAMED.search(inside)
    argument = argument or (heading[1] if heading else "")
    # The argument of `figure-md` is a label.
    return Fence("prose", content if name == "figure-md" else f"{argument}\n\n{content}")


def write_picture(path: str, caption: str = "") -> str:
    """A picture as Markdown writes it, whatever is in its path and caption."""
    address, said = re.sub(r"[<>\n\\]", "", path.strip()), re.sub(r"[\[\]\\!]", "", caption.strip())
    return f"![{said}](<{address}>)" if address else ""


def _write_figure(name: str, path: str, content: str) -> str:
    """A directive of MyST with a picture; what stands in a figure is its caption."""
    head = OPTIONS.match(content)
    alt = ALT.search(head[0]) if head else None
    caption = content[head.end() if head else 0 :] if name == "figure" else ""
    return f"{write_picture(path, alt[1] if alt else '')}\n\n{caption}"


def _write_pictures(code: str, options: list[str]) -> str:
    """The pictures that a chunk of R places."""
    captions = [found[1] for each in options if (found := CAPTION.search(each))]
    return "\n\n".join(write_picture(path, *captions[:1]) for path in QUOTED_PICTURE.findall(code))


def _read_plain(name: str, content: str) -> Fence:
    """A fence whose first word is `name`."""
    if name == "math":
        return Fence("formula", " ".join(content.split()))
    if name in QUERIES:
        return Fence("nothing", "")
    if name.startswith("ad-"):
        return Fence("prose", re.sub(r"\A(?:\w+: .*\n)+", "", content))
    code = UNSHOWN.sub("", content) if name == "rust" else content
    return Fence("code", _drop_options(code), name_language(name))


def name_language(name: str) -> str | None:
    """One lower-case name for each language; None for an empty name."""
    name = re.sub(r"(?<=\+\+)\d+$", "", name.strip().lower())
    return SAME.get(name, name) or None


def _drop_options(content: str) -> str:
    return ANNOTATION.sub("", INCLUDE.sub("", CHUNK_OPTIONS.sub("", content)))


def is_hidden(info: str) -> bool:
    """Whether a container of Quarto is not shown on the page of the document."""
    found = FORMAT.search(info)
    if found is None:
        return False
    is_shown = (found["format"] in PAGES) == (found["when"] == "when")
    return is_shown == ("content-hidden" in info)
