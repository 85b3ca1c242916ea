"""Lines and marks of Markdown that only lay a page out: options, attributes, tabs, breaks, icons.

Each program that makes pages or slides of Markdown has its own; they are dropped, or become plain Markdown.
"""

import re

# Options of a directive, cell breaks, commands of TeX about the page; an emoji like `:warning:` is none.
LAYOUT = (
    r"\\(?:pause|[vh]fill|newpage|pagebreak|clearpage|(?:big|med|small)skip|noindent|centering|maketitle"
    r"|tableofcontents|footnotesize|scriptsize|tiny|small|normalsize|[lL]arge|[vh]space\*?\{[^{}\n]*\})(?![A-Za-z])"
)
OPTION = re.compile(
    r"^[ \t]*:(?:label|eqlabel|width|begin_tab|end_tab|class|name|align|alt|height|scale|tags|open|figclass)\b.*$"
    # A comment of MyST; a percent sign that a line break parted from its number is none.
    r"|(?<![\d}]\n)^%(?!%).*$"
    r"|^\+\+\+(?: .*)?$|^\^[ \t]*$|^\([\w-]+\)=[ \t]*$|^[ \t>]*\{:[^}\n]*\}[ \t]*$"
    # A line break that kramdown writes as a rule.
    r"|[ \t]*\* \* \*\n[ \t>]*\{:[^}\n]*newline[^}\n]*\}"
    # Attributes that kramdown puts behind what they are of, and its references to figures without a name.
    r"|(?<=[*_`)\]])\{:[^}\n]*\}|(?<=^[-*+] )\{:[^}\n]*\}[ ]?| ?\(\[\\\[link\\\]\]\(#[^)\n]*\)\)"
    rf"|^[ \t>]*(?:{LAYOUT}[ \t]*)+$"
    # A pause of slides, captions that bookdown puts elsewhere.
    r"|^\. \. \.[ \t]*$|^\(ref:[\w-]+\) .*$"
    # Where a program puts the contents; who wrote what HackMD quotes; abbreviations; areas of Slidev.
    r"|^[ \t]*(?:\[\[?_?(?i:toc)_?\]\]?|(?:[*+-]|\d+\.) .*\n\{:\s*toc\b[^}\n]*\})[ \t]*$"
    r"|\[(?:name|time|color)=[^\[\]\n]*\]|^\*\[[^\[\]\n]+\]:.*$|^::[a-z][\w-]*::[ \t]*$"
    # Properties of blocks in Logseq and of pages in Obsidian, and references to blocks.
    r"|^[ \t]*(?:[*-] )?(?:id|collapsed|tags|title|alias(?:es)?|up|type|status|public|template|card-[a-z-]+):: .*$"
    r"|\(\([0-9a-f]{8}-[0-9a-f-]{8,}\)\)"
    # The end of a block of PyMdown.
    r"|^[ \t]*/{3,}[ \t]*$"
    # Labels of bookdown, in captions and formulas.
    r"|[ \t]*\(\\?#(?:tab|fig|eq|thm|lem|cor|prp|cnj|def|exm|exr|hyp|sol|rem|prf):[\w-]+\)"
    # Files that are put in: MkDocs, VitePress, mdBook; macros of LiaScript below code.
    r"|^[ \t]*--8<--.*$|^<<< ?@?[\w./-]+.*$|^[ \t>]*\{\{\s*#\w+[^}\n]*\}\}[ \t]*$"
    r"|^@[A-Za-z]\w*(?:\.\w+)+(?:\([^()\n]*\))?[ \t]*$",
    re.MULTILINE,
)
# kramdown reads Markdown right behind such a tag; other readers do so behind a blank line.
INSIDE = re.compile(
    r"^([ \t]*<[a-z]+\s(?:[^>\n]*\s)?markdown=[\"'](?:1|block)[\"'][^>\n]*>)[ \t]*\n(?=[ \t]*[^<\s])", re.MULTILINE
)
BEHIND = re.compile(r"^([ \t]*</[a-z]+>)[ \t]*\n(?=[ \t]*[^<\s])", re.MULTILINE)
# Elements that hold no Markdown: a blank line in them would make code of what is indented behind it.
ELEMENT = re.compile(r"<(math|table|dl|ul|ol|svg)\b[^>]*>", re.IGNORECASE)
# A sentence goes on behind its formula, whatever the lines between.
REST = re.compile(r"[ \t]*\n[ \t]*\n\s*(?=[,.;:)]|[a-z])")
# Items of a list that were copied from elsewhere, with the sign that they had there.
BULLET = re.compile(r"^([ \t>]*)[•●▪◦‣]\s*(?=\S)", re.MULTILINE)
# A picture that Pandoc or Quarto numbers has its text as a caption.
FIGURE = re.compile(r"^!\[((?:[^\[\]\n]|\[[^\[\]\n]*\])+)\]\(([^()\n]*)\)\{#fig[-:][^{}\n]*\}[ \t]*$", re.MULTILINE)
# Comments of kramdown, and marks around what it does not read.
KRAMDOWN = re.compile(r"\{::comment\}.*?\{:/(?:comment)?\}|\{:(?::(?:nomarkdown|options)\b|/)[^{}\n]*\}", re.DOTALL)
# Settings of one slide, between rules as in the head of a file.
SLIDE_HEAD = re.compile(
    r"^---[ \t]*\n(?:(?:layout|class|theme|background|image|transition|clicks|hideInToc|level|name|routeAlias|src|zoom"
    r"|disabled|preload|title):.*\n(?:[ \t]+.*\n)*)+---[ \t]*$",
    re.MULTILINE,
)
# Each with the plain Markdown that it is.
PLAIN = (
    (FIGURE, r"\n\n![](\2)\n\n\1\n\n"),
    (SLIDE_HEAD, "\n"),
    # A tab of MkDocs is a box; its boxes may stand in the margin.
    (re.compile(r"^([ \t]*)===[!+]* (\"[^\"\n]+\")[ \t]*$", re.MULTILINE), r"\1!!! tab \2"),
    (re.compile(r"^([ \t]*(?:!!!|\?\?\?\+?)[ \t]+[\w-]+)[ \t]+inline(?:[ \t]+end)?\b", re.MULTILINE), r"\1"),
    # A block of PyMdown, under its title.
    (re.compile(r"^[ \t]*/{3,}[ \t]*[\w-]+(?:[ \t]*\|[ \t]*(.*))?$", re.MULTILINE), r"\n\1\n"),
)


def drop_layout(text: str) -> str:
    """Prose without what lays it out, and without blank lines inside elements of HTML."""
    if "{::" in text:
        text = KRAMDOWN.sub("", text)
    for pattern, plain in PLAIN:
        text = pattern.sub(plain, text)
    if "markdown=" in text:
        text = BEHIND.sub(r"\1\n\n", text)
    return BULLET.sub(r"\1- ", INSIDE.sub(r"\1\n\n", OPTION.sub("", close_gaps(text))))


def close_gaps(text: str) -> str:
    """A text without blank lines inside tables, lists, formulas and drawings of HTML that hold no Markdown."""
    out: list[str] = []
    at = 0
    gone: set[str] = set()
    while match := ELEMENT.search(text, at):
        closer = f"</{match[1].lower()}>"
        end = -1 if closer in gone else text.find(closer, match.end())
        if end < 0:
            gone.add(closer)
        inside = text[match.start() : max(end, match.end())]
        out += [text[at : match.start()], inside if "markdown=" in inside else re.sub(r"\n\s*\n", "\n", inside)]
        at = match.start() + len(inside)
        if match[1].lower() == "math" and "block" not in match[0] and (rest := REST.match(text, at + len(closer))):
            out += [closer, "" if text[rest.end()] in ",.;:)" else " "]
            at = rest.end()
    return "".join([*out, text[at:]])
