"""Numbers in an answer: [1] behind each sentence that one of the course supports, and the list of those."""

import re
from collections.abc import Callable

from mlx_tutor.study.chat.ask import CitedAnswer
from mlx_tutor.study.chat.markdown import find_formal
from mlx_tutor.study.chat.support import OWN_NUMBER, Source

LEGEND = "A sentence without a number was not found in it, or says too little to tell."
ROW = re.compile(r"^\s*\|.*\|\s*$")
# The parts of a table's row between its lines.
CELL = re.compile(r"(?:\\.|[^|\\])+")


def list_references(cited: CitedAnswer) -> dict[int, Source]:
    """The sources by number, in the order in which the answer uses them; one that it uses twice is listed once."""
    first: dict[str, Source] = {}
    for source in sorted(cited.sources, key=lambda source: source.start):
        first.setdefault(source.quote, source)
    return dict(enumerate(first.values(), 1))


def mark_answer(
    cited: CitedAnswer, number: Callable[[int], str], unsupported: Callable[[str], str] = lambda text: text
) -> str:
    """The answer with what `number` writes behind each supported sentence; the others as `unsupported` writes them.

    Code, formulas and headings stay as they are, and sentences that say too little to be checked. In the row of a table
    a number stands in the last cell, and `unsupported` gets one cell at a time.
    """
    text = cited.answer.text
    if cited.supported is not None:
        text = replace_own_numbers(text)
    numbers = {source.quote: count for count, source in list_references(cited).items()}
    supported = {(source.start, source.end): numbers[source.quote] for source in cited.sources}
    for start, end in sorted({*supported, *cited.spans}, reverse=True):
        sentence = text[start:end]
        if not sentence:
            continue
        is_row = bool(ROW.match(_read_line(text, start, end)))
        if (start, end) in supported:
            mark = number(supported[start, end])
            sentence = _add_to_row(sentence, mark) if is_row else sentence + mark
        elif is_row:
            sentence = CELL.sub(lambda cell: _change_cell(cell[0], unsupported), sentence)
        else:
            sentence = unsupported(sentence)
        text = text[:start] + sentence + text[end:]
    return text


def write_numbered(cited: CitedAnswer) -> str:
    """The answer as plain text or Markdown, with [1] behind what is supported."""
    return mark_answer(cited, lambda number: f" [{number}]")


def replace_own_numbers(text: str) -> str:
    """The text with `(1)` where the model wrote `[1]` outside code and formulas; it keeps its length."""
    pieces, end = [], 0
    for start, stop in [*find_formal(text), (len(text), len(text))]:
        if start >= end:
            pieces += [OWN_NUMBER.sub(r"(\1)", text[end:start]), text[start:stop]]
            end = stop
    return "".join(pieces)


def _read_line(text: str, start: int, end: int) -> str:
    stop = text.find("\n", end)
    return text[text.rfind("\n", 0, start) + 1 : len(text) if stop < 0 else stop]


def _add_to_row(row: str, mark: str) -> str:
    """The mark at the end of the last cell, in front of the line that closes it."""
    head = row.rstrip().removesuffix("|").rstrip()
    return f"{head}{mark} {row[len(head) :].lstrip()}"


def _change_cell(cell: str, change: Callable[[str], str]) -> str:
    inner = cell.strip()
    return cell.replace(inner, change(inner)) if inner else cell
