"""What code says of itself: comments on lines of their own, and the text that describes a function."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from mlx_tutor.dataset.mining.programs import parse_python

HASH = frozenset({"python", "r", "julia", "ruby", "perl", "bash", "sh", "octave"})
SLASH = frozenset("c cpp c++ java javascript js typescript go rust kotlin swift scala csharp php dart antlr".split())
DASH = frozenset({"sql", "haskell", "lua"})
# A function below its comment: "int add(int a) {", "public static void main(", "function f(", "fn f(".
FUNCTION = re.compile(r"\s*(?:[\w<>,*&\[\]:~]+\s+)*?[*&]*(?P<name>[A-Za-z_]\w*)\s*\([^;{}]*\)[^;{}]*\{")


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment over one or more whole lines, which count from 1; `evidence` is its first line as it stands there."""

    text: str
    lines: tuple[int, ...]
    evidence: str


@dataclass(frozen=True, slots=True)
class Described:
    """A function or class, the text that describes it, and the code without that text.

    `in_body` marks a comment inside the function: it may be about its first statement alone.
    """

    name: str
    text: str
    bare: str
    evidence: str
    in_body: bool = False


def list_comments(code: str, language: str | None) -> list[Comment]:
    """The comments of whole lines; neighbouring lines are one, unless each begins a sentence of its own."""
    found: list[Comment] = []
    for number, text, raw in _list_lines(code, language):
        last = found[-1] if found else None
        joins = last is not None and last.lines[-1] == number - 1
        if last is not None and joins and (text[:1].islower() or last.text.endswith(",")):
            found[-1] = Comment(f"{last.text} {text}", (*last.lines, number), last.evidence)
        else:
            found.append(Comment(text, (number,), raw))
    return [Comment(_finish(comment.text), comment.lines, comment.evidence) for comment in found]


def _finish(text: str) -> str:
    text = text.rstrip(" .:;,")
    return f"{text[:1].upper()}{text[1:]}."


def _list_lines(code: str, language: str | None) -> Iterator[tuple[int, str, str]]:
    """Number, text and the text with its mark of each comment that has a line for itself."""
    marks = "#" if language in HASH else "//" if language in SLASH else "--" if language in DASH else ""
    lines = code.split("\n")
    whole = _find_python_comments(code) if language == "python" else None
    for number, line in enumerate(lines, 1):
        raw = line.strip()
        if marks and raw.startswith(marks) and (whole is None or number in whole):
            text = raw.lstrip(marks + "!").strip(" -=*")
            if re.search(r"[^\W\d_]", text):
                yield number, text, raw


def _find_python_comments(code: str) -> set[int]:
    """Lines of comments; a line of a long string may look like one."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (tokenize.TokenError, SyntaxError):
        return set()
    return {token.start[0] for token in tokens if token.type == tokenize.COMMENT}


def describe_function(code: str, language: str | None) -> Described | None:
    """The one function or class of a piece of code with the text that describes it; None where there is none."""
    if language == "python":
        return _describe_python(code)
    if language not in SLASH:
        return None
    comments = list_comments(code, language)
    match = re.match(r"\s*/\*\*?(?P<text>.*?)\*/", code, re.DOTALL)
    if match is not None:
        text = " ".join(re.sub(r"^\s*\*", "", line).strip() for line in match["text"].split("\n")).strip()
        rest, evidence = code[match.end() :].strip("\n"), _first_line(match["text"])
    elif comments and comments[0].lines[0] == 1:
        text, evidence = comments[0].text, comments[0].evidence
        rest = "\n".join(code.split("\n")[len(comments[0].lines) :]).strip("\n")
    else:
        return None
    function = FUNCTION.match(rest)
    text = re.split(r"\s@\w", text)[0]
    return Described(function["name"], _finish(text), rest, evidence) if function is not None and evidence else None


def _first_line(text: str) -> str:
    return next((line.strip(" *") for line in text.split("\n") if line.strip(" *")), "")


def _describe_python(code: str) -> Described | None:
    tree = parse_python(code)
    nodes = tree.body if tree is not None else []
    named = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if len(named) != 1:
        return None
    node, lines = named[0], code.split("\n")
    docstring = ast.get_docstring(node)
    if docstring and len(node.body) > 1:
        text = " ".join(re.split(r"\n\s*\n|\n\s*(?=[\w, ]+(?:\([^()]*\))?\s*:)", docstring)[0].split())
        evidence, gone = (
            docstring.split("\n")[0].strip(),
            range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1),
        )
    else:
        inside = [c for c in list_comments(code, "python") if node.lineno < c.lines[0] < node.body[0].lineno]
        if not inside or isinstance(node, ast.ClassDef):
            return None
        text, evidence = " ".join(comment.text for comment in inside), inside[0].evidence
        gone = range(inside[0].lines[0], inside[-1].lines[-1] + 1)
    bare = "\n".join(line for number, line in enumerate(lines, 1) if number not in gone)
    return Described(node.name, _finish(text), bare, evidence, not docstring) if evidence else None
