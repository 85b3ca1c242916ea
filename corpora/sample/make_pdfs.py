"""Make the PDFs of the sample course from pdf_sources/*.md: python corpora/sample/make_pdfs.py [--check]"""

import sys
from html import escape
from io import BytesIO
from pathlib import Path

from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate

HERE = Path(__file__).parent
BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=11, leading=15, alignment=TA_JUSTIFY, spaceAfter=8)
HEADINGS = {
    1: ParagraphStyle("h1", fontName="Helvetica-Bold", fontSize=22, leading=28, spaceAfter=18),
    2: ParagraphStyle(
        "h2", fontName="Helvetica-Bold", fontSize=14, leading=18, spaceBefore=12, spaceAfter=6, keepWithNext=1
    ),
}


class Bookmark(Flowable):
    """Nothing to see: an entry in the outline of the PDF."""

    def __init__(self, title: str, level: int, key: str) -> None:
        super().__init__()
        self.title, self.level, self.key = title, level, key

    def wrap(self, *_: float) -> tuple[float, float]:
        return 0, 0

    def draw(self) -> None:
        self.canv.bookmarkPage(self.key)
        self.canv.addOutlineEntry(self.title, self.key, self.level)


def make_pdf(source: Path) -> bytes:
    """One-column notes with an outline, a running header and page numbers; the same bytes every time."""
    title = ""
    story: list[Flowable] = []
    for number, paragraph in enumerate(source.read_text(encoding="utf-8").strip().split("\n\n")):
        if paragraph.startswith("#"):
            marks, _, text = paragraph.partition(" ")
            title = title or text
            story += [Bookmark(text, len(marks) - 1, str(number)), Paragraph(escape(text), HEADINGS[len(marks)])]
        else:
            story.append(Paragraph(escape(" ".join(paragraph.split())), BODY))

    def draw_edges(canvas: Canvas, document: SimpleDocTemplate) -> None:
        canvas.setFont("Helvetica", 9)
        canvas.drawString(2.5 * cm, A4[1] - 1.5 * cm, f"{title} - lecture notes")
        canvas.drawCentredString(A4[0] / 2, 1.3 * cm, str(document.page))

    file = BytesIO()
    margins = {"leftMargin": 2.5 * cm, "rightMargin": 2.5 * cm, "topMargin": 2.6 * cm, "bottomMargin": 2.4 * cm}
    document = SimpleDocTemplate(file, pagesize=A4, title=title, author="mlx-tutor", invariant=1, **margins)
    document.build(story, onFirstPage=draw_edges, onLaterPages=draw_edges)
    return file.getvalue()


def main() -> None:
    for source in sorted((HERE / "pdf_sources").glob("*.md")):
        target = HERE / "sources" / f"{source.stem}.pdf"
        data = make_pdf(source)
        if "--check" not in sys.argv:
            target.write_bytes(data)
        elif target.read_bytes() != data:
            sys.exit(f"{target.name} is not what {source.name} gives; run make_pdfs.py")


if __name__ == "__main__":
    main()
