"""Word, PowerPoint and EPUB files, made in the test."""

import sys
from pathlib import Path

import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.oxml import parse_xml
from pptx.util import Inches

from mlx_tutor.errors import CorpusError
from mlx_tutor.extract.office import read_docx, read_epub, read_pptx
from mlx_tutor.extract.webpage import read_html
from tests.extract.office_factory import write_docx, write_zip


def paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f'<w:p>{properties}<w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def test_word_gives_headings_tables_code_and_formulas(tmp_path: Path) -> None:
    fraction = f"<m:f><m:num>{run('F')}</m:num><m:den>{run('A')}</m:den></m:f>"
    power = f"<m:sSup><m:e>{run('x')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>"
    cells = "".join(f"<w:tc>{paragraph(text)}</w:tc>" for text in ("Unit", "Sign"))
    body = (
        paragraph("Pressure", "H1")
        + paragraph("It is ").replace("</w:p>", f"<m:oMath>{power}</m:oMath></w:p>")
        + f"<w:p><m:oMathPara><m:oMath>{run('p=')}{fraction}</m:oMath></m:oMathPara></w:p>"
        + paragraph("a = 1", "Src")
        + paragraph("b = 2", "Src")
        + f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>"
    )
    title, (section,) = read_docx(write_docx(tmp_path / "a.docx", body))
    assert (title, section.heading) == ("Pressure", ("Pressure",))
    assert [(block.kind, block.text) for block in section.blocks] == [
        ("text", "It is ${x}^{2}$"),
        ("text", r"$$p= \frac{F}{A}$$"),
        ("code", "a = 1\nb = 2"),
        ("table", "| Unit | Sign |\n|---|---|"),
    ]


def test_slides_are_sections_with_their_number(tmp_path: Path) -> None:
    deck = Presentation()
    for title, lines in (("Waves", ["They carry energy.", "They do not carry matter."]), ("Light", ["It is a wave."])):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "\n".join(lines)
    slide.placeholders[1].text_frame.paragraphs[0].level = 1
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(3), Inches(3), Inches(1)).table
    for index, text in enumerate(("Colour", "Length", "red", "700 nm")):
        table.cell(index // 2, index % 2).text = text
    slide.notes_slide.notes_text_frame.text = "Show the prism."
    path = tmp_path / "a.pptx"
    deck.save(str(path))
    title, sections = read_pptx(path)
    assert (title, [section.heading for section in sections]) == ("Waves", [("Waves",), ("Light",)])
    assert [(block.text, block.page) for section in sections for block in section.blocks] == [
        ("- They carry energy.\n- They do not carry matter.", 1),
        ("It is a wave.", 2),
        ("| Colour | Length |\n|---|---|\n| red | 700 nm |", 2),
        ("Show the prism.", 2),
    ]


def test_a_book_is_read_in_its_order(tmp_path: Path) -> None:
    page = '<?xml version="1.0" encoding="utf-8"?><html><head><title/></head><body>{}</body></html>'
    items = "".join(f'<item id="{name}" href="{name}%201.xhtml"/>' for name in ("b", "a"))
    package = (
        '<package xmlns:dc="d"><metadata><dc:title>Stars</dc:title></metadata><manifest>'
        f'{items}<item id="n" href="n.xhtml" properties="nav"/></manifest><spine><itemref idref="n"/>'
        '<itemref idref="b"/><itemref idref="a"/></spine></package>'
    )
    note = '<p>Hot<sup><a href="#fn1">1</a></sup>.</p><p id="fn1">Very hot. <a href="#r1">↩</a></p>'
    path = write_zip(
        tmp_path / "a.epub",
        {
            "META-INF/container.xml": '<container><rootfile full-path="O/p.opf"/></container>',
            "O/p.opf": package,
            "O/a 1.xhtml": page.format("<h1>Giants</h1><p>Large.</p>"),
            "O/b 1.xhtml": page.format(f"<h1>Suns</h1>{note}"),
        },
    )
    title, sections = read_epub(path)
    assert (title, [(section.heading, section.text) for section in sections]) == (
        "Stars",
        [(("Suns",), "Hot.\n\nVery hot."), (("Giants",), "Large.")],
    )


def test_what_is_no_office_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix, read in ((".docx", read_docx), (".pptx", read_pptx), (".epub", read_epub)):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(b"\xd0\xcf\x11\xe0 an older format")
        with pytest.raises(CorpusError, match=f"no {suffix} file"):
            read(path)
        write_zip(path, {"other.xml": "<x/>"})
        with pytest.raises(CorpusError, match=f"broken {suffix} file"):
            read(path)
    monkeypatch.setitem(sys.modules, "mammoth", None)
    with pytest.raises(CorpusError, match=r"mlx-tutor\[office\]"):
        read_docx(tmp_path / "a.docx")


def test_the_frame_of_a_page_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(
        "<body><div class='related' role='navigation'><ul><li>index</li></ul></div><div class='wy-breadcrumbs'>Docs / A"
        "</div><h1>Queues<a class='headerlink' href='#queues'>¶</a></h1><p>A queue has two ends.</p>"
        "<p><a href='a'>Previous</a> | <a href='c'>Next</a></p><div class='prev-next-area'>Stacks</div></body>"
    )
    _, sections = read_html(path)
    assert [(section.heading, section.text) for section in sections] == [(("Queues",), "A queue has two ends.")]


def set_text(text: str, *, style: str = "", font: str = "", run_style: str = "") -> str:
    paragraph = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    inner = f'<w:rStyle w:val="{run_style}"/>' if run_style else ""
    inner += f'<w:rFonts w:ascii="{font}"/>' if font else ""
    return f'<w:p>{paragraph}<w:r><w:rPr>{inner}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def test_word_styles_of_any_name_are_known_by_level_and_font(tmp_path: Path) -> None:
    styles = (
        '<w:style w:type="paragraph" w:styleId="A"><w:name w:val="HeadA"/>'
        '<w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="B"><w:name w:val="HeadB"/><w:basedOn w:val="A"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="P"><w:name w:val="Listing"/>'
        '<w:rPr><w:rFonts w:ascii="Consolas"/></w:rPr></w:style>'
        '<w:style w:type="character" w:styleId="L"><w:name w:val="Literal"/>'
        '<w:rPr><w:rFonts w:ascii="Courier"/></w:rPr></w:style>'
    )
    body = (
        set_text("Motors", style="A")
        + set_text("Type this:")
        + set_text("start()", style="P")
        + set_text("    stop()", style="P")
        + set_text("run", run_style="L").replace("</w:p>", "<w:r><w:t> is a word.</w:t></w:r></w:p>")
        + set_text("Rotors", style="B")
        + set_text("turn()", font="Courier New")
    )
    path = write_docx(tmp_path / "a.docx", body, styles=styles)
    sections = read_docx(path)[1]
    assert [section.heading for section in sections] == [("Motors",), ("Rotors",)]
    assert [(block.kind, block.text) for section in sections for block in section.blocks] == [
        ("text", "Type this:"),
        ("code", "start()\n    stop()"),
        ("text", "`run` is a word."),
        ("code", "turn()"),
    ]


def test_lines_of_equations_are_set_below_each_other(tmp_path: Path) -> None:
    lines = "".join(f"<m:e>{run(text)}</m:e>" for text in ("u&amp;=1", "v&amp;=2"))
    body = f"<w:p><m:oMathPara><m:oMath><m:eqArr>{lines}</m:eqArr></m:oMath></m:oMathPara></w:p>"
    _, (section,) = read_docx(write_docx(tmp_path / "a.docx", body))
    assert section.text == r"$$\begin{aligned} u&=1 \\ v&=2 \end{aligned}$$"


def test_charts_and_smart_art_of_slides(tmp_path: Path) -> None:
    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Rain"
    data = CategoryChartData()
    data.categories = ["May", "June"]
    data.add_series("mm", (40, 7.5))
    slide.shapes.add_chart(XL_CHART_TYPE.LINE, Inches(1), Inches(1), Inches(3), Inches(2), data)
    diagram = (
        '<d:dataModel xmlns:d="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><d:ptLst><d:pt><d:t><a:p><a:r><a:t>Cloud</a:t>'
        "</a:r></a:p></d:t></d:pt><d:pt><d:t><a:p><a:r><a:t>Drop</a:t></a:r></a:p></d:t></d:pt></d:ptLst></d:dataModel>"
    )
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    part = Part(PackURI("/ppt/diagrams/data1.xml"), "application/xml", slide.part.package, diagram.encode())
    number = slide.part.relate_to(part, f"{relations}/diagramData")
    slide.shapes._spTree.append(
        parse_xml(
            '<p:graphicFrame xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
            'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><p:nvGraphicFramePr><p:cNvPr id="9" '
            'name="d"/><p:cNvGraphicFramePr/><p:nvPr/></p:nvGraphicFramePr><a:graphic><a:graphicData uri="x">'
            '<d:relIds xmlns:d="http://schemas.openxmlformats.org/drawingml/2006/diagram" '
            f'xmlns:r="{relations}" r:dm="{number}"/></a:graphicData></a:graphic></p:graphicFrame>'
        )
    )
    path = tmp_path / "a.pptx"
    deck.save(str(path))
    _, (section,) = read_pptx(path)
    assert [(block.kind, block.text, block.page) for block in section.blocks] == [
        ("table", "| | mm |\n|---|---|\n| May | 40 |\n| June | 7.5 |", 1),
        ("text", "- Cloud\n- Drop", 1),
    ]
