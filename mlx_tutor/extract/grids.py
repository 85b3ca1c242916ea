"""Tables that Pandoc draws with dashes and plus signs, as the tables with bars that every parser knows."""

import re
from collections.abc import Iterator
from unicodedata import east_asian_width

# +---+---+ above and below each row; = below the header.
EDGE = re.compile(r"[ \t]*\+(?:[:=-]+\+)+[ \t]*")
# Dashes above the columns, which begin where these do.
RULE = re.compile(r" *-{2,}(?: +-{2,})+ *")
LINE = re.compile(r" *-{5,} *")
# Above or below a table, as Pandoc writes its caption.
CAPTION = re.compile(
    r"(?P<table>\|[ \t]*\n(?:[ \t]*\n){1,2})(?:[Tt]able)?:[ \t]+(?=\S)"
    r"|^(?:[Tt]able)?:[ \t]+(?=[^\n]+\n[ \t]*\n(?:[ \t]*\n)?[ \t]*\|)",
    re.MULTILINE,
)
WIDE = "\0"


def draw_bars(text: str) -> str:
    """Markdown with every grid, simple and multiline table of Pandoc as a table with bars; captions are paragraphs."""
    if "--" not in text and "==" not in text:
        return text
    lines = text.split("\n")
    out: list[str] = []
    at = 0
    while at < len(lines):
        if EDGE.fullmatch(lines[at]):
            end, rows = _read_grid(lines, at)
        elif RULE.fullmatch(lines[at]) or (LINE.fullmatch(lines[at]) and _find_rule(lines, at)):
            end, rows = _read_simple(lines, at, out)
        else:
            end, rows = at, []
        if rows:
            out += ["", *_write(rows), ""]
        else:
            end = at + 1
            out.append(lines[at])
        at = end
    return CAPTION.sub(lambda match: match["table"] or "", "\n".join(out))


def _write(rows: list[list[str]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield "|" + "|".join(f" {cell} " for cell in row) + "|"
        if number == 0:
            yield "|" + "---|" * len(row)


def _join(lines: list[list[str]]) -> list[str]:
    """The cells of a row that takes several lines."""
    return [" ".join(part.strip() for part in parts if part.strip()) for parts in zip(*lines, strict=True)]


def _read_grid(lines: list[str], start: int) -> tuple[int, list[list[str]]]:
    """Where a grid ends, and its rows; the first is the header, an empty one where there is none."""
    width = lines[start].strip().count("+") - 1
    rows: list[list[str]] = []
    row: list[list[str]] = []
    has_header = False
    end = start
    for at in range(start + 1, len(lines)):
        line = lines[at].strip()
        if EDGE.fullmatch(line) and row:
            rows.append(_join(row))
            row = []
            has_header = has_header or "=" in line
            end = at + 1
        elif line.startswith("|") and line.endswith("|") and line.count("|") == width + 1:
            row.append(line[1:-1].split("|"))
        else:
            break
    return end, rows if has_header or not rows else [[""] * width, *rows]


def _find_rule(lines: list[str], start: int) -> int:
    """The line with the dashes above the columns, below the header of a multiline table; 0 for none."""
    for at in range(start + 1, min(start + 12, len(lines))):
        if not lines[at].strip():
            return 0
        if RULE.fullmatch(lines[at]):
            return at
    return 0


def _read_simple(lines: list[str], start: int, before: list[str]) -> tuple[int, list[list[str]]]:
    """Where a table ends whose columns stand below dashes, and its rows; its header may already be in `before`."""
    is_closed = bool(LINE.fullmatch(lines[start]))
    rule = _find_rule(lines, start) if is_closed else start
    header = lines[start + 1 : rule] if is_closed else [line for line in before[-1:] if line.strip()]
    if header and RULE.fullmatch(header[-1]):
        return start, []
    # Without a header, dashes end the table too.
    is_closed = is_closed or not header
    end = _find_end(lines, rule + 1, is_closed)
    if end is None:
        return start, []
    starts = [0, *[match.start() for match in re.finditer(r"-+", lines[rule])][1:]]
    body = lines[rule + 1 : end]
    for line in [*header, *body]:
        if any(len(wide) >= at and wide[at - 1] != " " for wide in [_widen(line)] for at in starts[1:]):
            return start, []
    has_gaps = is_closed and any(not line.strip() for line in body)
    rows = [_join([_cut(line, starts) for line in header])] if header else [[""] * len(starts)]
    row: list[list[str]] = []
    for line in [*body, ""]:
        if line.strip():
            row.append(_cut(line, starts))
        if row and (not has_gaps or not line.strip()):
            rows.append(_join(row))
            row = []
    if header and not bool(LINE.fullmatch(lines[start])):
        before.pop()
    return end + is_closed, rows


def _find_end(lines: list[str], start: int, is_closed: bool) -> int | None:
    """The line that ends the body of a table: a blank one, or dashes; None where it has no body or no end."""
    for at in range(start, len(lines)):
        is_rule = RULE.fullmatch(lines[at]) or LINE.fullmatch(lines[at])
        if is_rule or (not is_closed and not lines[at].strip()):
            return at if at > start and bool(is_rule) == is_closed else None
    return None if is_closed or len(lines) == start else len(lines)


def _widen(line: str) -> str:
    """A line in which each character takes as many places as on a terminal."""
    return "".join(char + WIDE if east_asian_width(char) in "WF" else char for char in line)


def _cut(line: str, starts: list[int]) -> list[str]:
    wide = _widen(line)
    return [wide[a:b].replace(WIDE, "").replace("|", "\\|") for a, b in zip(starts, [*starts[1:], None], strict=True)]
