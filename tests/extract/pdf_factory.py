"""PDFs made in the test."""

from io import BytesIO
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

WIDTH, HEIGHT = A4


def draw_pdf(
    path: Path,
    pages: list[list[tuple[float, float, float, str]]],
    *,
    bold: str = "Helvetica-Bold",
    packed: bool = True,
) -> Path:
    """Write lines (x, y from the top, size, text), one list a page; a size above 13 is set in bold."""
    file = BytesIO()
    canvas = Canvas(file, pagesize=A4, invariant=1, pageCompression=int(packed))
    for lines in pages:
        for x, top, size, text in lines:
            canvas.setFont(bold if size > 13 else "Times-Roman", size)
            canvas.drawString(x, HEIGHT - top, text)
        canvas.showPage()
    canvas.save()
    path.write_bytes(file.getvalue())
    return path


def stack(
    lines: list[str], *, x: float = 72, top: float = 120, size: float = 11
) -> list[tuple[float, float, float, str]]:
    """Lines of running text below each other."""
    return [(x, top + 14 * i, size, line) for i, line in enumerate(lines)]
