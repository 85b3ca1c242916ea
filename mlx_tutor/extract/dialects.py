"""What dialects of Markdown add to it, resolved before the parser sees the text.

Formulas are hidden behind marks, as Jupyter does, since every block rule of Markdown may fall on a line of theirs.
Callouts (Obsidian, GitHub), containers (Pandoc, MyST, Quarto), Liquid and Jinja tags (Jekyll, Hugo) and comments that
Markdown does not know become plain Markdown. Code fences stay as they are.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from mlx_tutor.extract import jsx, tags, tex
from mlx_tutor.extract.fences import PICTURE_SUFFIXES, is_hidden, write_picture
from mlx_tutor.extract.layout import drop_layout
from mlx_tutor.extract.plain import is_slides, write_plain
from mlx_tutor.extract.roles import read_label, read_names

# A formula is this with its number between; something that was left out is GONE.
MARK, END_MARK, GONE = "\ue000", "\ue001", "\ue002"
MARKED = re.compile(f"{MARK}(\\d+){END_MARK}")
FENCE = re.compile(r"(?P<indent>[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*)(?P<ticks>`{3,}(?=[^`]*$)|~{3,})")
OPENER = re.compile(
    r"`+|<!--|\\begin\{(?P<name>[A-Za-z]+\*?)\}|\\\\[(\[]|\\[\s\S]|\$\$|\$|\{%|\{\{[<%]?|!?\[\[|%%|\{/\*|<[A-Za-z][\w.]*(?=\s)"
    r"|^(?P<quote>(?:[ \t]*>)+)[ \t]*\[!(?P<callout>[\w-]+)[^\]\n]*\][+-]?(?P<title>.*)$"
    r"|^(?P<bar>[ \t>]*):{3,}(?P<container>[^:\n].*|)$|:{3,}$",
    re.MULTILINE,
)
# What HTML has and TeX has not.
TAGGED = re.compile(r"</?[a-z]+>")
# Between \( and \), which otherwise are brackets that Markdown should not read.
MATHEMATICAL = re.compile(r"[\\^_={}<>+*/|]|^\s*.{1,3}\s*$")
TITLE = re.compile(r"(?:title|name)=\"([^\"]*)\"|^[\w-]+\[([^\]\n]+)\]|^\s*\{?[\w:-]+\}?\s+([^{\"]+?)\s*$")
# Boxes whose first heading is their title.
TITLED = re.compile(r"\.callout|#(?:thm|lem|cor|prp|cnj|def|exm|exr|sol|rem|alg)-|\.(?:theorem|definition|example)\b")
HEADING = re.compile(r"\s*\n[ \t]*#{1,6}[ \t]+(?P<title>[^\n]+?)[ \t]*#*[ \t]*(?=\n|\Z)")
# What stands in no text between two prices.
TEX = re.compile(r"\\[A-Za-z]{2,}|[_^]\{")
SINGLE = re.compile(r"(?<!\\)\$")
OPTIONS = re.compile(r"(?:\n[ \t>]*:[\w-]+:[^\n]*)+")
CONTAINER = re.compile(r"^[ \t]*:{3,}[ \t]*[^:\s].*$", re.MULTILINE)
END_CONTAINER = re.compile(r"^[ \t]*:{3,}[ \t]*$", re.MULTILINE)
# A reference of bookdown.
REFERENCE = re.compile(r"\\@ref\([\w:-]+\)")
# Behind code that is meant for one output format of Pandoc.
RAW = re.compile(r"\{=\w+\}")
# It separates lists and is nothing.
BREAK = "<!-- -->"


@dataclass(slots=True)
class Prepared:
    """What stands for the marks in a text: formulas in one line, and as they were written."""

    formulas: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    # The element of each container that is open, "" for none; None where the ends do not fit.
    containers: list[str] | None = field(default_factory=list)

    def hide(self, formula: str, written: str) -> str:
        """The mark for a formula."""
        self.formulas.append(formula)
        self.written.append(written)
        return f"{MARK}{len(self.formulas) - 1}{END_MARK}"

    def restore(self, text: str, *, as_written: bool = False) -> str:
        """The text with its formulas."""
        values = self.written if as_written else self.formulas
        return MARKED.sub(lambda match: values[int(match[1])], text)


def prepare(text: str, prepared: Prepared) -> str:
    """Plain Markdown from Markdown of any dialect; its formulas go to `prepared`."""
    if not prepared.formulas:
        text = re.sub(f"[{MARK}{END_MARK}{GONE}]", "\ufffd", text)
    if len(CONTAINER.findall(text)) != len(END_CONTAINER.findall(text)):
        prepared.containers = None
    are_slides = is_slides(text)
    return "".join(
        part if is_code else _Scanner(write_plain(part, are_slides=are_slides), prepared).scan()
        for is_code, part in _split_code(text)
    )


def _split_code(text: str) -> Iterator[tuple[bool, str]]:
    """The text in pieces: fences with their code, and what stands between them."""
    piece: list[str] = []
    fence = ""
    in_comment = False
    last_comment = text.rfind("-->")
    at = 0
    for line in text.splitlines(keepends=True):
        match = None if in_comment or fence else FENCE.match(line)
        if match:
            yield False, "".join(piece)
            piece, fence = [line], match["ticks"]
        else:
            piece.append(line)
            inner = line.strip(" \t>\n")
            if fence and len(inner) >= len(fence) and not inner.strip(fence[0]):
                yield True, "".join(piece)
                piece, fence = [], ""
            elif not fence:
                begins = line.rfind("<!--")
                if in_comment or (begins >= 0 and line.count("`", 0, begins) % 2 == 0 and at + begins < last_comment):
                    in_comment = line.rfind("-->") <= begins
        at += len(line)
    yield bool(fence), "".join(piece)


class _Scanner:
    """Goes through prose once, from opener to opener."""

    def __init__(self, text: str, prepared: Prepared, *, is_raw: bool = False) -> None:
        self.text = drop_layout(text)
        # Between tags that say that braces are text.
        self.is_raw = is_raw
        self.prepared = prepared
        self.breaks = [match.start() for match in re.finditer(r"\n[ \t>]*\n", self.text)]
        self.notes: list[str] = []
        # Closers that are not found from here on, so that a thousand openers do not look a thousand times.
        self.missing: dict[str, int] = {}

    def scan(self) -> str:
        out: list[str] = []
        at = 0
        while match := OPENER.search(self.text, at):
            out.append(self._pass_on(self.text[at : match.start()]))
            end, new = self._resolve(match)
            out.append(new)
            at = end
        out.append(self._pass_on(self.text[at:]))
        out += [f"\n\n{note}\n\n" for note in self.notes]
        return "".join(out)

    def _pass_on(self, text: str) -> str:
        """Text as it is; side notes follow the paragraph in which they stand."""
        if self.notes and (gap := re.search(r"\n[ \t]*\n", text)):
            notes, self.notes = "".join(f"\n\n{note}" for note in self.notes), []
            return text[: gap.start()] + notes + text[gap.start() :]
        return text

    def _find(self, closer: str, start: int, *, in_paragraph: bool = True) -> int:
        """Where `closer` stands next, -1 for nowhere."""
        if self.missing.get(closer, len(self.text) + 1) <= start:
            return -1
        found = self.text.find(closer, start)
        if found < 0:
            self.missing[closer] = start
        return -1 if in_paragraph and found > self._end_paragraph(start) else found

    def _end_paragraph(self, start: int) -> int:
        index = bisect_right(self.breaks, start - 1)
        return self.breaks[index] if index < len(self.breaks) else len(self.text)

    def _resolve(self, match: re.Match[str]) -> tuple[int, str]:  # noqa: PLR0911, PLR0912
        """Where the opener's element ends, and what stands in its place."""
        opener, start = match[0], match.start()
        if match["quote"] is not None:
            title = match["title"].strip()
            bar = match["quote"]
            return match.end(), f"{bar} {self._scan(title)}\n{bar}" if title else bar
        if match["container"] is not None and not match["container"].strip() and not match["bar"].strip():
            return match.end(), self._close_container()
        if match["container"] is not None:
            return self._open_container(match)
        if opener.startswith(":::"):
            return match.end(), BREAK if self._begins_line(start) else ""
        if match["name"]:
            return self._take_environment(match)
        if opener[0] == "`":
            return self._pass_code(match)
        if opener == "<!--":
            return self._drop_comment(match)
        if opener.lstrip("\\") in ("(", "["):
            # Written with two backslashes where Markdown takes one away.
            return self._take_formula(match, opener.replace("(", ")").replace("[", "]"))
        if opener == "\\@" and (reference := REFERENCE.match(self.text, start)):
            return reference.end(), GONE
        if opener == "$$":
            return self._take_formula(match, "$$")
        if opener == "$":
            return self._take_dollars(match)
        if opener[:2] in ("{%", "{{") and not self.is_raw:
            return self._take_tag(match)
        if opener == "{/*" or opener[0] == "<":
            found = (jsx.COMMENT if opener == "{/*" else jsx.TAG).match(self.text, start)
            return (found.end(), GONE) if found and (opener == "{/*" or "={" in found[0]) else (match.end(), opener)
        if opener in ("[[", "![["):
            return self._take_wiki_link(match)
        if opener == "%%":
            end = self._find("%%", match.end(), in_paragraph=not self._begins_line(start))
            return (end + 2, GONE) if end >= 0 else (match.end(), opener)
        if opener[1:].isalpha() and (command := tex.read_command(self.text, start)):
            return command[0], self._scan(command[1]) or GONE
        return match.end(), opener

    def _scan(self, text: str, *, is_raw: bool = False) -> str:
        """A part of the text, or what stands for one, as it is read by itself."""
        return _Scanner(text, self.prepared, is_raw=is_raw).scan()

    def _begins_line(self, place: int) -> bool:
        return not self.text[self.text.rfind("\n", 0, place) + 1 : place].strip(" \t>")

    def _pass_code(self, match: re.Match[str]) -> tuple[int, str]:
        ticks, end = match[0], match.end()
        while (end := self._find(ticks, end)) >= 0:
            after = re.compile("`+").match(self.text, end)
            assert after is not None
            if after[0] == ticks:
                raw = RAW.match(self.text, after.end())
                return (raw.end(), GONE) if raw else (after.end(), self.text[match.start() : after.end()])
            end = after.end()
        return match.end(), ticks

    def _drop_comment(self, match: re.Match[str]) -> tuple[int, str]:
        end = self._find("-->", match.end(), in_paragraph=False)
        if end >= 0:
            return end + 3, GONE
        # One that never ends would hide the rest of the file.
        return match.end(), self.prepared.hide("<!--", "<!--")

    def _open_container(self, match: re.Match[str]) -> tuple[int, str]:
        """A container is what it contains, under its title; it may be an exercise or a solution."""
        info, bar, end = match["container"], match["bar"], match.end()
        if found := OPTIONS.match(self.text, end):
            end = found.end()
        title = self._find_title(info)
        if TITLED.search(info) and not bar.strip() and (heading := HEADING.match(self.text, end)):
            title, end = title or heading["title"], heading.end()
        names = re.findall(r"[.#]?[^\W\d_][\w-]*", re.sub(r"[\w-]+=(?:\"[^\"]*\"|\S+)", "", info).partition("}")[0])
        role = read_label(title) or read_names(names if info.startswith("{") else names[:1])
        if self.prepared.containers is not None:
            tag = "template" if is_hidden(info) else "div" if role is not None and not bar.strip() else ""
            self.prepared.containers.append(tag)
            if tag == "template":
                return end, "\n\n<template>\n\n"
            if tag:
                said = title if title and read_label(title) is None and role == "exercise" else ""
                return end, f'\n\n<div class="{role}">\n\n{said}\n\n'
        name, _, argument = info.strip().partition("}")
        picture = write_picture(argument) if name in ("{figure", "{image") else ""
        opened = f"{bar}{BREAK}\n{bar}" + (f"{picture}\n{bar}{BREAK}\n{bar}" if picture else "")
        return end, f"{opened}{self._scan(title)}\n{bar}" if title and name != "{figure" else opened

    @staticmethod
    def _find_title(info: str) -> str:
        found = TITLE.search(info)
        return next(filter(None, found.groups()), "").strip() if found else ""

    def _close_container(self) -> str:
        tag = self.prepared.containers.pop() if self.prepared.containers else ""
        return f"\n\n</{tag}>\n\n" if tag else BREAK

    def _take_formula(self, match: re.Match[str], closer: str, *, keep: bool = False) -> tuple[int, str]:  # noqa: PLR0911
        opener, start = match[0].replace("\\\\", "\\"), match.start()
        end = self._find(closer, match.end(), in_paragraph=opener == "\\(")
        if end < 0:
            return match.end(), opener
        inside = self.text[match.end() : end]
        end += len(closer)
        singles = list(SINGLE.finditer(inside)) if opener == "$$" else []
        if len(singles) % 2:
            # Mistyped: what begins with two ends with one, and the next two begin another.
            inside = inside[: singles[0].start()]
            return match.end() + len(inside) + 1, self.prepared.hide(f"${self._join(start, inside)}$", inside)
        if tex.MACROS.fullmatch(inside):
            return end, GONE
        display = opener == "\\[" and self._begins_line(start) and not self.text[end:].partition("\n")[0].strip(" .,;")
        is_text = not display and not MATHEMATICAL.search(inside)
        if opener in ("\\(", "\\[") and (is_text or TAGGED.search(inside)):
            return match.end(), opener
        if not inside.strip():
            return match.end(), opener
        written = self.text[start:end]
        if keep or "$" in inside.replace("\\$", ""):
            return end, self.prepared.hide(self._join(start, written), written)
        dollars = "$" if opener == "\\(" else "$$"
        space = "" if opener == "\\(" else " "
        if opener == "$$" and "\n" not in inside:
            space = ""
        formula = self._join(start, inside)
        return end, self.prepared.hide(f"{dollars}{space}{formula}{space}{dollars}", written)

    def _take_dollars(self, match: re.Match[str]) -> tuple[int, str]:
        """Pandoc's rule, which tells formulas from prices; a blank at both ends, as Jupyter allows it, is one too."""
        start = match.end()
        end = start - 1
        while (end := self._find("$", end + 1)) > 0 and self.text[end - 1] == "\\":
            pass
        inside = self.text[start:end] if end > start else ""
        if len(inside) > 2 and inside[0] == inside[-1] == "`" and not inside.startswith("`r "):
            # GitLab and GitHub hide a formula from Markdown so.
            return end + 1, self.prepared.hide(f"${self._join(match.start(), inside[1:-1])}$", inside)
        spaces = inside[:1].isspace() + inside[-1:].isspace()
        is_formula = inside.strip() and (spaces == 0 or (spaces == 2 and "\n" not in inside) or TEX.search(inside))
        if not is_formula or self.text[end + 1 : end + 2].isdigit():
            return start, "$"
        return end + 1, self.prepared.hide(f"${self._join(match.start(), inside)}$", self.text[match.start() : end + 1])

    def _join(self, start: int, text: str) -> str:
        """A formula in one line, without the marks of the quote that it stands in and TeX's comments."""
        before = self.text[self.text.rfind("\n", 0, start) + 1 : start]
        if "\n" in text and before.lstrip().startswith(">"):
            text = re.sub(r"\n[ \t]*(?:>[ \t]?)+", "\n", text)
        if "\n" in text:
            text = re.sub(r"(?<!\\)%.*", "", text)
        return " ".join(text.split())

    def _take_environment(self, match: re.Match[str]) -> tuple[int, str]:
        """What is between `\\begin` and `\\end`: a formula, unless it is text."""
        name, closer = match["name"], f"\\end{{{match['name']}}}"
        if name.rstrip("*") not in tex.PROSE | tex.PICTURES:
            return self._take_formula(match, closer, keep=True)
        end = self._find(closer, match.end(), in_paragraph=False)
        if end < 0:
            return match.end(), match[0]
        inside = self.text[tex.find_arguments(self.text, match.end()) : end]
        is_text = name.rstrip("*") in tex.PROSE
        return end + len(closer), f"\n\n{self._scan(inside.strip())}\n\n" if is_text else GONE

    def _take_tag(self, match: re.Match[str]) -> tuple[int, str]:  # noqa: PLR0911
        """A tag of Liquid, Jinja or Hugo; those around formulas and code say what they are around."""
        opener = match[0]
        close = self._find("%}" if opener == "{%" else "}}", match.end(), in_paragraph=opener == "{{")
        if close < 0:
            return match.end(), opener
        if opener[:2] == "{{" and (opener == "{{" or self.text[close - 1 : close + 2] != tags.CLOSERS[opener]):
            # A variable.
            inside = self.text[match.start() + 2 : close]
            return (close + 2, GONE) if not {"{", "\n"} & set(inside) else (match.end(), opener)
        tag = tags.read_tag(self.text, opener, match.end(), close - (opener != "{%"))
        closing = tag.find_end(self.text) if tag.name in tags.AROUND else None
        inside = self.text[tag.end : closing.start()] if closing else ""
        end = closing.end() if closing else tag.end
        if closing and tag.name in tags.CODE:
            return end, f"\n\n```{tag.rest.split(' ')[0]}\n{inside.strip(chr(10))}\n```\n\n"
        if closing and tag.name == "raw":
            return end, self._scan(inside, is_raw=True)
        if closing and (tag.name == "comment" or not inside.strip()):
            return end, GONE
        if closing and tag.name in tags.FORMULAS and not re.search(r"\$|\\[(\[]", inside):
            is_block = tag.name != "m" and (
                tag.rest == "display" if tag.name == "katex" else self._begins_line(match.start())
            )
            dollars = "$$" if is_block else "$"
            return end, self.prepared.hide(f"{dollars}{self._join(match.start(), inside)}{dollars}", inside)
        if tag.name in tags.BOXES:
            return self._open_box(tag, closing, inside)
        if tag.texts and len(tag.texts[-1].split()) >= 3:
            self.notes.append(self._scan(tag.texts[-1]))
        return tag.end, GONE

    def _open_box(self, tag: tags.Tag, closing: re.Match[str] | None, inside: str) -> tuple[int, str]:
        """A box under its title; one that holds an exercise or a solution says so, where all of it is here."""
        title = tag.texts[-1] if tag.texts else ""
        role = read_label(title) or read_names([tag.name])
        if closing is None or role is None:
            return tag.end, f"\n\n{self._scan(title)}\n\n" if title else GONE
        said = title if read_label(title) is None else ""
        return closing.end(), f'\n\n<div class="{role}">\n\n{said}\n\n{self._scan(inside)}\n\n</div>\n\n'

    def _take_wiki_link(self, match: re.Match[str]) -> tuple[int, str]:
        """The text of a [[link]]; numbers in brackets are an array, and `x[[1]]` is code."""
        end = self._find("]]", match.end())
        inside = self.text[match.end() : end]
        before = self.text[max(0, match.start() - 1) : match.start()]
        is_link = end >= 0 and not {"[", "\n"} & set(inside) and re.search(r"[^\W\d_]", inside)
        if not is_link or (before.isascii() and before.isalnum()) or before in (")", "]") or inside[:1] in "\"'":
            return match.end(), match[0]
        target, _, name = inside.replace("\\|", "|").partition("|")
        if match[0] == "![[":
            # Behind the bar stands the width of a picture.
            is_picture = target.lower().endswith(PICTURE_SUFFIXES)
            return end + 2, write_picture(target, "" if name[:1].isdigit() else name) if is_picture else GONE
        return end + 2, name or target.partition("#")[0] or target.strip("#^")
