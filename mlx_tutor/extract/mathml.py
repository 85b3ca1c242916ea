"""Formulas of web pages (MathML) as LaTeX: fractions, powers and roots keep their structure."""

import re
from typing import Any

# Signs above a letter that are an accent in LaTeX.
ACCENTS = {
    "¯": "bar",
    "‾": "bar",
    "^": "hat",
    "ˆ": "hat",
    "~": "tilde",
    "˜": "tilde",
    "→": "vec",
    "⃗": "vec",
    "˙": "dot",
}
SILENT = frozenset("annotation annotation-xml mspace mphantom none mprescripts".split())
# A number may go on inside the text that names its unit.
SPLIT_NUMBER = re.compile(r"(?<=\d) ([.,]) \\text\{(\d+)")
INVISIBLE = dict.fromkeys(map(ord, "\u2061\u2062\u2063\u2064\u200b"))


def write_mathml(element: Any) -> str:
    """An element with all that it contains; "" for one that shows nothing."""
    name = str(element.tag).rpartition("}")[2].rpartition(":")[2] if isinstance(element.tag, str) else "none"
    if name in SILENT:
        return ""
    parts = [write_mathml(child) for child in element if isinstance(child.tag, str)]
    write = WRITERS.get(name)
    if write is not None and len(parts) >= write[0]:
        return str(write[1](parts))
    text = " ".join((element.text or "").translate(INVISIBLE).split())
    if name == "mtext" and re.search(r"[^\W\d_]{2}", text):
        return rf"\text{{{text}}}"
    if name == "mfenced":
        return f"{element.get('open', '(')}{', '.join(parts)}{element.get('close', ')')}"
    # A number may be split into several elements.
    joined = SPLIT_NUMBER.sub(r"\1\2\\text{", " ".join(part for part in (text, *parts) if part))
    return re.sub(r"(?<=\d) ([.,]) (?=\d)", r"\1", joined)


def _script(parts: list[str]) -> str:
    """A superscript or subscript, in braces unless it is one character."""
    return parts[0] if re.fullmatch(r"\w", parts[0]) else f"{{{parts[0]}}}"


def _write_over(parts: list[str]) -> str:
    base, above = parts[0], parts[1].strip()
    return rf"\{ACCENTS[above]}{{{base}}}" if above in ACCENTS else f"{base}^{_script([above])}"


# How many parts an element needs, and how it is written with them.
WRITERS: dict[str, tuple[int, Any]] = {
    "mfrac": (2, lambda parts: rf"\frac{{{parts[0]}}}{{{parts[1]}}}"),
    "msqrt": (1, lambda parts: rf"\sqrt{{{' '.join(parts)}}}"),
    "mroot": (2, lambda parts: rf"\sqrt[{parts[1]}]{{{parts[0]}}}"),
    "msup": (2, lambda parts: f"{parts[0]}^{_script(parts[1:])}"),
    "msub": (2, lambda parts: f"{parts[0]}_{_script(parts[1:])}"),
    "msubsup": (3, lambda parts: f"{parts[0]}_{_script(parts[1:])}^{_script(parts[2:])}"),
    "munder": (2, lambda parts: f"{parts[0]}_{_script(parts[1:])}"),
    "mover": (2, _write_over),
    "munderover": (3, lambda parts: f"{parts[0]}_{_script(parts[1:])}^{_script(parts[2:])}"),
    "mtable": (1, lambda parts: r"\begin{matrix} " + r" \\ ".join(parts) + r" \end{matrix}"),
    "mtr": (1, " & ".join),
}
