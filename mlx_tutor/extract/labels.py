"""Bullets and numbers of list items, put before the text beside them."""

import re
from collections.abc import Sequence
from dataclasses import replace

from mlx_tutor.extract.drawings import Box
from mlx_tutor.extract.segments import Line

# What may stand alone to the left of an item; signs that never occur in text need no space after them.
CLEAR_BULLETS = "•●▪■‣★✦✶✱✲❖◆♦⬥◼◾❏❐❑❒⚫⬤◉◎❍▶►▸➤➢➣"
# So may a glyph without a character.
BULLETS = CLEAR_BULLETS + "\ufffd◦∙·○–—*∗⋆☆◇◊□▫◻◽▹▷▻➔⁃»-"
LABEL = re.compile(rf"(?:[{BULLETS}]|\(?(?:\d{{1,2}}|[A-Za-z]|[ivx]{{1,4}})[.)]|\[\d{{1,3}}\])")
BEGINS_ITEM = re.compile(rf"{LABEL.pattern}\s")


def attach_labels(segments: Sequence[Line]) -> list[Line]:
    """Segments with bullets and item numbers joined to the text beside them."""
    kept = [segment for segment in segments if segment.text]
    for label in [segment for segment in kept if segment.kind == "text" and LABEL.fullmatch(segment.text)]:
        beside = [
            other
            for other in kept
            if abs(other.y - label.y) < 0.45 * max(label.size, other.size)
            and -0.1 * other.size < other.x - label.end < 3 * other.size
            and other is not label
        ]
        if beside:
            item = min(beside, key=lambda other: other.x)
            at = next(i for i, other in enumerate(kept) if other is item)
            kept[at] = replace(item, text=f"{label.text} {item.text}", x=label.x)
            kept = [other for other in kept if other is not label]
    return kept


def attach_shapes(segments: Sequence[Line], shapes: Sequence[Box]) -> list[Line]:
    """Segments with a bullet for each small shape in front of them, and a full stop after a number inside a shape.

    A shape is a bullet if it is at the height of the letters, close to the first of them, with no text before it.
    """
    kept = list(segments)
    for box in shapes:
        marked = ((i, _mark(item, box, kept)) for i, item in enumerate(kept) if item.kind == "text")
        if found := next(((i, item) for i, item in marked if item), None):
            kept[found[0]] = found[1]
    return kept


def _mark(item: Line, box: Box, segments: Sequence[Line]) -> Line | None:
    """A segment with the label that a shape gives it; None if the shape does not belong to it."""
    left, bottom, right, top = box
    if not item.y - 0.2 * item.size < (bottom + top) / 2 < item.y + 0.9 * item.size:
        return None
    number = re.match(r"\d{1,2}(?=\s|$)", item.text)
    if number and left < item.x < (left + right) / 2 < item.x + 0.6 * len(number[0]) * item.size:
        return replace(item, text=f"{number[0]}.{item.text[number.end() :]}")
    is_small = 0.15 * item.size < top - bottom < 1.1 * item.size
    is_close = (left + right) / 2 < item.x and item.x - right < 2.5 * item.size
    if not (is_small and is_close) or _stands_before(left, item, segments):
        return None
    return replace(item, text=item.text if BEGINS_ITEM.match(item.text) else f"• {item.text}", x=min(left, item.x))


def _stands_before(left: float, item: Line, segments: Sequence[Line]) -> bool:
    """Whether there is text just before `left` on the line of a segment."""
    return any(
        other is not item
        and abs(other.y - item.y) < 0.6 * item.size
        and other.x < left
        and left - other.end < 2 * item.size
        for other in segments
    )
