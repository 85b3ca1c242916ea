"""Formulas of Word and PowerPoint (Office Math, ECMA-376 part 1, chapter 22.1) as LaTeX."""

import io
import zipfile
from typing import Any

MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
SPACE = "{http://www.w3.org/XML/1998/namespace}space"
# Large operators and accents, which Office stores as one character.
OPERATORS = {
    "∑": "\\sum", "∏": "\\prod", "∫": "\\int", "∬": "\\iint", "∮": "\\oint", "⋃": "\\bigcup", "⋂": "\\bigcap",
    "": "\\int",
}  # fmt: skip
ACCENTS = {
    "\u0302": "\\hat",
    "\u0303": "\\tilde",
    "\u0304": "\\bar",
    "\u0305": "\\bar",
    "\u20d7": "\\vec",
    "\u0307": "\\dot",
}
FUNCTIONS = ("sin", "cos", "tan", "log", "ln", "exp")


def read_paragraph(paragraph: Any) -> str:
    """The text of a paragraph of a slide, with its formulas between dollar signs."""
    parts: list[str] = []
    for node in paragraph.iter(f"{DRAWING}t", f"{DRAWING}br", f"{MATH}oMath"):
        if node.tag == f"{MATH}oMath":
            parts.append(f"${write_latex(node)}$")
        elif node.tag == f"{DRAWING}br":
            parts.append(" ")
        # The fallback of an alternative holds the same formula again, as a picture.
        elif not any(ancestor.tag.endswith("}Fallback") for ancestor in node.iterancestors()):
            parts.append(node.text or "")
    return " ".join("".join(parts).split())


def hide_office_formulas(archive: zipfile.ZipFile) -> io.BytesIO:
    """A copy of a .docx file without hidden text, with formulas as text: mammoth would skip them."""
    from lxml import etree

    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as target:
        for name in archive.namelist():
            data = archive.read(name)
            if name.startswith("word/") and name.endswith(".xml") and (b"oMath" in data or b"vanish" in data):
                root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, huge_tree=True))
                for formula in list(root.iter(f"{MATH}oMath")):
                    _replace(formula, etree)
                for hidden in list(root.iter(f"{WORD}vanish")):
                    _drop_hidden(hidden)
                data = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
            target.writestr(name, data)
    copy.seek(0)
    return copy


def _drop_hidden(mark: Any) -> None:
    """Remove the run that a mark hides; a mark set to "off" does not hide it."""
    run = mark.getparent().getparent()
    if run is not None and run.tag == f"{WORD}r" and mark.get(f"{WORD}val") not in ("0", "false", "off"):
        run.getparent().remove(run)


def _replace(formula: Any, etree: Any) -> None:
    """Replace a formula by a run with its text; a formula on a line of its own gets `$$`."""
    frame = formula.getparent()
    is_display = frame.tag == f"{MATH}oMathPara"
    dollars = "$$" if is_display else "$"
    run = etree.Element(f"{WORD}r")
    text = etree.SubElement(run, f"{WORD}t", {SPACE: "preserve"})
    text.text = f"{dollars}{write_latex(formula)}{dollars}"
    run.tail = formula.tail
    if is_display:
        frame.addprevious(run)
        frame.remove(formula)
    else:
        frame.replace(formula, run)


def write_latex(node: Any) -> str:
    """An element of Office Math with all that it contains."""
    parts = [_write_element(child) for child in node if isinstance(child.tag, str)]
    return " ".join(" ".join(part for part in parts if part).split())


def _part(node: Any, name: str) -> str:
    found = node.find(f"{MATH}{name}")
    return write_latex(found) if found is not None else ""


def _value(node: Any, path: str, default: str) -> str:
    found = node.find("/".join(f"{MATH}{name}" for name in path.split("/")))
    return default if found is None else found.get(f"{MATH}val", "")


def _write_element(node: Any) -> str:  # noqa: PLR0911, PLR0912
    name = node.tag.removeprefix(MATH)
    base = _part(node, "e")
    match name:
        case "r":
            return "".join(text.text or "" for text in node.iter(f"{MATH}t"))
        case "f":
            return f"\\frac{{{_part(node, 'num')}}}{{{_part(node, 'den')}}}"
        case "rad":
            degree = _part(node, "deg")
            return f"\\sqrt[{degree}]{{{base}}}" if degree else f"\\sqrt{{{base}}}"
        case "sSup":
            return f"{{{base}}}^{{{_part(node, 'sup')}}}"
        case "sSub":
            return f"{{{base}}}_{{{_part(node, 'sub')}}}"
        case "sSubSup":
            return f"{{{base}}}_{{{_part(node, 'sub')}}}^{{{_part(node, 'sup')}}}"
        case "nary":
            operator = _value(node, "naryPr/chr", "∫")
            low, high = _part(node, "sub"), _part(node, "sup")
            limits = (f"_{{{low}}}" if low else "") + (f"^{{{high}}}" if high else "")
            return f"{OPERATORS.get(operator, operator)}{limits} {base}"
        case "d":
            begin, end = _value(node, "dPr/begChr", "("), _value(node, "dPr/endChr", ")")
            inside = _value(node, "dPr/sepChr", "|").join(write_latex(e) for e in node.findall(f"{MATH}e"))
            signs = [f"\\{sign}" if sign in ("{", "}") else sign or "." for sign in (begin, end)]
            return f"\\left{signs[0]} {inside} \\right{signs[1]}"
        case "m":
            rows = (" & ".join(write_latex(e) for e in row.findall(f"{MATH}e")) for row in node.findall(f"{MATH}mr"))
            return "\\begin{matrix} " + " \\\\ ".join(rows) + " \\end{matrix}"
        case "eqArr":
            rows = (write_latex(e) for e in node.findall(f"{MATH}e"))
            return "\\begin{aligned} " + " \\\\ ".join(rows) + " \\end{aligned}"
        case "acc":
            accent = ACCENTS.get(_value(node, "accPr/chr", "\u0302"), "\\hat")
            return f"{accent}{{{base}}}"
        case "bar":
            return f"\\overline{{{base}}}"
        case "limLow":
            return f"{base}_{{{_part(node, 'lim')}}}"
        case "limUpp":
            return f"{base}^{{{_part(node, 'lim')}}}"
        case "func":
            function = _part(node, "fName")
            return f"\\{function} {base}" if function in FUNCTIONS else f"{function} {base}"
        case _:
            # Properties are only about appearance; anything else is written as its content.
            return "" if name.endswith("Pr") else write_latex(node)
