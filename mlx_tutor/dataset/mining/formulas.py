"""Rows from displayed formulas that the text names: the formula, what its symbols stand for, and when it holds."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.language import pick
from mlx_tutor.dataset.passage import LONGEST_PASSAGE
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import split_sentences, strip_bold

DISPLAYED = re.compile(r"\$\$.+?\$\$|\\begin\{(?P<name>[a-z]+\*?)\}.+?\\end\{(?P=name)\}", re.DOTALL)
SYMBOL = r"(?<!\$)\$[^$]+\$(?!\$)|\$\$[^$]+\$\$"
INLINE = re.compile(SYMBOL)
# A symbol of a sentence, in TeX or a single letter.
ONE = rf"(?:{SYMBOL}|(?<![\w$\\])[A-Za-zα-ωΑ-Ω](?:_\w+)?(?![\w$]))"
RELATION = re.compile(
    r"[=≈≤≥<>∝∼]|\\(?:approx|sim|propto|leq?|geq?|equiv|triangleq|leftarrow|gets|to|rightarrow|mapsto)(?![a-z])"
)
# Powers and fractions that lost their places: "b 2 - 4ac 2a".
TORN = re.compile(r"[A-Za-z0-9)] [\dA-Za-z](?![A-Za-z])")
# A formula in words: "Total revenue = price × quantity".
IN_WORDS = re.compile(
    r"\$\$\s*(?:\\(?:text|mathrm|textrm|mbox)\{)?(?P<name>[^\W\d_][\w'’ -]{3,50}?)\}?\s*=(?P<rest>[^\d=]{8,200})\$\$"
)
LONGEST_FORMULA, LONGEST_NAME = 300, 14
LONGEST_SENTENCE = 60


@dataclass(frozen=True, slots=True)
class Formula:
    """A displayed formula with the sentence above it that names it, and the one below that explains its symbols.

    `name` is what it is the formula of, as it stands inside a sentence, `condition` when that is so.
    """

    text: str
    name: str
    condition: str
    intro: str
    where: str
    block: Block


def make_formula_rows(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """ "What is the formula for X?", asked with its passage where X is no concept of the course."""
    language = read_language(chunk.language)
    if language is None or "formula" not in language.questions:
        return
    for formula in find_formulas(chunk.blocks, language, concepts):
        related = concepts.relate(f"{formula.intro} {formula.where}", formula.name)
        answer = "\n".join(part for part in (formula.text, formula.where) if part)
        qa = QaPair(_ask("formula", language, seed, formula), (), answer, "formula", related)
        if not _is_known(formula.name, concepts):
            qa = replace(qa, context="\n\n".join(part for part in (formula.intro, formula.text, formula.where) if part))
        yield qa, "formula", formula.text
        if formula.where and (symbols := _find_symbols(formula.where, language)):
            asked = _ask("formula_symbols", language, seed, formula, symbols=", ".join(symbols))
            yield QaPair(asked, (), _begin(formula.where, language), "formula", related), "formula symbols", formula.text
        if formula.condition:
            asked = _ask("formula_condition", language, seed, formula)
            said = f"{formula.condition[0].upper()}{formula.condition[1:]}."
            yield QaPair(asked, (), said, "formula", related), "formula condition", formula.text


def find_formulas(blocks: Sequence[Block], language: Language, concepts: Concepts) -> Iterator[Formula]:
    """The displayed formulas of neighbouring blocks that the text itself gives a name."""
    for i, block in enumerate(blocks):
        if block.kind != "text" or "\n" in block.text:
            continue
        for match in DISPLAYED.finditer(block.text):
            if not _is_formula(match[0]):
                continue
            above = block.text[: match.start()].strip() or (_find_text(blocks, i - 1) if i else "")
            below = block.text[match.end() :].strip() or _find_text(blocks, i + 1)
            where = _find_where(below, language)
            if named := IN_WORDS.fullmatch(match[0]):
                if re.search(r"[^\W\d_]{4}", named["rest"]) and named["name"][0].isupper():
                    yield Formula(match[0], concepts.lower(named["name"]), "", "", where, block)
            elif formula := _read_intro(above, language, concepts):
                yield replace(formula, text=match[0], where=where, block=block)


def _find_text(blocks: Sequence[Block], index: int) -> str:
    """A neighbouring paragraph; "" where something else stands there."""
    inside = 0 <= index < len(blocks) and blocks[index].kind == "text" and "\n" not in blocks[index].text
    return blocks[index].text if inside else ""


def _is_formula(text: str) -> bool:
    """Whether a formula has letters, is no computed number, and was read whole."""
    letters = re.findall(r"[^\W\d_]", re.sub(r"\\[A-Za-z]+", "", text))
    computed = re.search(r"(?:=|\\approx|≈)\s*[-−]?[\d.,\s]+(?:\\%)?\s*[.,]?\s*\$\$$", text)
    torn = "\\" not in text and TORN.search(text)
    return bool(letters) and not computed and not torn and len(text) <= LONGEST_FORMULA


def _read_intro(above: str, language: Language, concepts: Concepts) -> Formula | None:
    """What the sentence above a formula says that it is the formula of."""
    sentences = split_sentences(above, language.code)
    intro = strip_bold(sentences[-1]) if sentences else ""
    match = language.patterns["formula_intro"].match(intro)
    if match is None or len(intro.split()) > LONGEST_SENTENCE:
        return None
    groups = match.groupdict()
    name = next(value for key, value in groups.items() if key.startswith("name") and value).strip(" ,")
    words = re.findall(r"[^\W\d_][\w'’-]*", INLINE.sub(" ", name))
    vague = language.words["formula_vague"] & {word.lower() for word in words}
    if vague or not any(len(word) > 3 for word in words) or not 1 <= len(words) <= LONGEST_NAME or name.count("(") != name.count(")"):
        return None
    condition = (groups.get("condition") or "").strip(" ,")
    if language.words["formula_vague"] & set(re.findall(r"\w+", INLINE.sub(" ", condition).lower())):
        return None
    first, _, rest = name.partition(" ")
    inside = f"{first.lower()} {rest}" if first.lower() in language.words["formula_article"] else concepts.lower(name)
    return Formula("", inside, condition, intro, "", Block("text", ""))


def _find_where(below: str, language: Language) -> str:
    """The sentence below a formula that explains its symbols; "" where none does."""
    first = next(iter(split_sentences(below, language.code)), "")
    whole = first.endswith(".") and len(first.split()) <= LONGEST_SENTENCE and first.count("(") == first.count(")")
    is_where = language.patterns["formula_where"].match(first) is not None
    return strip_bold(first) if whole and is_where and _find_symbols(first, language) else ""


def _find_symbols(where: str, language: Language) -> list[str]:
    """The symbols whose meaning a sentence gives."""
    found: list[str] = []
    joint = "|".join(sorted(language.words["formula_and"]))
    for verb in language.patterns["formula_stands_for"].finditer(where):
        listed = re.search(rf"(?:{ONE}(?:,\s?|,?\s(?:{joint})\s))*{ONE}$", where[: verb.start()])
        found += re.findall(ONE, listed[0]) if listed else []
    return list(dict.fromkeys(found))


def _begin(where: str, language: Language) -> str:
    """The sentence that explains symbols, without its "where"."""
    said = language.patterns["formula_where"].sub("", where, count=1)
    return said[:1].upper() + said[1:]


def _is_known(name: str, concepts: Concepts) -> bool:
    """Whether a name stands for something that the course speaks of by it, so that it can be asked for alone."""
    plain = re.sub(r"\s+", " ", INLINE.sub("", name)).strip()
    return any(len(found.split()) > 1 or plain.endswith(found) for found in concepts.find_longest(plain))


def _ask(kind: str, language: Language, seed: int, formula: Formula, **fields: str) -> str:
    question = pick(language.questions[kind], seed, kind, formula.text).format(
        name=formula.name, formula=formula.text, **fields
    )
    return f"{formula.condition}: {question}" if formula.condition and kind == "formula" else question
