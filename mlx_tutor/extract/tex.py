"""Commands of TeX in Markdown, outside of formulas: the text that they hold, or nothing."""

import re

ARGUMENT = r"\{(?:[^{}\\]|\\.|\{(?:[^{}\\]|\\.|\{(?:[^{}\\]|\\.)*+\})*+\})*+\}"
COMMAND = re.compile(
    rf"\\(?P<name>[A-Za-z]+)(?![A-Za-z])\*?(?P<arguments>(?:\[[^\[\]\n]{{0,200}}\]|{ARGUMENT})*+)", re.DOTALL
)
VERBATIM = re.compile(r"\\(?:verb|lstinline)\*?(?P<sign>[^\w\s*{])(?P<code>[^\n]*?)(?P=sign)")
LAST = re.compile(rf"({ARGUMENT})\s*\Z", re.DOTALL)
# About the page, the index and the labels of a printed book.
SILENT = frozenset(
    "index sindex glossary label nocite bibliography bibliographystyle addbibresource printbibliography printindex "
    "addcontentsline setcounter addtocounter setlength pagestyle thispagestyle markboth markright vspace hspace "
    "usepackage newcommand renewcommand providecommand DeclareMathOperator newpage clearpage pagebreak newline "
    "linebreak noindent frontmatter mainmatter backmatter appendix cleardoublepage listoffigures listoftables "
    "includegraphics protect hfill vfill centering".split()
)
# Their last argument is text.
WRITTEN = dict.fromkeys(
    "emph textit textsl textsc textsf underline uline textcolor colorbox href hyperlink hypertarget".split(), "{}"
) | {"textbf": "**{}**", "texttt": "`{}`", "footnote": " ({})", "url": "<{}>"}
SIGNS = {"LaTeX": "LaTeX", "TeX": "TeX", "item": "\n- "}
# Environments of text: what is between them stands in the text. Others hold formulas.
PROSE = frozenset(
    "center flushleft flushright quote quotation minipage framed block columns column multicols itemize enumerate "
    "description abstract theorem lemma proof definition corollary proposition example remark exercise solution".split()
)
PICTURES = frozenset("figure wrapfigure marginfigure tikzpicture comment".split())
MACROS = re.compile(
    rf"(?:\s*\\(?:(?:re|provide)?newcommand|providecommand|DeclareMathOperator)\*?\s*(?:{ARGUMENT}|\\[A-Za-z]+)"
    rf"(?:\[[^\[\]\n]*\])*\s*{ARGUMENT}|\s*\\def\\[A-Za-z]+(?:#\d)*{ARGUMENT})+\s*",
    re.DOTALL,
)


def read_command(text: str, start: int) -> tuple[int, str] | None:  # noqa: PLR0911
    """Where the command at `start` ends, and the Markdown that it is; None for one that is not known."""
    if code := VERBATIM.match(text, start):
        return code.end(), f"`{code['code']}`"
    macros = MACROS.match(text, start)
    if macros:
        return macros.end(), "\n"
    match = COMMAND.match(text, start)
    if match is None:
        return None
    name, last = match["name"], LAST.search(match["arguments"])
    if name in SILENT:
        return match.end(), ""
    if name in SIGNS:
        return start + 1 + len(name), SIGNS[name]
    if name in WRITTEN and last:
        return match.end(), WRITTEN[name].format(last[1][1:-1].strip())
    return None


def find_arguments(text: str, start: int) -> int:
    """Where the arguments of an environment end that begin at `start`."""
    match = re.compile(rf"(?:\[[^\[\]\n]{{0,200}}\]|{ARGUMENT})*+", re.DOTALL).match(text, start)
    return match.end() if match else start
