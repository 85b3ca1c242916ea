"""Sentences and lines that define a term, by the tables in `languages/definitions`."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from mlx_tutor.dataset.mining.headings import has_prose
from mlx_tutor.dataset.mining.language import BULLET, dangles, is_task
from mlx_tutor.dataset.mining.table_cells import read_tables
from mlx_tutor.languages.defining import DefinitionTable, Pattern, read_table
from mlx_tutor.languages.words import list_common_words, list_stopwords
from mlx_tutor.records import ENTRY, Block, Chunk
from mlx_tutor.text import FORMULA, NO_BLANKS, count_words, split_sentences, strip_bold

BOLD = re.compile(r"\*\*([^*\n]{2,60}?)\*\*")
# Bold type written in one way: no italics or quotation marks around it, its full stop behind it.
UNIFY = (
    (re.compile(r"\*{3}"), "**"),
    (re.compile(r"\*\* ?\*\*"), " "),
    (re.compile(r"[“”„\"«»‘’] ?(\*\*[^*\n]+\*\*)([,.]?) ?[“”\"«»‘’]"), r"\1\2"),
    (re.compile(r"\*\*([^*\n]{2,60}?)([,.:;，。：；])\*\*"), r"**\1**\2"),
)
# Chinese may have a blank on either side of bold type.
SPACED = re.compile(r"(?<=[\u3400-\u9fff，（“])[ ]+(?=\*\*)|(?<=\*\*)[ ]+(?=[\u3400-\u9fff（，])")
# "Tidal range – The tidal range of a port is …": the label that the sentence names again.
RELABELLED = re.compile(r"^\**(?P<label>[^\W\d_][^–—:.*]{1,40}?)\**\s+[–—-]\s+(?=[^\W\d_a-z].*\b(?i:(?P=label))\b)")
IN_BRACKETS, ENDS_BRACKETS = re.compile(r"[(（][^()（）]*$"), re.compile(r"[^()（）]*[)）][.。]?$")
PART = re.compile(r"[^\W\d_]{3,}")
CHOICE = re.compile(r"\{([^{}|]*)\|([^{}|]*)\}")
# A capital, a letter of a script without them, or code.
BEGINS = re.compile(r"[^\W\d_a-zà-öø-ÿ]|[a-z]\w*[(_.]")
ENDS = (".", "!", "。", ".”", ".)", ".“", '."')
# Answers that are built from a noun that a sentence only mentions.
IS = "{Subject} {is|are}"
LONGEST_ARTICLE = 5
LONGEST_TERM, MOST_TERM_WORDS = 60, 6
LEAST_WORDS, MOST_WORDS = 5, 80
# A shorter sentence of a text mentions a term more often than it says what sets it apart.
LEAST_IN_PROSE = 11
# Letters of words that are small inside names.
LONGEST_SMALL = 3
# A name of somebody or of a firm.
NAME = re.compile(r"[A-Z][\w’'-]*(?: (?:[A-Z0-9][\w’'-]*|of|for|and|in|the))+")
MOST_PER_TERM = 2
# References that the reader cannot follow, and signs that take the place of a sentence.
NO_PROSE = re.compile(r"\[link\]|\\(?:eq)?ref\b|@ref|\{ref\}|\[@|\s(?:=|=>|→|⇒)\s|\(\d{1,2}\)[.]?$")
# What of a formula is no letter: commands other than Greek letters, words, and sets of numbers.
NO_SYMBOL = re.compile(
    r"\\(?:text|mathrm|operatorname|mathbb|begin|end)\s*\{[^{}]*\}|\\mathbb\s*[A-Z]"
    r"|\\(?!(?:alpha|beta|gamma|delta|epsilon|theta|lambda|mu|nu|pi|rho|sigma|tau|phi|psi|omega)\b)[A-Za-z]+"
)
SYMBOL = re.compile(r"\\[a-z]+|[A-Za-zΑ-ω]")
# A definition in words, and the same in symbols.
SAID_AGAIN = re.compile(r"(?<=[\w)]): (?:\$[^$]+\$(?:,? \w+ )?)+[.]$")
# A number of things: "the $k$ nearest points".
COUNT = re.compile(r"\$[kmnpKMNP]\$ ([a-z]+)")


@dataclass(frozen=True, slots=True)
class Definition:
    """A term and the text that defines it; `evidence` is an exact piece of a block.

    `article` is the one that an English course gives the term, with a space behind it. `pattern` is the name of the row
    of the table, `rank` its place there: the first ones are trusted most. `in_prose`: in a sentence of a text, not in a
    list of terms.
    """

    term: str
    text: str
    evidence: str
    plural: bool = False
    article: str = ""
    pattern: str = ""
    rank: int = 0
    in_prose: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """What an expression is tried on, the exact text that it was made of, and a next sentence about the same thing."""

    scope: str
    text: str
    evidence: str
    more: str = ""


# The names of a course's concepts need those of all its chunks first, and two ways of making rows need them again.
@lru_cache(maxsize=1 << 14)
def find_definitions(chunk: Chunk) -> tuple[Definition, ...]:
    """The definitions in the prose of a chunk, of each term the one whose wording is trusted most."""
    table = read_table(chunk.language)
    if table is None:
        return ()
    around = Around.of(chunk)
    found: dict[str, Definition] = {}
    for block in chunk.blocks:
        for piece in _cut_pieces(block, chunk, table):
            for definition in match_patterns(piece, table, around):
                key = fold_term(definition.term)
                if key not in found or definition.rank < found[key].rank:
                    found[key] = definition
    return tuple(found.values())


def collect_definitions(chunks: Iterable[Chunk]) -> dict[str, tuple[Definition, ...]]:
    """The definitions of a course by folded term, those trusted most first; those that say the same once.

    Without short sentences of a text.
    """
    found: dict[str, dict[str, Definition]] = defaultdict(dict)
    for chunk in chunks:
        for definition in find_definitions(chunk):
            if definition.in_prose and count_words(definition.text) < LEAST_IN_PROSE:
                continue
            found[fold_term(definition.term)].setdefault(definition.text.lower(), definition)
    by_rank = {term: sorted(texts.values(), key=lambda definition: definition.rank) for term, texts in found.items()}
    return {term: tuple(definitions[:MOST_PER_TERM]) for term, definitions in by_rank.items()}


def fold_term(term: str) -> str:
    """A term as it is compared: small letters, and one for one and many."""
    low = " ".join(term.lower().split())
    return low if low.endswith(("ss", "us", "is")) else low.removesuffix("s")


@dataclass(frozen=True, slots=True)
class Around:
    """What the rest of a chunk says about terms: those that `stand_out`, and the text without bold type."""

    language: str
    stand_out: frozenset[str]
    text: str

    @classmethod
    def of(cls, chunk: Chunk) -> "Around":
        """Headings and terms in bold type stand out: sentences may define them without bold type."""
        named = (*chunk.heading, *BOLD.findall(chunk.text))
        return cls(chunk.language, frozenset(fold_term(strip_bold(text)) for text in named), strip_bold(chunk.text))

    def is_topic(self, term: str, table: DefinitionTable) -> bool:
        """Whether a term stands out, or would without its first word: "standard deviation" under "Deviation"."""
        folded = fold_term(term)
        kind = folded.partition(" ")[2]
        return folded in self.stand_out or (kind in self.stand_out and not table.rules["no_plain_term"].search(term))

    def is_name(self, term: str) -> bool:
        """Whether a term has its capital inside sentences too, and is no abbreviation."""
        if term.isupper() or not all(word[0].isupper() for word in term.split() if len(word) > LONGEST_SMALL):
            return False
        return NAME.fullmatch(term) is not None or re.search(rf"[a-z,;] {re.escape(term)}\b", self.text) is not None


def _cut_pieces(block: Block, chunk: Chunk, table: DefinitionTable) -> Iterator[Piece]:
    if block.role == ENTRY:
        yield Piece("entry", unify(block.text, table), block.text)
    if block.kind == "table" and has_prose(chunk):
        yield from _cut_table(block, chunk.language, table)
    # Of what stands below exercises or references, only what the file itself marks.
    if block.kind != "text" or block.role or is_task(block, chunk.language) or not has_prose(chunk):
        return
    glossary = any(table.rules["glossary"].search(heading) for heading in chunk.heading)
    for line in block.text.split("\n"):
        bare = BULLET.sub("", line.strip())
        yield Piece("line", unify(bare, table), line.strip())
        if glossary:
            yield Piece("glossary", unify(bare, table), line.strip())
        sentences = split_sentences(bare, chunk.language)
        for before, sentence, behind in zip(["", *sentences], sentences, [*sentences[1:], ""], strict=False):
            more = f" {behind}" if table.rules["goes_on"].match(behind) else ""
            said = RELABELLED.sub("", sentence)
            yield Piece("sentence", unify(said, table), sentence, more if sentence + more in block.text else "")
            both = f"{before} {sentence}"
            if before and "**" in both and both in block.text:
                yield Piece("pair", unify(both, table), both)


def _cut_table(block: Block, language: str, table: DefinitionTable) -> Iterator[Piece]:
    """The rows of a table whose columns are headed as terms and what they mean."""
    for found in read_tables(block.text):
        if table.rules["entry_head"].match(" | ".join(found.header[:2])):
            for row in found.rows:
                term, text = row.cells[:2]
                # Cells begin with a capital; a noun of German and an abbreviation keep it.
                is_word = language != "de" and text[1:2].islower()
                yield Piece("entry", f"{term}: {text[0].lower() + text[1:] if is_word else text}", row.line)


def unify(text: str, table: DefinitionTable) -> str:
    """A text with its bold type written in one way, without what only leads into it or points at a figure."""
    for pattern, to in UNIFY:
        text = pattern.sub(to, text)
    text = SPACED.sub("", text) if NO_BLANKS.search(text) else text
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    text = table.rules["drop"].sub("", text)
    said = table.rules["opener"].sub("", text)
    return text if said == text else begin(said)


def begin(text: str) -> str:
    """A text with a capital; the first letter may stand behind the mark of bold type."""
    start = len(text) - len(text.lstrip("*"))
    # A Greek letter is a symbol.
    if "α" <= text[start : start + 1] <= "ω" and not text[start + 1 : start + 2].isalpha():
        return text
    return text[:start] + text[start : start + 1].upper() + text[start + 1 :]


def match_patterns(piece: Piece, table: DefinitionTable, around: Around) -> Iterator[Definition]:
    """What the rows of a table make of a piece of text."""
    if piece.text.endswith("?") or (piece.scope in ("sentence", "pair") and not piece.text.endswith(ENDS)):
        return
    has_bold = "**" in piece.text
    for rank, pattern in enumerate(table.patterns):
        if pattern.scope == piece.scope and (has_bold or not pattern.needs_bold):
            for match in pattern.expression.finditer(piece.text):
                yield from _read_match(match, pattern, rank, piece, table, around)


def _read_match(
    match: re.Match[str], pattern: Pattern, rank: int, piece: Piece, table: DefinitionTable, around: Around
) -> Iterator[Definition]:
    groups: dict[str, str | None] = match.groupdict()
    text = (groups.get("text") or "").strip(" .,")
    if _refuses("no_text", text, table) or (pattern.answer.startswith(IS) and _refuses("no_noun", text, table)):
        return
    plain, topic = groups.get("plain"), groups.get("topic")
    if topic and not around.is_topic(topic, table):
        return
    article = (groups.get("article") or groups.get("given") or "").lower()
    for written in filter(None, (groups.get("term") or plain or topic, groups.get("alias"))):
        # Without an abbreviation in brackets, and the marks around it.
        term = re.sub(r"\s*\([^)]*\)|\s*（[^）]*）", "", written).strip(" .,:;“”„\"«»‘'")
        if not is_term(term, table, around.language, plain=plain is not None):
            continue
        # Somebody's name, most often.
        if plain and NAME.fullmatch(term) and around.language != "de" and fold_term(term) not in around.stand_out:
            continue
        # "Method: The method reads …" says what it does.
        if term.lower() in (groups.get("text") or "")[: len(term) + LONGEST_ARTICLE].lower():
            continue
        if not pattern.names and around.language != "de" and around.is_name(term):
            continue
        many = table.rules["plural"].search(term) is not None
        given = f"{article} " if article and not many and written != groups.get("alias") else ""
        answer = cut_tail(_write_answer(pattern, piece, groups, f"{given}{term}", many), term, table)
        many = is_plural(answer, term, table)
        evidence = piece.evidence
        if piece.more and pattern.answer == "{sentence}" and names_class_only(answer, term, table):
            answer, evidence = answer + strip_bold(piece.more), evidence + piece.more
        if is_answer(answer, term, table, around.language, named=not given and term[0].isupper()):
            in_prose = pattern.scope in ("sentence", "pair")
            yield Definition(term, answer, evidence, many, "" if many else given, pattern.name, rank, in_prose)


def _refuses(rule: str, text: str, table: DefinitionTable) -> bool:
    return rule in table.rules and table.rules[rule].search(text) is not None


def cut_tail(answer: str, term: str, table: DefinitionTable) -> str:
    """A definition without the clause behind it that goes off it: ", while others are", "; it was found by"."""
    before, behind = _cut_at(answer, term)
    tail = table.rules["tail"].search(behind) if "tail" in table.rules else None
    if tail is None or _refuses("open", behind[: tail.start()], table):
        return answer
    # "that comes from Lisp, is made of pairs, and is a list": the last of three cannot go alone.
    # "a God who created, but left": the verb shares what follows.
    if _refuses("series", behind[: tail.start()], table):
        return answer
    return f"{answer[: len(before) + len(term) + tail.start()]}{'。' if NO_BLANKS.search(answer) else '.'}"


def names_class_only(answer: str, term: str, table: DefinitionTable) -> bool:
    """Whether an answer says of a term to which class it belongs, and nothing more."""
    return table.rules["bare"].match(_cut_at(answer, term)[1]) is not None


def is_distinct(answer: str, term: str, table: DefinitionTable) -> bool:
    """Whether an answer says what kind of thing a term is and how it differs from others of its kind.

    A class alone, praise, a comparison and a single instance that has the name of its kind do not.
    """
    before, behind = _cut_at(answer, term)
    refused = table.rules["no_kind"].match(behind) or table.rules["no_subject"].match(before)
    # "Rooms hold goods and also sand (called ballast).": the sentence says what rooms hold.
    refused = refused or (IN_BRACKETS.search(before) and ENDS_BRACKETS.match(behind))
    # "A strategy found by minimax is called minimax strategy."
    words, rest = PART.findall(term.lower()), {*PART.findall(f"{before} {behind}".lower())}
    circular = len(words) > 1 and all(word in rest for word in words)
    return not (refused or circular or names_class_only(answer, term, table))


def _cut_at(answer: str, term: str) -> tuple[str, str]:
    start = max(answer.lower().find(term.lower()), 0)
    return answer[:start], answer[start + len(term) :]


def declares_symbols(answer: str, table: DefinitionTable, language: str) -> bool:
    """Whether an answer says what each letter of its formulas stands for."""
    declared: set[str] = set()
    used: set[str] = set()
    for formula in FORMULA.finditer(answer):
        counted = COUNT.match(answer, formula.start())
        if formula[0].startswith("`") or (counted and counted[1] not in list_stopwords(language)):
            continue
        symbols = set(SYMBOL.findall(NO_SYMBOL.sub(" ", formula[0])))
        (declared if table.rules["declares"].search(answer[: formula.start()]) else used).update(symbols)
    return used <= declared


def _write_answer(pattern: Pattern, piece: Piece, groups: Mapping[str, str | None], subject: str, many: bool) -> str:
    said = CHOICE.sub(lambda match: match[2 if many else 1], pattern.answer)
    fields = {name: (found or "").strip(" ,;") for name, found in groups.items()}
    fields |= {"sentence": piece.text, "subject": subject, "Subject": begin(subject)}
    answer = SAID_AGAIN.sub(".", strip_bold(said.format(**fields)).strip())
    return answer if answer.endswith(ENDS) else f"{answer}{'。' if NO_BLANKS.search(answer) else '.'}"


def is_plural(answer: str, term: str, table: DefinitionTable) -> bool:
    """Whether a term is a plural, by the verb behind it, else by its form."""
    _, found, behind = answer.lower().partition(term.lower())
    verb = table.rules["verb"].match(behind) if found else None
    return bool(verb["many"]) if verb else table.rules["plural"].search(term) is not None


def is_term(term: str, table: DefinitionTable, language: str, *, plain: bool) -> bool:
    """Whether a term looks like one: some words, none of them empty at its ends, nothing that the language refuses."""
    words = term.lower().split()
    shaped = re.fullmatch(r"[\w&'’/+#.· -]+", term) and any(c.isalpha() for c in term)
    if not shaped or len(term) > LONGEST_TERM or len(words) > MOST_TERM_WORDS or table.rules["no_term"].search(term):
        return False
    if len(term) < (2 if NO_BLANKS.search(term) or not plain else 3):
        return False
    stop = list_stopwords(language)
    if not plain:
        return words[0] not in stop or len(words) > 1
    common = len(words) == 1 and words[0] in list_common_words(language)
    return not (common or {words[0], words[-1]} & stop or table.rules["no_plain_term"].search(term))


def is_answer(answer: str, term: str, table: DefinitionTable, language: str, *, named: bool) -> bool:
    """Whether a definition can stand alone: one or two whole sentences that name the term and point at nothing else."""
    hidden = FORMULA.sub("", answer)
    whole = bool(
        LEAST_WORDS <= count_words(answer) <= MOST_WORDS
        and BEGINS.match(answer)
        and all(answer.count(left) == answer.count(right) for left, right in ("()", "[]"))
        and answer.count("$") % 2 == 0
        and "**" not in answer
    )
    refused = table.rules["no_answer"].search(hidden) or (named and table.rules["no_name"].search(hidden))
    whole = whole and not refused and not NO_PROSE.search(hidden) and fold_term(term) in answer.lower()
    whole = whole and not dangles(answer, language)
    return whole and is_distinct(answer, term, table) and declares_symbols(answer, table, language)
