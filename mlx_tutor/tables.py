"""Tables as data: what the terminal and a page draw alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts below their column headings; with `numbers`, all columns but the first stand at the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = False
    title: str = ""

    def with_column(self, heading: str, cells: Sequence[str]) -> "Table":
        """The same with one more column at the end."""
        rows = [(*row, cell) for row, cell in zip(self.rows, cells, strict=True)]
        return replace(self, columns=(*self.columns, heading), rows=rows)
