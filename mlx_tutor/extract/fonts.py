"""The fonts of a PDF: the characters and widths of their glyphs, by code.

Names of glyphs: Adobe Glyph List Specification, section 2. Fonts: ISO 32000-2, 9.5 to 9.10.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from mlx_tutor.extract.characters import clean_run

# Stands for a glyph whose character is unknown.
UNREADABLE = "\ufffd"
BULLET = "\u2022"
ORNAMENTS = re.compile(r"dingbats|wingdings|webdings|(?:open|star)symbol|marlett", re.IGNORECASE)
SYMBOL = re.compile(r"^/(?:[A-Z]{6}\+)?Symbol(?:MT|PS)?\b")
ZAPF = re.compile(r"^/(?:[A-Z]{6}\+)?(?:ITC)?Zapf.?Dingbats")
MONO = re.compile(r"mono|courier|consol|cmtt|sftt|typewriter|menlo|monaco|\bcode|code\b", re.IGNORECASE)
BOLD = re.compile(r"bold|black|heavy|semib|demi|cmbx|cmssbx|sfb|-bd|-sb", re.IGNORECASE)
# These fonts hold only integrals, under the names of other signs.
INTEGRALS = re.compile(r"esint\d")
# Signs of Wingdings that say more than a bullet.
WINGDINGS = {0x4A: "☺", 0xDF: "←", 0xE0: "→", 0xE8: "→", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑"}
# Adobe's private code points: old style digits, small capitals, dotless j, bracket pieces. The bullet of Helvetica and
# Times comes out of pypdf as 7f; Word's is that of Symbol or Wingdings in a font of another name.
PRIVATE = str.maketrans(
    {
        **{chr(0xF730 + n): str(n) for n in range(10)},
        **{chr(0xF760 + n): chr(0x40 + n) for n in range(1, 27)},
        **dict(zip("\uf8eb\uf8ec\uf8ed\uf8ee\uf8ef\uf8f0\uf8f1\uf8f2\uf8f3\uf8f4", "⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪", strict=True)),
        **dict(zip("\uf8f6\uf8f7\uf8f8\uf8f9\uf8fa\uf8fb\uf8fc\uf8fd\uf8fe", "⎞⎟⎠⎤⎥⎦⎫⎬⎭", strict=True)),
        **dict.fromkeys("\x7f\uf0b7\uf0a7\uf0d8\uf076\uf0a8\uf06e\uf06c\uf071\uf075\uf097\uf09f", BULLET),
        "\uf6be": "ȷ", "\uf8e5": "", "\uf8e6": "", "\uf8e7": "", "\t": " ", "\n": " ", "\r": " ",
    }
)  # fmt: skip


# Glyph names in the fonts of the American Mathematical Society that pypdf's list lacks.
TEX_NAMES = {
    "squaresmallsolid": "▪", "shiftleft": "↰", "shiftright": "↱", "greaterorsimilar": "≳", "greaterorapproxeql": "⪆",
    "greaterdblequal": "≧", "greaterorequalslant": "⩾", "greaterlessequal": "⋛", "greaterdbleqlless": "⪌",
    "greaterornotequal": "≩", "greaterornotdbleql": "≩", "notlessorslnteql": "≰", "notgreaterorslnteql": "≱",
    "lessnotequal": "⪇", "greaternotequal": "⪈", "lessornotsimilar": "⋦", "greaterornotsimilar": "⋧",
    "notlessdblequal": "≰", "notgreaterdblequal": "≱", "notsubsetordbleql": "⊈", "notsupersetordbleql": "⊉",
    "subsetornoteql": "⊊", "supersetornoteql": "⊋", "notshortbar": "∤", "notshortparallel": "∦", "barshort": "∣",
    "parallelshort": "∥", "integerdivide": "∖", "upslope": "╱", "downslope": "╲", "radicalvertex": "", "radicaltp": "",
    "arrowvertexdbl": "‖", "bracehtipdownleft": "", "bracehtipdownright": "", "bracehtipupleft": "",
    "bracehtipupright": "", "axisshort": "", "suppress": "",
}  # fmt: skip


@dataclass(slots=True)
class Type:
    """A font: its characters and widths (in text space, for size 1) by code; `correct` corrects what pypdf says."""

    font: Any
    scale: float
    bold: bool
    mono: bool
    glyphs: dict[str, tuple[str, float]]
    correct: Callable[[str, str], str]

    def read(self, data: bytes) -> list[tuple[str, float, bool]]:
        """Text, width and whether it is the space of word spacing, for each code of a string."""
        encoding = self.font.encoding
        if isinstance(encoding, str):
            codes = data.decode(encoding, "replace" if len(data) % 2 else "surrogatepass")
            return [(*self._find(code, code), False) for code in codes]
        return [(*self._find(chr(byte), encoding.get(byte, chr(byte))), byte == 32) for byte in data]

    def _find(self, code: str, character: str) -> tuple[str, float]:
        known = self.glyphs.get(code)
        if known is None:
            font = self.font
            width = font.space_width if code == font.space_char else font.get_text_width(code)
            text = self.correct(code, character)
            known = self.glyphs[code] = (clean_run(text), float(width) * self.scale)
        return known


def read_type(resource: Any, scale: float) -> Type:
    """The font of a resource dictionary; `scale` is the width of one of its units in text space."""
    # pypdf has no public access to a font's characters and widths; its major version is pinned.
    from pypdf.generic import DictionaryObject, NameObject
    from pypdf.generic._font import Font

    name = str(resource.get("/BaseFont", ""))
    has_map = "/ToUnicode" in resource
    family = "/Symbol" if SYMBOL.search(name) else "/ZapfDingbats" if ZAPF.search(name) else ""
    if family and not has_map and "/Encoding" not in resource:
        # pypdf knows their characters by the bare name alone.
        resource = DictionaryObject(resource)
        resource[NameObject("/BaseFont")] = NameObject(family)
    font = Font.from_font_resource(resource)
    # Glyph numbers are not characters, unless a map given by name says that they are.
    encoding = resource.get("/Encoding", "")
    encoding = encoding.get_object() if hasattr(encoding, "get_object") else encoding
    is_code = isinstance(encoding, str) and encoding not in ("/Identity-H", "/Identity-V")
    numbered = resource.get("/Subtype") == "/Type0" and not is_code
    numbered = numbered and not (has_map and isinstance(resource["/ToUnicode"], str))
    is_ornament, is_wingdings = bool(ORNAMENTS.search(name)), "wingdings" in name.lower()

    @cache
    def read_names() -> dict[int, str]:
        return {} if "/Encoding" in resource else _read_program(resource)

    # pypdf lets the codes of the font's program go before those of the page's encoding. ISO 32000-2, 9.6.5.2.
    differences = {} if has_map else _read_differences(encoding)

    def correct(code: str, character: str) -> str:
        mapped = font.character_map.get(character)
        if len(code) == 1 and ord(code) in differences and mapped is not None:
            mapped = f"/{differences[ord(code)]}"
        if mapped is None and len(code) == 1 and ord(code) in read_names():
            # Maps leave out signs such as sums, and pypdf does not know all names.
            mapped = f"/{read_names()[ord(code)]}"
        if mapped is None and numbered:
            # Some maps leave out the space.
            return " " if code in ("\x03", " ") and font.character_map else UNREADABLE
        if INTEGRALS.search(name):
            return "∫"
        text = str(character if mapped is None else mapped)
        if len(text) > 1 and text.startswith("/"):
            text = find_character(text)
        if is_ornament and len(text) == 1 and not text.isspace():
            place = ord(text) & 0xFF if 0xF000 <= ord(text) < 0xF100 else ord(text)
            if is_wingdings and place in WINGDINGS:
                return WINGDINGS[place]
            # Without a map, the characters of an ornamental font are letters that nobody sees.
            return BULLET if (ord(text) < 0x250 and not has_map) or is_private(text) else text
        if SYMBOL.search(name) and len(text) == 1 and 0xF020 <= ord(text) < 0xF100:
            return find_symbol(ord(text) & 0xFF)
        return clean_glyph(text)

    return Type(font, scale, bool(BOLD.search(name)), bool(MONO.search(name)), {}, correct)


def _read_differences(encoding: Any) -> dict[int, str]:
    """The glyph names by code that an encoding names itself."""
    items = encoding.get("/Differences") if hasattr(encoding, "get") else None
    items = items.get_object() if items is not None else ()
    found: dict[int, str] = {}
    place = 0
    for item in items if isinstance(items, list) else ():
        if isinstance(item, int):
            place = item
        else:
            found[place] = str(item).removeprefix("/")
            place += 1
    return found


def _read_program(resource: Any) -> dict[int, str]:
    """The glyph names by code that a Type 1 font program holds in clear text; empty for other fonts."""
    descriptor = resource.get("/FontDescriptor")
    descriptor = descriptor.get_object() if descriptor is not None else {}
    if resource.get("/Subtype") != "/Type1" or "/FontFile" not in descriptor:
        return {}
    program = descriptor["/FontFile"].get_data().split(b"eexec")[0].partition(b"/Encoding")[2]
    found = re.findall(rb"dup\s+(\d{1,3})\s*/([!-~]+)\s+put", program)
    return {int(code): name.decode("ascii") for code, name in found}


def find_symbol(code: int) -> str:
    """The character at a code of the Symbol font."""
    from pypdf._codecs import charset_encoding

    return clean_glyph(charset_encoding["/Symbol"][code])


def find_character(name: str) -> str:
    """The characters that a glyph name stands for ("/f_i.alt": "fi"); UNREADABLE for each part that names none."""
    from pypdf._codecs.adobe_glyphs import adobe_glyphs

    parts = name.removeprefix("/").split(".")[0].split("_")
    return "".join(adobe_glyphs.get(f"/{part}") or TEX_NAMES.get(part, _read_number(part)) for part in parts)


def _read_number(name: str) -> str:
    match = re.fullmatch(r"uni((?:[0-9A-Fa-f]{4})+)|u([0-9A-Fa-f]{4,6})", name)
    if not match:
        return UNREADABLE
    numbers = re.findall("....", match[1]) if match[1] else [match[2]]
    places = [int(number, 16) for number in numbers]
    is_valid = all(place < 0x110000 and not 0xD800 <= place < 0xE000 for place in places)
    return "".join(map(chr, places)) if is_valid else UNREADABLE


def is_private(character: str) -> bool:
    """Whether a character has no meaning of its own: private, control or unassigned."""
    return unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs")


def clean_glyph(text: str) -> str:
    """The characters of a glyph, with UNREADABLE for those that mean nothing outside their font."""
    return "".join(UNREADABLE if is_private(character) else character for character in text.translate(PRIVATE))
