"""Reading LaTeX sources: sections, theorems, lists, tables and captions become Markdown; formulas stay as they are."""

import re
import unicodedata
from pathlib import Path

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.fences import name_language
from mlx_tutor.extract.markdown import add_markdown
from mlx_tutor.extract.sections import SectionBuilder
from mlx_tutor.extract.tex import ARGUMENT, MACROS
from mlx_tutor.extract.text import decode_text
from mlx_tutor.records import Section

# What is hidden while the text around it is read: a formula or code is this with its number between.
HIDDEN, END_HIDDEN = "\ue010", "\ue011"
# Lists in lists that are shown as such.
DEEPEST = 6
# Between a list and what follows it.
PART = "\ue013"
MARKED = re.compile(f"{HIDDEN}(\\d+){END_HIDDEN}")
OPTIONAL = r"(?:\[[^\[\]]*\])?"
CODE = re.compile(
    rf"\\begin\{{(?P<name>verbatim|lstlisting|minted|Verbatim|alltt)\*?\}}(?P<options>{OPTIONAL})"
    r"(?:(?<=\{minted\})\{(?P<language>\w+)\}|(?<=\])\{(?P<late>\w+)\})?[ \t]*\n"
    r"(?P<code>(?:(?!\\begin\{(?P=name)\}).)*?)\n?[ \t]*\\end\{(?P=name)\*?\}",
    re.DOTALL,
)
VERB = re.compile(r"\\(?:verb|lstinline)\*?(?P<sign>[^\w\s*{\[])(?P<code>[^\n]*?)(?P=sign)")
LANGUAGE = re.compile(r"language\s*=\s*(?:\[[^\]]*\])?\{?([\w+#-]+)")
COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%.*")
FORMULA = re.compile(
    r"\\begin\{(?P<name>(?:equation|align|alignat|gather|multline|eqnarray|displaymath|math|flalign|dmath)\*?)\}"
    r"(?:(?!\\begin\{(?P=name)\}).)*?\\end\{(?P=name)\}|(?<!\\)\$\$(?:(?!\$\$).)+(?<!\\)\$\$"
    # None goes on behind a blank line or begins in another of its kind: an end that is missing costs little.
    r"|(?<!\\)\$(?:[^$\\\n]|\\.|\n(?![ \t]*\n))+\$|(?<!\\)\\\[(?:(?!\\\[).)+?\\\]|(?<!\\)\\\((?:(?!\\\().)+?\\\)",
    re.DOTALL,
)
LEVELS = {"part": 1, "chapter": 2, "section": 3, "subsection": 4, "subsubsection": 5, "frametitle": 4}
HEADING = re.compile(rf"\\(?P<name>{'|'.join(LEVELS)})\*?\s*{OPTIONAL}\s*(?P<title>{ARGUMENT})")
FRAME = re.compile(rf"\\begin\{{frame\}}(?:<[^<>]*>)?{OPTIONAL}(?:\s*(?P<title>{ARGUMENT}))?")
PARAGRAPH = re.compile(rf"\\(?:sub)?paragraph\*?\s*(?P<title>{ARGUMENT})")
THEOREM = re.compile(
    rf"\\(?:newtheorem|declaretheorem)\*?(?:\[[^\[\]]*\])?\{{(?P<name>\w+)\}}{OPTIONAL}\{{(?P<title>[^{{}}]+)\}}"
)
USUAL = {
    **{word.lower(): word for word in "Theorem Lemma Proposition Corollary Definition Example Remark Proof".split()},
    "thm": "Theorem", "lem": "Lemma", "prop": "Proposition", "cor": "Corollary", "defn": "Definition", "rem": "Remark",
}  # fmt: skip
EXERCISES = {
    "exercise": "exercise",
    "problem": "exercise",
    "question": "exercise",
    "solution": "solution",
    "answer": "solution",
}
BEGIN = re.compile(r"\\begin\{(?P<name>\w+)\*?\}[ \t]*(?:\[(?P<title>[^\[\]]*)\])?")
FLOAT = re.compile(
    r"\\begin\{(?P<name>(?:wrap|margin)?(?:figure|table)\*?)\}(?:(?!\\begin\{(?P=name)\}).)*?\\end\{(?P=name)\}",
    re.DOTALL,
)
# What is emphasised in a definition is what it defines.
DEFINITION = re.compile(r"\\begin\{(?P<name>def\w*\*?)\}(?:(?!\\begin\{(?P=name)\}).)*?\\end\{(?P=name)\}", re.DOTALL)
CAPTION = re.compile(rf"\\caption\*?{OPTIONAL}\s*(?P<text>{ARGUMENT})")
DRAWING = re.compile(
    r"\\begin\{(?P<name>tikzpicture|tikzcd|pgfpicture|picture|comment|thebibliography|pspicture|asy)\}(?:(?!\\begin\{(?P=name)\}).)*?\\end\{(?P=name)\}",
    re.DOTALL,
)
TABULAR = re.compile(
    rf"\\begin\{{(?P<name>tabular[x*]?|longtable|tabulary)\}}\s*{OPTIONAL}\s*(?:{ARGUMENT}\s*)+(?P<body>(?:(?!\\begin\{{(?P=name)\}}).)*?)\\end\{{(?P=name)\}}",
    re.DOTALL,
)
RULES = re.compile(
    r"\\(?:hline|toprule|midrule|bottomrule|cline\{[^{}]*\}|cmidrule(?:\([^()]*\))?\{[^{}]*\}|end(?:first)?(?:head|foot))"
)
SPAN = re.compile(rf"\\multi(?:column|row)\s*(?:{ARGUMENT}|\[[^\[\]]*\])\s*(?:{ARGUMENT}|\*)\s*({ARGUMENT})")
LIST = re.compile(
    r"\\(?P<kind>begin|end)\{(?P<name>itemize|enumerate|description)\}(?:\[[^\[\]]*\])?"
    r"|\\item\b[ \t]*(?:\[(?P<label>[^\[\]]*)\])?"
)
# What only stands above a document.
PREAMBLE = re.compile(r"\\(?:documentclass|usepackage|RequirePackage|newtheorem|DeclareMathOperator)\b")
# Commands whose last argument is text, with what stands around it.
WRITTEN = {"textbf": "**{}**", "texttt": "`{}`", "footnote": " ({})", "url": "<{}>"}
# Those whose arguments are no text.
SILENT = frozenset(
    "label ref eqref pageref autoref cref Cref cite citep citet nocite index input include includegraphics vspace "
    "hspace bibliography "
    "bibliographystyle usepackage documentclass setlength setcounter addtocounter pagestyle thispagestyle renewcommand "
    "newcommand DeclareMathOperator newtheorem color definecolor pagenumbering addcontentsline hypersetup geometry "
    "author "
    "date title subtitle institute lstset theoremstyle numberwithin allowdisplaybreaks phantom rule markboth".split()
)
COMMAND = re.compile(rf"\\(?P<name>[A-Za-z]+)\*?(?P<arguments>(?:\s?\[[^\[\]]*\]|{ARGUMENT})*)[ \t]?")
LAST = re.compile(rf"({ARGUMENT})\s*\Z", re.DOTALL)
ACCENTS = dict(
    zip("\"'`^~=.cvHrku", "\u0308\u0301\u0300\u0302\u0303\u0304\u0307\u0327\u030c\u030b\u030a\u0328\u0306", strict=True)
)
ACCENT = re.compile(
    r"\\(?:(?P<sign>[\"'`^~=.])\s*|(?P<letter>[cvHrku])(?=[\s{])\s*)(?:\{\s*\\?(?P<braced>[A-Za-z])\s*\}|\\?(?P<plain>[A-Za-z]))"
)
LETTERS = {"ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å", "l": "ł", "L": "Ł",
           "LaTeX": "LaTeX", "TeX": "TeX", "ldots": "…", "dots": "…", "S": "§", "textendash": "–"}  # fmt: skip


def read_latex(path: Path) -> tuple[str, tuple[Section, ...]]:
    """A .tex file; files that it puts in are read by themselves."""
    builder = SectionBuilder()
    markdown, title = write_markdown(decode_text(path))
    add_markdown(builder, markdown)
    title = title or builder.find_title(path.stem)
    sections = builder.finish(title)
    if not sections:
        raise CorpusError("no text in it; the files that it puts in are read where they are among the sources")
    return title, sections


def write_markdown(text: str) -> tuple[str, str]:
    """A LaTeX source as Markdown, and its title, "" where it has none."""
    hidden: list[str] = []

    def hide(written: str) -> str:
        hidden.append(written)
        return f"{HIDDEN}{len(hidden) - 1}{END_HIDDEN}"

    text = re.sub(f"[{HIDDEN}{END_HIDDEN}]", "\ufffd", text)
    text = CODE.sub(lambda match: f"\n\n{hide(_write_code(match))}\n\n", text)
    text = VERB.sub(lambda match: hide(f"`{match['code']}`"), text)
    text = COMMENT.sub(r"\1", text)
    theorems = USUAL | {match["name"]: match["title"] for match in THEOREM.finditer(text)}
    found = re.search(rf"\\title\s*{OPTIONAL}\s*({ARGUMENT})", text)
    title = _read_commands(found[1][1:-1]) if found else ""
    begin, end = text.find(r"\begin{document}"), text.find(r"\end{document}")
    if begin < 0 and PREAMBLE.search(text) and not HEADING.search(text):
        return "", title
    text = text[begin + len(r"\begin{document}") if begin >= 0 else 0 : end if end >= 0 else len(text)]
    text = FORMULA.sub(lambda match: hide(" ".join(match[0].split())), DRAWING.sub("", MACROS.sub("\n", text)))
    text = DEFINITION.sub(lambda match: re.sub(r"\\(?:emph|textit)(?=\s*\{)", r"\\textbf", match[0]), text)
    text = FLOAT.sub(_write_float, text)
    text = TABULAR.sub(lambda match: f"\n\n{hide(_write_table(match['body']))}\n\n", text)
    # One paragraph is one line, so that no line begins what Markdown would take for a list.
    text = re.sub(r"[ \t]*\n[ \t]*(?!\s*\n)", " ", re.sub(r"\n[ \t]*\n\s*", "\n\n", text).replace("\n\n", "\ue012"))
    text = text.replace("\ue012", "\n\n")
    text = HEADING.sub(lambda match: f"\n\n{'#' * LEVELS[match['name']]} {match['title'][1:-1]}\n\n", text)
    text = FRAME.sub(lambda match: f"\n\n#### {match['title'][1:-1]}\n\n" if match["title"] else "\n\n", text)
    text = PARAGRAPH.sub(lambda match: f"\n\n**{match['title'][1:-1].rstrip('.')}.** ", text)
    text = _write_lists(text)
    text = BEGIN.sub(lambda match: _begin(match, theorems), text)
    text = re.sub(r"\\end\{(\w+)\*?\}", lambda match: "\n\n:::\n\n" if match[1] in EXERCISES else "\n\n", text)
    text = _read_commands(text)
    while MARKED.search(text):
        text = MARKED.sub(lambda match: hidden[int(match[1])], text)
    return text.replace(PART, "<!-- -->"), " ".join(title.split())


def _write_code(match: re.Match[str]) -> str:
    named = match["language"] or match["late"] or (LANGUAGE.search(match["options"]) or ["", ""])[1]
    return f"````{name_language(named) or ''}\n{match['code']}\n````"


def _write_float(match: re.Match[str]) -> str:
    """What a figure or a table says: its caption, and the cells of a table."""
    captions = "\n\n".join(found["text"][1:-1] for found in CAPTION.finditer(match[0]))
    tables = "\n\n".join(found[0] for found in TABULAR.finditer(match[0]))
    return f"\n\n{captions}\n\n{tables}\n\n"


def _write_table(body: str) -> str:
    body = SPAN.sub(lambda match: match[1][1:-1], RULES.sub("", CAPTION.sub("", body)))
    rows = [
        re.split(r"(?<!\\)&", row) for row in re.split(r"\\\\(?:\[[^\[\]]*\])?|\\tabularnewline", body) if row.strip()
    ]
    cells = [[" ".join(_read_commands(cell).split()).replace("|", "\\|") for cell in row] for row in rows]
    width = max(map(len, cells), default=0)
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in cells]
    return "\n".join([*lines[:1], f"|{'---|' * width}", *lines[1:]])


def _write_lists(text: str) -> str:
    """Lists as Markdown indents them."""
    out: list[str] = []
    kinds: list[str] = []
    at = 0
    for match in LIST.finditer(text):
        out.append(_indent(text[at : match.start()], len(kinds)))
        at = match.end()
        if match["kind"] == "begin":
            kinds.append(match["name"])
        elif match["kind"] == "end":
            kinds[-1:] = []
            out.append("" if kinds else f"\n\n{PART}\n\n")
        else:
            sign = "1." if kinds[-1:] == ["enumerate"] else "-"
            label = f"**{match['label']}** " if match["label"] and kinds[-1:] == ["description"] else ""
            out.append(f"\n{'   ' * min(max(0, len(kinds) - 1), DEEPEST)}{sign} {label}")
    return "".join([*out, _indent(text[at:], len(kinds))])


def _indent(text: str, depth: int) -> str:
    return re.sub(r"\n\n", "\n\n" + "   " * min(depth, DEEPEST), text.strip("\n") if depth else text)


def _begin(match: re.Match[str], theorems: dict[str, str]) -> str:
    """The beginning of an environment: a theorem has its name, an exercise is marked as one."""
    name, title = match["name"], match["title"] or ""
    if name in EXERCISES:
        return f"\n\n::: {EXERCISES[name]}\n\n{title}\n\n"
    if name in theorems:
        return f"\n\n**{theorems[name]}{f' ({title})' if title else ''}.** "
    # The name of an environment that another file defines is not known; options of the page are no title.
    is_title = title and not re.search(r"[=\\]|^[htbpHcm!]{1,5}$|^\d", title)
    return f"\n\n**{title}.** " if is_title else "\n\n"


def _read_commands(text: str) -> str:
    """Prose without commands: accents as letters, quotes and dashes as signs, emphasis as text."""

    def write(match: re.Match[str]) -> str:
        name, last = match["name"], LAST.search(match["arguments"])
        if name in LETTERS:
            return LETTERS[name] + (match["arguments"] if match["arguments"] != "{}" else "")
        if name in SILENT or last is None:
            return ""
        inner = _read_commands(last[1][1:-1].strip())
        if name == "texttt":
            inner = re.sub(r"\\([_&%#{}$])", r"\1", inner)
        return WRITTEN.get(name, "{}").format(inner) + (" " if match[0].endswith(" ") else "")

    def compose(match: re.Match[str]) -> str:
        sign, letter = match["sign"] or match["letter"], match["braced"] or match["plain"]
        return unicodedata.normalize("NFC", letter + ACCENTS[sign])

    text = COMMAND.sub(write, ACCENT.sub(compose, text))
    text = re.sub(r"\\\\\*?(?:\[[^\[\]]*\])?|(?<!\\)~|\\[,;:! ]", " ", text)
    text = re.sub(r"(?<!\\)[{}]", "", text).replace("``", "“").replace("''", "”")
    # Where a reference was.
    text = re.sub(r"[ ]+(?=[.,;:)])", "", re.sub(r"[(\[]\s*[)\]]", "", text))
    return re.sub(r"(?<!-)--(?!-)", "–", re.sub(r"(?<!-)---(?!-)", "—", text)).replace("<", r"\<")
