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

    def to_markdown(self) -> str:
        """The table in Markdown, without its title."""
        rule = ["---:" if self.numbers and number else "---" for number in range(len(self.columns))]
        rows = [[cell.replace("|", r"\|").replace("\n", " ") for cell in row] for row in (self.columns, *self.rows)]
        return "".join(f"| {' | '.join(row)} |\n" for row in (rows[0], rule, *rows[1:]))

    def with_column(self, heading: str, cells: Sequence[str]) -> "Table":
        """The same with one more column at the end."""
        rows = [(*row, cell) for row, cell in zip(self.rows, cells, strict=True)]
        return replace(self, columns=(*self.columns, heading), rows=rows)
