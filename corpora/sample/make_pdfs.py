"""Make the PDFs of the sample course from pdf_sources/*.md: python corpora/sample/make_pdfs.py [--check]

A source names its layout at its top: notes (one column), paper (two columns, hyphenated) or slides. `--check` compares
with what is there and changes nothing: the bytes under the reportlab named below, the text under any other.
"""

import re
import sys
from html import escape
from io import BytesIO
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import reportlab
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    FrameBreak,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
)

HERE = Path(__file__).parent
MADE_WITH = "5.1.0"
SLIDE = (25.4 * cm, 14.3 * cm)
BLUE, ORANGE, GREY = HexColor("#1f5a94"), HexColor("#d9730d"), HexColor("#9aa5b1")
# Where the handout may break its long words.
BREAKS = """
ac-cept-able ad-van-tage al-though analy-sis an-a-lyt-ics an-neal-ing any-thing ap-pli-cants as-sign-ment
avail-able be-gin-ning ben-e-fits build-ing ca-pac-ity car-pen-try cheap-est col-lapses col-lected com-par-a-tive
com-pared com-par-ing com-plete com-puter con-di-tions con-firms con-flict con-se-quences con-straint con-straints
con-trast cor-re-sponds coun-ter-part crit-i-cal cus-tomer cus-tomers data-base de-ci-sion de-ci-sions de-liv-ery
de-pen-dent de-scribe de-scribes de-scrip-tion des-ti-na-tions de-ter-min-is-tic de-vi-a-tion de-vi-a-tions
dif-fer-ence dif-fer-ently di-men-sions di-rec-tion dis-as-ter dis-card-ing dis-tance dis-tri-bu-tion di-vid-ing
dom-i-nated du-ra-tions eco-nomic emis-sions es-ti-mate eval-u-ated ev-i-dence ex-change ex-pec-ta-tion ex-pected
ex-plo-ration fea-si-ble feed-back fin-ished fin-ish-ing fore-cast func-tion guar-an-tee heuris-tic heuris-tics
im-prove-ment im-proves in-de-pen-dent in-for-ma-tion in-ter-est-ing in-tro-duces in-ven-tory judge-ment knap-sack
ma-chines match-ing math-e-mat-i-cal max-i-mize mea-sured mea-sure-ments mil-lions mul-ti-ple neg-a-tive news-pa-per
ob-jec-tive op-ti-mal-ity op-ti-mistic op-ti-miza-tion op-ti-mizes or-der-ing oth-er-wise out-comes over-time paint-ing
par-al-lel pos-si-ble prac-tice pre-dicted pre-dic-tion pre-scrip-tive prin-ci-ple prob-a-bil-i-ties prob-a-bil-ity
prob-a-bly pro-ce-dure pro-cess-ing pro-duc-tion prod-ucts pro-gram-ming pro-grams projects pro-poses pro-tects
quan-ti-ties quan-tity ques-tion queue-ing rec-om-mended rec-om-mends re-lax-ation re-source round-ing sat-is-fies
sce-nario sched-ul-ing searched sen-si-tiv-ity short-est sim-plest sim-u-lated sim-u-la-tion small-est so-lu-tion
stan-dard sto-chas-tic sug-gests sup-plies tempt-ing there-fore think-ing thou-sand thresh-old to-gether to-mor-row
trans-porta-tion un-cer-tain un-cer-tainty uti-liza-tion vari-able vari-ables vari-ances work-shop
""".split()
HYPHENATED = {word.replace("-", ""): word.replace("-", "\u00ad") for word in BREAKS}


def make_styles(
    size: float, heading: float, title: float, space: float, item: float, **body: Any
) -> dict[str, ParagraphStyle]:
    """Styles of one layout, sizes and spaces in points."""
    serif, sans = "Times-Roman" if body.get("alignment") else "Helvetica", "Helvetica-Bold"
    text = ParagraphStyle(
        "body",
        fontName=serif,
        fontSize=size,
        leading=1.36 * size,
        spaceAfter=space,
        allowWidows=0,
        allowOrphans=0,
        **body,
    )
    return {
        "body": text,
        "item": ParagraphStyle(
            "item", text, leftIndent=1.6 * size, bulletIndent=0.3 * size, bulletFontSize=size, bulletFontName=serif,
            spaceAfter=item,
        ),
        "#": ParagraphStyle("title", fontName=sans, fontSize=title, leading=1.25 * title, spaceAfter=1.5 * space),
        "##": ParagraphStyle(
            "heading", fontName=sans, fontSize=heading, leading=1.25 * heading, spaceBefore=space,
            spaceAfter=0.6 * space,
        ),
    }  # fmt: skip


LAYOUTS = {
    "notes": make_styles(11, 14, 22, 8, 3, alignment=TA_JUSTIFY),
    "paper": make_styles(9.5, 11.5, 19, 5, 2, alignment=TA_JUSTIFY, embeddedHyphenation=1),
    "slides": make_styles(17, 28, 40, 14, 11),
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


class Chart(Flowable):
    """One of the drawings on the slides, without text."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.draw_chart = {"baseline": draw_baseline, "scatter": draw_scatter, "multiples": draw_multiples}[name]

    def wrap(self, *_: float) -> tuple[float, float]:
        return 21 * cm, 3.5 * cm

    def draw(self) -> None:
        self.canv.setLineWidth(1.2)
        self.canv.setStrokeColor(GREY)
        self.draw_chart(self.canv)


def draw_axes(canvas: Canvas, left: float, width: float, height: float = 3.4 * cm) -> None:
    canvas.setStrokeColor(GREY)
    canvas.lines([(left, 0, left + width, 0), (left, 0, left, height)])


def draw_baseline(canvas: Canvas) -> None:
    """96, 98 and 100, once from zero and once from 95."""
    for left, start, colour in ((1.5 * cm, 0, BLUE), (11.5 * cm, 95, ORANGE)):
        draw_axes(canvas, left, 7.5 * cm)
        canvas.setFillColor(colour)
        for number, value in enumerate((96, 98, 100)):
            height = 3.2 * cm * (value - start) / (100 - start)
            canvas.rect(left + (0.8 + 2.2 * number) * cm, 0, 1.4 * cm, height, stroke=0, fill=1)


def draw_scatter(canvas: Canvas) -> None:
    """A rising cloud with one outlier."""
    draw_axes(canvas, 1.5 * cm, 17.5 * cm)
    canvas.setFillColor(BLUE)
    for x in range(24):
        y = 0.4 + 0.1 * x + 0.35 * ((x * 7) % 5 - 2) / 2
        canvas.circle((2.2 + 0.66 * x) * cm, y * cm, 3.2, stroke=0, fill=1)
    canvas.setFillColor(ORANGE)
    canvas.circle(15.4 * cm, 0.5 * cm, 3.2, stroke=0, fill=1)


def draw_multiples(canvas: Canvas) -> None:
    """Four panels with equal axes."""
    series = ((4, 5, 6, 7, 9), (6, 6, 5, 6, 6), (9, 7, 6, 4, 3), (3, 8, 4, 9, 5))
    for number, values in enumerate(series):
        left = (1.5 + 4.6 * number) * cm
        draw_axes(canvas, left, 3.9 * cm, 3 * cm)
        canvas.setStrokeColor(ORANGE if number == 2 else BLUE)
        points = [(left + (0.3 + 0.8 * i) * cm, 0.3 * cm * value) for i, value in enumerate(values)]
        canvas.lines([(*a, *b) for a, b in pairwise(points)])


def write_markup(text: str, hyphenate: bool) -> str:
    """Markdown's bold as reportlab's, and soft hyphens where the layout wants them."""
    marked = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(" ".join(text.split()), quote=False))
    # A formula breaks behind an operator, not before it.
    marked = re.sub(r" (?=[+=×/-] )", "\u00a0", marked)
    if not hyphenate:
        return marked

    def break_word(match: re.Match[str]) -> str:
        word = match[0]
        broken = HYPHENATED.get(word.lower(), word)
        return word[0] + broken[1:]

    return re.sub(r"[A-Za-z]{7,}", break_word, marked)


def open_section(layout: str, mark: str) -> list[Flowable]:
    """What comes before a title or heading."""
    if layout == "slides":
        return [PageBreak()] if mark == "##" else [Spacer(1, 4 * cm)]
    # No heading at the foot of a page or column.
    return [CondPageBreak(5 * LAYOUTS[layout]["body"].leading)] if mark == "##" else []


def make_story(text: str, layout: str) -> list[Flowable]:
    styles = LAYOUTS[layout]
    story: list[Flowable] = []
    numbers = count()
    for paragraph in text.strip().split("\n\n"):
        mark, _, rest = paragraph.partition(" ")
        if mark in ("#", "##"):
            story += open_section(layout, mark)
            story += [Bookmark(rest, len(mark) - 1, str(next(numbers))), Paragraph(escape(rest), styles[mark])]
        elif mark == "!chart":
            story += [Spacer(1, 0.3 * cm), Chart(rest)]
        elif re.match(r"- |\d\. ", paragraph):
            for line in paragraph.split("\n"):
                bullet, _, item = line.partition(" ")
                if bullet == "-":
                    # The bullet of Helvetica and Times is written as a code that readers of text do not know.
                    bullet = '<font name="Symbol">\u2022</font>'
                markup = f"<bullet>{bullet}</bullet>{write_markup(item, layout == 'paper')}"
                story.append(Paragraph(markup, styles["item"]))
            story.append(Spacer(1, styles["body"].spaceAfter - styles["item"].spaceAfter))
        else:
            story.append(Paragraph(write_markup(paragraph, layout == "paper"), styles["body"]))
            if layout == "paper" and sum(isinstance(part, Paragraph) for part in story) == 2:
                # The introduction runs over both columns.
                story.append(FrameBreak())
    return story


def make_templates(layout: str, title: str) -> tuple[tuple[float, float], list[PageTemplate]]:
    """Page size and templates with their frames, running header and page number."""
    width, height = size = SLIDE if layout == "slides" else A4
    small = 10 if layout == "slides" else 9

    def draw_edges(canvas: Canvas, document: BaseDocTemplate) -> None:
        canvas.setFont("Helvetica", small)
        canvas.setFillColor(HexColor("#555555"))
        if layout == "slides":
            canvas.drawString(2 * cm, 0.7 * cm, title)
            canvas.drawRightString(width - 2 * cm, 0.7 * cm, str(document.page))
            canvas.setFillColor(BLUE)
            canvas.rect(0, 0, 0.6 * cm, height, stroke=0, fill=1)
            return
        kind = "lecture notes" if layout == "notes" else "handout"
        canvas.drawString(2 * cm if layout == "paper" else 2.5 * cm, height - 1.5 * cm, f"{title} - {kind}")
        canvas.drawCentredString(width / 2, 1.3 * cm, str(document.page))

    def make_frame(x: float, y: float, w: float, h: float) -> Frame:
        return Frame(x, y, w, h, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)

    if layout == "paper":
        column, top, bottom = (width - 4.8 * cm) / 2, height - 2.3 * cm, 2.2 * cm
        opening = 3.3 * cm
        columns = [(2 * cm, column), (2.8 * cm + column, column)]
        first = [make_frame(2 * cm, top - opening, width - 4 * cm, opening)]
        first += [make_frame(x, bottom, w, top - opening - bottom) for x, w in columns]
        later = [make_frame(x, bottom, w, top - bottom) for x, w in columns]
        return size, [
            PageTemplate("first", first, onPage=draw_edges, autoNextPageTemplate="later"),
            PageTemplate("later", later, onPage=draw_edges),
        ]
    margins = (2 * cm, 1.6 * cm, 1.2 * cm) if layout == "slides" else (2.5 * cm, 2.4 * cm, 2.6 * cm)
    side, bottom, top = margins
    frame = make_frame(side, bottom, width - 2 * side, height - bottom - top)
    return size, [PageTemplate("all", [frame], onPage=draw_edges)]


def make_pdf(source: Path) -> bytes:
    """A PDF with title, outline, running lines and page numbers; the same bytes every time."""
    _, head, text = source.read_text(encoding="utf-8").split("---\n", 2)
    layout = head.partition(":")[2].strip()
    title = text.strip().split("\n")[0].removeprefix("# ")
    size, templates = make_templates(layout, title.partition(":")[0])
    file = BytesIO()
    # Uncompressed, because zlib's bytes differ from one build to another.
    document = BaseDocTemplate(
        file, pagesize=size, title=title, author="mlx-tutor", invariant=1, pageCompression=0, pageTemplates=templates
    )
    document.build(make_story(text, layout))
    return file.getvalue()


def read_text(data: bytes) -> list[str]:
    """The text of each page, without regard to line ends."""
    from pypdf import PdfReader

    return [" ".join(page.extract_text().split()) for page in PdfReader(BytesIO(data)).pages]


def is_same(made: bytes, there: bytes) -> bool:
    if reportlab.Version == MADE_WITH:
        return made == there
    return read_text(made) == read_text(there)


def main() -> None:
    for source in sorted((HERE / "pdf_sources").glob("*.md")):
        target = HERE / "sources" / f"{source.stem}.pdf"
        data = make_pdf(source)
        if "--check" not in sys.argv:
            target.write_bytes(data)
        elif not is_same(data, target.read_bytes()):
            sys.exit(f"{target.name} is not what {source.name} gives; run make_pdfs.py")


if __name__ == "__main__":
    main()
