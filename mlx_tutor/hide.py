"""Whether a text holds code, and replacing code in answers by a note, also while the answer is being written."""

import re

NOTE = "[code left out: none is allowed here]"
OPENERS = re.compile(r"(?P<fence>`{3,}|~{3,})|<(?P<tag>pre|code|samp|kbd|tt|xmp|listing)\b[^>\n]*>?", re.IGNORECASE)
SPAN = re.compile(r"(`{1,2})([^`\n]+)\1(?!`)")
# A span with only a name is no code; with one of these characters it is.
PROGRAM = re.compile(r"[\s()=;{}\[\]]")
QUOTED = re.compile(r"\A(?:(?!\s*>>>\s)\s{0,3}>\s?)+")
CELL = re.compile(r"(?<!\\)\|")
BULLET = re.compile(r"\s*(?:[-*•+]|\d+[.)])\s")
INDENTED = re.compile(r"(?: {4,}|\t)\s*\S")
# Lines that only a programming language has; in lower case, as sentences do not begin.
CODE_LINE = re.compile(
    r"""\s*(?:
    >>>\s | \#!/ | \#include\b | In\s?\[\d*\]: | @\w[\w.]*(?:\(.*)?$
    | import\s+[\w.]+(?:\s+as\s+\w+)?(?:\s*,.*)?$ | from\s+[\w.]+\s+import\s
    | (?:async\s+)?def\s+\w+\s*\( | class\s+\w+\s*(?:\(.*)?:\s*$
    | (?:for\s+\w+(?:\s*,\s*\w+)*\s+in\s+(?:\S+|\w[\w.]*\(.*\))|(?:if|elif|while)\s+(?:\S+|.*[<>=!(].*))\s*:\s*$
    | (?:else|try|except(?:\s+\w+)*|finally|with\s.+\sas\s+\w+)\s*:\s*$
    | (?:print|library|require|console\.log|printf|System\.out\.\w+)\s*\(
    | \w+(?:\.\w+)+\(.*$
    | [\w.,\ \[\]'"]+?\s*(?:=|<-)\s*(?:await\s+)?\w+(?:\.\w+)+\s*[(\[].*$
    | \w[\w.]*\s*<-\s*\S.*$
    | (?:SELECT|select)\s.+\s(?:FROM|from)\s
    | (?:const|let|var|function|fn|func|public|private|static|void|int|float|double)\s+\w+.*[;{(=]
    | .*\w\(.*\)\s*[;{]\s*$ | \}[;)]*\s*$ | \$\s\w | (?:pip3?|conda)\s+install\s
    )""",
    re.VERBOSE,
)
# Lines that belong to the code when they follow such a line.
CODE_AFTER = re.compile(r"\s|\#|return\b|[\w.\[\]'\"]+\s*(?:[-+*/]?=|<-)\s*\S|[)\]}]")


class CodeHider:
    """Takes an answer piece by piece and returns it line by line, without its code."""

    def __init__(self) -> None:
        self._rest = ""
        self._close = ""
        self._blanks = ""
        self._hidden = self._code = self._listed = False
        self._apart = True

    def feed(self, piece: str) -> str:
        """What can be shown so far; an unfinished line is held back."""
        *lines, self._rest = (self._rest + piece).split("\n")
        return "".join(self._take(f"{line}\n") for line in lines)

    def finish(self) -> str:
        """What is left at the end of the answer."""
        rest, self._rest = self._rest, ""
        return self._take(rest) if rest else ""

    def _take(self, line: str) -> str:
        if not line.strip() and not self._close:
            self._apart = True
            if not self._hidden:
                return line
            # Part of the code if more code follows.
            self._blanks += line
            return ""
        code = not self._close and self._is_code(line)
        shown = self._hide() if code else SPAN.sub(_hide_span, self._cut(line.rstrip("\n")))
        self._apart, self._code = False, code
        blanks, self._blanks = self._blanks, ""
        if not shown.strip():
            return ""
        self._listed = bool(BULLET.match(line)) or (self._listed and line[0].isspace())
        self._hidden = shown.endswith(NOTE)
        return f"{blanks}{shown}\n" if line.endswith("\n") else blanks + shown

    def _hide(self) -> str:
        note = "" if self._hidden else NOTE
        self._hidden = True
        return note

    def _is_code(self, line: str) -> bool:
        if self._code and not self._apart and CODE_AFTER.match(QUOTED.sub("", line, count=1)):
            return True
        bare = QUOTED.sub("", line, count=1)
        bullet = BULLET.match(bare)
        # Each cell of a table separately.
        cells = CELL.split(bare) if bare.lstrip().startswith("|") else [bare]
        if any(CODE_LINE.match(cell[bullet.end() :] if bullet else cell) for cell in cells):
            return True
        alone = (self._apart or self._code) and not self._listed and not bullet
        return bool(alone and INDENTED.match(bare))

    def _cut(self, line: str) -> str:
        """The rest of the line without what is between fences."""
        shown, rest = "", line
        while rest:
            if self._close:
                at = rest.lower().find(self._close)
                if at < 0:
                    return shown
                rest, self._close = rest[at + len(self._close) :].lstrip("`~"), ""
            opened = OPENERS.search(rest)
            if opened is None:
                return shown + rest
            shown += rest[: opened.start()]
            self._hidden = self._hidden and not shown.strip()
            shown += self._hide()
            self._close = opened["fence"] or f"</{opened['tag'].lower()}>"
            rest = rest[opened.end() :]
        return shown


def _hide_span(found: re.Match[str]) -> str:
    return "[code left out]" if PROGRAM.search(found[2].strip()) else found[0]


def hide_code(text: str) -> str:
    """A whole answer without its code."""
    hider = CodeHider()
    return (hider.feed(text) + hider.finish()).strip()


def has_code(text: str) -> bool:
    """Whether `hide_code` leaves something out."""
    return "[code left out" in hide_code(text.replace("[code left out", ""))
