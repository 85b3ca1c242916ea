"""Bullets that a page draws as small shapes (squares, circles) instead of characters."""

from collections.abc import Sequence

Matrix = tuple[float, float, float, float, float, float]
Box = tuple[float, float, float, float]
# In points; if a page has more of them, they are the marks of a plot.
SMALLEST, LARGEST = 1.0, 25.0
MOST_SHAPES = 400
# A rule is thinner, and longer than a bullet.
THICKEST = 1.6
PAINTS = frozenset((b"n", b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*", b"S", b"s"))
POINTS = {b"m": 1, b"l": 1, b"c": 3, b"v": 2, b"y": 2}
PATHS = PAINTS | POINTS.keys() | {b"re"}


class ShapeFinder:
    """Follows the paths of a page; `boxes` are left, bottom, right and top of the small ones, `bars` of rules."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.bars: list[Box] = []
        self.places: list[tuple[float, float]] = []
        self.count = 0

    def follow(self, operator: bytes, operands: Sequence[float], matrix: Matrix, *, is_hidden: bool) -> None:
        """An operator of PATHS."""
        if operator == b"re" and len(operands) == 4:
            x, y, width, height = operands
            self._add([(x, y), (x + width, y + height)], matrix)
        elif operator in POINTS and len(operands) == 2 * POINTS[operator]:
            self._add(list(zip(operands[::2], operands[1::2], strict=True)), matrix)
        elif operator in PAINTS:
            self._close(is_painted=operator != b"n" and not is_hidden)

    def add_box(self, box: Sequence[float], matrix: Matrix) -> None:
        """A picture or a form that fills a box."""
        self.places = []
        self._add([(box[0], box[1]), (box[2], box[3])], matrix)
        self._close()

    def _add(self, places: Sequence[tuple[float, float]], matrix: Matrix) -> None:
        a, b, c, d, e, f = matrix
        if len(self.places) < MOST_SHAPES:
            self.places += [(a * x + c * y + e, b * x + d * y + f) for x, y in places]

    def _close(self, *, is_painted: bool = True) -> None:
        """The end of a path."""
        xs, ys = [x for x, _ in self.places], [y for _, y in self.places]
        self.places = []
        if not xs or not is_painted:
            return
        width, height = max(xs) - min(xs), max(ys) - min(ys)
        if width > THICKEST > height and len(self.bars) < MOST_SHAPES:
            self.bars.append((min(xs), min(ys), max(xs), max(ys)))
        is_small = SMALLEST < width < LARGEST and SMALLEST < height < LARGEST
        if is_small and 0.4 < width / height < 2.5:
            self.count += 1
            self.boxes = [*self.boxes, (min(xs), min(ys), max(xs), max(ys))] if self.count <= MOST_SHAPES else []
