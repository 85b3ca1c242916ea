"""Rows inside of rows: what annotation tools, trees of messages and flash cards write around question and answer."""

import ast
import csv
import html
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

TableRow = dict[str, Any]
# Objects around the columns: Argilla's fields, Label Studio's data, inputs and outputs of traces, rows of the Hub.
WRAPPERS = ("fields", "data", "inputs", "outputs", "row")
# Lists and objects as Python writes them; numpy leaves out the commas between objects.
ARRAY = re.compile(r"\barray\((\[.*?\])(?:,\s*dtype=\w+)?\)", re.DOTALL)
LONGEST_LITERAL = 1_000_000
# What Anki writes above its cards, and its names of separators.
ANKI = re.compile(
    r"#(separator|html|columns|(?:tags|deck|notetype|guid) column|tags|deck|notetype):(.*)", re.IGNORECASE
)
SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " ", "pipe": "|", "colon": ":"}
CLOZE = re.compile(r"\{\{c\d+::(.*?)(?:::[^{}]*)?\}\}", re.DOTALL)
CARD = ("front", "back")


def read_literal(text: str) -> Any:
    """A list or an object that is written in a cell, as JSON or as Python does; None for any other text."""
    text = text.strip()
    if not text or text[0] + text[-1] not in ("[]", "{}") or len(text) > LONGEST_LITERAL:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(re.sub(r"\}\s+\{", "}, {", ARRAY.sub(r"\1", text)))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def unwrap_row(row: TableRow) -> TableRow:
    """The row with what stands in its wrappers as columns of its own, where it has no such column."""
    inner: TableRow = {}
    for name in WRAPPERS:
        if isinstance(value := row.get(name), Mapping):
            inner |= {str(key): item for key, item in value.items()}
    inner |= _read_responses(row.get("responses"))
    # The annotator's text replaces the suggestion.
    annotated = _read_annotations(row.get("annotations"))
    if isinstance(tree := row.get("prompt"), Mapping) and isinstance(tree.get("replies"), list):
        annotated["messages"] = list(_walk_tree(tree))
    preferred, asked = row.get("preferred_output"), row.get("input")
    if isinstance(preferred, list) and isinstance(asked, Mapping) and isinstance(asked.get("messages"), list):
        # OpenAI's form for preferences.
        annotated["messages"] = [*asked["messages"], *preferred]
    return {**inner, **row, **annotated} if inner or annotated else row


def _read_responses(value: Any) -> TableRow:
    """Answers to Argilla's questions by their name; the first of each."""
    if isinstance(value, Mapping):
        first = {name: given[0] for name, given in value.items() if isinstance(given, list) and given}
    else:
        given = value[0] if isinstance(value, list) and value else None
        values = given.get("values") if isinstance(given, Mapping) else None
        first = dict(values) if isinstance(values, Mapping) else {}
    return {str(name): item.get("value") for name, item in first.items() if isinstance(item, Mapping)}


def _read_annotations(value: Any) -> TableRow:
    """Texts and choices that the first annotation of Label Studio gives, by the name of their field."""
    items = value if isinstance(value, list) else []
    whole = [item for item in items if isinstance(item, Mapping) and not item.get("was_cancelled")]
    results = whole[0].get("result") if whole else None
    found: TableRow = {}
    for result in results if isinstance(results, list) else ():
        given = result.get("value") if isinstance(result, Mapping) else None
        texts = (given.get("text") or given.get("choices")) if isinstance(given, Mapping) else None
        if texts and isinstance(given, Mapping) and "start" not in given:
            found[str(result.get("from_name"))] = "\n".join(map(str, texts)) if isinstance(texts, list) else str(texts)
    return found


def _walk_tree(node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The messages from the root of a tree on, at each step the reply of the best rank, else the first."""
    while True:
        yield {"role": node.get("role"), "content": node.get("text")}
        replies = node.get("replies")
        replies = [reply for reply in replies if isinstance(reply, Mapping)] if isinstance(replies, list) else []
        replies = [reply for reply in replies if not reply.get("deleted")]
        if not replies:
            return
        node = min(replies, key=_find_rank)


def _find_rank(reply: Mapping[str, Any]) -> float:
    rank = reply.get("rank")
    return float(rank) if isinstance(rank, int | float) and rank == rank else float("inf")  # noqa: PLR0124 - NaN


def part_articles(rows: Iterable[Any]) -> Iterator[Any]:
    """The rows; where one is an article of SQuAD, its questions instead, each with its paragraph."""
    for row in rows:
        paragraphs = row.get("paragraphs") if isinstance(row, dict) else None
        parts = [part for part in paragraphs if isinstance(part, dict)] if isinstance(paragraphs, list) else []
        asked = [(part.get("context"), part["qas"]) for part in parts if isinstance(part.get("qas"), list)]
        items = [{"context": context, **item} for context, items in asked for item in items if isinstance(item, dict)]
        yield from items or [row]


def join_trees(rows: Iterable[Any]) -> Iterator[Any]:
    """The rows; where each is one message of a tree (OpenAssistant), a conversation for each root instead."""
    rows = iter(rows)
    head = list(islice(rows, 1))
    if not (head and isinstance(head[0], dict) and {"message_id", "parent_id", "text", "role"} <= head[0].keys()):
        yield from chain(head, rows)
        return
    replies: dict[Any, list[TableRow]] = defaultdict(list)
    roots: list[TableRow] = []
    for row in chain(head, rows):
        node = {**row, "replies": replies[row.get("message_id")]} if isinstance(row, dict) else {}
        parent = node.get("parent_id")
        (replies[parent] if isinstance(parent, str) and parent else roots).append(node)
    for root in roots:
        said = list(islice(_walk_tree(root), len(replies) + 1))
        yield {**{key: value for key, value in root.items() if key not in ("replies", "text")}, "messages": said}


def read_cards(lines: Sequence[str]) -> list[TableRow] | None:
    """Flash cards: Anki's export with its `#separator:` lines, or a tab between term and definition (Quizlet).

    None for a text of another kind.
    """
    head = {}
    begins = 0
    while begins < len(lines) and (match := ANKI.match(lines[begins])):
        head[match[1].lower()] = match[2].strip("\r\n")
        begins += 1
    filled = [line for line in lines[begins:] if line.strip()]
    if not head and not (filled and all(line.count("\t") == 1 for line in filled)):
        return None
    named = head.get("separator", "tab").strip()
    delimiter = SEPARATORS.get(named.lower(), named[:1] or "\t")
    cells = [row for row in csv.reader(lines[begins:], delimiter=delimiter) if any(cell.strip() for cell in row)]
    names = head["columns"].split(delimiter) if "columns" in head else []
    special = {
        int(place) - 1: key.split()[0]
        for key, place in head.items()
        if key.endswith("column") and place.strip().isdigit()
    }
    is_html = head.get("html", "").strip().lower() == "true"
    return [_write_card(row, names, special, is_html=is_html) for row in cells]


def _write_card(cells: Sequence[str], names: Sequence[str], special: Mapping[int, str], *, is_html: bool) -> TableRow:
    card: TableRow = {}
    fields = iter(CARD)
    for place, cell in enumerate(cells):
        name = special.get(place) or (names[place] if place < len(names) else "") or next(fields, f"field {place + 1}")
        card[name] = clean_card(cell) if is_html else cell
    for name in list(card):
        if CLOZE.search(card[name]) and name not in special.values():
            # A cloze: the whole sentence is the answer.
            return {**card, "front": CLOZE.sub("[...]", card[name]), "back": CLOZE.sub(r"\1", card[name])}
    return card


def clean_card(text: str) -> str:
    """The text of a field of Anki's HTML: lines, formulas between dollars, no sounds and pictures."""
    text = re.sub(
        r"\[\$\$?\](.*?)\[/\$\$?\]|\[latex\](.*?)\[/latex\]", lambda m: f"${m[1] or m[2]}$", text, flags=re.DOTALL
    )
    text = re.sub(r"\[sound:[^\]]*\]", "", text)
    text = re.sub(r"<(?:br|/?div|/?p|/li|/tr)\b[^<>]*>", "\n", text, flags=re.IGNORECASE)
    text = html.unescape(
        re.sub(r"<li\b[^<>]*>", "\n- ", re.sub(r"<(?!li\b)/?[A-Za-z][^<>]*>", "", text), flags=re.IGNORECASE)
    )
    return "\n".join(line.strip() for line in text.split("\n") if line.strip()).strip()
