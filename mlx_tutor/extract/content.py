"""What a PDF page draws, as runs of text with their positions, through pypdf's parser and fonts.

pypdf's own `extract_text` reports where a run begins, not where it ends; without the end, neither a column nor a
table, a gap between words or a short last line can be found. Operators: ISO 32000-2, 8.4, 8.10, 9.3, 9.4 and 14.6.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlx_tutor.extract.characters import clean_run, is_accent
from mlx_tutor.extract.drawings import PATHS, Matrix, ShapeFinder
from mlx_tutor.extract.fonts import Type, read_type
from mlx_tutor.extract.layers import Layers

# A gap of this share of the type size separates words; a kern inside a word is smaller.
WORD_GAP = 0.17
# Where no space is drawn, a gap this wide may separate cells of a table; where spaces are, only pieces of one line.
CELL_GAP = 1.0
WIDE_GAP = 1.5
# Forms inside forms: real files have two or three levels.
DEEPEST_FORM = 12
MOST_FORMS = 5000
IDENTITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
PARAMETERS = {b"Tc": "spacing", b"Tw": "word_spacing", b"TL": "leading", b"Ts": "rise"}


@dataclass(frozen=True, slots=True)
class Run:
    """Characters on one baseline, from `x` to `end` at height `y`, in points.

    `turn` is the direction in quarter turns; the coordinates are those of a page turned so that the run is upright,
    `y` grows upwards from 0. `x` and `end` are those of the first and last character that is seen; spaces around them
    stay in the text. `space` is the width of a space; `spaced` says whether one is drawn as a character.
    """

    text: str
    x: float
    end: float
    y: float
    size: float
    bold: bool
    mono: bool
    turn: int
    space: float
    spaced: bool = False


def is_cell_gap(gap: float, size: float, space: float) -> bool:
    """Whether a gap without a space in it is wider than a gap between words; all in the same unit."""
    return gap > max(CELL_GAP * size, 1.8 * space)


@dataclass(frozen=True, slots=True)
class State:
    """The part of the graphics state that moves text."""

    matrix: Matrix = IDENTITY
    type: Type | None = None
    size: float = 12.0
    spacing: float = 0.0
    word_spacing: float = 0.0
    stretch: float = 1.0
    leading: float = 0.0
    rise: float = 0.0


def multiply(m: Matrix, n: Matrix) -> Matrix:
    """m, then n."""
    return (
        m[0] * n[0] + m[1] * n[2], m[0] * n[1] + m[1] * n[3],
        m[2] * n[0] + m[3] * n[2], m[2] * n[1] + m[3] * n[3],
        m[4] * n[0] + m[5] * n[2] + n[4], m[4] * n[1] + m[5] * n[3] + n[5],
    )  # fmt: skip


class PageReader:
    """Reads the pages of one file; fonts are read once."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.layers = Layers(reader.trailer.get("/Root"))
        self.types: dict[Any, Type | None] = {}
        self.runs: list[Run] = []
        self.shapes = ShapeFinder()
        self.forms = 0

    def read_page(self, page: Any) -> list[Run]:
        """The runs of a page in the order in which it draws them; `shapes` holds what it draws besides."""
        from pypdf.generic import ContentStream

        self.runs, self.forms, self.shapes = [], 0, ShapeFinder()
        box = [float(value) for value in page.mediabox]
        left, bottom = min(box[0], box[2]), min(box[1], box[3])
        self.width, self.height = abs(box[2] - box[0]), abs(box[3] - box[1])
        # An empty page may have no contents at all.
        contents = page.get("/Contents")
        if contents is not None:
            stream = ContentStream(contents, self.reader, "bytes")
            self._draw(stream, page.get("/Resources"), State((1.0, 0.0, 0.0, 1.0, -left, -bottom)), 0)
        return self.runs

    def _draw(self, stream: Any, resources: Any, state: State, depth: int) -> None:
        resources = _get(resources)
        fonts, stack = _get(resources.get("/Font")), [state]
        text = line = IDENTITY
        # Open marked content: the text that replaces its drawing, and the run it begins with; None: it is left out.
        marks: list[tuple[str | None, int] | None] = []
        for operands, operator in stream.operations:
            match operator:
                case b"Tj" | b"TJ" | b"'" | b'"':
                    state = _change(state, operator, operands)
                    if operator in (b"'", b'"'):
                        text = line = _move(line, state, b"T*", [])
                    shown = operands[-1] if operands else b""
                    text = self._show(shown if operator == b"TJ" else [shown], state, text, None in marks)
                case b"Td" | b"TD" | b"T*" | b"Tm" | b"BT":
                    text = line = _move(line, state, operator, operands)
                    state = _change(state, operator, operands)
                case b"Tf" if operands:
                    state = replace(state, type=self._find_type(fonts, operands[0]), size=_number(operands, 1))
                case b"q":
                    stack.append(state)
                case b"Q":
                    state = stack.pop() if len(stack) > 1 else stack[0]
                case b"BDC" | b"BMC":
                    marks.append(self._read_mark(operands, resources))
                case b"EMC" if marks:
                    self._close_mark(marks.pop())
                case b"Do" if operands and None not in marks:
                    self._draw_form(operands[0], resources, state, depth)
                case _ if operator in PATHS:
                    numbers = [_number(operands, i) for i in range(len(operands))]
                    self.shapes.follow(operator, numbers, state.matrix, is_hidden=None in marks)
                case _:
                    state = _change(state, operator, operands)

    def _draw_form(self, name: Any, resources: Any, state: State, depth: int) -> None:
        from pypdf.generic import ContentStream

        form = _get(_get(resources.get("/XObject")).get(name))
        self.forms += 1
        if "/OC" in form and self.layers.is_hidden(form.raw_get("/OC")):
            return
        if form.get("/Subtype") == "/Image":
            self.shapes.add_box((0, 0, 1, 1), state.matrix)
        if form.get("/Subtype") != "/Form" or depth >= DEEPEST_FORM or self.forms > MOST_FORMS:
            return
        matrix = multiply(_matrix(_get(form.get("/Matrix"), [])), state.matrix)
        inner = _get(form.get("/Resources")) or resources
        box = _get(form.get("/BBox"), [])
        if len(box) == 4:
            self.shapes.add_box([_number(box, i) for i in range(4)], matrix)
        self._draw(ContentStream(form, self.reader, "bytes"), inner, replace(state, matrix=matrix), depth + 1)

    def _find_type(self, fonts: Any, name: Any) -> Type | None:
        raw = fonts.raw_get(name) if name in fonts else None
        resource = _get(raw)
        if not resource:
            return None
        key = getattr(raw, "idnum", None) or id(resource)
        if key not in self.types:
            scale = 0.001
            if resource.get("/Subtype") == "/Type3":
                scale = abs(_matrix(_get(resource.get("/FontMatrix"), []))[0])
            self.types[key] = read_type(resource, scale)
        return self.types[key]

    def _read_mark(self, operands: Sequence[Any], resources: Any) -> tuple[str | None, int] | None:
        """None for hidden layers and marked headers; else the text that replaces the drawing, and its first run."""
        properties = operands[1] if len(operands) > 1 else None
        if isinstance(properties, str):
            named = _get(resources.get("/Properties"))
            properties = named.raw_get(properties) if properties in named else None
        if operands and operands[0] == "/OC" and self.layers.is_hidden(properties):
            return None
        properties = _get(properties)
        if operands and operands[0] == "/Artifact" and properties.get("/Type") == "/Pagination":
            return None
        actual = properties.get("/ActualText")
        if isinstance(actual, bytes):
            wide = actual.startswith((b"\xfe\xff", b"\xff\xfe"))
            actual = actual.decode("utf-16" if wide else "latin-1", "replace")
        return (actual if isinstance(actual, str) else None), len(self.runs)

    def _close_mark(self, mark: tuple[str | None, int] | None) -> None:
        actual, begun = mark or (None, 0)
        runs = self.runs[begun:]
        if actual is not None and runs and all(abs(run.y - runs[0].y) < runs[0].size for run in runs):
            self.runs[begun:] = [replace(runs[0], text=clean_run(actual), end=max(run.end for run in runs))]

    def _show(self, parts: Any, state: State, text: Matrix, is_hidden: bool) -> Matrix:
        """Add the runs that a text operator shows; gives the text matrix after it."""
        if not isinstance(parts, list) or state.type is None:
            return text
        font = state.type
        frame = multiply((state.size * state.stretch, 0, 0, state.size, 0, state.rise), multiply(text, state.matrix))
        spacing, words = (value / (state.size or 1.0) for value in (state.spacing, state.word_spacing))
        space = font.font.space_width * font.scale
        pen = begin = end = 0.0
        shown: list[str] = []

        spaced = False

        def close() -> None:
            if shown and not is_hidden:
                self._add_run("".join(shown), frame, (begin, end), space, font, spaced)
            shown.clear()

        for part in parts:
            if isinstance(part, bytes):
                for character, width, is_space in font.read(part):
                    gap = pen - end
                    if shown and gap > WORD_GAP and not shown[-1].isspace() and not character.isspace():
                        if is_cell_gap(gap, 1.0, space):
                            close()
                        else:
                            shown.append(" ")
                    # An accent is a run of its own: it may stand over its neighbour.
                    if is_accent(character) or (shown and is_accent(shown[-1])):
                        close()
                    spaced = spaced or character == " "
                    if not any(not c.isspace() for c in shown):
                        begin = pen
                    shown.append(character)
                    # Deliberate letter spacing leaves no gaps.
                    pen += width + max(spacing, 0.0)
                    if not character.isspace():
                        end = pen
                    pen += min(spacing, 0.0) + (words if is_space else 0.0)
            elif isinstance(part, (int, float)):
                pen -= float(part) / 1000
        close()
        moved = pen * state.size * state.stretch
        return multiply((1, 0, 0, 1, moved, 0), text)

    def _add_run(
        self, text: str, frame: Matrix, pens: tuple[float, float], space: float, font: Type, spaced: bool
    ) -> None:
        a, b, c, d, e, f = frame
        turn = round(math.atan2(b, a) / (math.pi / 2)) % 4 if a or b else 0
        places = []
        for pen in pens:
            x, y = e + pen * a, f + pen * b
            width, height = self.width, self.height
            places.append(((x, y), (y, width - x), (width - x, height - y), (height - y, x))[turn])
        (x, y), (end, _) = places
        size, space = math.hypot(c, d), space * math.hypot(a, b)
        self.runs.append(Run(text, x, end, y, size, font.bold, font.mono, turn, space, spaced))


def _move(line: Matrix, state: State, operator: bytes, operands: Sequence[Any]) -> Matrix:
    """The matrix at the beginning of a line of text, after an operator that moves to it."""
    match operator:
        case b"Tm":
            return _matrix(operands)
        case b"BT":
            return IDENTITY
        case b"T*":
            return multiply((1, 0, 0, 1, 0, -state.leading), line)
        case _:
            return multiply((1, 0, 0, 1, _number(operands, 0), _number(operands, 1)), line)


def _change(state: State, operator: bytes, operands: Sequence[Any]) -> State:
    """The state after an operator that sets a part of it; unchanged after any other."""
    changed: dict[str, Any] = {}
    # An inline image has its settings in place of operands.
    value = _number(operands, 0) if isinstance(operands, list) else 0.0
    if operator == b"cm":
        changed = {"matrix": multiply(_matrix(operands), state.matrix)}
    elif operator == b"Tz":
        changed = {"stretch": value / 100 or 1.0}
    elif operator == b"TD":
        changed = {"leading": -_number(operands, 1)}
    elif operator == b'"':
        changed = {"word_spacing": value, "spacing": _number(operands, 1)}
    elif operator in PARAMETERS:
        changed = {PARAMETERS[operator]: value}
    return replace(state, **changed) if changed else state


def _get(value: Any, default: Any = None) -> Any:
    """What a reference points to; an empty dictionary where there is nothing."""
    value = value.get_object() if hasattr(value, "get_object") else value
    if default is not None:
        return value if isinstance(value, list) else default
    return value if isinstance(value, dict) else {}


def _number(operands: Sequence[Any], index: int) -> float:
    value = operands[index] if index < len(operands) else 0.0
    return float(value) if isinstance(value, (int, float)) else 0.0


def _matrix(operands: Sequence[Any]) -> Matrix:
    if len(operands) != 6:
        return IDENTITY
    a, b, c, d, e, f = (_number(operands, i) for i in range(6))
    return a, b, c, d, e, f
