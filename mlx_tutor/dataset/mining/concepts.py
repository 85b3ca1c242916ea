"""The concepts of a course, and which of them a text names.

What the course defines, prints in bold type or names in its headings is a concept when its text uses it as a name: more
than once, as a noun, and not as the name of a person, a firm or a file.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import sqrt

from mlx_tutor.dataset.chunk import find_language
from mlx_tutor.dataset.mining.defining import Definition
from mlx_tutor.dataset.mining.headings import has_prose_below, read_heading
from mlx_tutor.dataset.mining.language import could_be_concept, list_sentences
from mlx_tutor.languages.table import read_language
from mlx_tutor.languages.words import list_common_words, list_stopwords, stem_words
from mlx_tutor.records import Document
from mlx_tutor.text import strip_bold

BOLD = re.compile(r"\*\*([^*\n]{2,60}?)[:.]?\*\*")
MOST_RELATED = 4
# In how many paragraphs two concepts must meet that never stand in one sentence; how often beside those where one
# stands alone (cosine).
LEAST_SHARED, LEAST_NEAR, WORD_NEAR = 2, 0.3, 0.5
# How often the text has to use a name that it does not define; words in a heading that is a name.
LEAST_USES, MOST_WORDS = 2, 4
# Names of concepts whose plural is a verb more often than not.
NO_PLURAL = frozenset({"means"})
# Words that make a heading a phrase.
NO_NAME = frozenset("the a an is are from into in by with to for on at as between".split())
# Simpson's, Bayes'.
GENITIVE = re.compile(r"^[A-Z].+(?:['’]s|s['’])$")
# Characters of Chinese and Japanese are words of their own.
TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+(?:['’][^\W_]+)*(?:\+\+|#)?")
# What may stand between two words of a name.
JOINS = frozenset({"", " ", "-", "–", "--", "/", " (", "‑"})
WORD = re.compile(r"[^\W\d_][\w’'-]*")
# A stem of so few letters is that of too many words.
SHORT = 3
ABBREVIATION = re.compile(r"[A-Z][A-Z0-9-]{1,6}s?")

Key = tuple[str, ...]


class Index:
    """Keys by their first word: names are many, and texts long."""

    def __init__(self, keys: Iterable[Key], language: str) -> None:
        self.keys = frozenset(keys)
        self.language = language
        self.lengths: dict[str, list[int]] = defaultdict(list)
        for first, length in sorted({(key[0], len(key)) for key in self.keys}, reverse=True):
            self.lengths[first].append(length)

    def find(self, text: str) -> Iterator[tuple[Key, int, int]]:
        """Keys in a text from left to right with start and end, the longest where several begin; none overlap."""
        tokens = list(TOKEN.finditer(text))
        stems = [_stem(token.group(), self.language) for token in tokens]
        i = 0
        while i < len(tokens):
            for length in self.lengths.get(stems[i], ()):
                key = tuple(stems[i : i + length])
                if len(key) == length and key in self.keys and _is_apart(text, tokens[i : i + length]):
                    yield key, tokens[i].start(), tokens[i + length - 1].end()
                    i += length
                    break
            else:
                i += 1


def _is_apart(text: str, tokens: Sequence[re.Match[str]]) -> bool:
    """Whether words of a text stand side by side, and are no part of a longer word with hyphens."""
    start, end = tokens[0].start(), tokens[-1].end()
    joined = all(text[one.end() : other.start()] in JOINS for one, other in pairwise(tokens))
    return (
        joined
        and not re.search(r"\w-$", text[max(0, start - 2) : start])
        and not re.match(r"-\w|_", text[end : end + 2])
    )


@dataclass(frozen=True, slots=True)
class Concepts:
    """Names of concepts as they stand inside a sentence, by the stems of their words.

    `places` are the numbers of the paragraphs that name each, and `pairs` those that meet in a sentence; `capitals` are
    the words, in lower case, that the course writes with a capital inside sentences, `articles` those that it gives the
    terms that it defines, a space behind each, and `definitions` the best texts that define a term, by its folded form.
    `language` is that of most of the course.
    """

    names: Mapping[Key, str]
    index: Index
    capitals: frozenset[str]
    articles: Mapping[str, str]
    definitions: Mapping[str, tuple[str, ...]]
    places: Mapping[str, frozenset[int]]
    pairs: frozenset[frozenset[str]]
    language: str = "en"

    def find(self, text: str) -> list[str]:
        """Concepts named in a text, in order of their first place; of two that overlap the longer."""
        found = (self.names[key] for key, _, _ in self.index.find(strip_bold(text)))
        return list(dict.fromkeys(found))

    def find_longest(self, text: str) -> list[str]:
        """As `find`, without those that stand inside the name of another."""
        found = self.find(text)
        return [name for name in found if not any(name != other and name in other for other in found)]

    def relate(self, text: str, *asked: str) -> tuple[str, ...]:
        """At most four concepts that a text names and that the course names elsewhere too where it names what is asked.

        With nothing asked, those of the text that meet elsewhere too. A single word is one only where the course
        defines it and mostly names both together: "stroke" is a word more often than a concept.
        """
        found = [name for name in self.find_longest(text) if self._is_sure(name)]
        topics = self.find(" ".join(asked)) if asked else found
        known = {key for topic in (*asked, *topics) for key in cut_key(topic, self.language)} if asked else set()
        near: dict[str, float] = {}
        for name in found:
            places = self.places.get(name, frozenset())
            often = [topic for topic in topics if len(places & self.places.get(topic, frozenset())) >= LEAST_SHARED]
            others = [self.weigh(name, topic) for topic in often if topic != name]
            least = LEAST_NEAR if len(name.split()) > 1 else WORD_NEAR
            if known.isdisjoint(cut_key(name, self.language)) and max(others, default=0.0) >= least:
                near[name] = max(others)
        best = set(sorted(near, key=lambda name: -near[name])[:MOST_RELATED])
        return tuple(name for name in near if name in best)

    def weigh(self, one: str, other: str) -> float:
        """How often two concepts meet in the course, from 0 to 1 (cosine of their paragraphs)."""
        first, second = self.places.get(one, frozenset()), self.places.get(other, frozenset())
        shared = len(first & second)
        meet = shared >= LEAST_SHARED or frozenset((one, other)) in self.pairs
        return shared / sqrt(len(first) * len(second)) if meet and shared else 0.0

    def _is_sure(self, name: str) -> bool:
        is_name = len(name.split()) > 1 or ABBREVIATION.fullmatch(name) is not None
        return is_name or name.lower() in self.articles

    def lower(self, term: str) -> str:
        """`term` as it stands inside a sentence."""
        name = self.names.get(cut_key(term, self.language))
        if name and name.lower() == term.lower() and (_has_capitals(name) or not _has_capitals(term)):
            return name
        return lower_words(term, self.capitals, self.language)

    def refer(self, term: str) -> str:
        """`term` inside a sentence, with its article."""
        return self.articles.get(term.lower(), "") + self.lower(term)


@dataclass(slots=True)
class _Uses:
    """How the prose of a course uses a candidate: spellings inside sentences, all uses, uses as a noun, paragraphs."""

    spellings: Counter[str]
    places: set[int]
    total: int = 0
    as_noun: int = 0


def collect_concepts(documents: Sequence[Document], defined: Mapping[str, Sequence[Definition]]) -> Concepts:
    """Defined terms, bold terms and headings of a few words of a course; `defined` as `collect_definitions` has it."""
    words = Counter[str]()
    for document in documents:
        words[find_language(document)] += len(document.prose)
    language = words.most_common(1)[0][0] if words else "en"
    capitals = find_names(documents)
    terms = [definition.term for found in defined.values() for definition in found]
    candidates = _list_candidates(documents, terms, language)
    uses, together = _count_uses(documents, candidates, language)
    names: dict[Key, str] = {}
    for key, (term, kind) in candidates.items():
        name = _spell(term, uses[key], capitals, language)
        if _is_name(name, kind, uses[key], language):
            names[key] = name
    places = {name: frozenset(uses[key].places) for key, name in names.items()}
    pairs = frozenset(frozenset(names[key] for key in pair) for pair in together if pair <= names.keys())
    articles: dict[str, str] = {}
    for definition in (definition for found in defined.values() for definition in found):
        articles.setdefault(definition.term.lower(), definition.article)
    texts = {term: tuple(definition.text for definition in found) for term, found in defined.items()}
    return Concepts(names, Index(names, language), capitals, articles, texts, places, pairs, language)


def _list_candidates(
    documents: Sequence[Document], defined: Sequence[str], language: str
) -> dict[Key, tuple[str, str]]:
    """Terms by their key, with what makes them candidates: defined, heading or bold."""
    found: dict[Key, tuple[str, str]] = {}
    for term in defined:
        if len(term.split()) <= MOST_WORDS:
            found.setdefault(cut_key(term, language), (term, "defined"))
    bold: list[str] = []
    for document in documents:
        own = find_language(document)
        for section in document.sections:
            if not has_prose_below(section.heading, own):
                continue
            heading = read_heading(section.heading[-1], own)
            if heading.whole and _names_concept(heading.name, language):
                found.setdefault(cut_key(heading.name, language), (heading.name, "heading"))
            bold += [match[1].strip() for match in BOLD.finditer(section.text)]
    for term in bold:
        if could_be_concept(term, language):
            found.setdefault(cut_key(term, language), (term, "bold"))
    found.pop((), None)
    return found


def _count_uses(
    documents: Sequence[Document], candidates: Mapping[Key, object], language: str
) -> tuple[dict[Key, _Uses], set[frozenset[Key]]]:
    """How the prose uses each candidate, and which two meet in a sentence."""
    pairs: set[frozenset[Key]] = set()
    uses = {key: _Uses(Counter(), set()) for key in candidates}
    index = Index(candidates, language)
    number = 0
    for document in documents:
        for block in (block for section in document.sections for block in section.blocks if block.kind == "text"):
            number += 1
            for sentence in list_sentences(block, language) or block.text.split("\n"):
                plain = strip_bold(sentence)
                found = list(index.find(plain))
                pairs |= {frozenset(pair) for pair in combinations({key for key, _, _ in found}, 2)}
                for key, start, end in found:
                    use = uses[key]
                    use.total += 1
                    use.places.add(number)
                    use.as_noun += _stands_as_noun(plain, start, end, language)
                    if start > 2:
                        use.spellings[plain[start:end]] += 1
    return uses, pairs


def _stands_as_noun(text: str, start: int, end: int, language: str) -> bool:
    """Whether a word begins a sentence or follows an article or a preposition, and no noun of its own follows it."""
    table = read_language(language)
    before = text[:start].rstrip("“\"'‘ ").rsplit(maxsplit=1)[-1:]
    after = re.match(r"\s+([^\W\d_]+)", text[end:])
    follows = after is not None and after[1].lower() not in list_stopwords(language)
    known = table.words["concept_article"] | table.words.get("concept_before", frozenset()) if table else frozenset()
    # A plural at the end of a clause; a verb in -s has its object behind it.
    plural = language == "en" and after is None and text[end - 1] == "s"
    return not follows and (plural or not known or not before or before[0].lower() in known)


def _spell(term: str, uses: _Uses, capitals: frozenset[str], language: str) -> str:
    """A term as the course writes it inside its sentences, mostly; in German in the nominative, where it has that."""
    if language == "de":
        forms = Counter({term: 1}) + uses.spellings
        return min(forms, key=lambda form: (_count_endings(form), -forms[form]))
    same = Counter({text: count for text, count in uses.spellings.items() if text.lower() == term.lower()})
    return same.most_common(1)[0][0] if same else lower_words(term, capitals, language)


def _count_endings(form: str) -> int:
    """How many words of a German name seem to have the ending of another case: -en, -em or -es, a noun's -n."""
    *before, last = form.split()
    return sum(word.endswith(("en", "em", "es")) for word in before) + last.endswith("n")


def _is_name(name: str, kind: str, uses: _Uses, language: str) -> bool:
    """Whether a term names a concept by how the text uses it; one that the course defines mostly does."""
    words = name.split()
    if language == "de" and (words[-1][0].islower() or (words[0][0].islower() and words[0].endswith(("en", "em")))):
        return False
    if len(words) == 1 and name.lower() in list_common_words(language):
        return kind == "defined" and uses.as_noun > 0
    if kind == "defined":
        return True
    if uses.total < LEAST_USES or (kind == "bold" and language == "en" and NO_NAME & set(name.lower().split())):
        return False
    single = len(words) == 1 and language not in ("de", "zh")
    if ABBREVIATION.fullmatch(name) or (kind == "heading" and not (single and uses.as_noun == 0)):
        return True
    # Firms, people and programs have capitals; in German all nouns do.
    proper = language not in ("de", "zh") and all(word[0].isupper() for word in words if len(word) > 3)
    return not proper and not (single and uses.as_noun == 0)


def cut_key(term: str, language: str) -> Key:
    """The words of a term without their endings."""
    return tuple(_stem(match.group(), language) for match in TOKEN.finditer(term))


def _stem(word: str, language: str) -> str:
    low = word.lower().removesuffix("’s").removesuffix("'s")
    if language != "en":
        stem = stem_words([low], language)[0]
        return stem if len(stem) > SHORT else low
    # Stemmers make one of "operator" and "operation": in English the plural is enough.
    if len(low) > 3 and low.endswith("s") and not low.endswith(("ss", "us", "is")) and low not in NO_PLURAL:
        low = f"{low[:-3]}y" if low.endswith("ies") else low[:-1]
    # The same for class, classes and base, bases.
    return re.sub(r"(?<=[sxz])e$|(?<=[cs]h)e$", "", low)


def find_names(documents: Sequence[Document]) -> frozenset[str]:
    """Words, in lower case, that stand inside sentences with a capital more often than without."""
    capitals: Counter[str] = Counter()
    for document in documents:
        own = find_language(document)
        for section in document.sections:
            for block in section.blocks:
                for sentence in list_sentences(block, own):
                    for word in WORD.findall(strip_bold(sentence))[1:]:
                        capitals[word.lower()] += 1 if word[0].isupper() else -1
    return frozenset(word for word, count in capitals.items() if count > 0)


def lower_words(term: str, names: frozenset[str], language: str = "en") -> str:
    """`term` as it stands inside a sentence: small, but for names and abbreviations."""
    # German tells its nouns by their capitals: what is small there is so in the term.
    if language == "de":
        return term
    words = term.split(" ")
    keep = [
        word.lower() in names or _has_capitals(word) or GENITIVE.search(word) or word in "BCDFGIRXYZ" for word in words
    ]
    # The first half of a name that only begins sentences: Monte Carlo.
    if len(words) > 1 and words[0] not in ("A", "An", "The") and words[1][:1].isupper() and keep[1]:
        keep[0] = True
    return " ".join(word if kept else word.lower() for word, kept in zip(words, keep, strict=True))


def _has_capitals(word: str) -> bool:
    """Whether a capital inside a word makes it an abbreviation or a brand: CNNs, NumPy, but not Cross-Entropy."""
    return (
        any(c.isupper() for part in word.split("-") for c in part[1:])
        or re.search(r"^[A-Z]-|-[A-Z]$", word) is not None
    )


def _names_concept(heading: str, language: str) -> bool:
    """Whether a heading is short enough for a name, and names one thing."""
    table = read_language(language)
    words = heading.lower().split()
    two = table.words["concept_and"] if table else frozenset()
    # Without blanks, what joins two names stands inside the word.
    joined = any(word in heading for word in two) if language == "zh" else two & set(words)
    short = 1 <= len(words) <= (MOST_WORDS if language != "zh" else 1) and not joined
    return short and not (language == "en" and NO_NAME & set(words)) and could_be_concept(heading, language)
