"""Rows from displayed formulas that the text names: the formula, what its symbols stand for, and when it holds."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mlx_tutor.dataset.mining.concepts import Concepts
from mlx_tutor.dataset.mining.defining import fold_term
from mlx_tutor.dataset.mining.headings import has_prose, name_context, read_heading, uses_words
from mlx_tutor.dataset.mining.language import pick
from mlx_tutor.languages.table import Language, read_language
from mlx_tutor.records import Block, Chunk, QaPair
from mlx_tutor.text import split_sentences, strip_bold

DISPLAYED = re.compile(r"\$\$.+?\$\$|\\begin\{(?P<name>[a-z]+\*?)\}.+?\\end\{(?P=name)\}", re.DOTALL)
SYMBOL = r"(?<!\$)\$[^$]+\$(?!\$)|\$\$[^$]+\$\$"
INLINE = re.compile(SYMBOL)
# A symbol of a sentence, in TeX or a single letter.
ONE = rf"(?:{SYMBOL}|(?<![\w$\\])[A-Za-zα-ωΑ-Ω](?:_\w+)?(?![\w$]))"
# Powers and fractions that lost their places: "b 2 - 4ac 2a".
TORN = re.compile(r"[A-Za-z0-9)] [\dA-Za-z](?![A-Za-z])")
# A formula in words: "Total revenue = price × quantity".
IN_WORDS = re.compile(
    r"\$\$\s*(?:\\(?:text|mathrm|textrm|mbox)\{)?(?P<name>[^\W\d_][\w'’ -]{3,50}?)\}?\s*=(?P<rest>[^\d=]{8,200})\$\$"
)
LONGEST_FORMULA, LONGEST_NAME = 300, 14
LONGEST_SENTENCE = 60
# With more numbers of two digits, or with one that has a unit, it is the formula of an example.
MOST_NUMBERS = 2
# Letters that nothing explains.
MOST_SYMBOLS = 3
GREEK = "alpha|beta|gamma|delta|epsilon|z?eta|theta|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|phi|chi|psi|omega"
OPEN = re.compile(r",\s*(?:\$\$|\\end\{[a-z]+\*?\})$")
# Of so few words, "a vector" names no formula.
FEWEST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Formula:
    """A displayed formula with the sentence above it that names it, and the one below that explains its symbols.

    `name` is what it is the formula of, as it stands inside a sentence, `condition` for what or when that is so.
    """

    text: str
    name: str
    condition: str
    intro: str
    where: str


def make_formula_rows(chunk: Chunk, concepts: Concepts, seed: int) -> Iterator[tuple[QaPair, str, str]]:
    """ "What is the formula for X?" and what its symbols mean; what X belongs to is named where X alone is too little.

    No formula is changed, and none is asked for whose name the text does not give.
    """
    language = read_language(chunk.language)
    if language is None or "formula" not in language.questions or not is_general(chunk):
        return
    topic = name_context(chunk)
    for formula in find_formulas(chunk.blocks, language, concepts):
        # With a comma at its end, what it needs follows, and that was not read.
        if not formula.where and (OPEN.search(formula.text) or len(_list_symbols(formula)) > MOST_SYMBOLS):
            continue
        question = _ask("formula", language, seed, formula)
        in_topic = topic is not None and uses_words(formula.name, topic, chunk.language)
        if not in_topic and not _is_known(formula.name, concepts):
            continue
        if topic and not formula.condition and not in_topic:
            question = language.questions["formula_of"][0].format(topic=concepts.lower(topic), question=question)
        related = concepts.relate(f"{formula.intro} {formula.where}", formula.name)
        answer = "\n".join(part for part in (formula.text, formula.where) if part)
        yield QaPair(question, (), answer, "formula", related), "formula", formula.text
        if formula.where and (symbols := _list_asked(formula, language)):
            asked = _ask("formula_symbols", language, seed, formula, symbols=", ".join(symbols))
            yield (
                QaPair(asked, (), _begin(formula.where, language), "formula", related),
                "formula symbols",
                formula.text,
            )


def _list_symbols(formula: Formula) -> set[str]:
    """The letters of a formula that its name does not hold."""
    plain = re.sub(r"\\(?:text|mathrm|mbox|operatorname|begin|end)\{[^{}]*\}", " ", formula.text)
    found = re.findall(rf"\\(?:{GREEK})(?![a-z])|(?<![\\A-Za-z])[A-Za-z](?![A-Za-z])", plain)
    return set(found) - set(re.findall(r"\\[a-z]+|[A-Za-z]", "".join(INLINE.findall(formula.name))))


def is_general(chunk: Chunk) -> bool:
    """Whether a chunk is about no exercise and no example, whose formulas hold for one case."""
    roles = {read_heading(heading, chunk.language).role for heading in chunk.heading}
    begins = any(
        read_heading(re.split(r"[\s:]", heading)[0], chunk.language).role == "example" for heading in chunk.heading
    )
    return has_prose(chunk) and "example" not in roles and not begins


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
                if re.search(r"[^\W\d_]{4}", named["rest"]) and re.fullmatch(
                    r"[A-Z][^\W\d_]{3,}[^\d_]*", named["name"]
                ):
                    yield Formula(match[0], concepts.lower(named["name"]), "", "", where)
            elif formula := _read_intro(above, language, concepts) or _read_after(below, language, concepts):
                yield replace(formula, text=match[0], where=where)


def _find_text(blocks: Sequence[Block], index: int) -> str:
    """A neighbouring paragraph; "" where something else stands there."""
    inside = 0 <= index < len(blocks) and blocks[index].kind == "text" and "\n" not in blocks[index].text
    return blocks[index].text if inside else ""


def _is_formula(text: str) -> bool:
    """Whether a formula has letters, is no computed number, and was read whole."""
    letters = re.findall(r"[^\W\d_]", re.sub(r"\\[A-Za-z]+", "", text))
    computed = re.search(r"(?:=|\\approx|≈)\s*[-−]?[\d.,\s]+(?:\\%)?\s*[.,]?\s*\$\$$", text)
    torn = "\\" not in text and TORN.search(text)
    has_unit = re.search(r"\d[\s\\,~]*\{?\\(?:text|mathrm|rm)(?![a-z])", text)
    is_case = has_unit or len(re.findall(r"\d{2,}(?!\\?%)|\d\.\d", text)) > MOST_NUMBERS
    return bool(letters) and not computed and not torn and not is_case and len(text) <= LONGEST_FORMULA


def _read_intro(above: str, language: Language, concepts: Concepts) -> Formula | None:
    """What the sentence above a formula says that it is the formula of."""
    sentences = split_sentences(above, language.code)
    intro = strip_bold(sentences[-1]).replace("*", "") if sentences else ""
    intro = language.patterns["formula_opener"].sub("", intro)
    match = language.patterns["formula_intro"].match(intro)
    if match is None or len(intro.split()) > LONGEST_SENTENCE:
        return None
    groups = match.groupdict()
    name = _read_name(next(v for key, v in groups.items() if key.startswith("name") and v), language, concepts)
    condition = (groups.get("condition") or "").strip(" ,")
    return (
        Formula("", name, condition, intro, "")
        if name and not _is_vague(condition.partition(" ")[2], language)
        else None
    )


def _read_after(below: str, language: Language, concepts: Concepts) -> Formula | None:
    """What the sentence below a formula calls it."""
    first = strip_bold(next(iter(split_sentences(below, language.code)), "")).replace("*", "")
    match = language.patterns["formula_called"].match(first)
    name = _read_name(match["name"], language, concepts) if match else ""
    return Formula("", name, "", first, "") if name else None


def _is_vague(text: str, language: Language) -> bool:
    """Whether a text points at something that is not in it."""
    return bool(_list_words(text) & language.words["formula_vague"])


def _list_words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[^\W\d_][\w'’-]*", INLINE.sub(" ", text))}


def _read_name(name: str, language: Language, concepts: Concepts) -> str:
    """The name of a formula as it stands inside a sentence; "" where it says too little or points elsewhere."""
    name = name.strip(" ,")
    words = INLINE.sub(" ", name).split()
    first, _, rest = name.partition(" ")
    article = first.lower() in language.words["formula_article"]
    whole = name.count("(") == name.count(")") and not re.search(r"[\[\]{}]|, |\b[a-z]+['’]s\b", INLINE.sub("", name))
    # Without an article it must be a short name: "RMSE", "layer norms".
    is_name = article or len(words) <= 3 or first[0].isupper()
    any_one = first.lower() in language.words["formula_any"] and len(words) < FEWEST_WORDS and words == name.split()
    is_clause = _list_words(name) & language.words["formula_verb"]
    if not whole or not is_name or any_one or is_clause or len(words) > LONGEST_NAME or _is_vague(name, language):
        return ""
    if not any(len(word) > 3 for word in words[article:]):
        return name if re.fullmatch(r"[A-Z]{2,}", name) else ""
    return f"{first.lower()} {rest}" if article else concepts.lower(name)


def _find_where(below: str, language: Language) -> str:
    """The sentence below a formula that explains its symbols; "" where none does."""
    first = next(iter(split_sentences(below, language.code)), "")
    whole = first.endswith(".") and len(first.split()) <= LONGEST_SENTENCE and first.count("(") == first.count(")")
    # With numbers, it tells what the symbols are in one case.
    whole = whole and re.search(r"\d{2}", first) is None
    explains = language.patterns["formula_where"].match(first) and not language.patterns["formula_points"].search(first)
    return strip_bold(first) if whole and explains and _find_symbols(first, language) else ""


def _list_asked(formula: Formula, language: Language) -> list[str]:
    """The explained symbols that stand in the formula."""
    inside = re.sub(r"\s", "", formula.text)

    def stands(symbol: str) -> bool:
        return re.sub(r"\s", "", re.split(r"\\in(?![a-z])|=|\(\\cdot\)", symbol.strip("$"))[0]) in inside

    return [symbol for symbol in _find_symbols(formula.where, language) if stands(symbol)]


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
    said = [word for word in plain.split() if len(word) > 3]
    # "The system" has many.
    if len(said) == 1 and fold_term(said[0]) not in concepts.definitions:
        return False
    begins = plain.partition(" ")[2]
    return any(
        len(found.split()) > 1 or plain.endswith(found) or begins.startswith(found)
        for found in concepts.find_longest(plain)
    )


def _ask(kind: str, language: Language, seed: int, formula: Formula, **fields: str) -> str:
    question = pick(language.questions[kind], seed, kind, formula.text).format(
        name=formula.name, formula=formula.text, **fields
    )
    if not formula.condition or kind != "formula":
        return question
    return f"{formula.condition[0].upper()}{formula.condition[1:]}: {question}"
